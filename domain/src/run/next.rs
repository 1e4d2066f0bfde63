//! What a run needs next: a pure reading of its state, so that whoever takes it over goes on at the same place.

use super::Active;
use crate::message::Message;

/// What a run needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Results of the calls its last turn asked for.
    Calls,
    /// A turn of the model.
    Turn,
    /// A word that it has come to its limit of turns.
    LoopBreak,
    /// The summary that was asked for.
    Summary,
    /// Suggestions for the next question.
    Suggestions,
    /// Its end.
    End,
}

impl Active {
    /// What the run needs next.
    pub fn next(&self) -> Next {
        let settings = &self.request.settings;
        if !self.calls.is_empty() {
            return Next::Calls;
        }
        if !self.is_answered() {
            return if self.turns < settings.turns() { Next::Turn } else { Next::LoopBreak };
        }
        if settings.force_summary && !self.has_said("final_answer") {
            Next::Summary
        } else if settings.more_suggest && !self.has_said("query_suggest") {
            Next::Suggestions
        } else {
            Next::End
        }
    }

    /// The last turn asked for nothing more, or no further one is allowed.
    fn is_answered(&self) -> bool {
        let last = self.said().filter(|message| message.role == "assistant").last();
        last.is_some_and(|message| message.tool_calls.is_empty())
    }

    fn has_said(&self, kind: &str) -> bool {
        self.said().any(|message| message.kind == kind)
    }

    /// What counts of the run's messages: not what an abandoned attempt has left.
    fn said(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| !message.metadata.contains_key("superseded"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Decider,
        ids::NodeId,
        run::{Event, Request, Run, Settings, Surface, TurnUsage},
    };
    use serde_json::json;
    use uuid::Uuid;

    fn run(settings: Settings, events: Vec<Event>) -> Next {
        let request = Event::RunRequested(Box::new(Request {
            owner: "alice".into(),
            conversation: Uuid::nil().into(),
            session_id: "s".to_owned(),
            surface: Surface::SageWebStream,
            node: NodeId(Uuid::nil()),
            agent_id: None,
            agent_name: "a".to_owned(),
            messages: vec![],
            settings,
            parent: None,
        }));
        let state = std::iter::once(request).chain(events);
        match state.fold(Run::default(), |run, event| run.evolve(&event)) {
            Run::Active(active) => active.next(),
            Run::Absent | Run::Ended { .. } => Next::End,
        }
    }

    fn said(kind: &str, calls: &[&str]) -> Message {
        let call = |id: &&str| json!({"id": id, "function": {"name": "look", "arguments": ""}});
        Message {
            role: "assistant".to_owned(),
            kind: kind.to_owned(),
            tool_calls: calls.iter().map(call).collect(),
            ..Message::default()
        }
    }

    fn turn(turn: u32, kind: &str, calls: &[&str]) -> Event {
        let message = Some(Box::new(said(kind, calls)));
        Event::TurnCompleted { turn, message, usage: TurnUsage::default() }
    }

    fn result(call: &str) -> Event {
        let message = Message {
            role: "tool".to_owned(),
            tool_call_id: Some(call.to_owned()),
            ..Message::default()
        };
        Event::ToolFinished { message: Box::new(message), told: None }
    }

    #[test]
    fn turns_and_calls_alternate_until_a_turn_asks_for_nothing() {
        let plain = Settings::default;
        assert_eq!(run(plain(), vec![]), Next::Turn);
        let asked = || turn(0, "tool_call", &["a", "b"]);
        assert_eq!(run(plain(), vec![asked()]), Next::Calls);
        assert_eq!(run(plain(), vec![asked(), result("b")]), Next::Calls);
        assert_eq!(run(plain(), vec![asked(), result("b"), result("a")]), Next::Turn);
        assert_eq!(run(plain(), vec![turn(0, "do_subtask_result", &[])]), Next::End);
    }

    #[test]
    fn the_limit_ends_a_run_after_the_results_of_its_last_turn() {
        let settings = || Settings { max_loop_count: Some(1), ..Settings::default() };
        let asked = || turn(0, "tool_call", &["a"]);
        assert_eq!(run(settings(), vec![asked()]), Next::Calls);
        assert_eq!(run(settings(), vec![asked(), result("a")]), Next::LoopBreak);
        let told = Event::MessagePosted(Box::new(said("loop_break", &[])));
        assert_eq!(run(settings(), vec![asked(), result("a"), told]), Next::End);
    }

    #[test]
    fn summary_and_suggestions_follow_the_answer_once() {
        let settings =
            || Settings { force_summary: true, more_suggest: true, ..Settings::default() };
        let answer = || turn(0, "do_subtask_result", &[]);
        let summary = || turn(1, "final_answer", &[]);
        assert_eq!(run(settings(), vec![answer()]), Next::Summary);
        assert_eq!(run(settings(), vec![answer(), summary()]), Next::Suggestions);
        let suggestions = turn(2, "query_suggest", &[]);
        assert_eq!(run(settings(), vec![answer(), summary(), suggestions]), Next::End);
    }

    #[test]
    fn what_an_abandoned_attempt_said_is_no_answer() {
        let mut partial = said("do_subtask_result", &[]);
        partial.metadata.insert("superseded".to_owned(), true.into());
        let message = Some(Box::new(partial));
        let abandoned = Event::TurnAbandoned { turn: 0, message, reason: "superseded".to_owned() };
        assert_eq!(run(Settings::default(), vec![abandoned]), Next::Turn);
    }
}
