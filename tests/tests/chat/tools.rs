//! Runs that call tools, as clients and the model see them.

use super::room::Room;
use annals_tests::{
    lines::{check_snapshot, check_whole, parsed},
    model_server::{Script, ToolCall, text},
    tools::IMPATIENT,
};
use anyhow::Result;
use serde_json::{Value, json};

fn call(name: &str, arguments: Value) -> ToolCall {
    ToolCall { name: name.to_owned(), arguments }
}

fn calling(tool_calls: Vec<ToolCall>) -> Script {
    Script { deltas: 2, tool_calls, ..Script::default() }
}

fn all() -> Value {
    json!({"available_tools":
        ["echo", "after", "fail", "panic", "hang", "impatient", "web_search"]})
}

/// Types of lines, neighbours of one type told once.
fn kinds(lines: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<_> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    kinds.dedup();
    kinds
}

/// (call, status, content) of every result, in the order of the stream.
fn results(lines: &[Value]) -> Vec<(&str, &str, &str)> {
    let results = lines.iter().filter(|line| line["type"] == "tool_call_result");
    results
        .map(|line| {
            let status = &line["metadata"]["tool_execution_status"];
            let fields = [&line["tool_call_id"], status, &line["content"]];
            fields.map(|field| field.as_str().unwrap()).into()
        })
        .collect()
}

#[tokio::test]
async fn results_come_as_they_are_done_and_are_told_as_they_were_asked_for() -> Result<()> {
    let room = Room::open().await?;
    let script = calling(vec![
        call("after", json!({"word": "now", "say": "second"})),
        call("echo", json!({"say": "now"})),
    ]);
    let lines = room.asked("s", &Script { reasoning: 1, ..script }, &all()).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let expected = [
        "reasoning_content",
        "do_subtask_result",
        "tool_call",
        "tool_call_result",
        "reasoning_content",
        "do_subtask_result",
        "token_usage",
        "stream_end",
    ];
    assert_eq!(kinds(&values), expected);
    let expected = [("call_1", "success", "now"), ("call_0", "success", "second")];
    assert_eq!(results(&values), expected);
    let result = values.iter().find(|line| line["role"] == "tool").unwrap();
    let keys: Vec<&String> = result.as_object().unwrap().keys().collect();
    let mut wanted = [
        "role",
        "content",
        "message_id",
        "tool_call_id",
        "type",
        "timestamp",
        "agent_name",
        "metadata",
        "session_id",
    ];
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
    assert_eq!(result["metadata"], json!({"tool_execution_status": "success"}));

    // Both turns are counted.
    let usage = &values[values.len() - 2]["metadata"]["token_usage"];
    let steps = usage["per_step_info"].as_array().unwrap();
    let sum: u64 = steps.iter().map(|s| s["usage"]["total_tokens"].as_u64().unwrap()).sum();
    assert_eq!((steps.len(), &usage["total_info"]["total_tokens"]), (2, &json!(sum)));

    // The model reads calls and results in its protocol's order.
    let calls = room.model.calls().all();
    let told = calls[1].body["messages"].as_array().unwrap().clone();
    let (assistant, results) = (&told[told.len() - 3], &told[told.len() - 2..]);
    assert_eq!(assistant["tool_calls"][0]["function"]["name"], "after");
    assert_eq!(assistant["tool_calls"][1]["id"], "call_1");
    assert_eq!(results[0], json!({"role": "tool", "tool_call_id": "call_0", "content": "second"}));
    assert_eq!(results[1]["tool_call_id"], "call_1");
    let offered: Vec<_> = calls[0].body["tools"].as_array().unwrap().iter().collect();
    assert_eq!(offered.len(), 6, "the unknown one is not offered: {offered:?}");

    // From every index the same bytes; messages and index agree.
    for index in 0..lines.len() {
        let mut found = Vec::new();
        let query = format!("?last_index={index}");
        room.ann.resume("s", &query).await?.rest(&mut found).await?;
        assert_eq!(found, lines[index..], "from {index}");
    }
    let snapshot = room.ann.messages("s").await?;
    check_snapshot(&snapshot, &lines, 0)?;
    assert_eq!(snapshot["next_stream_index"], lines.len());
    let messages = snapshot["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "assistant"]);
    let arguments = messages[1]["tool_calls"][1]["function"]["arguments"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(arguments)?, json!({"say": "now"}));
    assert_eq!(messages[2]["tool_call_id"], "call_1");
    assert_eq!(messages[2]["message_type"], "tool_call_result");

    // The next question's history has them, too.
    room.said("s", &Script { deltas: 1, ..Script::default() }).await?;
    let calls = room.model.calls().all();
    let told = calls[2].body["messages"].as_array().unwrap().clone();
    let roles: Vec<_> = told.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "assistant", "user"]);
    assert!(calls[2].body.get("tools").is_none(), "nothing is offered, so nothing is sent");
    room.close().await
}

