//! What the steps of flows do, with the rights and the allowance of whoever asked.
//!
//! Taking a step twice is as good as taking it once: what it makes has an id that follows from run and step, what it costs
//! is reserved under a name that does, and all else only reads.

use super::{
    desk::{Desk, Kept},
    perform::ChatPerformance,
};
use crate::{
    effects::model::{Request, complete::complete},
    execute::{self, Loaded},
    jobs,
    usage::Work,
};
use chrono::{TimeDelta, Utc};
use domain::{
    Metadata,
    flow::Kind,
    ids::{ItemId, JobId, UserId},
    item::{Command, Item, Refusal},
    job::{self, Operation},
    quota::Action,
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use uuid::Uuid;

/// How long what a step costs is held for it: longer than it may take.
const HOLD: TimeDelta = TimeDelta::minutes(3);
/// How long a model may take.
const ANSWER: Duration = Duration::from_secs(110);
/// Things found, unless a step says otherwise; and at most.
const FOUND: (u64, u64) = (8, 50);
/// Things in one collection of a person at most.
pub const MOST_ITEMS: u32 = 1_000;
/// Place of an action's jobs in their queue.
const PRIORITY: i32 = 10;
/// Bytes of a job's parameters at most.
const PARAMETERS: usize = 64 << 10;
/// Bytes of any other text of a job.
const TEXT: usize = 2_048;

/// A step that is to be taken.
pub(super) struct Task {
    pub kind: Kind,
    /// Nothing in it speaks of results any more.
    pub config: Map<String, Value>,
    /// Its name within the run.
    pub key: String,
}

/// The id of the call at this place of an answer.
pub(super) fn id(place: usize) -> String {
    format!("action_{place}")
}

/// The place of the call with this id.
pub(super) fn place(id: &str) -> usize {
    id.strip_prefix("action_").and_then(|place| place.parse().ok()).unwrap_or(usize::MAX)
}

impl Task {
    fn text(&self, name: &str) -> &str {
        self.config.get(name).and_then(Value::as_str).map(str::trim).unwrap_or_default()
    }

    fn named(&self, name: &str) -> Result<&str, String> {
        match self.text(name) {
            "" => Err(format!("{name} is missing")),
            text => Ok(text),
        }
    }

    fn object(&self, name: &str) -> Map<String, Value> {
        let object = self.config.get(name).and_then(Value::as_object);
        object.cloned().unwrap_or_default()
    }

    fn limit(&self) -> u32 {
        let limit = self.config.get("limit").and_then(Value::as_u64).unwrap_or(FOUND.0);
        u32::try_from(limit.clamp(1, FOUND.1)).unwrap_or(1)
    }

    fn item(&self) -> Result<ItemId, String> {
        self.named("id")?.parse().map_err(|_| "id has to be a UUID".to_owned())
    }
}

impl ChatPerformance {
    /// Takes a step. What it costs counts if it comes to something.
    pub(super) async fn perform_step(&self, desk: &Desk, task: Task) -> Result<Value, String> {
        let Some(action) = task.config.get("charge").and_then(Value::as_str) else {
            return self.work(desk, &task).await;
        };
        let action = Action::named(action).ok_or("it costs something that nobody knows")?;
        let (usage, metadata) = (desk.jobs.usage(), self.in_their_name());
        let (user, reservation) = (self.owner(), format!("{}/{}", self.id, task.key));
        let work = Work { user, reservation: &reservation, action, now: Utc::now(), hold: HOLD };
        usage.reserve(work, &metadata).await.map_err(|error| denied(action, &error))?;
        let done = self.work(desk, &task).await;
        let settled = match done {
            Ok(_) => usage.confirm(user, &reservation, &metadata).await,
            Err(_) => usage.release(user, &reservation, &metadata).await,
        };
        settled.map_err(|failure| failed(&failure))?;
        done
    }

    async fn work(&self, desk: &Desk, task: &Task) -> Result<Value, String> {
        match task.kind {
            Kind::DirectusRead => self.read(desk, task).await,
            Kind::DirectusWrite => self.write(desk, task).await,
            Kind::DirectusUpdate => {
                let (owner, collection) =
                    (self.owner().clone(), task.named("collection")?.to_owned());
                let fields = task.object("fields");
                let command = Command::Change { owner, collection, fields };
                self.change(desk, task.item()?, command).await
            }
            Kind::DirectusDelete => {
                let (owner, collection) =
                    (self.owner().clone(), task.named("collection")?.to_owned());
                self.change(desk, task.item()?, Command::Delete { owner, collection }).await
            }
            Kind::DirectusSearch => {
                let (collection, query) = (task.named("collection")?, task.named("query")?);
                let limit = task.limit() as usize;
                let found = desk.search(self.owner(), collection, query, limit).await;
                let found = found.map_err(|error| error.to_string())?;
                Ok(json!({ "items": found.iter().map(Kept::shown).collect::<Vec<_>>() }))
            }
            Kind::BullmqEnqueue => self.enqueue(desk, task).await,
            Kind::ModelCall => self.ask(task).await,
            Kind::MemoryRecall => {
                let question = self.question();
                let query: &str =
                    if task.text("query").is_empty() { &question } else { task.text("query") };
                let found = desk.recall(self.owner(), query, task.limit() as usize).await;
                let found = found.map_err(|error| error.to_string())?;
                Ok(json!({ "nodes": found.iter().map(Kept::shown).collect::<Vec<_>>() }))
            }
            Kind::TaxonomyTag => {
                let (tags, cached) = desk.taxonomy.classify(task.named("text")?);
                Ok(json!({ "tags": tags, "cached": cached }))
            }
            Kind::SkillsActivate => {
                let graph = desk.shelf.skills();
                let found = graph.activate(task.named("task")?, task.limit() as usize);
                let shown = found.skills.iter().map(|found| {
                    let skill = &graph.skills()[found.skill];
                    json!({
                        "name": skill.name, "description": skill.description, "score": found.score,
                    })
                });
                Ok(json!({ "skills": shown.collect::<Vec<_>>() }))
            }
            Kind::DirectusTrigger
            | Kind::StagehandStart
            | Kind::StagehandNavigate
            | Kind::StagehandAct
            | Kind::StagehandExtract
            | Kind::StagehandClose => {
                Err("driver_not_configured: nothing on this server does this".to_owned())
            }
        }
    }

    async fn read(&self, desk: &Desk, task: &Task) -> Result<Value, String> {
        let collection = task.named("collection")?;
        if task.text("id").is_empty() {
            let newest = desk.shelf.newest(self.owner(), collection, task.limit()).await;
            let newest = newest.map_err(|error| error.to_string())?;
            let shown: Vec<Value> = newest.iter().map(Kept::shown).collect();
            return Ok(json!({ "items": shown }));
        }
        let id = task.item()?;
        let loaded = Loaded::<Item>::load(&*desk.log, &id).await;
        let loaded = loaded.map_err(|failure| failed(&failure))?;
        let fields = loaded.state().of(self.owner(), collection);
        let fields = fields.ok_or_else(|| Refusal::Unknown.to_string())?.clone();
        Ok(Kept { id, fields }.shown())
    }

    async fn write(&self, desk: &Desk, task: &Task) -> Result<Value, String> {
        let (owner, collection) = (self.owner(), task.named("collection")?);
        let there = desk.shelf.newest(owner, collection, MOST_ITEMS).await;
        let there = there.map_err(|error| error.to_string())?;
        if there.len() >= MOST_ITEMS as usize {
            return Err(format!("the collection {collection} is full"));
        }
        let mut fields = task.object("fields");
        fields.retain(|_, value| !value.is_null());
        let (owner, collection) = (owner.clone(), collection.to_owned());
        let id = ItemId(self.derived(task));
        self.change(desk, id, Command::Write { owner, collection, fields }).await
    }

    async fn change(&self, desk: &Desk, id: ItemId, command: Command) -> Result<Value, String> {
        let metadata = self.in_their_name();
        match execute::execute::<Item>(&*desk.log, &id, &command, &metadata).await {
            Ok(decided) => Ok(match decided.state {
                Item::Present { fields, .. } => Kept { id, fields }.shown(),
                Item::Absent | Item::Deleted { .. } => json!({ "id": id }),
            }),
            Err(execute::Error::Refused(refusal)) => Err(refusal.to_string()),
            Err(execute::Error::Failed(failure)) => Err(failed(&failure)),
        }
    }

    async fn enqueue(&self, desk: &Desk, task: &Task) -> Result<Value, String> {
        let name = task.named("operation")?;
        let operation =
            Operation::named(name).ok_or_else(|| format!("{name:.60} is no operation"))?;
        let queue = operation.queue().as_str();
        if !["", queue].contains(&task.text("queue")) {
            return Err(format!("{name:.60} does not wait in {:.60}", task.text("queue")));
        }
        let some = |name: &str| Some(task.text(name).to_owned()).filter(|text| !text.is_empty());
        let params = task.object("params");
        let long = |name: &&str| task.text(name).len() > TEXT;
        if ["input_file", "input_url", "profile"].iter().any(long)
            || Value::Object(params.clone()).to_string().len() > PARAMETERS
        {
            return Err("the job's parameters are too large".to_owned());
        }
        let (id, owner) = (JobId(self.derived(task)), self.owner().clone());
        let request = job::Request {
            owner,
            operation,
            input_file: some("input_file"),
            input_url: some("input_url"),
            params,
            profile: some("profile"),
            priority: PRIORITY,
        };
        match desk.jobs.enqueue(id, request, Utc::now(), &self.in_their_name()).await {
            Ok(_) => Ok(json!({ "jobId": id, "queue": queue, "status": "queued" })),
            Err(jobs::Error::Denied(action, error)) => Err(denied(action, &error)),
            Err(jobs::Error::Refused(refusal)) => Err(refusal.to_string()),
            Err(jobs::Error::Failed(failure)) => Err(failed(&failure)),
        }
    }

    async fn ask(&self, task: &Task) -> Result<Value, String> {
        let prompt = task.named("prompt")?;
        let settings = &self.active.request.settings;
        let choice = self.around.model(settings).await.map_err(|error| error.to_string())?;
        if !choice.model.follows_instructions() {
            let text = task.named("fallback").map_err(|_| "no model is configured")?;
            return Ok(json!({ "text": text, "model": "template" }));
        }
        let model = choice.endpoint.model.clone();
        let request = Request {
            endpoint: choice.endpoint,
            messages: vec![json!({"role": "user", "content": prompt})],
            parameters: settings.parameters.clone(),
            ..Request::default()
        };
        let answer = complete(&*choice.model, request, ANSWER).await;
        let text = answer.map_err(|error| error.to_string())?;
        match text.trim() {
            "" => Err("the model said nothing".to_owned()),
            text => Ok(json!({ "text": text, "model": model })),
        }
    }

    fn owner(&self) -> &UserId {
        &self.active.request.owner
    }

    /// Whoever writes it, it is the person's doing.
    fn in_their_name(&self) -> Metadata {
        let (metadata, owner) = (self.metadata.clone(), self.owner());
        match metadata.actor == *owner || metadata.on_behalf_of.is_some() {
            true => metadata,
            false => Metadata { on_behalf_of: Some(owner.clone()), ..metadata },
        }
    }

    /// The id of what a step makes.
    fn derived(&self, task: &Task) -> Uuid {
        Uuid::new_v5(&self.id.0, task.key.as_bytes())
    }
}

fn denied(action: Action, error: &crate::usage::Error) -> String {
    match error {
        crate::usage::Error::Refused { refusal, .. } => {
            format!("tier_limit_reached: {}: {refusal}", action.as_str())
        }
        crate::usage::Error::Failed(failure) => failed(failure),
    }
}

/// The person reads the reason, so it says nothing of the machine.
fn failed(failure: &dyn std::fmt::Display) -> String {
    tracing::warn!(%failure, "a step of an action failed");
    "a part of the server does not answer".to_owned()
}
