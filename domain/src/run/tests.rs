#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::testing::given;
use serde_json::{json, value::RawValue};
use uuid::Uuid;

const A: NodeId = NodeId(Uuid::from_u128(0xa));
const B: NodeId = NodeId(Uuid::from_u128(0xb));

fn line(n: u64) -> Line {
    Line(RawValue::from_string(format!("{{\"n\":{n}}}")).unwrap())
}

fn request() -> Box<Request> {
    Box::new(Request {
        owner: "alice".into(),
        conversation: Uuid::nil().into(),
        session_id: "s".to_owned(),
        surface: Surface::SageWebStream,
        node: A,
        agent_id: None,
        agent_name: "SimpleAgent".to_owned(),
        messages: vec![],
        settings: Settings::default(),
        parent: None,
    })
}

fn requested() -> Event {
    Event::RunRequested(request())
}

fn recorded(first: u64, n: u64) -> Event {
    Event::LinesRecorded { first, lines: (first..first + n).map(line).collect() }
}

fn turn_started() -> Event {
    Event::TurnStarted { turn: 0, attempt: 1, message_id: "m".to_owned() }
}

fn lines(node: NodeId, first: u64, n: u64) -> Command {
    let lines = (first..first + n).map(line).collect();
    Command::Advance { node, steps: vec![Step::Lines { first, lines }] }
}

fn end(node: NodeId, index: u64) -> Command {
    let step = Step::End { outcome: Outcome::Completed, index, line: line(index), error: None };
    Command::Advance { node, steps: vec![step] }
}

fn ended(index: u64) -> Event {
    Event::RunEnded { outcome: Outcome::Completed, index, line: line(index), error: None }
}

#[test]
fn lines_follow_one_another() {
    given::<Run>([requested(), recorded(0, 2)]).when(lines(A, 2, 3)).then([recorded(2, 3)]);
}

#[test]
fn lines_brought_twice_are_recorded_once() {
    given::<Run>([requested(), recorded(0, 3)]).when(lines(A, 0, 3)).then_nothing();
    given::<Run>([requested(), recorded(0, 3)]).when(lines(A, 1, 4)).then([recorded(3, 2)]);
}

#[test]
fn a_gap_is_refused() {
    given::<Run>([requested(), recorded(0, 3)]).when(lines(A, 4, 1)).then_refused(Refusal::Moved);
}

#[test]
fn only_the_performer_advances_a_run() {
    given::<Run>([requested()]).when(lines(B, 0, 1)).then_refused(Refusal::NotPerformer);
}

#[test]
fn a_run_ends_once() {
    given::<Run>([requested(), recorded(0, 3)]).when(end(A, 3)).then([ended(3)]);
    given::<Run>([requested(), ended(0)]).when(end(A, 1)).then_refused(Refusal::Over);
    given::<Run>([requested(), recorded(0, 3)]).when(end(A, 2)).then_refused(Refusal::Moved);
}

#[test]
fn nothing_follows_the_end() {
    given::<Run>([requested(), ended(0)]).when(lines(A, 1, 1)).then_refused(Refusal::Over);
    let late = Interrupt { reason: "late".to_owned(), replaced: false };
    given::<Run>([requested(), ended(0)]).when(Command::Interrupt(late)).then_nothing();
}

#[test]
fn interrupting_twice_is_interrupting_once() {
    let wish = Interrupt { reason: "enough".to_owned(), replaced: false };
    given::<Run>([requested(), Event::InterruptRequested(wish.clone())])
        .when(Command::Interrupt(wish))
        .then_nothing();
}

#[test]
fn a_take_over_closes_the_message_in_flight() {
    let partial = Message { message_id: "m".to_owned(), ..Message::default() };
    given::<Run>([requested(), turn_started(), recorded(0, 2)])
        .when(Command::TakeOver {
            node: B,
            attempt: 1,
            lines: 2,
            closing: Some(Box::new((line(2), partial.clone()))),
        })
        .then([
            Event::RunClaimed { node: B, attempt: 2 },
            recorded(2, 1),
            Event::TurnAbandoned {
                turn: 0,
                message: Some(Box::new(partial)),
                reason: "superseded".to_owned(),
            },
        ]);
}

