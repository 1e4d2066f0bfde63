//! An event as a message: subject, headers, payload.
//!
//! The subject is `annals.<category>.<id>.<Type>`. What NATS could misread in a token (anything but ASCII letters, digits,
//! `-` and `_`) is percent-encoded byte by byte, as in a URL: the stream `note-a.b é` has its events under
//! `annals.note.a%2Eb%20%C3%A9.…`. Distinct streams have distinct subjects, and decoding gives the name back.

use async_nats::jetstream::message::PublishMessage;
use domain::{Position, Recorded};
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt::Write;

/// Header with the event's position, decimal.
pub(super) const POSITION: &str = "Annals-Position";
/// Header with the stream's name, percent-encoded like a subject token.
const STREAM: &str = "Annals-Stream";
/// Header with the event's revision, decimal.
const REVISION: &str = "Annals-Revision";
/// Header of an event too large for the broker: `data` is null, and this many bytes long in the log.
const OMITTED: &str = "Annals-Data-Omitted";
/// Room for headers, subject and protocol below the broker's limit.
const HEADROOM: usize = 4096;

/// The event as `GET /v1/events` shows it.
#[derive(Serialize)]
struct Shown<'a> {
    id: uuid::Uuid,
    position: Position,
    stream: &'a str,
    revision: domain::Revision,
    r#type: &'a str,
    data: Option<&'a RawValue>,
    metadata: &'a RawValue,
    recorded_at: chrono::DateTime<chrono::Utc>,
}

/// Where the event is published.
pub fn subject(event: &Recorded) -> String {
    let (category, key) = (token(event.stream.category()), token(event.stream.key()));
    format!("annals.{category}.{key}.{}", token(&event.kind))
}

/// The event as the JSON object that `GET /v1/events` lists, `data` and `metadata` byte for byte as they were written.
///
/// # Errors
/// Does not happen: everything in it has a form in JSON.
pub fn payload(event: &Recorded) -> Result<Vec<u8>, serde_json::Error> {
    shown(event, Some(&event.data))
}

/// The message; without its data when the broker takes at most `limit` bytes and the event has more.
pub(super) fn message(event: &Recorded, limit: usize) -> Result<PublishMessage, serde_json::Error> {
    let message = PublishMessage::build()
        .message_id(event.id.to_string())
        .header(POSITION, event.position.to_string().as_str())
        .header(STREAM, token(event.stream.as_str()).as_str())
        .header(REVISION, event.revision.to_string().as_str());
    let whole = payload(event)?;
    if whole.len() + HEADROOM <= limit {
        return Ok(message.payload(whole.into()));
    }
    let size = event.data.get().len().to_string();
    Ok(message.header(OMITTED, size.as_str()).payload(shown(event, None)?.into()))
}

fn shown(event: &Recorded, data: Option<&RawValue>) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Shown {
        id: event.id,
        position: event.position,
        stream: event.stream.as_str(),
        revision: event.revision,
        r#type: &event.kind,
        data,
        metadata: &event.metadata,
        recorded_at: event.recorded_at,
    })
}

fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            token.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _infallible = write!(token, "%{byte:02X}");
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_nothing_that_nats_could_misread() {
        for (text, expected) in [
            ("Ab-9_z", "Ab-9_z"),
            ("a.b", "a%2Eb"),
            ("*", "%2A"),
            (">", "%3E"),
            ("a b\r\n", "a%20b%0D%0A"),
            ("é😀", "%C3%A9%F0%9F%98%80"),
            ("%2E", "%252E"),
        ] {
            assert_eq!(token(text), expected);
        }
    }
}
