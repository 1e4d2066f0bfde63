//! Events on the wire and in the log.
//!
//! The log holds JSON, with metadata that names an actor. Clients send any bytes. What is JSON with our metadata is kept as it is, so that
//! one annals can be the log of another; of everything else the metadata tells how to give back the bytes that were sent.

use crate::{
    names::identifier,
    status,
    wire::shared::{Uuid as WireUuid, uuid as wire_uuid},
};
use ::uuid::Uuid;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use domain::{Metadata, NewEvent, Recorded, Revision, StreamId, ids::UserId, json};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::HashMap;
use tonic::Status;

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
/// Type of an event that stands for another.
const LINK: &str = "$>";
/// The mark by which [`Stored`] is recognised before it is parsed.
const MARK: &str = r#""sent":"#;

/// An event on its way in.
pub(crate) struct Proposed {
    pub(crate) id: Option<WireUuid>,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) custom_metadata: Bytes,
    pub(crate) data: Bytes,
}

/// Our metadata around what a client sent.
#[derive(Serialize, Deserialize)]
struct Stored {
    actor: UserId,
    correlation_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causation_id: Option<Uuid>,
    sent: Sent,
}

/// How to give back the bytes that were sent.
#[derive(Serialize, Deserialize)]
struct Sent {
    content_type: Box<str>,
    /// The metadata, when it was JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Box<RawValue>>,
    /// The metadata, when it was something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<String>,
    /// Whether the data is the base64 of what was sent.
    #[serde(default)]
    data_base64: bool,
}

/// What clients put into their metadata so that others can tell what belongs together.
#[derive(Default, Deserialize)]
struct Causes {
    #[serde(rename = "$correlationId")]
    correlation: Option<Uuid>,
    #[serde(rename = "$causationId")]
    causation: Option<Uuid>,
}

impl Proposed {
    /// Bytes it weighs.
    pub(crate) fn weight(&self) -> usize {
        self.data.len() + self.custom_metadata.len() + 64
    }

    /// The event as the log keeps it, appended by `by`.
    pub(crate) fn event(self, by: &UserId) -> Result<NewEvent, Status> {
        let id = self
            .id
            .as_ref()
            .map_or_else(|| Err(status::invalid("an event has no id")), parse_id)?;
        let header = |name: &str| self.metadata.get(name).filter(|value| !value.is_empty());
        let kind = header("type").ok_or_else(|| status::invalid("an event has no type"))?;
        let content_type = header("content-type").map_or(BYTES, String::as_str);
        let (data, metadata) = (as_json(&self.data), as_json(&self.custom_metadata));
        if let (JSON, Some(data), Some(metadata)) = (content_type, &data, &metadata)
            && serde_json::from_str::<Metadata>(metadata.get()).is_ok()
            && !metadata.get().contains(MARK)
        {
            let (data, metadata) = (data.clone(), metadata.clone());
            return Ok(NewEvent { id, kind: kind.as_str().into(), data, metadata });
        }
        let causes: Causes = metadata
            .as_ref()
            .and_then(|json| serde_json::from_str(json.get()).ok())
            .unwrap_or_default();
        let bytes = &self.custom_metadata;
        let data = data.filter(|_| content_type == JSON);
        let stored = Stored {
            actor: by.clone(),
            correlation_id: causes.correlation.unwrap_or(id),
            causation_id: causes.causation,
            sent: Sent {
                content_type: content_type.into(),
                metadata_base64: (metadata.is_none() && !bytes.is_empty())
                    .then(|| BASE64_STANDARD.encode(bytes)),
                metadata,
                data_base64: data.is_none(),
            },
        };
        let raw = |error: serde_json::Error| Status::internal(error.to_string());
        let data = match data {
            Some(data) => data,
            None => to_raw_value(&BASE64_STANDARD.encode(&self.data)).map_err(raw)?,
        };
        let metadata = to_raw_value(&stored).map_err(raw)?;
        Ok(NewEvent { id, kind: kind.as_str().into(), data, metadata })
    }
}

/// The bytes as JSON of the log, if they come back from it as they are.
fn as_json(bytes: &Bytes) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(bytes).ok().filter(|_| !json::is_too_deep(bytes))?;
    RawValue::from_string(text.to_owned()).ok().filter(|raw| raw.get().len() == bytes.len())
}

/// An id in either wire form.
pub(crate) fn parse_id(id: &WireUuid) -> Result<Uuid, Status> {
    match &id.value {
        Some(wire_uuid::Value::Structured(halves)) => Some(Uuid::from_u64_pair(
            halves.most_significant_bits.cast_unsigned(),
            halves.least_significant_bits.cast_unsigned(),
        )),
        Some(wire_uuid::Value::String(text)) => Uuid::parse_str(text).ok(),
        None => None,
    }
    .ok_or_else(|| status::invalid("not a UUID"))
}

/// How a reader wants ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdForm {
    /// Two halves.
    Structured,
    /// Text.
    Text,
}