#[test]
fn a_take_over_that_missed_a_line_is_refused() {
    given::<Run>([requested(), turn_started(), recorded(0, 2)])
        .when(Command::TakeOver { node: B, attempt: 1, lines: 1, closing: None })
        .then_refused(Refusal::Moved);
}

#[test]
fn of_two_that_take_over_one_wins() {
    given::<Run>([requested(), Event::RunClaimed { node: B, attempt: 2 }])
        .when(Command::TakeOver {
            node: NodeId(Uuid::from_u128(0xc)),
            attempt: 1,
            lines: 0,
            closing: None,
        })
        .then_refused(Refusal::Moved);
}

#[test]
fn a_node_that_was_thought_dead_is_fenced() {
    given::<Run>([requested(), Event::RunClaimed { node: B, attempt: 2 }])
        .when(lines(A, 0, 1))
        .then_refused(Refusal::NotPerformer);
}

#[test]
fn a_finished_turn_is_not_finished_again() {
    let complete = || Step::CompleteTurn { turn: 0, message: None, usage: TurnUsage::default() };
    given::<Run>([
        requested(),
        turn_started(),
        Event::TurnCompleted { turn: 0, message: None, usage: TurnUsage::default() },
    ])
    .when(Command::Advance { node: A, steps: vec![complete()] })
    .then_nothing();
}

fn asked(calls: &[&str]) -> Event {
    let call = |id: &&str| json!({"id": id, "function": {"name": "look", "arguments": "{}"}});
    let message = Message { tool_calls: calls.iter().map(call).collect(), ..Message::default() };
    Event::TurnCompleted { turn: 0, message: Some(Box::new(message)), usage: TurnUsage::default() }
}

fn started(call: &str, attempt: u32) -> Event {
    Event::ToolStarted { call: call.to_owned(), name: "look".to_owned(), attempt }
}

fn result(call: &str) -> Box<Message> {
    Box::new(Message {
        message_id: format!("result of {call}"),
        tool_call_id: Some(call.to_owned()),
        ..Message::default()
    })
}

fn finished(call: &str) -> Event {
    Event::ToolFinished { message: result(call), told: None }
}

fn tools(node: NodeId, steps: Vec<Step>) -> Command {
    Command::Advance { node, steps }
}

fn start(call: &str) -> Step {
    Step::StartTool { call: call.to_owned(), name: "look".to_owned() }
}

fn finish(call: &str) -> Step {
    Step::FinishTool { message: result(call), told: None }
}

#[test]
fn calls_are_begun_and_finished_in_any_order() {
    given::<Run>([requested(), turn_started(), asked(&["a", "b"])])
        .when(tools(A, vec![start("a"), start("b"), finish("b"), finish("a")]))
        .then([started("a", 1), started("b", 1), finished("b"), finished("a")]);
}

#[test]
fn a_call_is_begun_in_the_batch_that_completes_its_turn() {
    let Event::TurnCompleted { turn, message, usage } = asked(&["a"]) else { unreachable!() };
    let complete = Step::CompleteTurn { turn, message, usage };
    given::<Run>([requested(), turn_started()])
        .when(tools(A, vec![complete, start("a")]))
        .then([asked(&["a"]), started("a", 1)]);
}

#[test]
fn what_is_said_twice_of_a_call_is_recorded_once() {
    given::<Run>([requested(), asked(&["a"]), started("a", 1)])
        .when(tools(A, vec![start("a")]))
        .then_nothing();
    given::<Run>([requested(), asked(&["a"]), started("a", 1), finished("a")])
        .when(tools(A, vec![start("a"), finish("a")]))
        .then_nothing();
}

