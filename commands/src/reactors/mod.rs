//! Events in, effects performed, outcomes reported as commands.

pub mod ingest;
pub mod queue;
pub mod reply;
pub mod schedule;
