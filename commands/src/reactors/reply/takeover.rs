//! Goes on with runs whose performer is gone.

use super::{Reply, Unavailable, lines::Voice};
use crate::{
    execute::{Error, Failure, Loaded, unpack},
    log::Direction,
    pulse,
};
use domain::{
    Metadata, Revision,
    ids::{NodeId, RunId},
    message::{Line, Message, Transcript},
    run::{Active, Command, Event, Refusal, Run},
};
use std::sync::Arc;
use uuid::Uuid;

/// Events read at a time while the abandoned turn is looked for.
const PAGE: usize = 1_000;

impl Reply {
    /// Takes over every run whose performer is gone, and every run of this node that nobody performs: one whose request
    /// was written without our learning of it, or whose history could not be read. Safe to call on any number of nodes
    /// at once: the log lets one win.
    ///
    /// # Errors
    /// When the orphans cannot be listed; single runs that cannot be taken over now are logged and left for the next time.
    pub async fn take_over_orphans(self: &Arc<Self>) -> Result<(), Unavailable> {
        for (run, former) in self.surroundings.orphans().await? {
            if self.tasks.is_closed() {
                break;
            }
            if self.is_seated(run) {
                continue;
            }
            match self.take_over(run, former).await {
                Ok(true) => tracing::info!(%run, "run taken over"),
                Ok(false) => {}
                Err(failure) => tracing::warn!(%run, %failure, "run not taken over yet"),
            }
        }
        Ok(())
    }

    /// Whether the run is ours now. It stays alone if somebody else than `former` has it by now: a list of orphans may be
    /// older than another node's claim.
    async fn take_over(self: &Arc<Self>, id: RunId, former: NodeId) -> Result<bool, Failure> {
        let seat = self.reserve(id);
        let mut run = Loaded::<Run>::load(&*self.log, &id).await?;
        let metadata = self.of_request(&run).await?;
        loop {
            let Run::Active(active) = run.state() else { return Ok(false) };
            if active.node != former {
                return Ok(false);
            }
            let attempt = active.attempt;
            let closing = self.closing(&run, active).await?.map(Box::new);
            let (node, lines) = (self.node, active.lines);
            let command = Command::TakeOver { node, attempt, lines, closing };
            match run.execute(&*self.log, &command, &metadata).await {
                Ok(_) => {
                    pulse::RUNS_TAKEN_OVER.add(1);
                    self.perform(seat, metadata);
                    return Ok(true);
                }
                Err(Error::Refused(Refusal::Moved)) => match run.state() {
                    // Still the run we saw orphaned: only lines of its old performer came in late.
                    Run::Active(now) if (now.node, now.attempt) == (former, attempt) => {}
                    _ => return Ok(false),
                },
                Err(Error::Refused(_)) => return Ok(false),
                Err(Error::Failed(failure)) => return Err(failure),
            }
        }
    }

    /// Metadata of what this node does with the run: in the trace in which it was requested.
    async fn of_request(&self, run: &Loaded<Run>) -> Result<Metadata, Failure> {
        let first = self.log.read(run.stream(), Revision(0), Direction::Forward, 1).await?;
        // A trace is not worth a run that nobody goes on with.
        let traceparent = first.first().and_then(|first| first.metadata().ok()?.traceparent);
        Ok(Metadata { traceparent, ..Metadata::system(Uuid::now_v7()) })
    }

    /// What closes the turn in flight: the line that marks its message as superseded, and the message as it stays.
    async fn closing(
        &self,
        run: &Loaded<Run>,
        active: &Active,
    ) -> Result<Option<(Line, Message)>, Failure> {
        // An app's lines begin anew with a header; a chat's go on as far as the model says the same again.
        let settings = &active.request.settings;
        if settings.app.is_some() || settings.chat.is_some() {
            return Ok(None);
        }
        let (Some(speaking), Some(last)) = (&active.speaking, run.revision()) else {
            return Ok(None);
        };
        let mut batches: Vec<Vec<Line>> = Vec::new();
        let mut from = Some(last);
        'reading: while let Some(revision) = from {
            let page = self.log.read(run.stream(), revision, Direction::Backward, PAGE).await?;
            for recorded in &page {
                match unpack::<Run>(recorded)? {
                    Event::LinesRecorded { lines, .. } => batches.push(lines),
                    Event::TurnStarted { .. } => break 'reading,
                    _ => {}
                }
            }
            let lowest = page.last().map(|event| event.revision.0);
            from = lowest.and_then(|revision| revision.checked_sub(1)).map(Revision);
        }
        let mut transcript = Transcript::default();
        for line in batches.iter().rev().flatten() {
            transcript.push(line.get());
        }
        let partial = transcript.into_messages().into_iter().find(|m| m.message_id == *speaking);
        Ok(partial.and_then(|partial| Voice::of(&active.request).superseded(&partial)))
    }
}