#[tokio::test]
async fn whatever_goes_wrong_with_a_call_is_a_result() -> Result<()> {
    let room = Room::open().await?;
    let piece = |index: usize, name: &str, arguments: &str| {
        json!([{"index": index, "id": format!("c{index}"), "type": "function",
            "function": {"name": name, "arguments": arguments}}])
    };
    let raw_calls = vec![
        piece(0, "fail", "{\"say\": \"no\"}"),
        piece(1, "nothing", "{}"),
        piece(2, "echo", "{\"say\": "),
        piece(3, "panic", ""),
        piece(4, "impatient", "{}"),
        piece(5, "echo", ""),
        piece(6, "web_search", "{}"),
    ];
    let lines =
        room.asked("s", &Script { deltas: 0, raw_calls, ..Script::default() }, &all()).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let mut found = results(&values);
    found.sort_unstable();
    let status: Vec<_> = found.iter().map(|(_, status, _)| *status).collect();
    assert_eq!(status, ["error", "error", "error", "error", "error", "success", "error"]);
    assert_eq!(found[0].2, "no");
    assert!(found[1].2.starts_with("there is no tool nothing; available: echo, "), "{found:?}");
    assert!(found[2].2.starts_with("the arguments are not valid JSON"), "{found:?}");
    assert_eq!(found[3].2, "the tool broke");
    assert_eq!(found[4].2, format!("the tool did not finish within {IMPATIENT:?}"));
    assert_eq!(found[5].2, "");
    assert!(found[6].2.starts_with("there is no tool web_search"), "{found:?}");
    // The answer follows, and the provider is not told what it could not read.
    assert_eq!(values.last().unwrap()["type"], "stream_end");
    let told = room.model.calls().all()[1].body["messages"].clone();
    let calls = told.as_array().unwrap().iter().find_map(|m| m["tool_calls"].as_array()).unwrap();
    assert_eq!(calls[2]["function"]["arguments"], "{}");
    check_snapshot(&room.ann.messages("s").await?, &lines, 0)?;
    room.close().await
}

#[tokio::test]
async fn odd_providers_mix_no_calls() -> Result<()> {
    let room = Room::open().await?;
    let raw_calls = vec![
        json!([{"index": 0, "id": "same", "function": {"name": "echo", "arguments": {"say": "a"}}}]),
        json!([{"index": 1, "id": "same", "function": {"name": "echo", "arguments": "{\"say\":"}}]),
        json!([{"index": 1, "function": {"arguments": "\"b\"}"}}]),
        json!([{"index": 2, "function": {"name": "echo", "arguments": "{\"say\":\"c\"}"}}]),
        json!([{"index": 3, "id": "x", "function": {"name": "turn_status", "arguments": "{}"}}]),
    ];
    // The same ids again in the second round.
    let script = Script { deltas: 0, raw_calls, tool_rounds: 2, ..Script::default() };
    let lines = room.asked("s", &script, &all()).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    assert!(!lines.concat().contains("turn_status"));
    let found = results(&values);
    let mut said: Vec<_> = found.iter().map(|(_, _, said)| *said).collect();
    said.sort_unstable();
    assert_eq!(said, ["a", "a", "b", "b", "c", "c"]);
    let mut ids: Vec<_> = found.iter().map(|(id, ..)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6, "{ids:?}");
    let first = &values[0]["tool_calls"][0];
    assert_eq!(first["function"], json!({"name": "echo", "arguments": ""}));
    let then = &values[1]["tool_calls"][0];
    assert_eq!((&then["id"], &then["type"]), (&Value::Null, &Value::Null));
    check_snapshot(&room.ann.messages("s").await?, &lines, 0)?;
    room.close().await
}

