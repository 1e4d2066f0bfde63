//! The world outside of the node: threads of its own, so that their processor time can be told apart.

use anyhow::Result;
use tokio::runtime::{Builder, Handle, Runtime};

/// Name of the threads.
pub(super) const THREADS: &str = "bench-client";

/// A runtime for readers and providers. Ends with its owner, whatever still runs on it.
pub(super) struct Outside(Option<Runtime>);

impl Outside {
    /// Starts the threads.
    pub fn start() -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_name(THREADS).enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    /// Where to spawn.
    pub fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // Waiting for the threads here would block the node's.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
