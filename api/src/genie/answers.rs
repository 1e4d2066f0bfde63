//! What answers that worked have in common.

use serde::Serialize;
use utoipa::ToSchema;

/// It worked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done<T> {
    /// Always `true`.
    ok: bool,
    /// Always `true`.
    success: bool,
    #[serde(flatten)]
    rest: T,
}

impl<T> From<T> for Done<T> {
    fn from(rest: T) -> Self {
        Self { ok: true, success: true, rest }
    }
}

/// An answer with nothing but that it worked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Nothing {}

/// An answer with an id alone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Named {
    /// Of what it was done to.
    pub id: uuid::Uuid,
}

/// An answer that holds something.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Data<T> {
    /// What was asked for.
    pub data: T,
}

/// An answer that holds a page of something.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// In the order that was asked for.
    pub data: Vec<T>,
    /// How many there are.
    pub meta: Counts,
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Counts {
    /// In all.
    pub total_count: i64,
    /// That fit the filters.
    pub filter_count: i64,
}

/// A success, as the dialect says it.
pub(super) fn done<T>(rest: T) -> axum::Json<Done<T>> {
    axum::Json(rest.into())
}