impl IdForm {
    /// The wire form of this id.
    pub(crate) fn of(self, id: Uuid) -> WireUuid {
        let value = match self {
            Self::Text => wire_uuid::Value::String(id.to_string()),
            Self::Structured => {
                let (most, least) = id.as_u64_pair();
                wire_uuid::Value::Structured(wire_uuid::Structured {
                    most_significant_bits: most.cast_signed(),
                    least_significant_bits: least.cast_signed(),
                })
            }
        };
        WireUuid { value: Some(value) }
    }
}

/// An event as readers get it; both services that send events have a message of this shape.
pub(crate) struct Shown {
    pub(crate) id: WireUuid,
    pub(crate) stream: Box<str>,
    pub(crate) revision: u64,
    pub(crate) position: u64,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) custom_metadata: Bytes,
    pub(crate) data: Bytes,
}

impl Shown {
    /// The event, with the bytes that were sent.
    pub(crate) fn event(event: &Recorded, ids: IdForm) -> Self {
        let metadata = event.metadata.get();
        let stored = metadata.contains(MARK).then(|| serde_json::from_str::<Stored>(metadata).ok());
        let (content_type, custom, data) = match stored.flatten() {
            Some(Stored { sent, .. }) => {
                let data = sent.data_base64.then(|| bytes_of(event.data.get())).flatten();
                let text = sent.metadata_base64.and_then(|text| BASE64_STANDARD.decode(text).ok());
                let json = sent.metadata.map(|json| copied(json.get()));
                (sent.content_type, json.or(text.map(Bytes::from)).unwrap_or_default(), data)
            }
            None => (JSON.into(), copied(metadata), None),
        };
        Self {
            id: ids.of(event.id),
            stream: event.stream.as_str().into(),
            revision: event.revision.0,
            position: event.position.0,
            metadata: headers(&event.kind, &content_type, event),
            custom_metadata: custom,
            data: data.unwrap_or_else(|| copied(event.data.get())),
        }
    }

    /// The event that it links to, if it is a link.
    pub(crate) fn target(&self) -> Option<(StreamId, Revision)> {
        if self.metadata.get("type").is_none_or(|kind| kind != LINK) {
            return None;
        }
        let (revision, stream) = std::str::from_utf8(&self.data).ok()?.split_once('@')?;
        Some((stream.parse().ok()?, Revision(revision.parse().ok()?)))
    }

    /// The link to an event in the view `name`.
    pub(crate) fn link(event: &Recorded, name: &str, ids: IdForm) -> Self {
        let to = format!("{}@{}", event.revision, event.stream);
        let id = ids.of(link_id(event, name));
        Self::made_link(event, id, name, event.position.0, to, String::new())
    }

    /// A link with this id and number in the view `name`, as old as this event is.
    pub(crate) fn made_link(
        event: &Recorded,
        id: WireUuid,
        name: &str,
        number: u64,
        to: String,
        custom_metadata: String,
    ) -> Self {
        Self {
            id,
            stream: name.into(),
            revision: number,
            position: event.position.0,
            metadata: headers(LINK, BYTES, event),
            custom_metadata: custom_metadata.into(),
            data: to.into(),
        }
    }
}

/// The id of the link to an event in the view `name`.
pub(crate) fn link_id(event: &Recorded, name: &str) -> Uuid {
    Uuid::new_v5(&event.id, name.as_bytes())
}

/// What this event has in common with those that belong together, by what was sent with it.
pub(crate) fn belonging(event: &Recorded) -> String {
    let sent = Shown::event(event, IdForm::Text).custom_metadata;
    let named: Option<serde_json::Value> = serde_json::from_slice(&sent).ok();
    let correlation = named.as_ref().and_then(|sent| {
        let ours = sent.get("$correlationId").or_else(|| sent.get("correlation_id"));
        ours.and_then(serde_json::Value::as_str)
    });
    correlation.unwrap_or_else(|| event.stream.as_str()).to_owned()
}

fn copied(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn bytes_of(json: &str) -> Option<Bytes> {
    let text: String = serde_json::from_str(json).ok()?;
    BASE64_STANDARD.decode(text).ok().map(Bytes::from)
}

fn headers(kind: &str, content_type: &str, event: &Recorded) -> HashMap<String, String> {
    // In tenths of a microsecond since the epoch.
    let created = event.recorded_at.timestamp_micros().saturating_mul(10).to_string();
    HashMap::from([
        ("type".to_owned(), kind.to_owned()),
        ("content-type".to_owned(), content_type.to_owned()),
        ("created".to_owned(), created),
    ])
}

macro_rules! recorded_event {
    ($($message:path),+) => { $(
        impl From<Shown> for $message {
            fn from(shown: Shown) -> Self {
                let Shown { id, stream, revision, position, metadata, custom_metadata, data } = shown;
                Self {
                    id: Some(id),
                    stream_identifier: Some(identifier(&stream)),
                    stream_revision: revision,
                    prepare_position: position,
                    commit_position: position,
                    metadata,
                    custom_metadata,
                    data,
                }
            }
        }
    )+ };
}

recorded_event!(
    crate::wire::streams::read_resp::read_event::RecordedEvent,
    crate::wire::persistent_subscriptions::read_resp::read_event::RecordedEvent
);
