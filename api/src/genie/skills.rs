//! `/api/skills`: which skills there are, and which of them a task calls for.

use super::{Fault, Result, usage::iso};
use crate::{
    app::App,
    core::{Caller, Json, Path, Query},
    skill_book::{SkillBook, id},
};
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use chrono::Utc;
use domain::skill_graph::{Activated, Skill};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Ordering;

/// Skills in one answer.
const MOST: usize = 500;
/// Bytes of a task or query.
const LONGEST: usize = 16 << 10;

/// The table of contents, but for what another dialect serves at the same paths.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/skills/activate", post(activate))
        .route("/api/skills/search", post(search))
        .route("/api/skills/{id}/related", get(related))
}

/// The list.
pub fn list_routes() -> Router<App> {
    Router::new().route("/api/skills", get(list))
}

/// One skill.
pub fn one_routes() -> Router<App> {
    Router::new().route("/api/skills/{id}", get(show))
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    tags: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    offset: Option<usize>,
    #[serde(default)]
    sort: Option<String>,
}

async fn list(State(app): State<App>, _: Caller, Query(query): Query<ListQuery>) -> Result<Value> {
    let book = &app.skill_book.current();
    let all = book.graph.skills();
    let tags = tags(query.tags.as_deref());
    let mut found: Vec<&Skill> =
        all.iter().filter(|skill| fits(skill, query.category.as_deref(), &tags)).collect();
    let sort = query.sort.as_deref().unwrap_or("-date_updated");
    let (field, descending) = sort.strip_prefix('-').map_or((sort, false), |field| (field, true));
    let order = |a: &Skill, b: &Skill| match field {
        "name" => Some(a.name.cmp(&b.name)),
        "category" => Some(a.category.cmp(&b.category)),
        "date_updated" => Some(book.changed_at(&a.name).cmp(&book.changed_at(&b.name))),
        "activation_score" => Some(Ordering::Equal),
        _ => None,
    };
    if order(&Skill::default(), &Skill::default()).is_none() {
        let known = "name, category, date_updated or activation_score";
        return Err(Fault::invalid(format!("sort has to be {known}")));
    }
    found.sort_by(|a, b| {
        let order = order(a, b).unwrap_or(Ordering::Equal);
        let order = if descending { order.reverse() } else { order };
        order.then_with(|| a.name.cmp(&b.name))
    });
    let (matching, limit) = (found.len(), query.limit.unwrap_or(50).min(MOST));
    let page = found.into_iter().skip(query.offset.unwrap_or(0)).take(limit);
    let data: Vec<Value> = page.map(|skill| shown(book, skill, 0.0)).collect();
    Ok(axum::Json(json!({
        "ok": true,
        "success": true,
        "data": data,
        "meta": { "total_count": all.len(), "filter_count": matching },
    })))
}

fn tags(sent: Option<&str>) -> Vec<String> {
    let tags = sent.unwrap_or_default().split(',').map(|tag| tag.trim().to_lowercase());
    tags.filter(|tag| !tag.is_empty()).collect()
}

fn fits(skill: &Skill, category: Option<&str>, tags: &[String]) -> bool {
    let filed = |tag: &String| skill.tags.iter().any(|own| own.to_lowercase() == *tag);
    category.is_none_or(|category| category.is_empty() || skill.category == category)
        && (tags.is_empty() || tags.iter().any(filed))
}

fn shown(book: &SkillBook, skill: &Skill, score: f64) -> Value {
    json!({
        "id": id(&skill.name),
        "name": skill.name,
        "category": skill.category,
        "description": skill.description,
        "tags": skill.tags,
        "content": skill.content,
        "activation_score": score,
        "date_updated": iso(book.changed_at(&skill.name)),
    })
}

#[derive(Deserialize)]
struct ShowQuery {
    #[serde(default, alias = "includeRelated", alias = "related")]
    include_related: Option<bool>,
}

