//! The pen of a run: takes what the performer does and writes it, everything that has gathered in one event batch.
//!
//! While one batch is being committed the next one gathers, so a lone delta is written at once and a busy run writes
//! fewer, larger events. Nobody is told of a line before it is durable: readers follow the log.

use super::lines;
use crate::{
    execute::{Error, Failure, Loaded},
    genie_chat,
    log::{AppendError, EventLog},
    pulse,
};
use domain::{
    Metadata, Revision,
    ids::{NodeId, RunId},
    message::{Line, Message},
    run::{Command, DoneStep, Interrupt, Outcome, Refusal, Relayed, Run, Step, TurnUsage},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::sleep,
};
use tracing::{Instrument, Span};

/// Entries that may wait while the log is slow; then the performer waits, and the provider with it.
const WAITING: usize = 1_024;
/// Bytes of lines after which an event batch is closed.
const BATCH: usize = 64 * 1_024;
/// Pause between attempts while the log is unavailable.
const PAUSE: Duration = Duration::from_millis(200);

/// Something a performer did, before lines have their index.
#[derive(Debug)]
pub(crate) enum Entry {
    BeginTurn {
        turn: u32,
        message_id: String,
    },
    Lines(Vec<Line>),
    CompleteTurn {
        turn: u32,
        message: Option<Box<Message>>,
        usage: TurnUsage,
    },
    AbandonTurn {
        turn: u32,
        message: Option<Box<Message>>,
        reason: String,
    },
    StartTool {
        call: String,
        name: String,
    },
    FinishTool {
        message: Box<Message>,
        told: Option<String>,
    },
    Post(Box<Message>),
    Relay(Relayed),
    StartStep {
        step: String,
    },
    FinishStep {
        step: String,
        done: Box<DoneStep>,
        usage: Vec<TurnUsage>,
    },
    /// The end of an agent's run.
    End {
        outcome: Outcome,
        error: Option<String>,
    },
    /// The end of an app's run, which has a line of its own.
    EndWith {
        outcome: Outcome,
        line: Line,
        error: Option<String>,
    },
}

/// Why a performer has to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// Somebody asked for it; the run is still ours and has to be ended.
    Interrupted(Interrupt),
    /// The run is not ours any more, or over.
    Lost,
    /// The node is going down; another one will go on.
    Draining,
}

/// Entries that are written together, and who waits until they are.
struct Bundle {
    entries: Vec<Entry>,
    written: Option<oneshot::Sender<()>>,
}

/// Hand side of the pen.
pub(crate) struct Recorder {
    entries: mpsc::Sender<Bundle>,
    writer: JoinHandle<()>,
}

impl Recorder {
    /// Starts writing. `halt` is told when the log says that the run is interrupted or lost.
    pub fn start(
        log: Arc<dyn EventLog>,
        run: Loaded<Run>,
        node: NodeId,
        metadata: Metadata,
        halt: Arc<watch::Sender<Option<Halt>>>,
    ) -> Self {
        let (entries, waiting) = mpsc::channel(WAITING);
        let pen = Pen { log, run, node, metadata, halt };
        Self { entries, writer: tokio::spawn(pen.write(waiting).in_current_span()) }
    }

    /// Hands over entries that are written together or not at all. Waits while too many are waiting. What is handed over
    /// after the run was lost is dropped: its new performer speaks.
    pub async fn write(&self, entries: Vec<Entry>) {
        // A closed channel means that the run was lost, which the performer learns from `halt`.
        let _lost = self.entries.send(Bundle { entries, written: None }).await;
    }

    /// As [`Recorder::write`], and waits until the entries are written. False when they never will be.
    pub async fn written(&self, entries: Vec<Entry>) -> bool {
        let (written, heard) = oneshot::channel();
        let bundle = Bundle { entries, written: Some(written) };
        self.entries.send(bundle).await.is_ok() && heard.await.is_ok()
    }

