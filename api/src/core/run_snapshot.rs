//! What was said in a run that goes on, and where its stream stands: both from one read of its events.

use super::Error;
use crate::app::App;
use commands::log::Direction;
use domain::{
    Revision, StreamId, codec,
    ids::RunId,
    message::{Message, Transcript},
    run::{Event, Run, lines_in},
};

/// Events read at a time.
const PAGE: usize = 1_000;

/// A run at one moment.
#[derive(Debug, Default)]
pub struct RunSnapshot {
    /// What was asked, and what was said in exactly the lines below `next`.
    pub messages: Vec<Message>,
    /// Index of the next line.
    pub next: u64,
}

/// The run as its own stream has it now.
///
/// # Errors
/// When the log cannot be read or an event is not understood.
pub async fn of(app: &App, run: RunId) -> Result<RunSnapshot, Error> {
    let unreadable = |error: serde_json::Error| Error::Internal(error.to_string());
    let stream = StreamId::of::<Run>(&run);
    let (mut snapshot, mut transcript) = (RunSnapshot::default(), Transcript::default());
    let mut from = Revision(0);
    loop {
        let page = app.log.read(&stream, from, Direction::Forward, PAGE).await?;
        for event in &page {
            from = Revision(event.revision.0 + 1);
            if &*event.kind == "RunRequested" {
                let event = codec::decode::<Event>(&event.kind, &event.data).map_err(unreadable)?;
                if let Event::RunRequested(request) = event {
                    snapshot.messages = request.messages;
                }
            }
            if let Some(lines) = lines_in(&event.kind, &event.data).map_err(unreadable)? {
                lines.lines.iter().for_each(|line| transcript.push(line.get()));
                snapshot.next = lines.first + lines.lines.len() as u64;
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    snapshot.messages.extend(transcript.into_messages());
    Ok(snapshot)
}
