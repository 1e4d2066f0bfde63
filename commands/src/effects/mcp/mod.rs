//! The port to MCP servers, other people's tools behind a URL: connections, and a pool of them.
//!
//! Nothing here waits without a deadline or holds a lock while it waits: a server that hangs keeps only its own callers waiting.

mod catalogue;
mod connection;
mod content;
mod failure;
mod http;
mod pool;
mod sse;

pub use connection::{Clients, Connection};
pub use failure::McpError;
pub use pool::{Listener, Pool};

use super::{
    Sensitive,
    fetch::Reach,
    outbound::{self, Refused},
};
use domain::mcp_server::Endpoint;
use reqwest::Url;
use std::time::Duration;

/// Everything needed to reach one server.
#[derive(Debug, Clone)]
pub struct Target {
    /// What its connection is pooled under.
    pub id: String,
    /// Changes whenever the server is to be reached in another way; a pooled connection of another version is given up.
    pub version: i64,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Shown as `Authorization: Bearer …`.
    pub api_key: Option<Sensitive>,
    /// How far the URL may lead.
    pub reach: Reach,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Until a server has answered the handshake.
    pub connect: Duration,
    /// Until it has told its tools.
    pub list: Duration,
    /// Until a tool has answered.
    pub call: Duration,
    /// Between two looks at the tools of a server that says again and again that they changed.
    pub pause: Duration,
    /// Until a connection that nobody uses is closed.
    pub idle: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            list: Duration::from_secs(20),
            call: Duration::from_secs(60),
            pause: Duration::from_secs(10),
            idle: Duration::from_secs(600),
        }
    }
}

/// Whether an MCP server may be at this URL. Names are resolved later, when the connection is made, with the same rule.
///
/// # Errors
/// With the reason, which may be told to the user.
pub fn check(url: &str, reach: Reach) -> Result<Url, Refused> {
    match (outbound::check(url), reach) {
        (Err(Refused::NotPublic), Reach::Anywhere) => Url::parse(url).map_err(|_| Refused::NotAUrl),
        (checked, _) => checked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_url_may_lead_depends_on_the_reach() {
        let inner = "http://127.0.0.1:9/mcp";
        assert_eq!(check(inner, Reach::Public), Err(Refused::NotPublic));
        assert!(check(inner, Reach::Anywhere).is_ok());
        for reach in [Reach::Public, Reach::Anywhere] {
            assert_eq!(check("file:///etc/passwd", reach), Err(Refused::Scheme));
            assert_eq!(check("http://u:p@127.0.0.1/", reach), Err(Refused::Credentials));
            assert!(check("https://mcp.example.com", reach).is_ok());
        }
    }
}
