//! Logging in through somebody else: OpenID Connect, or plain OAuth 2.0 with a userinfo endpoint.

mod provider;

pub use provider::{ClaimNames, ClientAuth, Endpoints, Provider, parse};
