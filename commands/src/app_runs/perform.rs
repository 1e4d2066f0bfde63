//! One performance of one run of an app: steps as soon as they can be taken, every piece a line, one end line.

use super::{
    Workshop,
    agent::AGENT,
    catalogue, lines,
    steps::{Job, Piece, Ports, take},
    template::{self, Context},
    work::{self, Report},
};
use crate::{
    apps::secrets::{self, Hidden},
    effects::vault::VaultError,
    execute::{self, Loaded},
    log::EventLog,
    reactors::reply::{
        Surroundings,
        lines::errors,
        perform::halted,
        recorder::{Entry, Halt, Recorder},
    },
};
use chrono::Utc;
use domain::{
    Metadata,
    app::{plan::INPUT, secrets::Holder, stitch::stitch},
    app_session::{self, AppSession},
    ids::{NodeId, RunId},
    message::Line,
    run::{Active, AppTurn, DoneStep, Event, Outcome, Run},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

/// After so many take-overs a run is given up: it may be what brings the nodes down.
const ATTEMPTS: u32 = 5;
/// Silence after which a run is given up.
const IDLE: Duration = Duration::from_secs(120);
/// Pieces that may wait to be written; then the steps wait.
const PIECES: usize = 256;
/// Pause before something is tried again while the log is away.
const PAUSE: Duration = Duration::from_millis(200);

/// What is said of work that may have been done and may not be done twice.
pub(super) const UNKNOWN: &str =
    "interrupted: the server stopped while this was going on; nobody knows whether it took effect";

/// See the module.
pub(crate) struct AppPerformance {
    pub log: Arc<dyn EventLog>,
    pub around: Arc<dyn Surroundings>,
    pub node: NodeId,
    pub id: RunId,
    /// The run as it will be when all that was handed to the recorder is written.
    pub active: Active,
    pub halt: Arc<watch::Sender<Option<Halt>>>,
    /// What nothing of this run may say.
    pub hidden: Hidden,
}

/// Why a run does not come to a good end.
pub(super) enum Stop {
    Halted(Halt),
    Failed(Vec<String>),
}

/// A step that was taken: its place, and what came of it.
type Taken = (usize, Result<Report, String>);

impl AppPerformance {
    /// Plays the run to its end, or until it is taken away.
    pub async fn play(mut self, run: Loaded<Run>, metadata: Metadata) {
        let Some(app) = self.active.request.settings.app.clone() else { return };
        if let Some(wish) = &self.active.interrupt {
            self.halt.send_replace(Some(Halt::Interrupted(wish.clone())));
        }
        let log = self.log.clone();
        let recorder = Recorder::start(log, run, self.node, metadata.clone(), self.halt.clone());
        let last = match self.act(&recorder, &app, &metadata).await {
            Ok(output) => lines::output(&output).map(|line| (Outcome::Completed, line, None)),
            Err(Stop::Failed(reasons)) => {
                let told: Vec<&str> = reasons.iter().map(String::as_str).collect();
                tracing::info!(run = %self.id, ?told, "a run of an app failed");
                errors(&told).map(|line| (Outcome::Failed, line, Some(reasons.join("; "))))
            }
            Err(Stop::Halted(Halt::Interrupted(wish))) => {
                let outcome = if wish.replaced { Outcome::Replaced } else { Outcome::Interrupted };
                errors(&[super::STOPPED]).map(|line| (outcome, line, None))
            }
            // Somebody else goes on.
            Err(Stop::Halted(Halt::Lost | Halt::Draining)) => None,
        };
        if let Some((outcome, line, error)) = last {
            recorder.write(vec![Entry::EndWith { outcome, line, error }]).await;
        }
        recorder.finish().await;
    }

    /// What the app says.
    async fn act(
        &mut self,
        recorder: &Recorder,
        app: &AppTurn,
        metadata: &Metadata,
    ) -> Result<Value, Stop> {
        if let Some(halt) = self.halt.borrow().clone() {
            return Err(Stop::Halted(halt));
        }
        if self.active.attempt > ATTEMPTS {
            return Err(Stop::failed("the run was taken over too many times"));
        }
        let session = Loaded::<AppSession>::load(&*self.log, &app.session).await;
        let session = session.map_err(|failure| Stop::failed(failure.to_string()))?;
        let memory = session.state().memory.clone();
        let open = self.opened(app).await?;
        // What is said of the input says nothing of its secrets.
        let mut shown = app.clone();
        shown.input.mask();
        recorder.write(vec![Entry::Lines(self.opening(&shown))]).await;
        match open.definition.is_agent() {
            true => self.act_as_agent(recorder, &open, &memory).await?,
            false => self.take_steps(recorder, &open, &memory).await?,
        }
        let output = self.output(&shown).await?;
        self.remember(app, metadata).await?;
        Ok(output)
    }

    /// Definition and input with their secrets in place, which are hidden from now on.
    async fn opened(&mut self, app: &AppTurn) -> Result<AppTurn, Stop> {
        let mut open = app.clone();
        let Some(Workshop { vault, .. }) = self.around.workshop() else { return Ok(open) };
        let (owner, caller) = (&app.app_owner, &self.active.request.owner);
        let known = async {
            let own = secrets::open(&vault, owner, app.app, &mut open.definition).await?;
            let given =
                secrets::open_input(&vault, (owner, caller), app.app, &mut open.input).await?;
            Ok::<Hidden, VaultError>(own.and(&given))
        };
        self.hidden = known.await.map_err(|error| {
            tracing::warn!(run = %self.id, %error, "the secrets of an app cannot be read");
            Stop::failed("the secrets of the app cannot be read")
        })?;
        match open.definition.refers() || open.input.refers() {
            true => Err(Stop::failed("a secret of the app was destroyed")),
            false => Ok(open),
        }
    }

    /// The header, the input if the template speaks of it, and what is known already of what the steps say.
    fn opening(&self, app: &AppTurn) -> Vec<Line> {
        let definition = &app.definition;
        let mut opening: Vec<Line> = lines::header(&self.active.request, app).into_iter().collect();
        if definition.is_agent() || definition.speaks_of_input() {
            opening.extend(lines::piece(INPUT, &app.input.clone().into()));
        }
        if definition.is_agent() {
            opening.extend(self.known_answer());
            return opening;
        }
        for (name, place) in definition.spoken_of() {
            let done = self.active.steps.get(&definition.processors[place].id);
            opening.extend(done.and_then(|done| lines::piece(&name, &done.output)));
        }
        opening
    }

    /// Takes all steps that are not done, each when what it waits for is.
    async fn take_steps(
        &mut self,
        recorder: &Recorder,
        app: &AppTurn,
        memory: &BTreeMap<String, Value>,
    ) -> Result<(), Stop> {
        let definition = &app.definition;
        let waits = definition.dependencies();
        let mut names: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (name, place) in definition.spoken_of() {
            names.entry(place).or_default().push(name);
        }
        let id = |place: usize| &definition.processors[place].id;
        let mut begun: BTreeSet<usize> =
            (0..waits.len()).filter(|place| self.active.steps.contains_key(id(*place))).collect();
        let mut done = begun.clone();
        let mut outputs: BTreeMap<usize, Value> = BTreeMap::new();
        let (sender, mut pieces) = mpsc::channel::<Piece>(PIECES);
        let mut running: FuturesUnordered<BoxFuture<'static, Taken>> = FuturesUnordered::new();
        let mut news = self.halt.subscribe();
        let mut idle = Instant::now() + IDLE;
        loop {
            for (place, waits) in waits.iter().enumerate() {
                if !waits.is_subset(&done) || !begun.insert(place) {
                    continue;
                }
                let step = definition.processors[place].clone();
                let entry = catalogue::find(&step.provider_slug, &step.processor_slug).ok_or_else(
                    || Stop::failed(format!("Unsupported processor {}", step.slug())),
                )?;
                if self.active.begun.contains(&step.id) && !work::is_repeatable(entry.work) {
                    return Err(Stop::failed(format!("{}: {UNKNOWN}", step.id)));
                }
                recorder.write(vec![Entry::StartStep { step: step.id.clone() }]).await;
                let memory = memory.get(&step.id).cloned();
                let (context, pieces) = (self.context(app), sender.clone());
                let job = Job { entry, step, place, context, memory, arguments: None, pieces };
                let ports = self.ports(app);
                running.push(async move { (place, take(job, ports).await) }.boxed());
            }
            if running.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                halt = halted(&mut news) => return Err(Stop::Halted(halt)),
                Some(piece) = pieces.recv() => {
                    say(recorder, &names, &mut outputs, piece).await;
                }
                Some((place, taken)) = running.next() => {
                    // What it said is in the channel by now.
                    while let Ok(piece) = pieces.try_recv() {
                        say(recorder, &names, &mut outputs, piece).await;
                    }
                    let report = taken.map_err(|reason| Stop::Failed(vec![reason]))?;
                    if !outputs.contains_key(&place) {
                        let nothing = Map::new().into();
                        say(recorder, &names, &mut outputs, (place, nothing)).await;
                    }
                    let output = outputs.remove(&place).unwrap_or_default();
                    self.finish(recorder, id(place), output, report).await;
                    done.insert(place);
                }
                () = sleep_until(idle) => {
                    return Err(Stop::failed("Timed out waiting for response"));
                }
            }
            idle = Instant::now() + IDLE;
        }
    }

    async fn finish(&mut self, recorder: &Recorder, id: &str, output: Value, report: Report) {
        let Report { memory, usage } = report;
        let memory = memory.map(|memory| self.hidden.out_of(memory));
        let (step, done) = (id.to_owned(), Box::new(DoneStep { output, memory }));
        let event =
            Event::AppStepFinished { step: step.clone(), done: done.clone(), usage: usage.clone() };
        recorder.write(vec![Entry::FinishStep { step, done, usage }]).await;
        self.active.apply(&event);
    }

    /// What templates may speak of by now.
    pub(super) fn context(&self, app: &AppTurn) -> Context {
        let mut context = Context::default();
        context.set(INPUT, &app.input.clone().into());
        if let Some(done) = self.active.steps.get(AGENT) {
            context.set(AGENT, &done.output);
        }
        for (name, place) in app.definition.step_names() {
            if let Some(done) = self.active.steps.get(&app.definition.processors[place].id) {
                context.set(&name, &done.output);
            }
        }
        context
    }

    pub(super) fn ports(&self, app: &AppTurn) -> Ports {
        Ports {
            log: self.log.clone(),
            around: self.around.clone(),
            workshop: self.around.workshop(),
            caller: self.active.request.owner.clone(),
            app_owner: app.app_owner.clone(),
            provider: self.active.request.settings.provider.clone(),
            hidden: self.hidden.clone(),
            depth: 0,
        }
    }

    /// The rendered template, or what all steps said where there is none.
    async fn output(&self, app: &AppTurn) -> Result<Value, Stop> {
        let definition = &app.definition;
        if definition.template().is_empty() {
            let said = |(id, done): (&String, &DoneStep)| (id.clone(), done.output.clone());
            return Ok(Value::Object(self.active.steps.iter().map(said).collect()));
        }
        let (template, context) = (definition.template().to_owned(), self.context(app));
        let rendered = tokio::task::spawn_blocking(move || template::render(&template, &context));
        let text = rendered.await;
        text.map(Value::String).map_err(|_| Stop::failed("the output cannot be rendered"))
    }

    /// Lets the session remember, before the run ends: the next run of the session begins after that.
    async fn remember(&self, app: &AppTurn, metadata: &Metadata) -> Result<(), Stop> {
        let memory = self.active.steps.iter();
        let memory = memory.filter_map(|(id, done)| Some((id.clone(), done.memory.clone()?)));
        let memory: BTreeMap<String, Value> = memory.collect();
        let mut news = self.halt.subscribe();
        loop {
            let (at, memory) = (Utc::now(), memory.clone());
            let command = app_session::Command::Keep { run: self.id, at, memory };
            let kept = execute::execute::<AppSession>(&*self.log, &app.session, &command, metadata);
            match kept.await {
                // Refused when an earlier attempt got as far as this.
                Ok(_) | Err(execute::Error::Refused(_)) => return Ok(()),
                Err(execute::Error::Failed(failure)) => {
                    tracing::warn!(run = %self.id, %failure, "a session remembers nothing yet");
                }
            }
            tokio::select! {
                halt = halted(&mut news) => return Err(Stop::Halted(halt)),
                () = sleep(PAUSE) => {}
            }
        }
    }
}

impl Stop {
    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(vec![reason.into()])
    }
}

/// Takes a piece into what its step said, and writes it under every name by which the template speaks of the step.
async fn say(
    recorder: &Recorder,
    names: &BTreeMap<usize, Vec<String>>,
    outputs: &mut BTreeMap<usize, Value>,
    (place, piece): Piece,
) {
    let names = names.get(&place).into_iter().flatten();
    let lines: Vec<Line> = names.filter_map(|name| lines::piece(name, &piece)).collect();
    stitch(outputs.entry(place).or_default(), piece);
    if !lines.is_empty() {
        recorder.write(vec![Entry::Lines(lines)]).await;
    }
}
