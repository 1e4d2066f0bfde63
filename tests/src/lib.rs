//! What the tests of annals share.

pub mod app;
pub mod audit;
pub mod binary;
pub mod chance;
pub mod collector;
pub mod database;
pub mod files;
pub mod fold;
pub mod form;
pub mod identity_provider;
pub mod lines;
pub mod log_server;
pub mod mcp_server;
pub mod model_server;
pub mod process;
pub mod proxy;
pub mod sage;
pub mod skill_archive;
pub mod smtp_server;
pub mod tools;
