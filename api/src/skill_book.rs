//! The skills of this node, as a graph.

use chrono::{DateTime, Utc};
use commands::skill_texts;
use domain::skill_graph::Graph;
use std::{collections::BTreeMap, path::Path, sync::Arc};
use uuid::Uuid;

/// Namespace of skills' ids; any fixed value serves.
const SKILLS: Uuid = Uuid::from_u128(0x3f60_a3f2_61a4_4f07_9d5e_0c2a_6b1e_7d11);

/// Skills and when they were changed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SkillBook {
    /// The skills.
    pub graph: Arc<Graph>,
    changed: Arc<BTreeMap<String, DateTime<Utc>>>,
}

impl SkillBook {
    /// The skills that come with this program, and those of a folder.
    pub fn open(folder: Option<&Path>) -> Self {
        let all = skill_texts::load(folder);
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

/// The id of the skill of this name.
pub fn id(name: &str) -> Uuid {
    Uuid::new_v5(&SKILLS, name.as_bytes())
}
