//! The ports through which annals acts on the world, and their implementations.

pub mod archive;
pub mod blobs;
pub mod chunk;
pub mod codes;
pub mod credential_v1;
pub mod embedder;
pub mod embedder_builtin;
pub mod embedder_memo;
pub mod embedder_remote;
pub mod embedder_static;
pub mod extract;
pub mod fetch;
pub mod flows;
pub mod front_matter;
pub mod keys;
pub mod mail;
pub mod mcp;
pub mod media;
pub mod model;
pub mod outbound;
pub mod passwords;
pub mod platform;
mod proxy;
pub mod reranker;
pub mod secret;
pub mod skill_archive;
pub mod tools;
pub mod upstream;
pub mod vault;

pub use secret::Sensitive;
