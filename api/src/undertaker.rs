//! Ends what nodes that are gone have left behind of the tasks they performed.

use crate::app::App;
use commands::nodes::Nodes;
use projections::agent_tasks;
use std::{sync::Arc, time::Duration};

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(3);

/// Looks every few seconds. Never returns.
pub async fn watch(app: App, nodes: Arc<Nodes>) {
    loop {
        if let Err(error) = look(&app, &nodes).await {
            tracing::warn!(error, "abandoned tasks are not ended yet");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(app: &App, nodes: &Nodes) -> Result<(), String> {
    let told = |error: sqlx::Error| error.to_string();
    // In this order: the node of a task that is listed was registered before.
    let running = agent_tasks::running(&app.db).await.map_err(told)?;
    if running.is_empty() {
        return Ok(());
    }
    let alive = nodes.beat().await.map_err(told)?;
    app.tasks.bury(running, &alive).await.map_err(|failure| failure.to_string())
}
