//! One turn of the model, streamed into the recorder.

use super::{
    Choice,
    lines::{Piece, Voice, timestamp},
    perform::{Performance, halted},
    pieces::Pieces,
    recorder::{Entry, Halt, Recorder},
};
use crate::effects::model::{self, Delta, ModelError};
use domain::message::{Line, Message, merge_tool_calls};
use futures::StreamExt;
use serde_json::Value;

/// How a turn came out.
pub(super) enum Turn {
    Done { said: Said, usage: Option<Value> },
    Failed { said: Said, error: String },
    Halted { said: Said, halt: Halt },
}

/// What a turn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// The answer: text and calls.
    Answer,
    /// The summary that closes a run: text only.
    Summary,
}

/// What the model has said so far in a turn.
pub(super) struct Said {
    pub message: Message,
    pub spoke: bool,
    pieces: Pieces,
}

impl Performance<'_> {
    /// Streams one answer of the model into the recorder.
    pub(super) async fn turn(
        &self,
        recorder: &Recorder,
        choice: &Choice,
        request: model::Request,
        aim: Aim,
    ) -> Turn {
        let mut said = self.nothing_said(aim);
        let turn = self.active.turns;
        let message_id = said.message.message_id.clone();
        let mut opening = Some(Entry::BeginTurn { turn, message_id });
        let mut news = self.halt.subscribe();
        let mut deltas = tokio::select! {
            begun = choice.model.stream(request) => match begun {
                Ok(deltas) => deltas,
                Err(error) => return Turn::Failed { said, error: error.to_string() },
            },
            halt = halted(&mut news) => return Turn::Halted { said, halt },
        };
        let mut usage = None;
        loop {
            let delta = tokio::select! {
                biased;
                halt = halted(&mut news) => return Turn::Halted { said, halt },
                delta = deltas.next() => delta,
            };
            let lines = match delta {
                Some(Ok(Delta::Usage(numbers))) => {
                    usage = Some(numbers);
                    continue;
                }
                Some(Ok(Delta::Finished(_))) => {
                    let last = said.pieces.close();
                    let lines = self.call_lines(&mut said, &last);
                    write(recorder, &mut opening, lines).await;
                    return Turn::Done { said, usage };
                }
                Some(Ok(Delta::Text(text))) => match aim {
                    Aim::Answer => self.say(&mut said, Piece::Text(&text)).into_iter().collect(),
                    Aim::Summary => {
                        self.say(&mut said, Piece::Summary(&text)).into_iter().collect()
                    }
                },
                Some(Ok(Delta::Reasoning(text))) => {
                    self.say(&mut said, Piece::Reasoning(&text)).into_iter().collect()
                }
                // Nobody asked for calls in a summary.
                Some(Ok(Delta::ToolCalls(_))) if aim == Aim::Summary => continue,
                Some(Ok(Delta::ToolCalls(calls))) => {
                    let pieces = said.pieces.take(&calls);
                    self.call_lines(&mut said, &pieces)
                }
                Some(Err(error)) => return Turn::Failed { said, error: error.to_string() },
                None => return Turn::Failed { said, error: unfinished() },
            };
            write(recorder, &mut opening, lines).await;
        }
    }

    /// A message in which nothing is said yet.
    pub(super) fn nothing_said(&self, aim: Aim) -> Said {
        let kind = match aim {
            Aim::Answer => Piece::Text("").kind(),
            Aim::Summary => Piece::Summary("").kind(),
        };
        let message = Voice::of(&self.active.request).message(kind);
        let calls = self.active.messages.iter().flat_map(|message| &message.tool_calls);
        let used = calls.filter_map(|call| call["id"].as_str().map(str::to_owned));
        Said { message, spoke: false, pieces: Pieces::after(used) }
    }

    pub(super) fn say(&self, said: &mut Said, piece: Piece<'_>) -> Option<Line> {
        said.add(piece);
        Voice::of(&self.active.request).delta(&said.message, piece)
    }

    /// One line per piece, as clients are used to.
    fn call_lines(&self, said: &mut Said, pieces: &[Value]) -> Vec<Line> {
        pieces.chunks(1).filter_map(|piece| self.say(said, Piece::ToolCalls(piece))).collect()
    }
}

/// The first lines of a turn open it.
async fn write(recorder: &Recorder, opening: &mut Option<Entry>, lines: Vec<Line>) {
    if lines.is_empty() {
        return;
    }
    recorder.write(opening.take().into_iter().chain([Entry::Lines(lines)]).collect()).await;
}

impl Said {
    /// As clients merge lines: the last line's type and time win, texts grow.
    fn add(&mut self, piece: Piece<'_>) {
        self.spoke = true;
        let message = &mut self.message;
        message.timestamp = timestamp();
        message.kind.replace_range(.., piece.kind());
        match piece {
            Piece::Text(text) | Piece::Summary(text) | Piece::Suggestion(text) => {
                match &mut message.content {
                    Some(Value::String(content)) => content.push_str(text),
                    content => *content = Some(text.into()),
                }
            }
            Piece::Reasoning(text) => {
                message.reasoning_content.get_or_insert_default().push_str(text);
            }
            Piece::ToolCalls(calls) => merge_tool_calls(&mut message.tool_calls, calls),
        }
    }
}

fn unfinished() -> String {
    ModelError::Broken("the stream ended without an end".into()).to_string()
}
