use super::*;
use domain::{
    ids::NodeId,
    run::{Budget, Event, Settings, Surface},
};
use uuid::Uuid;

fn message(role: &str, id: &str, text: &str) -> Message {
    Message {
        role: role.to_owned(),
        message_id: id.to_owned(),
        content: Some(text.into()),
        ..Message::default()
    }
}

fn calling(id: &str, text: &str, calls: &[(&str, &str)]) -> Message {
    let call = |(id, arguments): &(&str, &str)| json!({"id": id, "index": 0, "type": "function", "function": {"name": "look", "arguments": arguments}});
    Message { tool_calls: calls.iter().map(call).collect(), ..message("assistant", id, text) }
}

fn result(call: &str, text: &str) -> Message {
    let id = format!("result of {call}");
    Message { tool_call_id: Some(call.to_owned()), ..message("tool", &id, text) }
}

fn run(messages: Vec<Message>) -> Active {
    let request = Request {
        owner: "alice".into(),
        conversation: Uuid::nil().into(),
        session_id: "s".to_owned(),
        surface: Surface::SageChat,
        node: NodeId(Uuid::nil()),
        agent_id: None,
        agent_name: "a".to_owned(),
        messages,
        settings: Settings { system_prefix: Some("Be brief.".to_owned()), ..Settings::default() },
        parent: None,
    };
    Active::of(Box::new(request))
}

fn told(run: &Active, history: &[Message]) -> Vec<Value> {
    let background = Background { history: history.to_vec(), ..Background::default() };
    messages(run, &background, &[], None)
}

fn texts(messages: &[Value]) -> Vec<(&str, &str)> {
    messages
        .iter()
        .map(|m| {
            (m["role"].as_str().unwrap_or_default(), m["content"].as_str().unwrap_or_default())
        })
        .collect()
}

#[test]
fn history_comes_before_the_new_message_and_after_the_prompt() {
    let new = run(vec![message("user", "2", "<enable_plan>true</enable_plan>And?")]);
    let history = [message("user", "0", "Hi"), message("assistant", "1", "Hello")];
    let expected =
        [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "And?")];
    assert_eq!(texts(&told(&new, &history)), expected);
}

#[test]
fn a_message_sent_again_is_told_once() {
    let new = run(vec![message("user", "0", "Hi")]);
    let messages = told(&new, &[message("user", "0", "Hi")]);
    assert_eq!(texts(&messages), [("system", "Be brief."), ("user", "Hi")]);
}

#[test]
fn abandoned_attempts_and_what_is_for_people_are_not_told() {
    let mut partial = calling("1", "Hel", &[("c", "{")]);
    partial.metadata.insert("superseded".to_owned(), Value::Bool(true));
    let kind =
        |kind: &str| Message { kind: kind.to_owned(), ..message("assistant", kind, "\n- More?") };
    let history = [partial, kind("query_suggest"), kind("loop_break")];
    let new = run(vec![message("user", "2", "Hi")]);
    assert_eq!(told(&new, &history).len(), 2);
}

#[test]
fn calls_are_told_with_their_results_in_the_order_of_the_calls() {
    let history = [
        message("user", "0", "Hi"),
        calling("1", "", &[("a", "{\"n\":1}"), ("b", "")]),
        result("b", "B"),
        result("a", "A"),
        message("assistant", "2", "Done"),
    ];
    let messages = told(&run(vec![message("user", "3", "And?")]), &history);
    let expected = [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", ""),
        ("tool", "A"),
        ("tool", "B"),
        ("assistant", "Done"),
        ("user", "And?"),
    ];
    assert_eq!(texts(&messages), expected);
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}});
    assert_eq!(messages[2]["tool_calls"], json!([call("a", "{\"n\":1}"), call("b", "{}")]));
    assert_eq!(messages[2]["content"], Value::Null);
}

#[test]
fn neither_calls_nor_results_are_told_alone() {
    let history = [
        result("lost", "L"),
        calling("1", "I will look.", &[("a", "{}"), ("open", "{")]),
        result("a", "A"),
        message("user", "2", "Stop"),
        calling("3", "", &[("half", "{\"n")]),
        message("user", "4", "Go"),
        result("half", "late"),
    ];
    let messages = told(&run(vec![message("user", "5", "And?")]), &history);
    let roles: Vec<_> = texts(&messages).into_iter().map(|(role, _)| role).collect();
    assert_eq!(roles, ["system", "assistant", "tool", "user", "user", "user"]);
    assert_eq!(messages[1]["tool_calls"].as_array().map_or(0, Vec::len), 1);
}

#[test]
fn the_run_itself_is_told_after_the_question() {
    let mut run = run(vec![message("user", "0", "Hi")]);
    run.apply(&Event::MessagePosted(Box::new(calling("1", "Let me see.", &[("a", "{}")]))));
    run.apply(&Event::ToolFinished {
        message: Box::new(result("a", "short")),
        told: Some("all".to_owned()),
    });
    let background = Background::default();
    let messages = messages(&run, &background, &[], Some("Sum up."));
    let expected = [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Let me see."),
        ("tool", "all"),
        ("user", "Sum up."),
    ];
    assert_eq!(texts(&messages), expected);
}

#[test]
fn parts_pass_through_without_control_tags() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}});
    let parts = |text: &str| json!([image, {"type": "text", "text": text, "x": 1}]);
    let mut new = message("user", "0", "");
    new.content = Some(parts("<enable_plan>true</enable_plan>What is it?"));
    let messages = told(&run(vec![new]), &[]);
    assert_eq!(messages[1]["content"], parts("What is it?"));
}

#[test]
fn the_oldest_history_gives_way() {
    let long = "x".repeat(4_000);
    let history = [message("user", "0", &long), message("assistant", "1", "ok")];
    let mut new = run(vec![message("user", "2", "Hi")]);
    new.request.settings.budget = Budget { max_model_len: Some(1_000), ..Budget::default() };
    let expected = [("system", "Be brief."), ("assistant", "ok"), ("user", "Hi")];
    assert_eq!(texts(&told(&new, &history)), expected);
}
