//! Files and folders that leave a workspace; a folder as a zip that is made while it is sent.

use super::{failed, kind, missing, parsed, workspace};
use crate::{
    app::App,
    core::{Caller, Error, Path, Query},
    sage::Fault,
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Datelike, Timelike, Utc};
use commands::{
    effects::blobs::Blobs,
    workspaces::{Error as WorkspaceError, Listed},
};
use domain::workspace_file::{FilePath, MAX_FILES};
use futures::TryStreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::io::{self, Write};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_stream::wrappers::ReceiverStream;
use zip::{ZipWriter, write::SimpleFileOptions};

/// What RFC 5987 lets stand unencoded in a name.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Pieces of a zip that wait for the client.
const WAITING: usize = 16;
/// Bytes of one piece.
const PIECE: usize = 64 << 10;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DownloadQuery {
    /// For administrators: the conversation whose owner's files are meant.
    session_id: Option<String>,
    /// The file or folder, from the workspace on.
    #[serde(default)]
    #[param(required)]
    file_path: String,
}

/// Gets a file, or a folder as a zip.
///
/// `Content-Disposition` has its name.
#[utoipa::path(
    get,
    path = "/api/agent/{agent_id}/file_workspace/download",
    params(("agent_id" = String, Path, description = "The agent, or `default_agent` for work without one."), DownloadQuery),
    responses((
        status = 200,
        description = "The file in its own type, or `application/zip` for a folder.",
        body = Vec<u8>,
        content_type = "*/*",
    )),
)]
pub(super) async fn download(
    State(app): State<App>,
    caller: Caller,
    Path(agent_id): Path<String>,
    Query(query): Query<DownloadQuery>,
) -> Result<Response, Fault> {
    let path = parsed(&query.file_path)?;
    let found = workspace(&app, &caller, &agent_id, query.session_id.as_deref()).await?;
    let nothing = || Fault::raised(missing(&query.file_path));
    let workspace = found.ok_or_else(nothing)?;
    if let Some(content) = app.workspaces.find(&workspace, &path).await.map_err(failed)? {
        let bytes = app.library.blobs.stream(&content.blob).await;
        let bytes = bytes.map_err(|error| failed(WorkspaceError::Blobs(error)))?;
        let mut headers = headers(path.name(), kind(&content.media_type));
        headers.insert(header::CONTENT_LENGTH, content.size.into());
        return Ok((headers, Body::from_stream(bytes)).into_response());
    }
    let limit = usize::try_from(MAX_FILES).unwrap_or(usize::MAX);
    let files = app.workspaces.list(&workspace, Some(&path), limit).await.map_err(failed)?;
    if files.is_empty() {
        return Err(nothing());
    }
    let headers = headers(&format!("{}.zip", path.name()), "application/zip");
    let body = Body::from_stream(zipped(app.library.blobs.clone(), path, files));
    Ok((headers, body).into_response())
}

