//! `promptly/datasource_search`: what datasources say about a query.

use super::{super::steps::Task, Done, Report, excerpts, fields};
use crate::datasources::Excerpt;
use serde_json::{Value, json};

/// Excerpts, unless the step says otherwise.
const LIMIT: usize = 4;

pub(super) async fn perform(task: Task) -> Done {
    let query = fields::some(&task.input, "query").ok_or("query is missing")?;
    let names = excerpts::named(&task, &["datasources", "datasource"]);
    if names.is_empty() {
        return Err("no datasource is named".to_owned());
    }
    let filter = excerpts::filter(&task)?;
    let (known, missing) = excerpts::known(&task, &names).await?;
    if let Some(name) = missing.first() {
        return Err(format!("datasource {name} does not exist or cannot be searched here"));
    }
    let limit = fields::count(&task.config, "document_limit").unwrap_or(LIMIT);
    let found = excerpts::search(&task, &known, &query, filter.as_ref(), limit).await?;
    let text = |excerpt: &Excerpt| {
        let Excerpt { text, source, .. } = excerpt;
        format!("Content: {text}\n\nSource: {source}\n\n\n")
    };
    let answers: Vec<Value> = found.iter().map(answer).collect();
    let answers_text: String = found.iter().map(text).collect();
    task.say(json!({"answers": answers, "answers_text": answers_text})).await;
    Ok(Report::default())
}

fn answer(excerpt: &Excerpt) -> Value {
    let (certainty, distance) = excerpts::nearness(excerpt);
    json!({
        "content": excerpt.text,
        "source": excerpt.source,
        "metadata": {"certainty": certainty, "distance": distance, "score": excerpt.score},
        "additional_properties": excerpts::metadata(excerpt),
    })
}
