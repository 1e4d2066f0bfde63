//! annals over HTTP: the dialects, the native API, and the composition of everything behind them.

pub mod app;
pub mod core;
pub mod sage;
