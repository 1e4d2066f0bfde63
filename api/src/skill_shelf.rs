//! Which skills there are for a run, from the read models.

use commands::effects::tools::{
    Place, ToolsUnavailable,
    load_skill::{Attached, Shelf},
};
use domain::{
    ids::{AgentId, UserId},
    skill::Folder,
};
use futures::future::BoxFuture;
use projections::{agents, skills};
use sqlx::PgPool;
use std::collections::HashSet;

/// See the module.
pub struct SkillShelf(pub PgPool);

impl SkillShelf {
    /// The owner of the agent decides whose skills count; without an agent, the caller.
    async fn owner(&self, place: &Place) -> sqlx::Result<UserId> {
        let agent = match &place.agent {
            Some(id) if !id.as_str().contains('\0') => agents::agent(&self.0, id).await?,
            Some(_) | None => None,
        };
        Ok(agent.map_or_else(|| place.owner.clone(), |agent| agent.owner.into()))
    }

    async fn find(&self, place: &Place) -> sqlx::Result<Vec<Attached>> {
        let wanted: HashSet<_> = place.skills.iter().filter_map(|name| Folder::of(name)).collect();
        if wanted.is_empty() {
            return Ok(vec![]);
        }
        let owner = self.owner(place).await?;
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
