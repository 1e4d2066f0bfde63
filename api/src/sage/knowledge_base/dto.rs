//! Knowledge bases as clients send and see them.

use crate::{core::Caller, library, sage::conversations::iso};
use domain::ids::{KnowledgeBaseId, UserId};
use projections::{knowledge_bases::Row, retrieval::models::Embedding};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A new knowledge base.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KnowledgeBaseWish)]
pub(super) struct AddBody {
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// `qa` for tables of questions and answers; anything else holds documents.
    #[serde(rename = "type")]
    #[schema(max_length = 64)]
    pub kind: String,
    #[serde(default)]
    #[schema(max_length = 10_000)]
    pub intro: Option<String>,
    /// `zh-cn` without it.
    #[serde(default)]
    #[schema(max_length = 64)]
    pub language: Option<String>,
}

/// What is to change of a knowledge base. What is left out or empty stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KnowledgeBaseChange)]
pub(super) struct UpdateBody {
    pub kdb_id: String,
    #[serde(default)]
    #[schema(max_length = 255)]
    pub name: Option<String>,
    #[serde(default)]
    #[schema(max_length = 10_000)]
    pub intro: Option<String>,
    /// At most 32 KB.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub kdb_setting: Option<Value>,
}

/// Which knowledge base is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KnowledgeBaseMeant)]
pub(super) struct Meant {
    pub kdb_id: String,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct InfoQuery {
    /// The knowledge base.
    pub kdb_id: String,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Part of the name.
    #[serde(default)]
    pub query_name: String,
    /// The whole of the type.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// From 1.
    #[serde(default = "first")]
    #[param(minimum = 1, maximum = 2_147_483_647)]
    pub page: i64,
    #[serde(default = "twenty")]
    #[param(minimum = 1, maximum = 1_000)]
    pub page_size: i64,
}

/// The first page.
pub(super) fn first() -> i64 {
    1
}

/// How much is on a page.
pub(super) fn twenty() -> i64 {
    20
}

/// A knowledge base that was added.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnowledgeBaseAdded)]
pub(super) struct Added {
    #[schema(value_type = String)]
    pub kdb_id: KnowledgeBaseId,
    /// Its owner.
    #[schema(value_type = String)]
    pub user_id: UserId,
}

/// It worked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnowledgeBaseDone)]
pub(super) struct Done {
    /// Always true.
    success: bool,
    /// Owner of the knowledge base; empty if there was nothing to do.
    #[schema(value_type = String)]
    user_id: UserId,
}

impl Done {
    /// To something of this owner's.
    pub fn of(owner: impl Into<UserId>) -> Self {
        Self { success: true, user_id: owner.into() }
    }
}

/// A knowledge base.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnowledgeBase)]
pub(super) struct Info {
    #[serde(rename = "kdbId")]
    kdb_id: String,
    name: String,
    intro: String,
    #[serde(rename = "type")]
    kind: String,
    /// Seconds since the epoch.
    #[serde(rename = "createdAt")]
    created_at: i64,
    /// Seconds since the epoch.
    #[serde(rename = "updatedAt")]
    updated_at: i64,
    #[serde(rename = "kdbSetting")]
    #[schema(value_type = Object)]
    setting: Value,
    /// Its owner.
    user_id: String,
    embedding: Option<Model>,
}

/// A knowledge base among others.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnowledgeBaseItem)]
pub(super) struct Item {
    id: String,
    name: String,
    /// What agents call it.
    index_name: String,
    intro: String,
    #[serde(rename = "createTime")]
    created: String,
    /// Its type.
    #[serde(rename = "dataSource")]
    kind: String,
    /// How many documents it has.
    #[serde(rename = "docNum")]
    documents: i64,
    /// Always empty.
    cover: &'static str,
    /// Always true.
    #[serde(rename = "defaultColor")]
    default_color: bool,
    /// Its owner.
    user_id: String,
    /// Always null.
    #[serde(rename = "type")]
    #[schema(value_type = crate::sage::envelope::Null)]
    no_type: Value,
    embedding: Option<Model>,
}

/// What documents were embedded with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnowledgeBaseEmbedding)]
pub(super) struct Model {
    model: String,
    dimension: Option<i32>,
    /// Not when some documents wait to be read again with the model in use.
    current: bool,
}

/// A page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Page)]
pub(super) struct Listing<T> {
    pub list: Vec<T>,
    pub total: i64,
    pub user_id: String,
}

impl<T> Listing<T> {
    /// Null, for this caller.
    pub fn empty(caller: &Caller) -> Self {
        Self { list: Vec::new(), total: 0, user_id: caller.user.0.clone() }
    }
}

impl Info {
    /// The knowledge base of this row.
    pub fn new(row: Row, embedding: Option<Embedding>) -> Self {
        let language = if row.language.is_empty() { "zh-cn" } else { &row.language };
        let first = || serde_json::json!({"kdbAttach": {"language": language}});
        let setting = row.setting.clone().unwrap_or_else(first);
        Self {
            embedding: embedding.map(Model::from),
            kdb_id: row.id,
            name: row.name,
            intro: row.intro,
            kind: row.kind,
            created_at: row.created_at.timestamp(),
            updated_at: row.updated_at.timestamp(),
            setting,
            user_id: row.owner,
        }
    }
}

impl Item {
    /// The knowledge base of this row.
    pub fn new(row: Row, embedding: Option<Embedding>) -> Self {
        Self {
            index_name: library::index_name(&row.id),
            id: row.id,
            name: row.name,
            intro: row.intro,
            created: iso(row.created_at),
            kind: row.kind,
            documents: row.documents,
            cover: "",
            default_color: true,
            user_id: row.owner,
            no_type: Value::Null,
            embedding: embedding.map(Model::from),
        }
    }
}

impl From<Embedding> for Model {
    fn from(embedding: Embedding) -> Self {
        let Embedding { model, dimensions, current } = embedding;
        Self { model, dimension: dimensions, current }
    }
}
