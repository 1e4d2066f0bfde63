//! What the assistant of chats works with on this node.

use crate::{compose::Store, skill_book::SkillBooks};
use anyhow::{Context, Result};
use commands::{
    genie_chat::{Desk, Kept, Shelf},
    jobs::Jobs,
    log::EventLog,
    reactors::reply::Unavailable,
    taxonomy::Taxonomy,
};
use domain::{
    flow::Flow,
    ids::{ItemId, UserId},
    skill_graph::Graph,
};
use futures::future::BoxFuture;
use projections::{Projections, items};
use sqlx::PgPool;
use std::{path::Path, sync::Arc, time::Duration};

/// How long a look at a collection waits for its read model before it takes what is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// The desk; `flows` is a file with more flows, or others in the place of those there are.
///
/// # Errors
/// When that file cannot be used.
pub fn desk(
    store: &Store,
    projections: &Projections,
    flows: Option<&Path>,
    (skills, jobs, taxonomy): (&Arc<SkillBooks>, &Jobs, &Arc<Taxonomy>),
) -> Result<Desk> {
    let more = match flows {
        Some(path) => read(path).with_context(|| format!("ANNALS_GENIE_FLOWS: {}", path.display())),
        None => Ok(vec![]),
    };
    Ok(Desk {
        log: store.log.clone(),
        shelf: shelf(&store.log, &store.db, projections, skills),
        flows: Arc::new(Desk::flows(more?).context("ANNALS_GENIE_FLOWS")?),
        jobs: jobs.clone(),
        taxonomy: taxonomy.clone(),
    })
}

/// People's collections as their read model knows them, and the skills of this node.
pub fn shelf(
    log: &Arc<dyn EventLog>,
    db: &PgPool,
    projections: &Projections,
    skills: &Arc<SkillBooks>,
) -> Arc<dyn Shelf> {
    Arc::new(Shelves {
        log: log.clone(),
        db: db.clone(),
        projections: projections.clone(),
        skills: skills.clone(),
    })
}

fn read(path: &Path) -> Result<Vec<Flow>> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// Collections, backed by their read model; and the skills of this node.
struct Shelves {
    log: Arc<dyn EventLog>,
    db: PgPool,
    projections: Projections,
    skills: Arc<SkillBooks>,
}

/// The person who asked reads the reason, so it says nothing of the machine.
fn unavailable(error: impl std::fmt::Display) -> Unavailable {
    tracing::warn!(%error, "a collection cannot be read");
    Unavailable("a part of the server does not answer".into())
}

impl Shelf for Shelves {
    fn skills(&self) -> Arc<Graph> {
        self.skills.current().graph
    }

    fn newest<'a>(
        &'a self,
        owner: &'a UserId,
        collection: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Kept>, Unavailable>> {
        Box::pin(async move {
            let head = self.log.head().await.map_err(unavailable)?;
            if let Err(lagging) = self.projections.wait_for("items", head, PATIENCE).await {
                tracing::warn!(%lagging, "a collection is looked at as it was");
            }
            let rows = items::newest(&self.db, owner, collection, i64::from(limit), 0).await;
            let kept = |row: items::Row| Kept { id: ItemId(row.item_id), fields: row.fields.0 };
            Ok(rows.map_err(unavailable)?.into_iter().map(kept).collect())
        })
    }
}
