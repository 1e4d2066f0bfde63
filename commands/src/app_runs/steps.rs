//! One step at work: its templates rendered, its processor called, what it says handed on piece by piece.

use super::{
    Workshop,
    catalogue::Entry,
    template::{self, Context},
    work::{self, Report, fields, spare},
};
use crate::{
    apps::secrets::Hidden,
    effects::model::Endpoint,
    log::EventLog,
    reactors::reply::{Choice, Surroundings, Unavailable},
};
use domain::{
    app::Processor,
    ids::UserId,
    run::{ChosenProvider, Settings},
};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// The field of a step's input that says which entries of datasources it may see.
const FILTER: &str = "search_filters";
/// Runs within runs at most.
pub(super) const DEEPEST: u8 = 3;

/// What all steps of a run have in common.
#[derive(Clone)]
pub(super) struct Ports {
    pub log: Arc<dyn EventLog>,
    pub around: Arc<dyn Surroundings>,
    pub workshop: Option<Workshop>,
    /// Who runs the app.
    pub caller: UserId,
    /// Whose app it is.
    pub app_owner: UserId,
    /// Whose models answer.
    pub provider: Option<ChosenProvider>,
    /// What no step may say.
    pub hidden: Hidden,
    /// Runs that this one is within.
    pub depth: u8,
}

/// A piece of what the step at this place says.
pub(super) type Piece = (usize, Value);

/// A step that is to be taken.
pub(super) struct Job {
    pub entry: &'static Entry,
    pub step: Processor,
    pub place: usize,
    pub context: Context,
    /// What it remembers.
    pub memory: Option<Value>,
    /// What goes before the step's own input: the arguments of a call.
    pub arguments: Option<Map<String, Value>>,
    pub pieces: mpsc::Sender<Piece>,
}

/// A step as its processor sees it: everything is rendered.
pub(super) struct Task {
    pub input: Map<String, Value>,
    pub config: Map<String, Value>,
    pub memory: Option<Value>,
    pub ports: Ports,
    place: usize,
    pieces: mpsc::Sender<Piece>,
}

impl Task {
    /// Says a piece of the output. Waits while the log is slow.
    pub async fn say(&self, piece: Value) {
        // Whoever listened is gone: then so is the run, and this task with it.
        let piece = self.ports.hidden.out_of(piece);
        let _gone = self.pieces.send((self.place, piece)).await;
    }

    /// The model of this name, or the provider's own where none is named.
    pub async fn model(&self, name: Option<&str>) -> Result<Choice, Unavailable> {
        let model = name.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        self.ports.model(model).await
    }
}

impl Ports {
    pub async fn model(&self, model: Option<String>) -> Result<Choice, Unavailable> {
        let settings = Settings { provider: self.provider.clone(), model, ..Settings::default() };
        let choice = self.around.model(&settings).await?;
        // The offline provider is called by its own name, whatever was asked for.
        let Choice { model, endpoint } = choice;
        let endpoint = match endpoint.base_url.is_empty() {
            true => Endpoint { model: model.name().to_owned(), ..endpoint },
            false => endpoint,
        };
        Ok(Choice { model, endpoint })
    }
}

/// Takes a step, in a task of its own: what panics or never yields takes nothing with it.
pub(super) async fn take(job: Job, ports: Ports) -> Result<Report, String> {
    let (id, hidden) = (job.step.id.clone(), ports.hidden.clone());
    let task = tokio::spawn(async move {
        let Job { entry, step, place, context, memory, arguments, pieces } = job;
        // Rendering is work for a processor core, and may be long.
        let rendered = tokio::task::spawn_blocking(move || rendered(&step, entry, &context));
        let (mut input, config) =
            rendered.await.map_err(|_| "its templates cannot be rendered".to_owned())?;
        let mut arguments = arguments.unwrap_or_default();
        // The definition's filter may be what keeps two customers apart: no model talks its way around it.
        if fields::some(&input, FILTER).is_some() {
            arguments.remove(FILTER);
        }
        input.extend(arguments);
        work::perform(entry.work, Task { input, config, memory, ports, place, pieces }).await
    });
    match AbortOnDropHandle::new(task).await {
        Ok(done) => done.map_err(|reason| format!("{id}: {}", hidden.out_of_text(reason))),
        Err(error) => {
            tracing::error!(step = id, %error, "a step failed");
            Err(format!("{id}: the step failed unexpectedly"))
        }
    }
}

type Fields = Map<String, Value>;

fn rendered(step: &Processor, entry: &Entry, context: &Context) -> (Fields, Fields) {
    let render = |fields: &Fields, keep: bool| -> Fields {
        let render = |(key, value): (&String, &Value)| {
            let value = match keep && spare::may_speak(entry.work, key) {
                true => spare::hydrate(value, context),
                false => template::hydrate(value, context),
            };
            (key.clone(), value)
        };
        fields.iter().map(render).collect()
    };
    (render(&step.input, false), render(&step.config, true))
}
