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

    /// The owner of the agent decides whose skills count; without an agent, the caller. With somebody else's agent come the
    /// skills that are selected for it, and the system's.
    async fn find(&self, place: &Place) -> sqlx::Result<Vec<Attached>> {
        let wanted = folders(&place.skills);
        if wanted.is_empty() {
            return Ok(vec![]);
        }
        let agent = self.agent(place).await?;
        let others = |agent: &&Agent| agent.owner != place.owner.as_str() && !place.admin;
        let selected = agent
            .as_ref()
            .filter(others)
            .map(|agent| folders(agent.config.available_skills.as_deref().unwrap_or_default()));
        let owner = agent.map_or_else(|| place.owner.clone(), |agent| agent.owner.into());
        let agent = place.agent.as_ref().filter(|id: &&AgentId| !id.as_str().contains('\0'));
        let found = skills::available(&self.0, &owner, agent).await?;
        let attached = found.into_iter().filter(|row| {
            let folder = Folder::of(&row.folder);
            let open = |folder: &Folder| {
                let selected = selected.as_ref().is_none_or(|these| these.contains(folder));
                wanted.contains(folder) && (selected || row.dimension == "system")
            };
            folder.as_ref().is_some_and(open)
        });
        let attached = attached.map(|row| Attached {
            id: row.id(),
            name: row.name,
            description: row.description,
        });
        Ok(attached.collect())
    }
}

fn folders(names: &[String]) -> HashSet<Folder> {
    names.iter().filter_map(|name| Folder::of(name)).collect()
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
