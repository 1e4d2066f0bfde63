//! Files sent as forms: streamed to the blob store one after the other, never held in memory.

use super::{Error, Problem};
use axum::{
    RequestExt,
    extract::{FromRequest, Multipart, Request, multipart::Field},
    http::header,
};
use commands::effects::blobs::{self, Blob, Blobs};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// What one form may hold.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files.
    pub files: usize,
}

/// Bytes of a text field.
const TEXT: usize = 16 * 1024;
/// Parts of a form beside its files.
const FIELDS: usize = 32;
/// Longest silence of a client.
const SILENCE: Duration = Duration::from_secs(60);
/// What is still read of a form that was refused, so that the client gets to read why.
const LEFTOVER: usize = 256 << 20;
/// How long that may take.
const LEFTOVER_TIME: Duration = Duration::from_secs(20);

/// A form on its way in.
pub struct Form<'a> {
    parts: Multipart,
    blobs: &'a Blobs,
    rules: Rules,
    files: usize,
    fields: usize,
}

/// A part of a form.
#[derive(Debug)]
pub enum Part {
    /// A text.
    Text {
        /// Its field.
        name: String,
        /// The text.
        value: String,
    },
    /// A file, already in the store.
    File {
        /// Its field.
        field: String,
        /// The file.
        file: File,
    },
}

/// A file that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The last part of the name the client gave it, fit to be shown; never part of a path.
    pub name: String,
    /// Media type as the client gave it; may be empty.
    pub media_type: String,
    /// Its bytes.
    pub blob: Blob,
}

/// Why a form was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A file is too large.
    #[error("{name} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        name: String,
        /// The limit.
        limit: u64,
    },
    /// More files than allowed.
    #[error("more than {0} files at once")]
    TooMany(usize),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Error),
}

impl<S: Send + Sync> FromRequest<S> for Incoming {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let sent = request.headers().get(header::CONTENT_TYPE);
        let sent = sent.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let parts = request.extract::<Multipart, _>().await;
        parts.map(Self).map_err(|_| Error::MediaType(sent))
    }
}

/// A multipart body that nobody has read yet.
pub struct Incoming(Multipart);

impl Incoming {
    /// Begins to read.
    pub fn open(self, blobs: &Blobs, rules: Rules) -> Form<'_> {
        Form { parts: self.0, blobs, rules, files: 0, fields: 0 }
    }
}

impl Form<'_> {
    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// [`Refused`]. What was stored before stays in the store, where nobody refers to it.
    pub async fn next(&mut self) -> Result<Option<Part>, Refused> {
        let Some(field) = within(self.parts.next_field()).await? else { return Ok(None) };
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(sent) = file_name(&field) {
            self.files += 1;
            if self.files > self.rules.files {
                return Err(Refused::TooMany(self.rules.files));
            }
            let file = store(field, shown(&sent), self.blobs, self.rules.file_bytes).await?;
            return Ok(Some(Part::File { field: name, file }));
        }
        self.fields += 1;
        if self.fields > FIELDS {
            return Err(malformed("too many fields").into());
        }
        let value = text(field).await?;
        Ok(Some(Part::Text { name, value }))
    }

    /// Reads on without looking, within limits: a client that is still sending does not read the answer.
    pub async fn discard(mut self) {
        let rest = async {
            let mut left = LEFTOVER;
            while let Ok(Some(mut field)) = self.parts.next_field().await {
                while let Ok(Some(bytes)) = field.chunk().await {
                    left = left.saturating_sub(bytes.len());
                    if left == 0 {
                        return;
                    }
                }
            }
        };
        // However it ends: the answer is the same.
        let _ = timeout(LEFTOVER_TIME, rest).await;
    }
}

/// A part that is missing from a form.
pub fn missing(name: &str) -> Error {
    Error::Invalid(vec![Problem {
        kind: "missing",
        loc: vec![json!("body"), json!(name)],
        msg: "Field required".to_owned(),
        input: Value::Null,
    }])
}

/// The name of a file as the client gave it; `None` of a text. Some clients give names that are not ASCII as RFC 5987 has it,
/// others in an encoding of their own.
fn file_name(field: &Field<'_>) -> Option<String> {
    if let Some(name) = field.file_name() {
        return Some(name.to_owned());
    }
    let disposition = field.headers().get(header::CONTENT_DISPOSITION)?;
    let disposition = String::from_utf8_lossy(disposition.as_bytes());
    let given = |parameter: &str| {
        let at = disposition.to_ascii_lowercase().find(parameter)? + parameter.len();
        Some(disposition[at..].split(';').next().unwrap_or_default().trim().trim_matches('"'))
    };
    let encoded = given("filename*=").and_then(|name| name.splitn(3, '\'').nth(2));
    match encoded {
        Some(name) => Some(percent_decode_str(name).decode_utf8_lossy().into_owned()),
        None => given("filename=").map(str::to_owned),
    }
}

async fn store(field: Field<'_>, name: String, blobs: &Blobs, limit: u64) -> Result<File, Refused> {
    let media_type = field.content_type().unwrap_or_default().to_owned();
    let chunks = futures::stream::try_unfold(field, async |mut field| {
        match timeout(SILENCE, field.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk.map(|bytes| (bytes, field))),
            Ok(Err(error)) => Err(error.body_text()),
            Err(_) => Err("the client fell silent".to_owned()),
        }
    });
    match blobs.put(std::pin::pin!(chunks), limit).await {
        Ok(blob) => Ok(File { name, media_type, blob }),
        Err(blobs::Error::TooLarge(limit)) => Err(Refused::TooLarge { name, limit }),
        Err(blobs::Error::Interrupted(why)) => Err(malformed(&why).into()),
        Err(error) => Err(Error::Unavailable(error.to_string()).into()),
    }
}

async fn text(mut field: Field<'_>) -> Result<String, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = within(field.chunk()).await? {
        if bytes.len() + chunk.len() > TEXT {
            return Err(malformed("a text field is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| malformed("a text field is not UTF-8"))
}

async fn within<T>(
    read: impl Future<Output = Result<T, axum::extract::multipart::MultipartError>>,
) -> Result<T, Error> {
    match timeout(SILENCE, read).await {
        Ok(read) => read.map_err(|error| malformed(&error.body_text())),
        Err(_) => Err(malformed("the client fell silent")),
    }
}

fn malformed(why: &str) -> Error {
    Error::Invalid(vec![Problem {
        kind: "multipart_invalid",
        loc: vec![json!("body")],
        msg: why.to_owned(),
        input: Value::Null,
    }])
}

/// The last part of a name, whichever way its path is written, without what cannot be seen.
pub fn shown(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let seen: String = last.chars().filter(|c| !c.is_control()).take(255).collect();
    match seen.trim() {
        "" | "." | ".." => "file".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_without_their_path() {
        for (sent, kept) in [
            ("a b.txt", "a b.txt"),
            ("../../etc/passwd", "passwd"),
            (r"C:\x\报告.md", "报告.md"),
            ("a\0\r\nb", "ab"),
            ("x/..", "file"),
            ("", "file"),
        ] {
            assert_eq!(shown(sent), kept);
        }
    }
}
