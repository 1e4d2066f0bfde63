//! The ports through which annals acts on the world, and their implementations.

pub mod codes;
pub mod keys;
pub mod mail;
pub mod model;
pub mod outbound;
pub mod passwords;
pub mod secret;
pub mod vault;

pub use secret::Sensitive;
