//! Work on films, by programs that the operator names. Arguments are lists, never a line for a shell; what people name is
//! never an option, a path or a protocol of the program's.

use super::{
    Output,
    params::Params,
    pictures::{MARK_WIDTH, PLACES},
    program::{Folder, Input, run},
};
use crate::{
    effects::{fetch::Reach, outbound, proxy::GuardedProxy},
    reactors::queue::{Failed, Progress},
};
use bytes::Bytes;
use domain::job::Operation;
use serde_json::{Map, Value};
use std::path::Path;

/// Longest side of a film, in pixels.
const SIDE: u32 = 7_680;
/// Bytes of a film that comes out.
const LARGEST: &str = "209715200";
/// What lines begin with that tell how far a download is.
const TOLD: &str = "annals:";
/// Seconds of a teaser, if nobody says.
const TEASER: f64 = 15.0;

/// Does the work on these films.
pub(super) async fn work(
    program: &Path,
    operation: Operation,
    inputs: Vec<Bytes>,
    params: Params<'_>,
    progress: &Progress,
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
        for number in 0..inputs.len() {
            command.extend(strings(["-protocol_whitelist", "file", "-i", &format!("in{number}")]));
        }
    }
    command.extend(filter);
    // How far it is, as lines.
    command.extend(strings(["-nostats", "-progress", "pipe:1"]));
    command.extend(strings(["-fs", LARGEST, "-f", "mp4", "out.mp4"]));
    let length = length(operation, params)?;
    let listener = |line: &str| {
        let done = line.strip_prefix("out_time_us=").and_then(|us| us.parse::<f64>().ok());
        if let (Some(done), Some(length)) = (done, length) {
            progress.tell(done / 10_000.0 / length);
        }
    };
    run(program, &command, Input::None, &folder, &listener).await?;
    film(&folder).await
}

/// Seconds of the film that is to come out, where the wish says so.
fn length(operation: Operation, params: Params<'_>) -> Result<Option<f64>, Failed> {
    let start = params.seconds("start")?.unwrap_or(0.0);
    let length = match operation {
        Operation::TrimVideos => params.seconds("end")?.map(|end| end - start),
        Operation::CreateTeaser => Some(params.seconds("duration")?.unwrap_or(TEASER)),
        _ => None,
    };
    Ok(length.filter(|length| *length > 0.0))
}

/// The mark over the film, a fifth as wide; where and how much of it is seen as for pictures.
fn overlay(params: Params<'_>) -> Result<Vec<String>, Failed> {
    let opacity = f64::from(params.number("opacity", 1, 100)?.unwrap_or(60)) / 100.0;
    let place = match params.text("position").as_deref() {
        None | Some("bottom-right") => "W-w:H-h",
        Some("bottom-left") => "0:H-h",
        Some("top-left") => "0:0",
        Some("top-right") => "W-w:0",
        Some("center") => "(W-w)/2:(H-h)/2",
        Some(_) => return Err(Failed::for_good(PLACES)),
    };
    let filter = format!(
        "[1][0]scale2ref=w='main_w/{MARK_WIDTH}':h='ow/a'[mark][film];\
         [mark]format=rgba,colorchannelmixer=aa={opacity}[faint];[film][faint]overlay={place}"
    );
    Ok(strings(["-filter_complex", &filter, "-c:v", "libx264", "-c:a", "copy"]))
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
        Operation::ApplyWatermark => overlay(params)?,
        Operation::StripMetadata => strings(["-map_metadata", "-1", "-c", "copy"]),
        _ => strings(["-c", "copy"]),
    })
}

/// What is known of the film at a URL.
pub(super) async fn info(
    program: &Path,
    url: &str,
    reach: Reach,
) -> Result<Map<String, Value>, Failed> {
    let (folder, proxy) = (Folder::make().await?, guard(reach).await?);
    let mut command = downloader(&proxy);
    command.extend(strings(["--dump-single-json", "--skip-download", "--", &allowed(url, reach)?]));
    let said = run(program, &command, Input::None, &folder, &|_| {}).await?;
    let unread = |_| Failed::for_now("the program's answer cannot be read");
    let told: Map<String, Value> = serde_json::from_str(&said).map_err(unread)?;
    // The rest is long, and holds links that are somebody's for a while.
    let wanted = ["id", "title", "description", "duration", "uploader", "width", "height", "ext"];
    Ok(told.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect())
}

/// The film at a URL.
pub(super) async fn download(
    program: &Path,
    url: &str,
    reach: Reach,
    progress: &Progress,
) -> Result<Output, Failed> {
    let (folder, proxy) = (Folder::make().await?, guard(reach).await?);
    let mut command = downloader(&proxy);
    command.extend(strings(["--newline", "--progress", "--progress-template"]));
    command.push(format!("download:{TOLD}%(progress._percent_str)s"));
    command.extend(strings(["--max-filesize", LARGEST, "-f", "mp4", "-o", "out.mp4", "--"]));
    command.push(allowed(url, reach)?);
    let listener = |line: &str| {
        let percent = line.strip_prefix(TOLD).map(|rest| rest.trim().trim_end_matches('%'));
        if let Some(percent) = percent.and_then(|percent| percent.parse::<f64>().ok()) {
            progress.tell(percent);
        }
    };
    run(program, &command, Input::None, &folder, &listener).await?;
    film(&folder).await
}

/// Where a URL leads is decided by whoever answers it, so every connection is judged, not the first URL alone.
async fn guard(reach: Reach) -> Result<GuardedProxy, Failed> {
    let proxy = GuardedProxy::start(reach).await;
    proxy.map_err(|error| Failed::for_now(format!("there is no way out: {error}")))
}

fn downloader(proxy: &GuardedProxy) -> Vec<String> {
    let mut all = strings(["--ignore-config", "--no-playlist", "--no-cache-dir", "--no-exec"]);
    // Other downloaders might not go through the proxy.
    all.extend(strings(["--downloader", "native", "--proxy", &proxy.url()]));
    all
}

fn allowed(url: &str, reach: Reach) -> Result<String, Failed> {
    if reach == Reach::Anywhere && (url.starts_with("http://") || url.starts_with("https://")) {
        return Ok(url.to_owned());
    }
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
