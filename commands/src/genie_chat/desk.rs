//! What the assistant works with, besides models: what is known of people, skills, flows, queues.

use super::prompt::Background;
use crate::{jobs::Jobs, log::EventLog, reactors::reply::Unavailable, taxonomy::Taxonomy};
use domain::{
    flow::{Flow, Flows, NODES, Unusable},
    ids::{ItemId, UserId},
    skill_graph::{Graph, Skill},
};
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Things that are looked through.
pub(super) const SHELF: u32 = 1_000;
/// Nodes that the model is told.
const TOLD_NODES: usize = 8;
/// Characters of them.
const TOLD_TEXT: usize = 2_000;
/// Skills that the model is told.
const TOLD_SKILLS: usize = 3;
/// Characters of each.
const TOLD_SKILL: usize = 1_200;
/// How near a node is to one that it names without saying how near.
const NEAR: f64 = 0.5;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// People's collections, and skills.
    pub shelf: Arc<dyn Shelf>,
    /// What actions do.
    pub flows: Arc<Flows>,
    /// Work that waits in queues.
    pub jobs: Jobs,
    /// Classifies texts.
    pub taxonomy: Arc<Taxonomy>,
}

/// What is looked up: people's collections, as a read model knows them, and skills.
pub trait Shelf: Send + Sync {
    /// Skills that tasks call for, those in force at this moment.
    fn skills(&self) -> Arc<Graph>;

    /// The newest things in a person's collection, with everything written before this call.
    fn newest<'a>(
        &'a self,
        owner: &'a UserId,
        collection: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Kept>, Unavailable>>;
}

/// A thing in a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its id.
    pub id: ItemId,
    /// What it says.
    pub fields: Map<String, Value>,
}

impl Kept {
    /// As results of steps show it.
    pub(super) fn shown(&self) -> Value {
        let mut fields = self.fields.clone();
        fields.insert("id".to_owned(), json!(self.id));
        fields.into()
    }

    /// As the graph takes it. What it is called and what it says are found under the names that clients use for it.
    fn as_skill(&self) -> Skill {
        let text = |names: &[&str]| {
            let found = names.iter().find_map(|name| self.fields.get(*name)?.as_str());
            found.unwrap_or_default().to_owned()
        };
        let words = |name: &str| -> Vec<String> {
            let all = self.fields.get(name).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let related = |one: &Value| match one {
            Value::String(id) => Some((id.clone(), NEAR)),
            other => {
                Some((other["id"].as_str()?.to_owned(), other["weight"].as_f64().unwrap_or(NEAR)))
            }
        };
        let all = self.fields.get("related").and_then(Value::as_array).into_iter().flatten();
        Skill {
            name: self.id.to_string(),
            category: text(&["type", "category"]),
            description: text(&["name", "label", "title"]),
            tags: words("tags"),
            concepts: words("concepts"),
            related: all.filter_map(related).collect(),
            content: text(&["content", "text", "value", "description"]),
        }
    }
}

impl Desk {
    /// The flows that come with this program, and these in their place or besides.
    ///
    /// # Errors
    /// When one of them makes no sense.
    pub fn flows(more: Vec<Flow>) -> Result<Flows, Unusable> {
        // The file is part of the program, and a test reads it.
        let own: Vec<Flow> = serde_json::from_str(include_str!("flows.json")).unwrap_or_default();
        Flows::of(own.into_iter().chain(more))
    }

    /// What is known of a person that has to do with this, best first.
    pub(super) async fn recall(
        &self,
        owner: &UserId,
        about: &str,
        limit: usize,
    ) -> Result<Vec<Kept>, Unavailable> {
        self.search(owner, NODES, about, limit).await
    }

    /// Things in a person's collection that have to do with this, best first.
    pub(super) async fn search(
        &self,
        owner: &UserId,
        collection: &str,
        about: &str,
        limit: usize,
    ) -> Result<Vec<Kept>, Unavailable> {
        let all = self.shelf.newest(owner, collection, SHELF).await?;
        let about = about.to_owned();
        let searching = tokio::task::spawn_blocking(move || {
            let graph = Graph::of(all.iter().map(Kept::as_skill).collect());
            let found = graph.activate(&about, limit).skills;
            let named = |name: &str| all.iter().find(|kept| kept.id.to_string() == name).cloned();
            found.iter().filter_map(|found| named(&graph.skills()[found.skill].name)).collect()
        });
        searching.await.map_err(|_| Unavailable("a search failed unexpectedly".into()))
    }

    /// What the model is told besides the conversation, when this is asked.
    pub(super) async fn background(
        &self,
        owner: &UserId,
        question: &str,
    ) -> Result<Background, Unavailable> {
        let mut room = TOLD_TEXT;
        let mut nodes = Vec::new();
        for node in self.recall(owner, question, TOLD_NODES).await? {
            let skill = node.as_skill();
            let text = match (skill.description.as_str(), skill.content.as_str()) {
                ("", "") => Value::Object(node.fields).to_string(),
                ("", text) | (text, "") => text.to_owned(),
                (name, text) => format!("{name}: {text}"),
            };
            let text: String = text.chars().take(room).collect();
            room -= text.chars().count();
            if text.is_empty() {
                break;
            }
            nodes.push(text);
        }
        let graph = self.shelf.skills();
        let activated = graph.activate(question, TOLD_SKILLS).skills;
        let skills = activated.iter().map(|found| {
            let skill = &graph.skills()[found.skill];
            let content: String = skill.content.chars().take(TOLD_SKILL).collect();
            format!("{} ({}): {content}", skill.name, skill.description)
        });
        let flows = self.flows.active().map(|flow| (flow.slug.clone(), flow.description.clone()));
        Ok(Background { nodes, skills: skills.collect(), flows: flows.collect() })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_flows_of_this_program_are_usable() {
        let flows = Desk::flows(vec![]).unwrap();
        let slugs: Vec<&str> = flows.active().map(|flow| flow.slug.as_str()).collect();
        assert_eq!(
            slugs,
            [
                "media-process",
                "memory-recall",
                "message-generate",
                "post-create",
                "scout-analyze",
                "taxonomy-tag"
            ]
        );
    }
}
