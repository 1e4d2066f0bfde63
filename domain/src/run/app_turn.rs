//! A run of an app: what is run, on what, for whom.

use crate::{
    app::Definition,
    ids::{AppId, AppSessionId, UserId},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An app's turn in a session. The definition is part of it: whoever takes the run over takes the same steps, even if the
/// draft has become another meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppTurn {
    /// Which app.
    pub app: AppId,
    /// Whose app; what the definition names is looked up among theirs.
    pub app_owner: UserId,
    /// Which version.
    pub version: u32,
    /// What it says.
    pub definition: Definition,
    /// The input, defaults included.
    pub input: Map<String, Value>,
    /// The session that remembers.
    pub session: AppSessionId,
    /// Whether the client reads pieces as they come.
    #[serde(default)]
    pub stream: bool,
    /// Who may show the answer in a frame, as a `Content-Security-Policy`.
    #[serde(default)]
    pub csp: String,
    /// Where the request came from.
    #[serde(default)]
    pub origin: Origin,
}

/// Where a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// Address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The client's own name for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Type of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// A step that is done; it is never taken again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DoneStep {
    /// What it said, whole.
    pub output: Value,
    /// What it will remember in this session; `None` leaves what it remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Value>,
}
