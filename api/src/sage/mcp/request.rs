//! What clients send about a server.

use super::Fault;
use crate::core::{Caller, Error, Problem};
use commands::effects::{Sensitive, fetch::Reach, mcp};
use domain::{
    ids::UserId,
    mcp_server::{self, Endpoint, Protocol},
};
use projections::mcp_servers::McpServer;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

type Result<T> = std::result::Result<T, Fault>;

/// Longest URL and longest key, in bytes.
const LONGEST: usize = 4_096;

/// An MCP server. Changing one, what is left out stays as it is; an explicit null clears the key.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = McpServerConfig)]
pub(super) struct Body {
    /// A new one needs it; a known one keeps its own.
    #[serde(default)]
    name: Option<String>,
    /// `streamable_http` or `sse`; a new one needs it.
    #[serde(default)]
    protocol: Option<String>,
    /// For that protocol.
    #[serde(default)]
    streamable_http_url: Option<String>,
    /// For that protocol.
    #[serde(default)]
    sse_url: Option<String>,
    /// Sent to the server as a bearer token. As the list shows it, it stays as it is.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>, format = Password)]
    api_key: Option<Option<Sensitive>>,
    /// Of a new one: empty, and it is everybody's; for administrators.
    #[serde(default)]
    user_id: Option<String>,
    /// Whether it is off from now on; a new one is on.
    #[serde(default)]
    pub disabled: Option<bool>,
}

/// Which way to switch; without it, to the other one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = McpSwitch)]
pub(super) struct Switch {
    #[serde(default)]
    pub disabled: Option<bool>,
}

/// What becomes of a key.
pub(super) enum NewKey {
    Unchanged,
    None,
    This(Sensitive),
}

/// Tells null from nothing.
fn told<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<Sensitive>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Body {
    /// The name of a new server.
    pub fn name(&self) -> Result<String> {
        let name = self.name.as_deref().ok_or_else(|| missing("name"))?;
        mcp_server::check_name(name).map_err(|_| bad_name(name))?;
        Ok(name.to_owned())
    }

    /// A server keeps its name: agents know its tools by it.
    pub fn keeps_name(&self, name: &str) -> Result<()> {
        match &self.name {
            Some(other) if other != name => {
                Err(invalid("name", "a server's name cannot be changed", json!(other)))
            }
            _ => Ok(()),
        }
    }

    /// Whose the new server is: everybody's, if an administrator says so by an empty `user_id`.
    pub fn owner(&self, caller: &Caller) -> Option<UserId> {
        let everybody = caller.admin && self.user_id.as_deref() == Some("");
        (!everybody).then(|| caller.user.clone())
    }

    /// Where a new server is.
    pub fn endpoint(&self, reach: Reach) -> Result<Endpoint> {
        let protocol = self.protocol.as_deref().ok_or_else(|| missing("protocol"))?;
        let (protocol, field, url) = self.place(protocol)?;
        let url = url.ok_or_else(|| missing(field))?;
        endpoint(protocol, field, url, reach)
    }

    /// Where a known server is from now on.
    pub fn endpoint_over(&self, row: &McpServer, reach: Reach) -> Result<Endpoint> {
        let protocol = self.protocol.as_deref().unwrap_or(&row.protocol);
        let (protocol, field, url) = self.place(protocol)?;
        let known = (protocol == row.protocol()).then_some(row.url.as_str());
        let url = url.or(known).ok_or_else(|| missing(field))?;
        endpoint(protocol, field, url, reach)
    }

    /// The protocol, and which field has the URL for it.
    fn place(&self, protocol: &str) -> Result<(Protocol, &'static str, Option<&str>)> {
        let (protocol, field, url) = match protocol {
            "streamable_http" => {
                (Protocol::StreamableHttp, "streamable_http_url", &self.streamable_http_url)
            }
            "sse" => (Protocol::Sse, "sse_url", &self.sse_url),
            other => {
                let msg = "Input should be 'streamable_http' or 'sse'";
                return Err(problem("literal_error", "protocol", msg, json!(other)));
            }
        };
        Ok((protocol, field, url.as_deref().filter(|url| !url.is_empty())))
    }

    /// The key of a new server.
    pub fn api_key(&self) -> Result<Option<Sensitive>> {
        match self.new_key(|_| false)? {
            NewKey::This(key) => Ok(Some(key)),
            NewKey::Unchanged | NewKey::None => Ok(None),
        }
    }

    /// What becomes of the key of a known server; `unchanged` says whether a text is how it is shown.
    pub fn new_key(&self, unchanged: impl FnOnce(&str) -> bool) -> Result<NewKey> {
        let Some(sent) = &self.api_key else { return Ok(NewKey::Unchanged) };
        let key = sent.as_ref().map(|key| key.expose().trim()).unwrap_or_default();
        if key.is_empty() {
            return Ok(NewKey::None);
        }
        if unchanged(key) {
            return Ok(NewKey::Unchanged);
        }
        // It becomes a header.
        if key.len() > LONGEST || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let msg = "a key is one line of printable ASCII without blanks";
            return Err(invalid("api_key", msg, Value::Null));
        }
        Ok(NewKey::This(Sensitive::from(key.to_owned())))
    }
}

fn endpoint(protocol: Protocol, field: &'static str, url: &str, reach: Reach) -> Result<Endpoint> {
    let url = url.trim();
    if url.len() > LONGEST {
        return Err(invalid(field, "the URL is too long", Value::Null));
    }
    mcp::check(url, reach).map_err(|refused| invalid(field, &refused.to_string(), json!(url)))?;
    Ok(Endpoint { protocol, url: url.to_owned() })
}

/// A name that cannot be one.
pub(super) fn bad_name(name: &str) -> Fault {
    let short: String = name.chars().take(200).collect();
    invalid("name", &mcp_server::Refusal::BadName.to_string(), json!(short))
}

fn missing(field: &'static str) -> Fault {
    problem("missing", field, "Field required", Value::Null)
}

fn invalid(field: &'static str, msg: &str, input: Value) -> Fault {
    problem("value_error", field, msg, input)
}

fn problem(kind: &'static str, field: &'static str, msg: &str, input: Value) -> Fault {
    let (loc, msg) = (vec![json!("body"), json!(field)], msg.to_owned());
    Fault::Core(Error::Invalid(vec![Problem { kind, loc, msg, input }]))
}
