//! What is asked of skills, and how they are told.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only of this category.
    #[serde(default)]
    pub category: Option<String>,
    /// Only with one of these tags, separated by commas.
    #[serde(default)]
    pub tags: Option<String>,
    /// Most skills of the page, 500 at most; 50 unless it is named.
    #[serde(default)]
    #[param(minimum = 0)]
    pub limit: Option<usize>,
    /// How many to pass over.
    #[serde(default)]
    #[param(minimum = 0)]
    pub offset: Option<usize>,
    /// `name`, `category`, `date_updated` or `activation_score`; with `-` before it the other way round.
    #[serde(default)]
    pub sort: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowQuery {
    /// Whether its neighbours are wanted; also as `includeRelated` or `related`.
    #[serde(default, alias = "includeRelated", alias = "related")]
    pub include_related: Option<bool>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RelatedQuery {
    /// Most neighbours, 50 at most; 10 unless it is named.
    #[serde(default)]
    #[param(minimum = 0)]
    pub limit: Option<usize>,
}

/// What is to be done.
#[derive(Deserialize, ToSchema)]
#[schema(as = SkillTask)]
pub(super) struct Task {
    /// In the words of whoever wants it; also as `task_description`, `query`, `description` or `prompt`.
    #[serde(
        default,
        alias = "task_description",
        alias = "taskDescription",
        alias = "query",
        alias = "description",
        alias = "prompt"
    )]
    #[schema(required)]
    pub task: Option<String>,
    /// Most skills; 5 unless it is named. Also as `top_n` or `max_skills`.
    #[serde(default, alias = "top_n", alias = "topN", alias = "max_skills", alias = "maxSkills")]
    #[schema(minimum = 1, maximum = 50)]
    pub limit: Option<usize>,
}

/// What is looked for.
#[derive(Deserialize, ToSchema)]
#[schema(as = SkillSearch)]
pub(super) struct Search {
    /// Words; also as `q`.
    #[serde(default, alias = "q")]
    #[schema(required)]
    pub query: Option<String>,
    /// Most skills of the page, 100 at most; 20 unless it is named.
    #[serde(default)]
    pub limit: Option<usize>,
    /// How many to pass over.
    #[serde(default)]
    pub offset: Option<usize>,
    /// Only of this category.
    #[serde(default)]
    pub category: Option<String>,
    /// Only with one of these tags; also as a text with commas.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub tags: Option<Value>,
}

/// A skill.
#[derive(Serialize, ToSchema)]
#[schema(as = Skill)]
pub(super) struct Shown {
    pub id: Uuid,
    pub name: String,
    pub category: String,
    pub description: String,
    pub tags: Vec<String>,
    /// The skill itself, in Markdown.
    pub content: String,
    /// How well it fits the task, if there is one; else 0.
    pub activation_score: f64,
    pub date_updated: String,
}

/// A skill, and its neighbours if they are wanted.
#[derive(Serialize, ToSchema)]
#[schema(as = SkillWithNeighbours)]
pub(super) struct WithNeighbours {
    #[serde(flatten)]
    pub skill: Shown,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related_skills: Option<Vec<Neighbour>>,
}

/// A skill next to another.
#[derive(Serialize, ToSchema)]
#[schema(as = NeighbouringSkill)]
pub(super) struct Neighbour {
    pub id: Uuid,
    pub name: String,
    pub category: String,
    pub description: String,
    /// How near it is.
    pub weight: f64,
}

/// Skills next to another.
#[derive(Serialize, ToSchema)]
#[schema(as = NeighbouringSkills)]
pub(super) struct Near {
    pub data: Vec<Neighbour>,
    pub meta: NearCounts,
}

/// How many neighbours there are.
#[derive(Serialize, ToSchema)]
pub(super) struct NearCounts {
    pub filter_count: usize,
}

/// A skill that was found.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundSkill)]
pub(super) struct Scored {
    #[serde(flatten)]
    pub skill: Shown,
    /// How well it fits.
    pub score: f64,
}

/// A skill that a task calls for.
#[derive(Serialize, ToSchema)]
#[schema(as = ActivatedSkill)]
pub(super) struct Activated {
    #[serde(flatten)]
    pub skill: Shown,
    /// How well it fits.
    pub score: f64,
    /// `direct`, or `propagated` from a neighbour.
    pub source: &'static str,
    /// Neighbours between it and the task.
    pub hops: u32,
    pub matched: Matched,
}

/// What of a skill is in the task.
#[derive(Serialize, ToSchema)]
#[schema(as = SkillMatch)]
pub(super) struct Matched {
    pub tags: Vec<String>,
    pub concepts: Vec<String>,
    /// Words of its description.
    pub terms: Vec<String>,
}

/// The skills that a task calls for.
#[derive(Serialize, ToSchema)]
#[schema(as = ActivatedSkills)]
pub(super) struct Tasked {
    pub data: Vec<Activated>,
    pub meta: TaskCounts,
}

/// How many skills were looked at.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskCounts {
    pub task: String,
    pub evaluated: usize,
    pub activated: usize,
    pub returned: usize,
}
