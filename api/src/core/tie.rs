//! Ties a run to the connection of whoever waits for it.

use crate::app::App;
use domain::{Metadata, ids::RunId, run::Interrupt};

/// A run that is stopped when this is dropped before its end: a response that is dropped is a client that went away.
pub struct Tie(Option<Tied>);

struct Tied {
    app: App,
    run: RunId,
    metadata: Metadata,
}

impl Tie {
    /// Ties this run.
    pub fn new(app: App, run: RunId, metadata: Metadata) -> Self {
        Self(Some(Tied { app, run, metadata }))
    }

    /// The run came to its end, or the server drains: nobody went away.
    pub fn loosen(mut self) {
        self.0 = None;
    }
}

impl Drop for Tie {
    fn drop(&mut self) {
        let Some(Tied { app, run, metadata }) = self.0.take() else { return };
        tokio::spawn(async move {
            let wish = Interrupt { reason: "客户端断开连接".to_owned(), replaced: false };
            if let Err(failure) = app.interrupt(run, wish, &metadata).await {
                tracing::warn!(%run, %failure, "a run whose client left could not be stopped");
            }
        });
    }
}
