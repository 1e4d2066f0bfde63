//! The OAuth2 authorization server over HTTP, with the pages that lead a browser through it.

mod authorize;
mod consent;
mod login_page;
mod metadata;
mod refused;
mod revocation;
mod tokens;
mod world;
