//! How a run's lines are put on the wire.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use domain::ids::RunId;
use std::time::Duration;

/// How lines are put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON object per line.
    Lines,
    /// Server-sent events with `id: <run>:<index>`.
    Sse,
    /// Server-sent events with nothing but data.
    Data,
}

impl Framing {
    /// Server-sent events for those who ask for them.
    pub fn wanted(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        match accept {
            Some(types) if types.contains("text/event-stream") => Self::Sse,
            _ => Self::Lines,
        }
    }

    /// Headers of a stream in this framing.
    pub fn headers(self) -> [(HeaderName, HeaderValue); 3] {
        let kind = match self {
            Self::Lines => "text/plain; charset=utf-8",
            Self::Sse => "text/event-stream; charset=utf-8",
            Self::Data => "text/event-stream",
        };
        [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ]
    }

    /// One line that belongs to no run.
    pub fn lone(self, line: &str) -> Bytes {
        match self {
            Self::Lines => format!("{line}\n").into(),
            Self::Sse | Self::Data => format!("data: {line}\n\n").into(),
        }
    }

    /// The sign of life, and the silence after which it is sent.
    pub(super) fn heartbeat(self) -> (Bytes, Duration) {
        let (sign, seconds): (&'static [u8], u64) = match self {
            Self::Lines => (b": heartbeat\n\n", 20),
            Self::Sse => (b": \n\n", 20),
            Self::Data => (b": ping\n\n", 15),
        };
        (Bytes::from_static(sign), Duration::from_secs(seconds))
    }

    /// What stands before and after a line.
    pub(super) fn frame(self, run: RunId, index: u64) -> (String, &'static [u8]) {
        match self {
            Self::Lines => (String::new(), b"\n"),
            Self::Sse => (format!("id: {run}:{index}\ndata: "), b"\n\n"),
            Self::Data => ("data: ".to_owned(), b"\n\n"),
        }
    }
}
