//! Conversations that never took place, as the log would hold them.

use anyhow::Result;
use commands::log::{Append, EventLog};
use domain::{
    Decider, Expected, Metadata, NewEvent, Revision, StreamId, codec,
    conversation::{self, Conversation},
    ids::{ConversationId, NodeId, RunId, UserId},
    message::{Line, Message},
    run::{self, Outcome, Request, Run, Settings, Surface, TurnUsage},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

/// Events of one append, so that none grows too large.
const BATCH: usize = 1_000;

/// Appends these events to a stream that is not there yet.
pub(super) async fn append<D>(
    log: &dyn EventLog,
    id: &D::Id,
    events: impl Iterator<Item = D::Event> + Send,
) -> Result<u64>
where
    D: Decider,
    D::Event: Serialize + Send,
{
    let stream = StreamId::of::<D>(id);
    let metadata = to_raw_value(&Metadata::system(Uuid::now_v7()))?;
    let (mut written, mut events) = (0, events.peekable());
    while events.peek().is_some() {
        let batch = events.by_ref().take(BATCH).map(|event| pack(&event, &metadata));
        let batch = batch.collect::<Result<Vec<_>>>()?;
        let count = batch.len() as u64;
        let expected = match written {
            0 => Expected::NoStream,
            _ => Expected::Exact(Revision(written - 1)),
        };
        log.append(Append { stream: stream.clone(), expected, events: batch }).await?;
        written += count;
    }
    Ok(written)
}

fn pack(event: &impl Serialize, metadata: &RawValue) -> Result<NewEvent> {
    let (kind, data) = codec::encode(event)?;
    Ok(NewEvent { id: Uuid::now_v7(), kind, data, metadata: metadata.to_owned() })
}

/// A conversation with one run that is over.
#[derive(Debug, Clone)]
pub(super) struct Finished {
    /// Whose.
    pub owner: UserId,
    /// The session id.
    pub session: String,
    /// The run.
    pub run: RunId,
    /// Lines of the run, the end line included.
    pub lines: u64,
    /// Lines that share an event.
    pub per_event: u64,
}

impl Finished {
    /// Writes it; how many events that took.
    pub async fn write(&self, log: &dyn EventLog) -> Result<u64> {
        let conversation = self.conversation();
        let opened = append::<Conversation>(log, &conversation, self.opening().into_iter()).await?;
        Ok(opened + append::<Run>(log, &self.run, self.run_events()?).await?)
    }

    fn conversation(&self) -> ConversationId {
        ConversationId::of(&self.owner, &self.session)
    }

    fn opening(&self) -> [conversation::Event; 2] {
        [
            conversation::Event::ConversationStarted {
                owner: self.owner.clone(),
                session_id: self.session.clone(),
                title: "A question".to_owned(),
                agent_id: None,
                agent_name: "SimpleAgent".to_owned(),
            },
            conversation::Event::RunOpened { run: self.run, replaces: None },
        ]
    }

    fn run_events(&self) -> Result<impl Iterator<Item = run::Event> + Send + use<'_>> {
        let deltas = self.lines.saturating_sub(1);
        let message_id = Uuid::new_v4().to_string();
        let said = self.message("assistant", "do_subtask_result", &message_id, "words ".repeat(40));
        let line = Line(RawValue::from_string(format!(
            r#"{{"role":"assistant","content":"words ","message_id":"{message_id}","type":"do_subtask_result","timestamp":1700000000.123456,"agent_name":"SimpleAgent","metadata":{{}},"session_id":"{}"}}"#,
            self.session
        ))?);
        let end = Line(RawValue::from_string(format!(
            r#"{{"type":"stream_end","session_id":"{}","timestamp":1700000001.5,"total_stream_count":{deltas}}}"#,
            self.session
        ))?);
        let usage = TurnUsage { model: "m".to_owned(), ..TurnUsage::default() };
        let first = [
            run::Event::RunRequested(Box::new(self.request())),
            run::Event::TurnStarted { turn: 0, attempt: 1, message_id },
        ];
        let last = [
            run::Event::TurnCompleted { turn: 0, message: Some(Box::new(said)), usage },
            run::Event::RunEnded {
                outcome: Outcome::Completed,
                index: deltas,
                line: end,
                error: None,
            },
        ];
        let step = self.per_event.max(1);
        let said = (0..deltas.div_ceil(step)).map(move |event| {
            let (first, rest) = (event * step, deltas - event * step);
            let lines =
                std::iter::repeat_n(line.clone(), usize::try_from(rest.min(step)).unwrap_or(1));
            run::Event::LinesRecorded { first, lines: lines.collect() }
        });
        Ok(first.into_iter().chain(said).chain(last))
    }

    fn request(&self) -> Request {
        let question = "What about it, then?".to_owned();
        let asked = self.message("user", "user_input", &Uuid::new_v4().to_string(), question);
        Request {
            owner: self.owner.clone(),
            conversation: self.conversation(),
            session_id: self.session.clone(),
            surface: Surface::SageWebStream,
            node: NodeId(Uuid::nil()),
            agent_id: None,
            agent_name: "SimpleAgent".to_owned(),
            messages: vec![asked],
            settings: Settings::default(),
            parent: None,
        }
    }

    fn message(&self, role: &str, kind: &str, id: &str, text: String) -> Message {
        Message {
            role: role.to_owned(),
            content: Some(text.into()),
            message_id: id.to_owned(),
            kind: kind.to_owned(),
            timestamp: 1_700_000_000.5,
            session_id: self.session.clone(),
            ..Message::default()
        }
    }
}
