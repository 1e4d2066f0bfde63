//! Logging in through somebody else: OpenID Connect, or plain OAuth 2.0 with a userinfo endpoint.

mod claims;
mod client;
mod provider;

pub use claims::who;
pub use client::{Returned, UpstreamError, Upstreams};
pub use provider::{ClaimNames, ClientAuth, Endpoints, Provider, parse};
