//! Read model: runs of apps, as the history shows them.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Recorded,
    app::secrets::Holder,
    app_rating, codec,
    ids::{AppId, RunId, UserId},
    run::{Event, Outcome, Request},
};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// The read model.
pub struct AppRuns;

impl Projection for AppRuns {
    fn name(&self) -> &'static str {
        "app_runs"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["app_runs"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &["run", "app_rating"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["RunRequested", "AppStepFinished", "TurnCompleted", "RunEnded", "AppRunRated"]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let Ok(id) = recorded.stream.key().parse::<Uuid>() else { return Ok(()) };
            if &*recorded.kind == "AppRunRated" {
                return rate(db, recorded, id).await;
            }
            match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
                Event::RunRequested(request) => insert(db, recorded, id, &request).await,
                Event::AppStepFinished { step, done, usage } => {
                    let step = json!([{"step": step, "output": done.output, "usage": usage}]);
                    add_step(db, recorded, id, &step).await
                }
                Event::TurnCompleted { usage, .. } => {
                    add_step(db, recorded, id, &json!([{"step": "agent", "usage": [usage]}])).await
                }
                Event::RunEnded { outcome, line, .. } => {
                    let line: Value = serde_json::from_str(line.get())?;
                    sqlx::query(
                        "update app_runs set outcome = $3, response = $4, ended_at = $5, revision = $2
                         where run_id = $1",
                    )
                    .bind(id)
                    .bind(column(recorded.revision.0))
                    .bind(outcome_name(outcome))
                    .bind(Json(line))
                    .bind(recorded.recorded_at)
                    .execute(db)
                    .await?;
                    Ok(())
                }
                _ => Ok(()),
            }
        })
    }
}

async fn insert(
    db: &mut PgConnection,
    at: &Recorded,
    id: Uuid,
    request: &Request,
) -> Result<(), ApplyError> {
    let Some(app) = &request.settings.app else { return Ok(()) };
    let mut input = app.input.clone();
    input.mask();
    sqlx::query(
        "insert into app_runs (run_id, app_id, app_name, caller, session_key, ip, user_agent,
             content_type, request, steps, requested_at, position, revision)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, '[]', $10, $11, $12)",
    )
    .bind(id)
    .bind(app.app.0)
    .bind(&app.definition.name)
    .bind(&request.owner.0)
    .bind(&request.session_id)
    .bind(&app.origin.ip)
    .bind(&app.origin.user_agent)
    .bind(&app.origin.content_type)
    .bind(Json(json!({"input": input, "stream": app.stream})))
    .bind(at.recorded_at)
    .bind(column(at.position.0))
    .bind(column(at.revision.0))
    .execute(db)
    .await?;
    Ok(())
}

async fn rate(db: &mut PgConnection, at: &Recorded, id: Uuid) -> Result<(), ApplyError> {
    let app_rating::Event::AppRunRated { quality, remark } = codec::decode(&at.kind, &at.data)?;
    sqlx::query("update app_runs set rating = $2 where run_id = $1")
        .bind(id)
        .bind(Json(json!({"quality": quality, "remark": remark})))
        .execute(db)
        .await?;
    Ok(())
}

/// Runs that are no app's have no row, and get none.
async fn add_step(
    db: &mut PgConnection,
    at: &Recorded,
    id: Uuid,
    step: &Value,
) -> Result<(), ApplyError> {
    sqlx::query(
        "update app_runs set steps = (steps::jsonb || $3::jsonb)::json, revision = $2
         where run_id = $1",
    )
    .bind(id)
    .bind(column(at.revision.0))
    .bind(Json(step))
    .execute(db)
    .await?;
    Ok(())
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Interrupted => "interrupted",
        Outcome::Replaced => "replaced",
        Outcome::Failed => "failed",
    }
}

/// A run.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    /// Which.
    pub run_id: Uuid,
    /// Of which app.
    pub app_id: Uuid,
    /// What the app was called.
    pub app_name: String,
    /// The session id, as the client chose it.
    pub session_key: String,
    /// Where the request came from.
    pub ip: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// Type of the request's body.
    pub content_type: Option<String>,
    /// `{"input", "stream"}`.
    pub request: Json<Value>,
    /// The end line: `{"output"}` or `{"errors"}`; `None` while the run goes on.
    pub response: Option<Json<Value>>,
    /// `{"step", "output", "usage"}` of every finished step.
    pub steps: Json<Value>,
    /// `completed`, `interrupted`, `replaced` or `failed`; `None` while the run goes on.
    pub outcome: Option<String>,
    /// When it was wanted.
    pub requested_at: DateTime<Utc>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// `{"quality", "remark"}`, if whoever ran it said something.
    pub rating: Option<Json<Value>>,
}

/// A session.
#[derive(Debug, Clone, FromRow)]
pub struct SessionRow {
    /// The session id, as the client chose it.
    pub session_key: String,
    /// With which app.
    pub app_id: Uuid,
    /// When its last run was wanted.
    pub latest: DateTime<Utc>,
}

/// Which runs are looked for, among somebody's own.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose.
    pub caller: &'a UserId,
    /// Of this app only.
    pub app: Option<AppId>,
    /// Of this session only.
    pub session: Option<&'a str>,
    /// Requested before this only.
    pub before: Option<DateTime<Utc>>,
}

/// One page of runs, newest first, and how many there are in all.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    db: &PgPool,
    wanted: Wanted<'_>,
    offset: i64,
    limit: i64,
) -> sqlx::Result<(Vec<Row>, i64)> {
    let among = "from app_runs where caller = $1 and ($2::uuid is null or app_id = $2)
                 and ($3::text is null or session_key = $3)
                 and ($4::timestamptz is null or requested_at < $4)";
    let (caller, app) = (wanted.caller.as_str(), wanted.app.map(|app| app.0));
    let rows = format!("select * {among} order by position desc offset $5 limit $6");
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(rows));
    let rows = rows.bind(caller).bind(app).bind(wanted.session).bind(wanted.before);
    let rows = rows.bind(offset).bind(limit);
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) {among}")));
    let count = count.bind(caller).bind(app).bind(wanted.session).bind(wanted.before);
    Ok((rows.fetch_all(db).await?, count.fetch_one(db).await?))
}

/// One of somebody's own runs.
///
/// # Errors
/// When the database does not answer.
pub async fn run(db: &PgPool, caller: &UserId, id: RunId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from app_runs where caller = $1 and run_id = $2")
        .bind(caller.as_str())
        .bind(id.0)
        .fetch_optional(db)
        .await
}

/// One page of somebody's sessions with an app, the last used first, and how many there are in all.
///
/// # Errors
/// When the database does not answer.
pub async fn sessions(
    db: &PgPool,
    caller: &UserId,
    app: AppId,
    offset: i64,
    limit: i64,
) -> sqlx::Result<(Vec<SessionRow>, i64)> {
    let rows = sqlx::query_as(
        "select session_key, app_id, max(requested_at) as latest from app_runs
         where caller = $1 and app_id = $2 group by session_key, app_id
         order by max(position) desc offset $3 limit $4",
    );
    let rows = rows.bind(caller.as_str()).bind(app.0).bind(offset).bind(limit);
    let count = sqlx::query_scalar(
        "select count(distinct session_key) from app_runs where caller = $1 and app_id = $2",
    );
    let count = count.bind(caller.as_str()).bind(app.0);
    Ok((rows.fetch_all(db).await?, count.fetch_one(db).await?))
}
