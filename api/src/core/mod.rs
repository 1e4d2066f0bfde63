//! What all dialects share: extractors, errors, the request's context. Knows no dialect.

pub mod access;
pub mod active_runs;
pub mod app_runs;
pub mod caller;
pub mod context;
pub mod cors;
pub mod error;
pub mod extract;
mod framing;
pub mod guesses;
mod local_path;
pub mod peer;
pub mod quotas;
pub mod ranged;
pub mod run_snapshot;
pub mod run_stream;
pub mod shape;
pub mod site;
pub mod stored_file;
pub mod throttle;
pub mod tie;
pub mod tokens;
pub mod upload;

pub use caller::Caller;
pub use context::{Context, Locale};
pub use error::{Error, Problem};
pub use extract::{Json, Path, Query};
pub use local_path::local_path;
