//! Operations on the server itself: queues, skills, read models, the log's end.

use super::{
    super::{Fault, queue},
    params::Params,
    tail,
};
use crate::{
    app::App, cli::rebuild::AT_ONCE, compose::read_models, core::Error, skill_book::RELOAD,
};
use commands::nodes;
use domain::{
    Metadata,
    admins::Everywhere,
    ids::{OperationId, UserId},
    operation::{self, Operation},
    system::{self, System},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// How long a caller waits for work that may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is wanted, read and judged as far as the wish alone allows.
pub(super) enum Wish {
    Status,
    ReloadSkills,
    Drain(bool),
    Rebuild { names: Vec<&'static str> },
    State { id: OperationId },
    Tail { limit: usize, user: Option<UserId> },
}

impl Wish {
    /// `None` for names that are none of these.
    pub fn read(operation: &str, params: &Params) -> Result<Option<Self>, Fault> {
        Ok(Some(match operation {
            "status" => Self::Status,
            RELOAD => Self::ReloadSkills,
            "queue.drain" => Self::Drain(true),
            "queue.resume" => Self::Drain(false),
            "projections.rebuild" => Self::Rebuild { names: names(params)? },
            "projections.state" => {
                let id = params.text("id")?.parse();
                Self::State { id: id.map_err(|_| Fault::invalid("params.id has to be a UUID"))? }
            }
            "audit.tail" => tail::read(params)?,
            _ => return Ok(None),
        }))
    }

    /// What came of it; `id` is the operation's own.
    pub async fn perform(
        self,
        app: &App,
        id: OperationId,
        metadata: &Metadata,
    ) -> Result<Value, Fault> {
        match self {
            Self::Status => status(app).await,
            Self::ReloadSkills => Ok(json!(app.skill_book.reload().await)),
            Self::Drain(drained) => {
                let command = system::Command::DrainQueue(drained);
                let done = app.execute::<System>(&Everywhere, &command, metadata).await;
                app.caught_up("jobs", done.map_err(Error::from)?.position).await;
                Ok(
                    json!({ "state": if drained { "drained" } else { "running" }, "drained": drained }),
                )
            }
            Self::Rebuild { names } => rebuild(app, id, names, metadata).await,
            Self::State { id } => state(app, id).await,
            Self::Tail { limit, user } => tail::show(app, limit, user.as_ref()).await,
        }
    }
}

fn names(params: &Params) -> Result<Vec<&'static str>, Fault> {
    let models: Vec<_> = read_models().iter().map(|model| model.name()).collect();
    let Some(wanted) = params.optional(&["name"])? else { return Ok(models) };
    let chosen: Vec<_> = models.iter().copied().filter(|name| *name == wanted).collect();
    if chosen.is_empty() {
        let message = format!("name has to be one of {}", models.join(", "));
        return Err(Fault::invalid(message));
    }
    Ok(chosen)
}

async fn status(app: &App) -> Result<Value, Fault> {
    let drained = app.load::<System>(&Everywhere).await?.state().drained;
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": app.metrics.uptime().as_secs(),
        "events": app.head().await?.0,
        "queues": queue::counters(app).await?,
        "queue_state": if drained { "drained" } else { "running" },
        "skills": app.skill_book.current().graph.skills().len(),
        "runs": app.reply.performing(),
        "providers": {
            "model": app.config.llm.is_some(),
            "ffmpeg": app.config.ffmpeg.is_some(),
            "ytdlp": app.config.ytdlp.is_some(),
            "platform_driver": app.config.platform_driver.is_some(),
        },
    }))
}

/// Begins in the background and waits a while for the end; what is not over by then tells where to look.
async fn rebuild(
    app: &App,
    id: OperationId,
    names: Vec<&'static str>,
    metadata: &Metadata,
) -> Result<Value, Fault> {
    let (node, metadata) = (app.clone(), metadata.clone());
    let work = tokio::spawn(async move {
        let outcome = rebuilt(&node, names).await;
        let end = operation::Command::End(outcome.clone());
        if let Err(error) = node.execute::<Operation>(&id, &end, &metadata).await {
            tracing::warn!(%error, operation = %id, "the end of an operation was not recorded");
        }
        outcome
    });
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(Ok(result))) => Ok(Value::Object(result)),
        Ok(Ok(Err(reason))) => Err(Error::Unavailable(reason).into()),
        Ok(Err(panicked)) => Err(Error::Unavailable(panicked.to_string()).into()),
        Err(_) => Ok(json!({ "job_id": id, "state": "running" })),
    }
}

async fn rebuilt(app: &App, names: Vec<&'static str>) -> Result<Map<String, Value>, String> {
    let begun = Instant::now();
    let one = |name: &'static str| {
        let app = app.clone();
        async move {
            let rebuilt = app.projections.rebuild(name, |_| {}).await;
            rebuilt.map(|rebuilt| (name, rebuilt.events)).map_err(|e| format!("{name}: {e}"))
        }
    };
    // Made before anything is awaited: a closure that lives across an await is too special for a task.
    let each: Vec<_> = names.into_iter().map(one).collect();
    let mut models: Vec<(&'static str, u64)> =
        stream::iter(each).buffer_unordered(AT_ONCE).try_collect().await?;
    models.sort_unstable();
    let events: u64 = models.iter().map(|(_, events)| events).sum();
    let models: Vec<Value> = models
        .into_iter()
        .map(|(name, events)| json!({ "name": name, "events": events }))
        .collect();
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Map::from_iter([
        ("state".to_owned(), json!("completed")),
        ("events_read".to_owned(), json!(events)),
        ("duration_ms".to_owned(), json!(milliseconds)),
        ("models".to_owned(), json!(models)),
    ]))
}

/// How a rebuild stands, from the log: any node knows.
async fn state(app: &App, id: OperationId) -> Result<Value, Fault> {
    let found = app.load::<Operation>(&id).await?.state().clone();
    match found {
        Operation::Ended { outcome: Ok(result), .. } => Ok(Value::Object(result)),
        Operation::Ended { outcome: Err(error), .. } => {
            Ok(json!({ "job_id": id, "state": "failed", "error": error }))
        }
        Operation::Called { operation, node } if operation == "projections.rebuild" => {
            let state = match nodes::lives(&app.db, node).await? {
                true => "running",
                false => "interrupted",
            };
            Ok(json!({ "job_id": id, "state": state }))
        }
        Operation::Called { .. } | Operation::Absent => Err(Error::NotFound.into()),
    }
}