#[test]
fn nobody_finishes_a_call_that_nobody_asked_for() {
    given::<Run>([requested(), asked(&["a"])])
        .when(tools(A, vec![start("b"), finish("b")]))
        .then_nothing();
}

#[test]
fn a_call_in_flight_is_begun_anew_by_the_next_performer() {
    given::<Run>([
        requested(),
        asked(&["a"]),
        started("a", 1),
        Event::RunClaimed { node: B, attempt: 2 },
    ])
    .when(tools(B, vec![start("a"), finish("a")]))
    .then([started("a", 2), finished("a")]);
}

#[test]
fn the_state_knows_which_calls_are_open_and_what_the_model_reads() {
    let told = Event::ToolFinished { message: result("a"), told: Some("all of it".to_owned()) };
    let events = [requested(), asked(&["a", "b"]), started("b", 1), told];
    let run = events.iter().fold(Run::default(), Decider::evolve);
    let Run::Active(run) = run else { unreachable!() };
    let open: Vec<_> = run.calls.iter().map(|call| (call.id.as_str(), call.begun)).collect();
    assert_eq!(open, [("b", Some(1))]);
    assert_eq!(run.messages[1].text(), "all of it");
}

fn sub_run() -> RunId {
    RunId(Uuid::nil()).delegated("a", 0)
}

fn relay(first: u64, revision: u64, n: u64) -> Step {
    let lines = (first..first + n).map(line).collect();
    let revision = Revision(revision);
    let relayed = Relayed { run: sub_run(), revision, lines, message: None, usage: None };
    Step::Relay { first, relayed }
}

fn relayed(first: u64, revision: u64, n: u64) -> Event {
    Event::SubRunRelayed {
        run: sub_run(),
        revision: Revision(revision),
        first,
        lines: (first..first + n).map(line).collect(),
        message: None,
        usage: Some(TurnUsage::default()),
    }
}

#[test]
fn what_a_sub_agent_says_is_relayed_once() {
    let Event::SubRunRelayed { run, revision, first, lines, message, .. } = relayed(2, 5, 2) else {
        unreachable!()
    };
    let new = Event::SubRunRelayed { run, revision, first, lines, message, usage: None };
    given::<Run>([requested(), recorded(0, 1), relayed(1, 4, 1)])
        .when(tools(A, vec![relay(2, 4, 1), relay(2, 5, 2), relay(4, 5, 2)]))
        .then([new]);
    given::<Run>([requested(), recorded(0, 1)])
        .when(tools(A, vec![relay(2, 4, 1)]))
        .then_refused(Refusal::Moved);
}

#[test]
fn what_a_sub_agent_cost_counts_once() {
    let events = [requested(), relayed(0, 4, 1), relayed(1, 4, 1), relayed(1, 6, 1)];
    let run = events.iter().fold(Run::default(), Decider::evolve);
    let Run::Active(run) = run else { unreachable!() };
    assert_eq!((run.usage.len(), run.lines, run.messages.len()), (2, 2, 0));
}

#[test]
fn runs_of_sub_agents_have_their_ids_from_call_and_task() {
    let run = RunId(Uuid::nil());
    assert_eq!(run.delegated("a", 0), run.delegated("a", 0));
    for other in [run.delegated("a", 1), run.delegated("b", 0), sub_run().delegated("a", 0)] {
        assert_ne!(run.delegated("a", 0), other);
    }
}

#[test]
fn lines_are_found_in_the_events_that_carry_them() {
    for (event, first, count, end) in
        [(recorded(3, 2), 3, 2, false), (relayed(3, 0, 2), 3, 2, false), (ended(5), 5, 1, true)]
    {
        let (kind, data) = crate::codec::encode(&event).unwrap();
        let found = lines_in(&kind, &data).unwrap().unwrap();
        assert_eq!((found.first, found.lines.len(), found.end), (first, count, end));
        assert_eq!(found.lines[0].get(), line(first).get());
    }
    let (kind, data) = crate::codec::encode(&turn_started()).unwrap();
    assert!(lines_in(&kind, &data).unwrap().is_none());
}
