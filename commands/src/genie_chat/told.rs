//! What clients of a run have by now, for whoever goes on with it.

use crate::{
    execute::{Failure, unpack},
    log::{Direction, EventLog},
};
use domain::{
    Revision, StreamId,
    ids::RunId,
    run::{Event, Run},
};
use serde::Deserialize;

/// Events read at a time.
const PAGE: usize = 1_000;

/// What of a line matters here.
#[derive(Deserialize)]
struct Shown {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, rename = "textResponse")]
    text: Option<String>,
    #[serde(default)]
    superseded: bool,
}

/// The text of the answer, as far as it was sent.
pub(super) async fn told(log: &dyn EventLog, run: RunId) -> Result<String, Failure> {
    let (stream, mut from, mut said) = (StreamId::of::<Run>(&run), Revision(0), String::new());
    loop {
        let page = log.read(&stream, from, Direction::Forward, PAGE).await?;
        for recorded in &page {
            from = Revision(recorded.revision.0 + 1);
            if let Event::LinesRecorded { lines, .. } = unpack::<Run>(recorded)? {
                lines.iter().for_each(|line| take(&mut said, line.get()));
            }
        }
        if page.len() < PAGE {
            return Ok(said);
        }
    }
}

fn take(said: &mut String, line: &str) {
    let Ok(shown) = serde_json::from_str::<Shown>(line) else { return };
    if shown.kind != "textResponseChunk" {
        return;
    }
    if shown.superseded {
        said.clear();
    } else {
        said.push_str(shown.text.as_deref().unwrap_or_default());
    }
}
