//! The ports through which reactors act on the world, and their implementations.

pub mod blobs;
pub mod chunk;
pub mod extract;
mod extract_entities;
mod extract_html;
pub mod model;
