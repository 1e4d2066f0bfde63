//! Settings that are one of a few words.

/// How people log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Name and password.
    Native,
    /// A proxy vouches.
    TrustedProxy,
    /// Upstream OAuth providers.
    Oauth,
}

/// Who may open shared conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Everybody who knows the session id.
    Open,
    /// Everybody with a login.
    Members,
    /// Nobody.
    Off,
}
