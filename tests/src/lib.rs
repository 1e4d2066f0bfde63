//! What the tests of annals share.

pub mod model_server;
