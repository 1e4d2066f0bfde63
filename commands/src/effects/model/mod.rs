//! The port to chat models: one request in, a stream of deltas out.

mod answer;
pub mod complete;
mod excerpt;
mod observed;
pub mod offline;
pub mod openai;
mod parameters;
pub(super) mod sse;
pub mod verify;

use super::Sensitive;
use futures::{future::BoxFuture, stream::BoxStream};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// What a model sends, in order, until it is finished or fails.
pub type Deltas = BoxStream<'static, Result<Delta, ModelError>>;

/// A chat model, wherever it lives.
///
/// Laws: at most one [`Delta::Usage`]; exactly one [`Delta::Finished`] or one error, and nothing after it. Whatever can
/// be tried again without anybody noticing is tried again inside [`Model::stream`]; once a delta was given out, nothing
/// is. Dropping the future or the stream ends the call at the provider.
pub trait Model: Send + Sync {
    /// Begins one answer; resolves when the provider has begun to send it.
    ///
    /// # Errors
    /// As [`ModelError`]; those of the running answer are items of the stream.
    fn stream(&self, request: Request) -> BoxFuture<'static, Result<Deltas, ModelError>>;

    /// What to call this provider in logs and records.
    fn name(&self) -> &str;

    /// Whether it does what it is told. One that does not is asked for answers, but for nothing besides.
    fn follows_instructions(&self) -> bool {
        true
    }
}

/// One turn wanted from a model.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Whom to ask. The offline provider has no use for it.
    pub endpoint: Endpoint,
    /// The conversation, as messages of the OpenAI chat protocol. Multimodal parts are passed on as they are.
    pub messages: Vec<Value>,
    /// Tool definitions of the OpenAI chat protocol; empty means none are offered.
    pub tools: Vec<Value>,
    /// Further parameters of the call (`temperature`, `max_tokens`, …). Only what is set is sent.
    pub parameters: Map<String, Value>,
    /// Asks for the answer as one document. What cannot be long needs no stream.
    pub whole: bool,
    /// What retrieval found for the last user message, best first. Read by the offline provider only: for all others
    /// the caller writes it into `messages`.
    pub passages: Vec<Passage>,
}

/// Where a model answers.
#[derive(Debug, Clone, Default)]
pub struct Endpoint {
    /// The URL above `/chat/completions`, such as `https://host/v1`.
    pub base_url: String,
    /// Sent as bearer token; empty means no `Authorization` header.
    pub api_key: Sensitive,
    /// The model's name at that endpoint.
    pub model: String,
}

/// A piece of a document that retrieval found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passage {
    /// Heading of the piece, or the name of its document.
    pub title: String,
    /// The piece itself.
    pub text: String,
    /// The document it was cut from (its name or id).
    pub document: String,
}

/// One piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// Thinking that precedes the answer; never empty.
    Reasoning(String),
    /// Text of the answer; never empty.
    Text(String),
    /// The OpenAI `tool_calls` delta list, as sent; never empty.
    ToolCalls(Vec<Value>),
    /// The OpenAI `usage` object; the provider's last word, given out right before the end.
    Usage(Value),
    /// The end, with the provider's finish reason if it gave one.
    Finished(Option<String>),
}

/// Why there is no answer, or no complete one. No variant ever holds the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The endpoint cannot even be called: no URL, or a key that fits in no header.
    #[error("the model endpoint is not usable: {0}")]
    Misconfigured(&'static str),
    /// No connection, or one that closed before the first byte; `tries` calls were made.
    #[error("the model provider is not reachable ({tries} tries): {reason}")]
    Unreachable {
        /// Calls made.
        tries: u32,
        /// What the last one met.
        reason: Arc<str>,
    },
    /// Connected, and not a byte of an answer in time; `tries` calls were made.
    #[error("the model provider did not begin to answer within {limit:?} ({tries} tries)")]
    NoFirstByte {
        /// Calls made.
        tries: u32,
        /// How long each one waited.
        limit: Duration,
    },
    /// The provider answered with an error status.
    #[error("the model provider answered {status} ({tries} tries): {excerpt}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// Calls made.
        tries: u32,
        /// What the body says, cleaned and cut short.
        excerpt: Arc<str>,
    },
    /// The provider reported an error inside its answer.
    #[error("the model provider reported an error: {0}")]
    Reported(Arc<str>),
    /// The answer broke off after it had begun.
    #[error("the model's answer broke off: {0}")]
    Broken(Arc<str>),
    /// The answer had begun, then nothing more came for this long.
    #[error("the model sent nothing for {0:?}")]
    Idle(Duration),
    /// The answer is not one of the OpenAI chat protocol.
    #[error("the model's answer cannot be understood: {0}")]
    Malformed(Arc<str>),
}

impl ModelError {
    /// What kind of failure it is, of a few: for counters and traces.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Misconfigured(_) => "misconfigured",
            Self::Unreachable { .. } => "unreachable",
            Self::NoFirstByte { .. } | Self::Idle(_) => "timeout",
            Self::Status { status: 429, .. } => "rate_limited",
            Self::Status { .. } => "status",
            Self::Reported(_) | Self::Broken(_) | Self::Malformed(_) => "broken",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_in_no_debug_output() {
        let endpoint = Endpoint { api_key: "sk-very-secret".into(), ..Endpoint::default() };
        let shown = format!("{:?}", Request { endpoint, ..Request::default() });
        assert!(shown.contains("[redacted]"), "{shown}");
        assert!(!shown.contains("very"), "{shown}");
    }
}
