//! Work on films, by programs that the operator names. Arguments are lists, never a line for a shell; what people name is
//! never an option, a path or a protocol of the program's.

use super::{
    Output,
    params::Params,
    program::{Folder, run},
};
use crate::{effects::outbound, reactors::queue::Failed};
use bytes::Bytes;
use domain::job::Operation;
use serde_json::{Map, Value};
use std::path::Path;

/// Longest side of a film, in pixels.
const SIDE: u32 = 7_680;
/// Bytes of a film that comes out.
const LARGEST: &str = "209715200";
/// Seconds of a teaser, if nobody says.
const TEASER: f64 = 15.0;

/// Does the work on these films.
pub(super) async fn work(
    program: &Path,
    operation: Operation,
    inputs: Vec<Bytes>,
    params: Params<'_>,
) -> Result<Output, Failed> {
    // Whatever is wrong with the wish is told before anything is written.
    let filter = arguments(operation, params)?;
    let folder = Folder::make().await?;
    let mut command = strings(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]);
    let mut list = String::new();
    for (number, bytes) in inputs.iter().enumerate() {
        let name = format!("in{number}");
        folder.write(&name, bytes).await?;
        list.push_str(&format!("file '{name}'\n"));
    }
    if operation == Operation::JoinVideos {
        folder.write("list", list.as_bytes()).await?;
        command.extend(strings(["-f", "concat", "-safe", "1", "-i", "list"]));
    } else {
        command.extend(strings(["-protocol_whitelist", "file", "-i", "in0"]));
    }
    command.extend(filter);
    command.extend(strings(["-fs", LARGEST, "-f", "mp4", "out.mp4"]));
    run(program, &command, &folder).await?;
    film(&folder).await
}

fn arguments(operation: Operation, params: Params<'_>) -> Result<Vec<String>, Failed> {
    let number = |name| params.number(name, 1, SIDE);
    let filtered = |filter: String| vec!["-vf".to_owned(), filter];
    Ok(match operation {
        Operation::ResizeVideo => match (number("width")?, number("height")?) {
            (None, None) => return Err(Failed::for_good("width or height is required")),
            (Some(width), Some(height)) => filtered(format!("scale={width}:{height}")),
            (Some(width), None) => filtered(format!("scale={width}:-2")),
            (None, Some(height)) => filtered(format!("scale=-2:{height}")),
        },
        Operation::CropVideo => {
            let (width, height) =
                (params.needed("width", 1, SIDE)?, params.needed("height", 1, SIDE)?);
            let (x, y) = (params.number("x", 0, SIDE)?, params.number("y", 0, SIDE)?);
            filtered(format!("crop={width}:{height}:{}:{}", x.unwrap_or(0), y.unwrap_or(0)))
        }
        Operation::CompressVideo => {
            let crf = params.number("crf", 0, 51)?.unwrap_or(28);
            strings(["-c:v", "libx264", "-crf", &crf.to_string(), "-c:a", "aac"])
        }
        Operation::TrimVideos => {
            let start = params.seconds("start")?.unwrap_or(0.0);
            let Some(end) = params.seconds("end")?.filter(|end| *end > start) else {
                return Err(Failed::for_good("end is required, and lies after start"));
            };
            strings(["-ss", &start.to_string(), "-to", &end.to_string(), "-c", "copy"])
        }
        Operation::CreateTeaser => {
            let start = params.seconds("start")?.unwrap_or(0.0);
            let length = params.seconds("duration")?.unwrap_or(TEASER);
            strings(["-ss", &start.to_string(), "-t", &length.to_string()])
        }
        Operation::StripMetadata => strings(["-map_metadata", "-1", "-c", "copy"]),
        _ => strings(["-c", "copy"]),
    })
}

/// What is known of the film at a URL.
pub(super) async fn info(program: &Path, url: &str) -> Result<Map<String, Value>, Failed> {
    let folder = Folder::make().await?;
    let mut command = downloader();
    command.extend(strings(["--dump-single-json", "--skip-download", "--", &public(url)?]));
    let said = run(program, &command, &folder).await?;
    let unread = |_| Failed::for_now("the program's answer cannot be read");
    let told: Map<String, Value> = serde_json::from_str(&said).map_err(unread)?;
    // The rest is long, and holds links that are somebody's for a while.
    let wanted = ["id", "title", "description", "duration", "uploader", "width", "height", "ext"];
    Ok(told.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect())
}

/// The film at a URL.
pub(super) async fn download(program: &Path, url: &str) -> Result<Output, Failed> {
    let folder = Folder::make().await?;
    let mut command = downloader();
    command.extend(strings(["--max-filesize", LARGEST, "-f", "mp4", "-o", "out.mp4", "--"]));
    command.push(public(url)?);
    run(program, &command, &folder).await?;
    film(&folder).await
}

fn downloader() -> Vec<String> {
    strings(["--ignore-config", "--no-playlist", "--no-progress", "--no-cache-dir", "--no-exec"])
}

fn public(url: &str) -> Result<String, Failed> {
    let checked = outbound::check(url).map_err(|refused| Failed::for_good(refused.to_string()))?;
    Ok(checked.to_string())
}

async fn film(folder: &Folder) -> Result<Output, Failed> {
    let bytes = folder.read("out.mp4").await?;
    Ok(Output { bytes, media_type: "video/mp4", extension: "mp4", facts: Map::new() })
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}
