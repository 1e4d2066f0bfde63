//! What reactors do in the world: ports, and the adapters behind them.

pub mod blobs;
