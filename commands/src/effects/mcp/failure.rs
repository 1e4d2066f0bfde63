//! Why a server did not do what it was asked.

use crate::effects::{Sensitive, outbound::Refused};
use rmcp::{
    service::{ClientInitializeError, ServiceError},
    transport::streamable_http_client::{
        AuthRequiredError, InsufficientScopeError, StreamableHttpError,
    },
};
use std::{error::Error as StdError, sync::Arc, time::Duration};

/// Longest thing a server says that is passed on, in characters.
const SAID: usize = 2_000;

/// Why a server did not do what it was asked. The texts may be told to people and models: none holds a key or a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum McpError {
    /// Its URL may not be called.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It wants another key, or any.
    #[error("the MCP server does not accept the key")]
    Unauthorized,
    /// No connection comes about.
    #[error("the MCP server cannot be reached")]
    Unreachable,
    /// It takes too long.
    #[error("the MCP server did not answer within {0:?}")]
    TooSlow(Duration),
    /// What answers is no MCP server, or one that is broken.
    #[error("the MCP server does not answer as one: {0}")]
    NotMcp(Arc<str>),
    /// It answered with an error.
    #[error("the MCP server says: {0}")]
    Said(Arc<str>),
    /// It has forgotten the session, and so has not begun what it was asked.
    #[error("the MCP server ended the session")]
    Gone,
    /// The connection ended before the answer: nobody knows whether the server did it.
    #[error("the connection to the MCP server broke")]
    Broken,
}

impl McpError {
    /// Something that is not MCP.
    pub(super) fn not_mcp(what: impl Into<Arc<str>>) -> Self {
        Self::NotMcp(what.into())
    }

    /// Whether the connection is of no use any more.
    pub fn ends_connection(&self) -> bool {
        !matches!(self, Self::Said(_) | Self::TooSlow(_))
    }

    /// The same without the key, should the server have repeated it.
    pub(super) fn without(self, key: Option<&Sensitive>) -> Self {
        match (self, key) {
            (Self::Said(text), Some(key)) => Self::Said(key.hidden_in(text.to_string()).into()),
            (other, _) => other,
        }
    }

    fn said(error: &rmcp::ErrorData) -> Self {
        let short: String = error.message.chars().take(SAID).collect();
        Self::Said(short.into())
    }
}

impl From<ClientInitializeError> for McpError {
    fn from(error: ClientInitializeError) -> Self {
        match &error {
            ClientInitializeError::JsonRpcError(said) => Self::said(said),
            ClientInitializeError::TransportError { error, .. } => transport(error.error.as_ref()),
            ClientInitializeError::ConnectionClosed(_) => Self::Broken,
            _ => Self::not_mcp("unexpected answer to the handshake"),
        }
    }
}

impl From<ServiceError> for McpError {
    fn from(error: ServiceError) -> Self {
        match &error {
            ServiceError::McpError(said) => Self::said(said),
            ServiceError::TransportSend(error) => transport(error.error.as_ref()),
            ServiceError::Timeout { timeout } => Self::TooSlow(*timeout),
            ServiceError::UnexpectedResponse => Self::not_mcp("unexpected answer"),
            _ => Self::Broken,
        }
    }
}

impl From<&reqwest::Error> for McpError {
    fn from(error: &reqwest::Error) -> Self {
        transport(error)
    }
}

/// What it comes down to, from the outermost error inwards; never its text, which may hold the URL or what a stranger wrote.
fn transport(error: &(dyn StdError + 'static)) -> McpError {
    type Http = StreamableHttpError<reqwest::Error>;
    let mut found = McpError::Broken;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(told) = error.downcast_ref::<McpError>() {
            return told.clone();
        }
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return McpError::Refused(*refused);
        }
        if error.is::<AuthRequiredError>() || error.is::<InsufficientScopeError>() {
            return McpError::Unauthorized;
        }
        if let Some(http) = error.downcast_ref::<Http>() {
            found = of_http(http);
            // `Client` shows its error but does not name it as its source.
            if let StreamableHttpError::Client(client) = http {
                next = Some(client);
                continue;
            }
        } else if error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect) {
            found = McpError::Unreachable;
        }
        next = error.source();
    }
    found
}

fn of_http(error: &StreamableHttpError<reqwest::Error>) -> McpError {
    match error {
        StreamableHttpError::SessionExpired => McpError::Gone,
        StreamableHttpError::AuthRequired(_) | StreamableHttpError::InsufficientScope(_) => {
            McpError::Unauthorized
        }
        StreamableHttpError::HttpStatus(status) => {
            McpError::not_mcp(format!("HTTP {}", status.status))
        }
        // Written as `HTTP 404 Not Found: the body`; only the number is passed on.
        StreamableHttpError::UnexpectedServerResponse(text) => {
            match text.strip_prefix("HTTP ").and_then(|rest| rest.get(..3)) {
                Some("401" | "403") => McpError::Unauthorized,
                Some(status) => McpError::not_mcp(format!("HTTP {status}")),
                None => McpError::not_mcp("unexpected answer"),
            }
        }
        StreamableHttpError::UnexpectedContentType(_) => {
            McpError::not_mcp("neither JSON nor an event stream")
        }
        StreamableHttpError::ResponseBodyTooLarge { .. } => McpError::not_mcp("answer too large"),
        _ => McpError::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_repeats_the_key() {
        let key = Sensitive::from("key-of-the-server".to_owned());
        let said = McpError::Said("key-of-the-server is wrong".into());
        assert_eq!(said.clone().without(Some(&key)), McpError::Said("[key] is wrong".into()));
        assert_eq!(said.clone().without(None), said);
        assert_eq!(McpError::Broken.without(Some(&key)), McpError::Broken);
    }
}
