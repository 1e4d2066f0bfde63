//! The skills of this node, as a graph, and how it is read anew.

use crate::app::App;
use chrono::{DateTime, NaiveDate, Utc};
use commands::{
    execute::{Failure, unpack},
    log::Filter,
    skill_learning::SkillLearning,
    skill_texts::{self, Dated},
};
use domain::{
    Decider, Position,
    operation::{Event, Operation},
    skill_edges::Pair,
    skill_graph::{Graph, Skill},
};
use futures::StreamExt;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{task::spawn_blocking, time::interval};
use uuid::Uuid;

/// Namespace of skills' ids; any fixed value serves.
const SKILLS: Uuid = Uuid::from_u128(0x3f60_a3f2_61a4_4f07_9d5e_0c2a_6b1e_7d11);
/// Between two looks whether a day is over.
const LEARN: Duration = Duration::from_secs(3_600);
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
    fn of(all: Vec<Dated>, learned: &BTreeMap<Pair, f64>) -> Self {
        let changed = all.iter().map(|dated| (dated.skill.name.clone(), dated.changed_at));
        let changed = Arc::new(changed.collect());
        let graph = Graph::with(all.into_iter().map(|dated| dated.skill).collect(), learned);
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
    learned: RwLock<Arc<BTreeMap<Pair, f64>>>,
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
        let learned: Arc<BTreeMap<Pair, f64>> = Arc::default();
        let current = SkillBook::of(skill_texts::load(folder.as_deref()), &learned);
        Self { folder, current: RwLock::new(current), learned: RwLock::new(learned) }
    }

    /// The skills in force at this moment.
    pub fn current(&self) -> SkillBook {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads all skills anew; whoever has the earlier ones in hand goes on with them.
    pub async fn reload(&self) -> Changes {
        let folder = self.folder.clone();
        let learned = self.learned.read().unwrap_or_else(PoisonError::into_inner).clone();
        let read =
            spawn_blocking(move || SkillBook::of(skill_texts::load(folder.as_deref()), &learned));
        let before = self.current();
        // A reader that panicked leaves everything as it is.
        let after = read.await.unwrap_or_else(|_| before.clone());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = after.clone();
        changes(&before.graph, &after.graph)
    }

    /// Learns from the days before this one, and takes what is known then into account.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn learn(&self, from: &SkillLearning, today: NaiveDate) -> Result<(), Failure> {
        let folder = self.folder.clone();
        let none = BTreeMap::new();
        let authored =
            spawn_blocking(move || SkillBook::of(skill_texts::load(folder.as_deref()), &none));
        let Ok(authored) = authored.await else { return Ok(()) };
        let learned = Arc::new(from.learn(today, &authored.graph).await?);
        *self.learned.write().unwrap_or_else(PoisonError::into_inner) = learned;
        self.reload().await;
        Ok(())
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

/// Learns once a day is over, where that is wanted, and reads skills anew whenever somebody asked another node to.
pub async fn watch(app: App, from: Position) {
    let filter = Filter::categories(&[Operation::CATEGORY]).kinds(&["OperationCalled"]);
    let mut called = app.log.subscribe(from, filter);
    let mut hours = interval(LEARN);
    loop {
        let delivery = tokio::select! {
            Some(delivery) = called.next() => delivery,
            _ = hours.tick(), if app.config.skill_learning => {
                let learned = app.skill_book.learn(&app.skill_learning, Utc::now().date_naive()).await;
                if let Err(error) = learned {
                    tracing::warn!(%error, "nothing was learnt about skills");
                }
                continue;
            }
        };
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
