//! The skills of this node, as a graph, and how it is read anew.

use crate::app::App;
use chrono::{DateTime, Utc};
use commands::{
    execute::unpack,
    log::Filter,
    skill_texts::{self, Dated},
};
use domain::{
    Decider, Position,
    operation::{Event, Operation},
    skill_graph::{Graph, Skill},
};
use futures::StreamExt;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// Namespace of skills' ids; any fixed value serves.
const SKILLS: Uuid = Uuid::from_u128(0x3f60_a3f2_61a4_4f07_9d5e_0c2a_6b1e_7d11);
/// The operation after which every node reads its skills anew.
pub const RELOAD: &str = "skills.reload";

/// Skills and when they were changed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SkillBook {
    /// The skills.
    pub graph: Arc<Graph>,
    changed: Arc<BTreeMap<String, DateTime<Utc>>>,
}

impl SkillBook {
    fn of(all: Vec<Dated>) -> Self {
        let changed = all.iter().map(|dated| (dated.skill.name.clone(), dated.changed_at));
        let changed = Arc::new(changed.collect());
        let graph = Graph::of(all.into_iter().map(|dated| dated.skill).collect());
        Self { graph: Arc::new(graph), changed }
    }

    /// When the skill of this name was last changed.
    pub fn changed_at(&self, name: &str) -> DateTime<Utc> {
        self.changed.get(name).copied().unwrap_or_default()
    }

    /// The place of a skill by its id or name.
    pub fn find(&self, id: &str) -> Option<usize> {
        let Ok(uuid) = Uuid::try_parse(id) else { return self.graph.find(id) };
        self.graph.skills().iter().position(|skill| self::id(&skill.name) == uuid)
    }
}

/// The skills in force: those that come with this program, and those of a folder.
#[derive(Debug)]
pub struct SkillBooks {
    folder: Option<PathBuf>,
    current: RwLock<SkillBook>,
}

/// What is different after skills were read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Skills that were not there before.
    pub added: usize,
    /// Skills that say something else.
    pub changed: usize,
    /// Skills that are gone.
    pub removed: usize,
    /// Skills there are.
    pub total: usize,
}

impl SkillBooks {
    /// Reads all skills.
    pub fn open(folder: Option<PathBuf>) -> Self {
        let current = RwLock::new(SkillBook::of(skill_texts::load(folder.as_deref())));
        Self { folder, current }
    }

    /// The skills in force at this moment.
    pub fn current(&self) -> SkillBook {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads all skills anew; whoever has the earlier ones in hand goes on with them.
    pub async fn reload(&self) -> Changes {
        let folder = self.folder.clone();
        let read = spawn_blocking(move || SkillBook::of(skill_texts::load(folder.as_deref())));
        let before = self.current();
        // A reader that panicked leaves everything as it is.
        let after = read.await.unwrap_or_else(|_| before.clone());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = after.clone();
        changes(&before.graph, &after.graph)
    }
}

fn changes(before: &Graph, after: &Graph) -> Changes {
    let named =
        |graph: &Graph, skill: &Skill| graph.find(&skill.name).map(|at| graph.skills()[at].clone());
    let (mut added, mut changed) = (0, 0);
    for skill in after.skills() {
        match named(before, skill) {
            None => added += 1,
            Some(earlier) if earlier != *skill => changed += 1,
            Some(_) => {}
        }
    }
    let removed = before.skills().iter().filter(|skill| named(after, skill).is_none()).count();
    Changes { added, changed, removed, total: after.skills().len() }
}

/// Reads skills anew whenever somebody asked another node to.
pub async fn watch(app: App, from: Position) {
    let filter = Filter::categories(&[Operation::CATEGORY]).kinds(&["OperationCalled"]);
    let mut called = app.log.subscribe(from, filter);
    while let Some(delivery) = called.next().await {
        let elsewhere = delivery.events.iter().any(|event| {
            matches!(unpack::<Operation>(event), Ok(Event::OperationCalled { operation, node, .. })
                if operation == RELOAD && node != app.node)
        });
        if elsewhere {
            let changes = app.skill_book.reload().await;
            tracing::info!(?changes, "skills were read anew");
        }
    }
}

/// The id of the skill of this name.
pub fn id(name: &str) -> Uuid {
    Uuid::new_v5(&SKILLS, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_different_is_counted() {
        let skill = |name: &str, content: &str| Skill {
            name: name.to_owned(),
            content: content.to_owned(),
            ..Skill::default()
        };
        let before = Graph::of(vec![skill("a", "1"), skill("b", "1"), skill("c", "1")]);
        let after = Graph::of(vec![skill("b", "1"), skill("c", "2"), skill("d", "1")]);
        let expected = Changes { added: 1, changed: 1, removed: 1, total: 3 };
        assert_eq!(changes(&before, &after), expected);
    }
}