/// Headers of a file that a browser keeps and never shows: what somebody put into it must not run here.
fn headers(name: &str, media_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let media_type = HeaderValue::from_str(media_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(disposition) = HeaderValue::from_str(&disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    headers
}

/// RFC 6266: a plain name where that says it all, else the name in UTF-8.
fn disposition(name: &str) -> String {
    let plain = name.bytes().all(|b| (b' '..=b'~').contains(&b) && !b"\"\\%".contains(&b));
    match plain {
        true => format!("attachment; filename=\"{name}\""),
        false => format!("attachment; filename*=utf-8''{}", utf8_percent_encode(name, PLAIN)),
    }
}

type Pieces = Result<Bytes, io::Error>;

/// A zip of `files` with their names below `folder`.
fn zipped(blobs: Blobs, folder: FilePath, files: Vec<Listed>) -> ReceiverStream<Pieces> {
    let (sender, receiver) = mpsc::channel::<Pieces>(WAITING);
    tokio::spawn(async move {
        if let Err(error) = pack(blobs, &folder, files, sender.clone()).await {
            tracing::warn!(%error, "a folder could not be packed");
            // The client sees that the body broke off; it may be gone itself.
            let _gone = sender.send(Err(io::Error::other("broken off"))).await;
        }
    });
    ReceiverStream::new(receiver)
}

/// Reads on this side, packs on a thread that may wait for the client.
async fn pack(
    blobs: Blobs,
    folder: &FilePath,
    files: Vec<Listed>,
    sender: Sender<Pieces>,
) -> Result<(), Error> {
    let (parts, incoming) = mpsc::channel::<Part>(WAITING);
    let packing = tokio::task::spawn_blocking(move || write(incoming, Outgoing::new(sender)));
    let reading = async {
        for file in files {
            let Some(name) = file.path.below(folder) else { continue };
            let (name, size, modified_at) = (name.to_owned(), file.content.size, file.modified_at);
            if parts.send(Part::File { name, size, modified_at }).await.is_err() {
                break;
            }
            let unavailable =
                |error: commands::effects::blobs::Error| Error::Unavailable(error.to_string());
            let mut bytes = blobs.stream(&file.content.blob).await.map_err(unavailable)?;
            while let Some(piece) = bytes.try_next().await.map_err(unavailable)? {
                if parts.send(Part::Bytes(piece)).await.is_err() {
                    return Ok(());
                }
            }
        }
        // Without it the zip is not closed, and the client sees that it is not whole.
        let _gone = parts.send(Part::End).await;
        Ok(())
    };
    let read: Result<(), Error> = reading.await;
    drop(parts);
    let packed = packing.await.map_err(|error| Error::Internal(error.to_string()))?;
    read?;
    packed.map_err(|error| Error::Internal(error.to_string()))
}

/// What is packed, in order.
enum Part {
    File { name: String, size: u64, modified_at: DateTime<Utc> },
    Bytes(Bytes),
    End,
}

fn write(mut parts: Receiver<Part>, out: Outgoing) -> io::Result<()> {
    let mut zip = ZipWriter::new_stream(out);
    while let Some(part) = parts.blocking_recv() {
        match part {
            Part::File { name, size, modified_at } => {
                let options = SimpleFileOptions::default().large_file(size >= 1 << 32);
                zip.start_file(name, options.last_modified_time(dated(modified_at)))?;
            }
            Part::Bytes(bytes) => zip.write_all(&bytes)?,
            Part::End => {
                zip.finish()?.into_inner().flush()?;
                return Ok(());
            }
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// A time as zips have it: to two seconds, in UTC, from 1980 on.
fn dated(at: DateTime<Utc>) -> zip::DateTime {
    let small = |part: u32| u8::try_from(part).unwrap_or_default();
    let year = u16::try_from(at.year()).unwrap_or_default();
    let [month, day] = [at.month(), at.day()].map(small);
    let [hour, minute, second] = [at.hour(), at.minute(), at.second()].map(small);
    zip::DateTime::from_date_and_time(year, month, day, hour, minute, second).unwrap_or_default()
}

/// The client, for a thread that writes.
struct Outgoing {
    sender: Sender<Pieces>,
    piece: Vec<u8>,
}

impl Outgoing {
    fn new(sender: Sender<Pieces>) -> Self {
        Self { sender, piece: Vec::with_capacity(PIECE) }
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    /// Small pieces are kept until the end: the packer flushes more often than anybody needs.
    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl Outgoing {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        if piece.is_empty() {
            return Ok(());
        }
        let sent = self.sender.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn names_are_given_so_that_every_browser_reads_them() {
        for (name, header) in [
            ("a b.txt", "attachment; filename=\"a b.txt\""),
            ("报告.md", "attachment; filename*=utf-8''%E6%8A%A5%E5%91%8A.md"),
            ("a\"b;c", "attachment; filename*=utf-8''a%22b%3Bc"),
            ("50%.txt", "attachment; filename*=utf-8''50%25.txt"),
        ] {
            assert_eq!(disposition(name), header);
        }
    }
}
