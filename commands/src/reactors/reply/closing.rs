//! What follows the answer: suggestions for the next question, and the word that a run has come to its limit.

use super::{
    lines::{Piece, Voice},
    perform::{Performance, Stage, halted},
    prompt,
    recorder::{Entry, Halt, Recorder},
    system,
    turn::{Aim, Said},
};
use crate::effects::model::{Delta, ModelError, Request};
use domain::run::{Event, TurnUsage};
use futures::StreamExt;
use serde_json::Value;

/// Suggestions at most.
const SUGGESTIONS: usize = 5;
/// Characters of one at most.
const LONGEST: usize = 200;

impl Performance<'_> {
    /// Says that the run has come to its limit of turns.
    pub(super) async fn break_loop(&mut self, recorder: &Recorder) {
        let turns = self.active.request.settings.turns();
        let mut message = Voice::of(&self.active.request).message("loop_break");
        message.content = Some(format!("已达到最大循环次数 {turns}，执行结束").into());
        let message = Box::new(message);
        let mut entries = Vec::new();
        entries.extend(Voice::whole(&message).map(|line| Entry::Lines(vec![line])));
        entries.push(Entry::Post(message.clone()));
        recorder.write(entries).await;
        self.active.apply(&Event::MessagePosted(message));
    }

    /// Asks the model for suggestions. An answer is complete without them, so failing to get any fails nothing.
    ///
    /// # Errors
    /// With why the run has to stop.
    pub(super) async fn suggest(&mut self, recorder: &Recorder, stage: &Stage) -> Result<(), Halt> {
        let messages =
            prompt::messages(&self.active, &stage.background, &[], Some(system::SUGGEST));
        let request = self.request(stage, messages, vec![]);
        let model = request.endpoint.model.clone();
        let mut news = self.halt.subscribe();
        let told = tokio::select! {
            told = whole(stage, request) => told,
            halt = halted(&mut news) => return Err(halt),
        };
        let (text, usage) = match told {
            Ok(told) => told,
            Err(error) => {
                tracing::info!(run = %self.id, %error, "no suggestions");
                return Ok(());
            }
        };
        let mut said: Said = self.nothing_said(Aim::Answer);
        let pieces = suggestions(&text);
        let lines = pieces.iter().filter_map(|piece| self.say(&mut said, Piece::Suggestion(piece)));
        let lines: Vec<_> = lines.collect();
        if lines.is_empty() {
            return Ok(());
        }
        let turn = self.active.turns;
        let usage = TurnUsage { model, usage, step: Some("query_suggest".to_owned()) };
        let message_id = said.message.message_id.clone();
        let message = Some(Box::new(said.message));
        let done = Event::TurnCompleted { turn, message: message.clone(), usage: usage.clone() };
        recorder
            .write(vec![
                Entry::BeginTurn { turn, message_id },
                Entry::Lines(lines),
                Entry::CompleteTurn { turn, message, usage },
            ])
            .await;
        self.active.apply(&done);
        Ok(())
    }
}

/// A whole answer of the model, unseen by anybody: its text and what it cost.
async fn whole(stage: &Stage, request: Request) -> Result<(String, Option<Value>), ModelError> {
    let (mut text, mut usage) = (String::new(), None);
    let mut deltas = stage.choice.model.stream(request).await?;
    while let Some(delta) = deltas.next().await {
        match delta? {
            Delta::Text(more) => text.push_str(&more),
            Delta::Usage(numbers) => usage = Some(numbers),
            Delta::Reasoning(_) | Delta::ToolCalls(_) => {}
            Delta::Finished(_) => break,
        }
    }
    Ok((text, usage))
}

/// The suggestions in an answer, each as the piece clients are sent.
fn suggestions(text: &str) -> Vec<String> {
    let bare = |line: &str| {
        let marks = |c: char| c.is_ascii_digit() || c.is_whitespace() || "-*•.、)".contains(c);
        line.trim_start_matches(marks).trim().chars().take(LONGEST).collect::<String>()
    };
    let lines = text.lines().map(bare).filter(|line| !line.is_empty());
    lines.take(SUGGESTIONS).map(|line| format!("\n- {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suggestion_is_a_piece_of_its_own() {
        let found = suggestions("1. Why?\n\n- How many?\n* 为什么？\n");
        assert_eq!(found, ["\n- Why?", "\n- How many?", "\n- 为什么？"]);
        assert!(suggestions(" \n").is_empty());
        assert_eq!(suggestions(&"a\n".repeat(99)).len(), SUGGESTIONS);
    }
}
