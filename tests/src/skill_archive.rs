//! Archives of skills, and the form by which they come in.

use crate::app::Person;
use anyhow::Result;
use reqwest::RequestBuilder;
use std::io::{Cursor, Write};
use zip::{ZipWriter, write::SimpleFileOptions};

/// An archive of these files.
///
/// # Errors
/// Hardly ever: it is made in memory.
pub fn zip(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default())?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// An upload of an archive with these text fields.
pub fn upload(
    person: &Person,
    file: &str,
    archive: &[u8],
    fields: &[(&str, &str)],
) -> RequestBuilder {
    let mut body = Vec::new();
    let mut part = |head: &str, value: &[u8]| {
        body.extend_from_slice(b"--line\r\ncontent-disposition: form-data; name=");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    };
    part(&format!("\"file\"; filename=\"{file}\""), archive);
    fields.iter().for_each(|(name, value)| part(&format!("\"{name}\""), value.as_bytes()));
    body.extend_from_slice(b"--line--\r\n");
    let request = person.post("/api/skills/upload").body(body);
    request.header("content-type", "multipart/form-data; boundary=line")
}
