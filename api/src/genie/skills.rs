//! `/api/skills`: which skills there are, and which of them a task calls for.

mod shapes;

use super::{
    Fault, Result,
    answers::{Counts, Data, Done, Page, done},
    usage::iso,
};
use crate::{
    app::App,
    core::{Caller, Json, Path, Query},
    openapi::Documented,
    skill_book::{SkillBook, id},
};
use axum::{extract::State, http::StatusCode};
use chrono::Utc;
use domain::skill_graph::{Activated, Skill};
use serde_json::Value;
use shapes::{
    ListQuery, Matched, Near, NearCounts, Neighbour, RelatedQuery, Scored, Search, ShowQuery,
    Shown, Task, TaskCounts, Tasked, WithNeighbours,
};
use std::cmp::Ordering;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Skills in one answer.
const MOST: usize = 500;
/// Bytes of a task or query.
const LONGEST: usize = 16 << 10;

/// The table of contents, but for what another dialect serves at the same paths.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(activate))
        .routes(routes!(search))
        .routes(routes!(related))
        .tagged("Skills")
}

/// The list.
pub fn list_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list)).tagged("Skills")
}

/// One skill.
pub fn one_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show)).tagged("Skills")
}

/// Lists the skills of the assistant.
///
/// At the root Sage has a list of its own here, and answers unless the token was issued by a login of this dialect or the
/// request carries a parameter that only this one has. Below `/genie` this one always answers.
#[utoipa::path(
    get,
    path = "/api/skills",
    params(ListQuery),
    responses((status = 200, description = "The page.", body = Done<Page<Shown>>)),
)]
async fn list(
    State(app): State<App>,
    _: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Done<Page<Shown>>> {
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
    let data = page.map(|skill| shown(book, skill, 0.0)).collect();
    Ok(done(Page { data, meta: counts(all.len(), matching) }))
}

fn counts(all: usize, matching: usize) -> Counts {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    Counts { total_count: count(all), filter_count: count(matching) }
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

fn shown(book: &SkillBook, skill: &Skill, score: f64) -> Shown {
    Shown {
        id: id(&skill.name),
        name: skill.name.clone(),
        category: skill.category.clone(),
        description: skill.description.clone(),
        tags: skill.tags.clone(),
        content: skill.content.clone(),
        activation_score: score,
        date_updated: iso(book.changed_at(&skill.name)),
    }
}

/// Gets a skill.
///
/// At the root this dialect answers when the token was issued by a login of it, when a parameter says so, or when nobody is
/// logged in; below `/genie` always.
#[utoipa::path(
    get,
    path = "/api/skills/{id}",
    params(("id" = String, Path, description = "The skill's id or name."), ShowQuery),
    responses((status = 200, description = "The skill.", body = Done<Data<WithNeighbours>>)),
)]
async fn show(
    State(app): State<App>,
    _: Caller,
    Path(name): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Done<Data<WithNeighbours>>> {
    let at = find(&app, &name)?;
    let book = &app.skill_book.current();
    let skill = shown(book, &book.graph.skills()[at], 0.0);
    let wanted = query.include_related == Some(true);
    let related_skills = wanted.then(|| neighbours(&app, at, 10));
    Ok(done(Data { data: WithNeighbours { skill, related_skills } }))
}

fn find(app: &App, name: &str) -> std::result::Result<usize, Fault> {
    app.skill_book.current().find(name).ok_or_else(|| {
        Fault::new(StatusCode::NOT_FOUND, "skill_not_found", "There is no such skill")
    })
}

fn neighbours(app: &App, at: usize, limit: usize) -> Vec<Neighbour> {
    let graph = &app.skill_book.current().graph;
    let near = graph.related(at).into_iter().take(limit);
    near.map(|(at, weight)| {
        let skill = &graph.skills()[at];
        Neighbour {
            id: id(&skill.name),
            name: skill.name.clone(),
            category: skill.category.clone(),
            description: skill.description.clone(),
            weight,
        }
    })
    .collect()
}

/// Lists the skills next to one.
#[utoipa::path(
    get,
    path = "/api/skills/{id}/related",
    params(("id" = String, Path, description = "The skill's id or name."), RelatedQuery),
    responses((status = 200, description = "Its neighbours, the nearest first.", body = Done<Near>)),
)]
async fn related(
    State(app): State<App>,
    _: Caller,
    Path(name): Path<String>,
    Query(query): Query<RelatedQuery>,
) -> Result<Done<Near>> {
    let at = find(&app, &name)?;
    let data = neighbours(&app, at, query.limit.unwrap_or(10).min(50));
    let meta = NearCounts { filter_count: data.len() };
    Ok(done(Near { data, meta }))
}

/// Finds the skills that a task calls for, and those next to them.
#[utoipa::path(
    post,
    path = "/api/skills/activate",
    request_body = Task,
    responses((status = 200, description = "The skills, the best first.", body = Done<Tasked>)),
)]
async fn activate(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Task>,
) -> Result<Done<Tasked>> {
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
    let activated = found.skills.into_iter().map(|Activated { skill, score, hops, matched }| {
        let source = if hops == 0 { "direct" } else { "propagated" };
        let matched =
            Matched { tags: matched.tags, concepts: matched.concepts, terms: matched.terms };
        let skill = shown(book, &book.graph.skills()[skill], score);
        shapes::Activated { skill, score, source, hops, matched }
    });
    let data: Vec<_> = activated.collect();
    let meta = TaskCounts {
        task,
        evaluated: book.graph.skills().len(),
        activated: found.fired,
        returned: data.len(),
    };
    Ok(done(Tasked { data, meta }))
}

fn text(name: &str, sent: Option<String>) -> std::result::Result<String, Fault> {
    let sent = sent.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let text = sent.ok_or_else(|| Fault::invalid(format!("{name} is required")))?;
    if text.len() > LONGEST {
        return Err(Fault::invalid(format!("{name} has at most {LONGEST} bytes")));
    }
    Ok(text)
}

/// Searches the skills for words.
#[utoipa::path(
    post,
    path = "/api/skills/search",
    request_body = Search,
    responses((status = 200, description = "The page, the best first.", body = Done<Page<Scored>>)),
)]
async fn search(
    State(app): State<App>,
    _: Caller,
    Json(body): Json<Search>,
) -> Result<Done<Page<Scored>>> {
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
    let scored = page.map(|(at, score)| Scored { skill: shown(book, &all[at], 0.0), score });
    Ok(done(Page { data: scored.collect(), meta: counts(all.len(), matching) }))
}
