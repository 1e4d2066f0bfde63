//! annals over HTTP: the dialects, the native API, and the composition of everything behind them.

pub mod app;
pub mod audit;
pub mod bench;
pub mod cli;
pub mod compose;
pub mod config;
pub mod core;
pub mod drain_body;
pub mod event_store;
pub mod feed;
pub mod file_index;
pub mod genie;
pub mod library;
pub mod listen;
pub mod mcp;
pub mod metrics;
pub mod models;
pub mod observe;
pub mod probes;
pub mod sage;
pub mod serve;
pub mod skill_shelf;
pub mod surroundings;
pub mod tool_sources;
pub mod undertaker;
pub mod v1;