    /// Returns when everything handed over is written, or the run was lost.
    pub async fn finish(self) {
        drop(self.entries);
        if let Err(error) = self.writer.await {
            tracing::error!(%error, "the recorder of a run failed");
        }
    }
}

struct Pen {
    log: Arc<dyn EventLog>,
    run: Loaded<Run>,
    node: NodeId,
    metadata: Metadata,
    halt: Arc<watch::Sender<Option<Halt>>>,
}

impl Pen {
    async fn write(mut self, mut waiting: mpsc::Receiver<Bundle>) {
        let Run::Active(active) = self.run.state() else { return };
        let mut count = Count {
            lines: active.lines,
            sub_runs: active.sub_runs.clone(),
            session: active.request.session_id.clone(),
        };
        let mut held = None;
        loop {
            let first = match held.take() {
                Some(bundle) => bundle,
                None => match waiting.recv().await {
                    Some(bundle) => bundle,
                    None => return,
                },
            };
            let mut weight = weigh(&first.entries);
            let (mut steps, mut heard) = (Vec::new(), Vec::new());
            heard.extend(first.written);
            count.number(first.entries, &mut steps);
            while let Ok(more) = waiting.try_recv() {
                let heavier = weight + weigh(&more.entries);
                if heavier > BATCH {
                    held = Some(more);
                    break;
                }
                weight = heavier;
                heard.extend(more.written);
                count.number(more.entries, &mut steps);
            }
            if !self.record(steps).await {
                return;
            }
            for written in heard {
                // Whoever waited may have been halted meanwhile.
                let _gone = written.send(());
            }
        }
    }

    /// False when the run is lost or over.
    async fn record(&mut self, steps: Vec<Step>) -> bool {
        let mut ends = outcome(&steps);
        let mut command = Command::Advance { node: self.node, steps };
        loop {
            match self.run.execute(&*self.log, &command, &self.metadata).await {
                Ok(_) => {
                    self.look_for_interrupt();
                    if let Some(outcome) = ends {
                        ended(outcome);
                    }
                    return ends.is_none();
                }
                Err(Error::Refused(Refusal::Over)) if ends.is_some() => return false,
                Err(Error::Refused(refusal)) => {
                    tracing::info!(stream = %self.run.stream(), %refusal, "run lost");
                    self.halt.send_replace(Some(Halt::Lost));
                    return false;
                }
                Err(Error::Failed(failure)) if !passing(&failure) => {
                    tracing::error!(stream = %self.run.stream(), %failure, "run cannot go on");
                    let Some(end) = self.give_up(&failure) else { return false };
                    if ends.is_some() {
                        return false;
                    }
                    ends = Some(Outcome::Failed);
                    command = Command::Advance { node: self.node, steps: vec![end] };
                    self.halt.send_replace(Some(Halt::Lost));
                }
                // Steps carry their index, so what was written without our learning of it is not written twice.
                Err(Error::Failed(failure)) => {
                    tracing::warn!(stream = %self.run.stream(), %failure, "line not written yet");
                    sleep(PAUSE).await;
                    if let Err(failure) = self.run.refresh(&*self.log).await {
                        tracing::debug!(%failure, "log still away");
                    }
                }
            }
        }
    }

    /// The end of a run whose lines the log will never take.
    fn give_up(&self, failure: &Failure) -> Option<Step> {
        let Run::Active(active) = self.run.state() else { return None };
        let (index, error) = (active.lines, Some(failure.to_string()));
        let settings = &active.request.settings;
        let line = if settings.app.is_some() {
            lines::errors(&["the server cannot go on with this run"])?
        } else if settings.chat.is_some() {
            genie_chat::broken(self.run.stream().key().parse().ok()?)?
        } else {
            lines::stream_end(&active.request.session_id, index)?
        };
        Some(Step::End { outcome: Outcome::Failed, index, line, error })
    }

