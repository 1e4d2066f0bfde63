//! Which skills there are for a run, from the read models.

use commands::effects::tools::{
    Place, ToolsUnavailable,
    load_skill::{Attached, Shelf},
};
use domain::{ids::AgentId, skill::Folder};
use futures::future::BoxFuture;
use projections::{
    agents::{self, Agent},
    skills,
};
use sqlx::PgPool;
use std::collections::HashSet;

/// See the module.
pub struct SkillShelf(pub PgPool);

impl SkillShelf {
    /// The agent that works, if it was saved.
    async fn agent(&self, place: &Place) -> sqlx::Result<Option<Agent>> {
        match &place.agent {
            Some(id) if !id.as_str().contains('\0') => agents::agent(&self.0, id).await,
            Some(_) | None => Ok(None),
        }
    }

    /// The owner of the agent decides whose skills count; without an agent, the caller. Those of another's agent count only
    /// as far as that other has selected them for it.
    async fn find(&self, place: &Place) -> sqlx::Result<Vec<Attached>> {
        let folders = |names: &[String]| -> HashSet<Folder> {
            names.iter().filter_map(|name| Folder::of(name)).collect()
        };
        let mut wanted = folders(&place.skills);
        if wanted.is_empty() {
            return Ok(vec![]);
        }
        let agent = self.agent(place).await?;
        let others = |agent: &&Agent| agent.owner != place.owner.as_str() && !place.admin;
        if let Some(agent) = agent.as_ref().filter(others) {
            let selected = folders(agent.config.available_skills.as_deref().unwrap_or_default());
            wanted.retain(|folder| selected.contains(folder));
        }
        let owner = agent.map_or_else(|| place.owner.clone(), |agent| agent.owner.into());
        let agent = place.agent.as_ref().filter(|id: &&AgentId| !id.as_str().contains('\0'));
        let found = skills::available(&self.0, &owner, agent).await?;
        let attached = found
            .into_iter()
            .filter(|row| Folder::of(&row.folder).is_some_and(|folder| wanted.contains(&folder)));
        let attached = attached.map(|row| Attached {
            id: row.id(),
            name: row.name,
            description: row.description,
        });
        Ok(attached.collect())
    }
}

impl Shelf for SkillShelf {
    fn attached<'a>(
        &'a self,
        place: &'a Place,
    ) -> BoxFuture<'a, Result<Vec<Attached>, ToolsUnavailable>> {
        Box::pin(async move {
            let unavailable = |error: sqlx::Error| ToolsUnavailable(error.to_string().into());
            self.find(place).await.map_err(unavailable)
        })
    }
}