async fn show(
    State(app): State<App>,
    _: Caller,
    Path(name): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Value> {
    let at = find(&app, &name)?;
    let book = &app.skill_book.current();
    let mut skill = shown(book, &book.graph.skills()[at], 0.0);
    if query.include_related == Some(true) {
        skill["related_skills"] = json!(neighbours(&app, at, 10));
    }
    Ok(axum::Json(json!({ "ok": true, "success": true, "data": skill })))
}

fn find(app: &App, name: &str) -> std::result::Result<usize, Fault> {
    app.skill_book.current().find(name).ok_or_else(|| {
        Fault::new(StatusCode::NOT_FOUND, "skill_not_found", "There is no such skill")
    })
}

fn neighbours(app: &App, at: usize, limit: usize) -> Vec<Value> {
    let graph = &app.skill_book.current().graph;
    let near = graph.related(at).into_iter().take(limit);
    near.map(|(at, weight)| {
        let skill = &graph.skills()[at];
        json!({
            "id": id(&skill.name),
            "name": skill.name,
            "category": skill.category,
            "description": skill.description,
            "weight": weight,
        })
    })
    .collect()
}

#[derive(Deserialize)]
struct RelatedQuery {
    #[serde(default)]
    limit: Option<usize>,
}

async fn related(
    State(app): State<App>,
    _: Caller,
    Path(name): Path<String>,
    Query(query): Query<RelatedQuery>,
) -> Result<Value> {
    let at = find(&app, &name)?;
    let near = neighbours(&app, at, query.limit.unwrap_or(10).min(50));
    let meta = json!({ "filter_count": near.len() });
    Ok(axum::Json(json!({ "ok": true, "success": true, "data": near, "meta": meta })))
}

#[derive(Deserialize)]
struct Task {
    #[serde(
        default,
        alias = "task_description",
        alias = "taskDescription",
        alias = "query",
        alias = "description",
        alias = "prompt"
    )]
    task: Option<String>,
    #[serde(default, alias = "top_n", alias = "topN", alias = "max_skills", alias = "maxSkills")]
    limit: Option<usize>,
}

async fn activate(State(app): State<App>, caller: Caller, Json(body): Json<Task>) -> Result<Value> {
    let task = text("task", body.task)?;
    let limit = body.limit.unwrap_or(5);
    if !(1..=50).contains(&limit) {
        return Err(Fault::invalid("limit is 1 to 50"));
    }
    let book = &app.skill_book.current();
    let found = book.graph.activate(&task, limit);
    if app.config.skill_learning {
        let names = found.skills.iter().map(|of| book.graph.skills()[of.skill].name.clone());
        let (names, today) = (names.collect(), Utc::now().date_naive());
        // The answer does not hang on it.
        if let Err(error) = app.skill_learning.note(today, names, &caller.metadata()).await {
            tracing::warn!(%error, "nothing is learnt from this task");
        }
    }
    let data: Vec<Value> = found
        .skills
        .iter()
        .map(|Activated { skill, score, hops, matched }| {
            let mut skill = shown(book, &book.graph.skills()[*skill], *score);
            skill["score"] = json!(score);
            skill["source"] = json!(if *hops == 0 { "direct" } else { "propagated" });
            skill["hops"] = json!(hops);
            skill["matched"] = json!({
                "tags": matched.tags, "concepts": matched.concepts, "terms": matched.terms,
            });
            skill
        })
        .collect();
    let meta = json!({
        "task": task,
        "evaluated": book.graph.skills().len(),
        "activated": found.fired,
        "returned": data.len(),
    });
    Ok(axum::Json(json!({ "ok": true, "success": true, "data": data, "meta": meta })))
}

fn text(name: &str, sent: Option<String>) -> std::result::Result<String, Fault> {
    let sent = sent.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let text = sent.ok_or_else(|| Fault::invalid(format!("{name} is required")))?;
    if text.len() > LONGEST {
        return Err(Fault::invalid(format!("{name} has at most {LONGEST} bytes")));
    }
    Ok(text)
}

#[derive(Deserialize)]
struct Search {
    #[serde(default, alias = "q")]
    query: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    offset: Option<usize>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    tags: Option<Value>,
}

async fn search(State(app): State<App>, _: Caller, Json(body): Json<Search>) -> Result<Value> {
    let query = text("query", body.query)?;
    let tags = match body.tags {
        None | Some(Value::Null) => vec![],
        Some(Value::String(text)) => tags(Some(&text)),
        Some(Value::Array(list)) => {
            let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            tags(Some(&texts.join(",")))
        }
        Some(_) => return Err(Fault::invalid("tags is a list of texts")),
    };
    let book = &app.skill_book.current();
    let all = book.graph.skills();
    let mut found = book.graph.search(&query);
    found.retain(|(at, _)| fits(&all[*at], body.category.as_deref(), &tags));
    let matching = found.len();
    let limit = body.limit.unwrap_or(20).min(100);
    let page = found.into_iter().skip(body.offset.unwrap_or(0)).take(limit);
    let data: Vec<Value> = page
        .map(|(at, score)| {
            let mut skill = shown(book, &all[at], 0.0);
            skill["score"] = json!(score);
            skill
        })
        .collect();
    let meta = json!({ "total_count": all.len(), "filter_count": matching });
    Ok(axum::Json(json!({ "ok": true, "success": true, "data": data, "meta": meta })))
}
