//! What came of a run, for those who want it whole.

use crate::{
    execute::{Failure, unpack},
    log::EventLog,
};
use domain::{
    Revision, StreamId,
    ids::RunId,
    run::{Event, Run},
};
use futures::StreamExt;
use serde_json::{Map, Value};

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What the app said, or `{"errors": […]}`.
    pub output: Value,
    /// What went wrong, if something did.
    pub errors: Vec<Value>,
    /// What every finished step said, by its key.
    pub steps: Map<String, Value>,
}

/// Whether there is an end to it.
#[derive(Debug)]
pub enum Outlook {
    /// The run is over.
    Over(Finished),
    /// The log ended before the run did.
    Open,
}

/// Follows a run to its end.
///
/// # Errors
/// When an event is not understood.
pub async fn outcome(log: &dyn EventLog, run: RunId) -> Result<Outlook, Failure> {
    let mut steps = Map::new();
    let mut events = log.follow(StreamId::of::<Run>(&run), Revision(0));
    while let Some(batch) = events.next().await {
        for recorded in batch.iter() {
            match &*recorded.kind {
                "AppStepFinished" | "RunEnded" => {}
                _ => continue,
            }
            match unpack::<Run>(recorded)? {
                Event::AppStepFinished { step, done, .. } => {
                    steps.insert(step, done.output);
                }
                Event::RunEnded { line, .. } => {
                    let mut line: Value = serde_json::from_str(line.get()).unwrap_or_default();
                    let errors = match line["errors"].take() {
                        Value::Array(errors) => errors,
                        _ => vec![],
                    };
                    let output = match errors.is_empty() {
                        true => line["output"].take(),
                        false => {
                            Map::from_iter([("errors".to_owned(), errors.clone().into())]).into()
                        }
                    };
                    return Ok(Outlook::Over(Finished { output, errors, steps }));
                }
                _ => {}
            }
        }
    }
    Ok(Outlook::Open)
}
