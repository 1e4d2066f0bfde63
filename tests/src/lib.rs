//! What the tests of annals share.

pub mod app;
pub mod database;
pub mod model_server;
