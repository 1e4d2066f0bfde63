//! What reactors do in the world: ports, and the adapters behind them.

pub mod blobs;
pub mod chunk;
pub mod extract;
mod extract_entities;
mod extract_html;
