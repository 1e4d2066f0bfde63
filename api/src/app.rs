//! What every handler can reach.

use commands::log::EventLog;
use domain::ids::NodeId;
use sqlx::PgPool;
use std::{ops::Deref, sync::Arc};

/// Shared state of the server; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// The parts.
pub struct Inner {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The read models.
    pub db: PgPool,
    /// This process.
    pub node: NodeId,
}

impl App {
    /// Puts the parts together.
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}
