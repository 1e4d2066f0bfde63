//! What all processors do that search datasources. Those of the app's owner, whoever runs the app.

use super::{super::steps::Task, fields};
use crate::datasources::{Excerpt, Question};
use domain::{
    datasource,
    document::{Filter, Label},
    ids::KnowledgeBaseId,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Excerpts at most.
const EXCERPTS: usize = 100;
/// Characters of a question that count.
const QUESTION: usize = 4_000;
/// Datasources at most.
const DATASOURCES: usize = 50;

/// The datasources that a step names, as it names them.
pub fn named(task: &Task, keys: &[&str]) -> Vec<String> {
    let all = keys.iter().flat_map(|key| fields::list(&task.config, key));
    let name = |value: Value| match value {
        Value::Object(fields) => fields::some(&fields, "uuid"),
        other => Some(fields::worded(&other)).filter(|name| !name.trim().is_empty()),
    };
    let split = |names: String| names.split(',').map(|n| n.trim().to_owned()).collect::<Vec<_>>();
    all.filter_map(name).flat_map(split).take(DATASOURCES).collect()
}

/// Those of them that can be searched, and the names of those that cannot.
pub async fn known(
    task: &Task,
    names: &[String],
) -> Result<(Vec<KnowledgeBaseId>, Vec<String>), String> {
    let workshop = task.ports.workshop.as_ref().ok_or("nothing can be searched here")?;
    let id = |name: &String| {
        let id = name.parse::<Uuid>().ok()?;
        Some(KnowledgeBaseId(id.simple().to_string()))
    };
    let ids: Vec<Option<KnowledgeBaseId>> = names.iter().map(id).collect();
    let asked: Vec<KnowledgeBaseId> = ids.iter().flatten().cloned().collect();
    let known = workshop.datasources.known(&task.ports.app_owner, &asked).await;
    let known = known.map_err(|error| away(&error))?;
    let is_missing =
        |id: &Option<KnowledgeBaseId>| id.as_ref().is_none_or(|id| !known.contains(id));
    let missing = names.iter().zip(&ids).filter(|(_, id)| is_missing(id));
    let missing = missing.map(|(name, _)| name.clone()).collect();
    Ok((known, missing))
}

/// The filter that a step is given, with its input, for good in its configuration, or both: then both hold. One that cannot be
/// understood fails the step, for it may be what keeps two customers apart.
pub fn filter(task: &Task) -> Result<Option<Filter>, String> {
    let parsed = filter_texts(task).map(|text| datasource::parse(&text));
    let parsed: Result<Vec<Option<Filter>>, _> = parsed.into_iter().collect();
    let filters: Vec<Filter> =
        parsed.map_err(|bad| bad.to_string())?.into_iter().flatten().collect();
    Ok((!filters.is_empty()).then_some(Filter::All(filters)))
}

/// Those filters as they are written.
pub fn filter_texts(task: &Task) -> [String; 2] {
    [&task.input, &task.config].map(|fields| fields::text(fields, "search_filters"))
}

/// What these datasources say.
pub async fn search(
    task: &Task,
    datasources: &[KnowledgeBaseId],
    text: &str,
    filter: Option<&Filter>,
    limit: usize,
) -> Result<Vec<Excerpt>, String> {
    let workshop = task.ports.workshop.as_ref().ok_or("nothing can be searched here")?;
    if datasources.is_empty() {
        return Ok(vec![]);
    }
    let text: String = text.chars().take(QUESTION).collect();
    let ratio = fields::number(&task.config, "hybrid_semantic_search_ratio");
    #[expect(clippy::cast_possible_truncation, reason = "from 0 to 1")]
    let ratio = ratio.map(|ratio| ratio.clamp(0.0, 1.0) as f32);
    let question = Question { text: &text, filter, ratio, limit: limit.clamp(1, EXCERPTS) };
    let found = workshop.datasources.search(datasources, question).await;
    found.map_err(|error| away(&error))
}

/// Whoever runs the app reads the reason, so it says nothing of the machine.
fn away(error: &dyn std::error::Error) -> String {
    tracing::warn!(%error, "a step cannot search");
    "datasources do not answer".to_owned()
}

/// How near it is, as vector stores say it: certainty from 0 to 1, cosine distance; `null` where only words were compared.
pub fn nearness(excerpt: &Excerpt) -> (Value, Value) {
    match excerpt.similarity {
        Some(similarity) => (json!(f64::midpoint(1.0, similarity)), json!(1.0 - similarity)),
        None => (Value::Null, Value::Null),
    }
}

/// All that is known of where an excerpt is from.
pub fn metadata(excerpt: &Excerpt) -> Map<String, Value> {
    let value = |label: &Label| match label {
        Label::Flag(flag) => json!(flag),
        Label::Number(number) => json!(number),
        Label::Text(text) => json!(text),
    };
    let mut all: Map<String, Value> =
        excerpt.metadata.0.iter().map(|(key, label)| (key.clone(), value(label))).collect();
    if let Some(page) = excerpt.page {
        all.insert("page_number".to_owned(), json!(page));
    }
    all
}