    /// A conflict may have brought an interrupt into the state before the watcher heard of it.
    fn look_for_interrupt(&self) {
        if let Run::Active(active) = self.run.state()
            && let Some(interrupt) = &active.interrupt
        {
            self.halt.send_if_modified(|halt| match halt {
                Some(_) => false,
                None => {
                    *halt = Some(Halt::Interrupted(interrupt.clone()));
                    true
                }
            });
        }
    }
}

/// How the run ends with these steps, if it does.
fn outcome(steps: &[Step]) -> Option<Outcome> {
    match steps.last() {
        Some(Step::End { outcome, .. }) => Some(*outcome),
        _ => None,
    }
}

fn ended(outcome: Outcome) {
    let name = match outcome {
        Outcome::Completed => "completed",
        Outcome::Failed => "failed",
        Outcome::Interrupted => "interrupted",
        Outcome::Replaced => "replaced",
    };
    pulse::RUNS_ENDED.add(name);
    let span = Span::current();
    span.record("annals.run.outcome", name);
    if outcome == Outcome::Failed {
        span.record("otel.status_code", "ERROR");
    }
}

/// Whether trying again can help.
pub(super) fn passing(failure: &Failure) -> bool {
    match failure {
        Failure::Contended(_) | Failure::Read(_) | Failure::Append(AppendError::Unavailable(_)) => {
            true
        }
        Failure::Append(_) | Failure::Undecodable { .. } | Failure::Unencodable(_) => false,
    }
}

fn weigh(entries: &[Entry]) -> usize {
    let weight = |entry: &Entry| match entry {
        Entry::Lines(lines) | Entry::Relay(Relayed { lines, .. }) => {
            lines.iter().map(|line| line.get().len()).sum()
        }
        Entry::FinishTool { told, .. } => told.as_ref().map_or(0, String::len),
        Entry::FinishStep { done, .. } => done.output.to_string().len(),
        _ => 0,
    };
    entries.iter().map(weight).sum()
}

/// What was handed over so far, written or about to be.
struct Count {
    lines: u64,
    sub_runs: BTreeMap<RunId, Revision>,
    session: String,
}

impl Count {
    /// Gives lines their index; neighbours become one step. What was relayed before vanishes.
    fn number(&mut self, entries: Vec<Entry>, steps: &mut Vec<Step>) {
        for entry in entries {
            let first = self.lines;
            let step = match entry {
                Entry::Lines(new) => {
                    self.lines += new.len() as u64;
                    if let Some(Step::Lines { lines, .. }) = steps.last_mut() {
                        lines.extend(new);
                        continue;
                    }
                    Step::Lines { first, lines: new }
                }
                Entry::BeginTurn { turn, message_id } => Step::BeginTurn { turn, message_id },
                Entry::CompleteTurn { turn, message, usage } => {
                    Step::CompleteTurn { turn, message, usage }
                }
                Entry::AbandonTurn { turn, message, reason } => {
                    Step::AbandonTurn { turn, message, reason }
                }
                Entry::StartTool { call, name } => Step::StartTool { call, name },
                Entry::FinishTool { message, told } => Step::FinishTool { message, told },
                Entry::Post(message) => Step::Post(message),
                Entry::Relay(relayed) => {
                    let known = self.sub_runs.get(&relayed.run);
                    if known.is_some_and(|known| *known >= relayed.revision) {
                        continue;
                    }
                    self.sub_runs.insert(relayed.run, relayed.revision);
                    self.lines += relayed.lines.len() as u64;
                    Step::Relay { first, relayed }
                }
                Entry::StartStep { step } => Step::StartStep { step },
                Entry::FinishStep { step, done, usage } => Step::FinishStep { step, done, usage },
                Entry::EndWith { outcome, line, error } => {
                    Step::End { outcome, index: first, line, error }
                }
                Entry::End { outcome, error } => {
                    let Some(line) = lines::stream_end(&self.session, first) else { continue };
                    Step::End { outcome, index: first, line, error }
                }
            };
            steps.push(step);
        }
    }
}