#[tokio::test]
async fn an_interrupt_stops_a_tool_that_hangs() -> Result<()> {
    let room = Room::open().await?;
    let script = calling(vec![call("hang", json!({})), call("echo", json!({"say": "done"}))]);
    let mut stream = room.ask("s", &script, &all()).await?;
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.contains("tool_call_result")) {
        stream.until(lines.len() + 1, &mut lines).await?;
    }
    check_snapshot(&room.ann.messages("s").await?, &lines, 0)?;
    super::room::data(room.ann.post("/api/sessions/s/interrupt")).await?;
    stream.rest(&mut lines).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let expected = [("call_1", "success", "done"), ("call_0", "cancelled", "cancelled")];
    assert_eq!(results(&values), expected);
    let kinds = kinds(&values);
    assert_eq!(kinds[kinds.len() - 2..], ["tool_call_result", "stream_end"]);
    let snapshot = room.ann.messages("s").await?;
    check_snapshot(&snapshot, &lines, 0)?;
    // What follows in the session has no call without result.
    room.said("s", &Script { deltas: 1, ..Script::default() }).await?;
    let told = room.model.calls().all()[1].body["messages"].clone();
    let of = |role: &str| told.as_array().unwrap().iter().filter(|m| m["role"] == role).count();
    assert_eq!(of("tool"), 2);
    room.close().await
}

#[tokio::test]
async fn half_a_call_poisons_no_history() -> Result<()> {
    let room = Room::open().await?;
    let script = Script {
        deltas: 1,
        tool_calls: vec![call("echo", json!({"say": "a long text in many pieces"}))],
        break_after: Some(4),
        ..Script::default()
    };
    let lines = room.asked("s", &script, &all()).await?;
    check_whole(&lines)?;
    assert!(lines.concat().contains("工作流执行失败: "));
    room.said("s", &Script { deltas: 1, ..Script::default() }).await?;
    let told = room.model.calls().all()[1].body["messages"].clone();
    assert!(told.as_array().unwrap().iter().all(|m| m.get("tool_calls").is_none()), "{told}");
    assert!(told.to_string().contains(text(1).trim()));
    room.close().await
}

#[tokio::test]
async fn a_run_that_hits_its_limit_says_so_and_ends_well() -> Result<()> {
    let room = Room::open().await?;
    let script = Script { tool_rounds: 9, ..calling(vec![call("echo", json!({"say": "x"}))]) };
    let mut body = all();
    body["max_loop_count"] = json!(2);
    let lines = room.asked("s", &script, &body).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    assert_eq!(room.model.calls().count(), 2);
    assert_eq!(results(&values).len(), 2);
    let last: Vec<_> = kinds(&values).into_iter().rev().take(3).collect();
    assert_eq!(last, ["stream_end", "token_usage", "loop_break"]);
    let told = values.iter().find(|line| line["type"] == "loop_break").unwrap();
    assert_eq!(told["content"], "已达到最大循环次数 2，执行结束");
    check_snapshot(&room.ann.messages("s").await?, &lines, 0)?;
    let run = room.ann.resume("s", "").await?.run()?;
    let shown: Value = room.ann.get(&format!("/v1/runs/{run}")).send().await?.json().await?;
    assert_eq!(shown["state"], "completed");
    room.close().await
}

#[tokio::test]
async fn a_saved_agents_tools_are_offered_unless_the_request_says_otherwise() -> Result<()> {
    let room = Room::open().await?;
    let agent = json!({"name": "Helper", "availableTools": ["echo", "web_search"]});
    let agent = super::room::data(room.ann.post("/api/agent/create").json(&agent)).await?;
    let id = &agent["agent_id"];
    let script = Script { deltas: 1, ..Script::default() };
    let offers = [
        (json!({"agent_id": id}), Some(vec!["echo"])),
        (json!({"agent_id": id, "available_tools": ["fail"]}), Some(vec!["fail"])),
        (json!({"agent_id": id, "available_tools": []}), None),
        (json!({}), None),
    ];
    for (number, (body, offered)) in offers.into_iter().enumerate() {
        room.asked(&format!("s{number}"), &script, &body).await?;
        let sent = room.model.calls().all()[number].body.clone();
        let names = sent.get("tools").map(|tools| {
            let tools = tools.as_array().unwrap().iter();
            tools.map(|tool| tool["function"]["name"].as_str().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(names, offered, "{body}");
    }
    room.close().await
}

#[tokio::test]
async fn a_model_that_cannot_call_tools_answers_without() -> Result<()> {
    let room = Room::open().await?;
    let script = Script { deltas: 2, no_tools: true, ..Script::default() };
    let lines = room.asked("s", &script, &all()).await?;
    check_whole(&lines)?;
    assert_eq!(parsed(&lines)?.len(), 2 + 1 + 1 + 1, "{lines:#?}");
    let calls = room.model.calls().all();
    assert!(calls[0].body.get("tools").is_some() && calls[1].body.get("tools").is_none());
    room.close().await
}
