//! Work given to other agents, as clients, models and the log see it.

use super::room::{Room, TIED, data};
use annals_tests::{
    app::Person,
    lines::{Lines, check_snapshot, check_whole, parsed},
    model_server::{Script, ToolCall, text},
};
use anyhow::{Context, Result};
use domain::{Revision, StreamId, run::Run};
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

const TOOL: &str = "sys_delegate_task";

fn call(name: &str, arguments: Value) -> ToolCall {
    ToolCall { name: name.to_owned(), arguments }
}

/// A script that says two words and gives these tasks away: (agent, what the agent's model does).
fn giving(tasks: &[(&str, &Script)]) -> Script {
    let task = |(agent, script): &(&str, &Script)| json!({"agent_id": agent, "content": script.message("do it")});
    let tasks: Vec<Value> = tasks.iter().map(task).collect();
    Script { deltas: 2, tool_calls: vec![call(TOOL, json!({"tasks": tasks}))], ..Script::default() }
}

async fn agent(who: &Person, config: Value) -> Result<String> {
    let made = data(who.post("/api/agent/create").json(&config)).await?;
    Ok(made["agent_id"].as_str().unwrap().to_owned())
}

/// Tools that a call to the model offered.
fn offered(room: &Room, call: usize) -> Vec<String> {
    let body = room.model.calls().all()[call].body.clone();
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect()
}

fn sessions<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a str> {
    let of_kind = lines.iter().filter(|line| line["type"] == kind);
    of_kind.map(|line| line["session_id"].as_str().unwrap()).collect()
}

fn result(lines: &[Value]) -> Value {
    let result =
        lines.iter().find(|line| line["type"] == "tool_call_result" && line["session_id"] == "s");
    serde_json::from_str(result.unwrap()["content"].as_str().unwrap()).unwrap()
}

async fn resumes_everywhere(room: &Room, lines: &[String]) -> Result<()> {
    for index in 0..lines.len() {
        let mut found = Vec::new();
        room.ann.resume("s", &format!("?last_index={index}")).await?.rest(&mut found).await?;
        assert_eq!(found, lines[index..], "from {index}");
    }
    check_snapshot(&room.ann.messages("s").await?, lines, 0)
}

#[tokio::test]
async fn what_a_sub_agent_says_is_a_part_of_the_run() -> Result<()> {
    let room = Room::open().await?;
    let scout = agent(
        &room.ann,
        json!({"name": "Scout", "systemPrefix": "You scout.", "description": "Finds\nthings.",
            "availableTools": ["echo"]}),
    )
    .await?;
    let child = Script {
        deltas: 3,
        reasoning: 1,
        tool_calls: vec![call("echo", json!({"say": "hi"}))],
        ..Script::default()
    };
    let body = json!({"multi_agent": true, "available_sub_agent_ids": [scout]});
    let lines = room.asked("s", &giving(&[(&scout, &child)]), &body).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let result = result(&values);
    let told = &result["results"][0];
    let session = told["session_id"].as_str().unwrap();
    let expected = json!({"agent_id": scout, "agent_name": "Scout", "session_id": session,
        "status": "completed", "result": text(3).trim()});
    assert_eq!(*told, expected);

    // Who says what, in which order.
    let mut order: Vec<_> = values
        .iter()
        .map(|line| {
            (line["session_id"].as_str().unwrap() == session, line["type"].as_str().unwrap())
        })
        .collect();
    order.dedup();
    let expected = [
        (false, "do_subtask_result"),
        (false, "tool_call"),
        (true, "reasoning_content"),
        (true, "do_subtask_result"),
        (true, "tool_call"),
        (true, "tool_call_result"),
        (true, "reasoning_content"),
        (true, "do_subtask_result"),
        (false, "tool_call_result"),
        (false, "do_subtask_result"),
        (false, "token_usage"),
        (false, "stream_end"),
    ];
    assert_eq!(order, expected);
    let speaker = values.iter().find(|line| line["session_id"] == session).unwrap();
    assert_eq!(speaker["agent_name"], "Scout");

    // Two turns each, and everything counts once.
    let usage = &values[values.len() - 2]["metadata"]["token_usage"];
    let steps = usage["per_step_info"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["step_name"].as_str().unwrap()).collect();
    let (own, subs) = ("direct_execution", "sub_agent_execution");
    assert_eq!(names, [own, subs, subs, own]);
    let sum: u64 = steps.iter().map(|s| s["usage"]["total_tokens"].as_u64().unwrap()).sum();
    assert_eq!(usage["total_info"]["total_tokens"], sum);

    // The sub-agent knows its task and its tools, and nothing of the conversation.
    let calls = room.model.calls().all();
    assert_eq!(calls.len(), 4);
    assert_eq!(
        (offered(&room, 0), offered(&room, 1)),
        (vec![TOOL.to_owned()], vec!["echo".to_owned()])
    );
    let description = calls[0].body["tools"][0]["function"]["description"].to_string();
    assert!(description.contains(&format!("{scout}: Scout. Finds things.")), "{description}");
    let told = calls[1].body["messages"].as_array().unwrap().clone();
    assert!(told[0]["content"].as_str().unwrap().starts_with("You scout."));
    assert_eq!((told.len(), &told[1]["content"]), (2, &json!(child.message("do it"))));
    resumes_everywhere(&room, &lines).await?;

    // Its run is there for those who look for it, and in nobody's list.
    let parent = room.ann.resume("s", "").await?.run()?;
    let shown: Value = room.ann.get(&format!("/v1/runs/{session}")).send().await?.json().await?;
    assert_eq!((&shown["parent"], &shown["state"]), (&json!(parent), &json!("completed")));
    let caused: Option<String> = sqlx::query_scalar(
        "select metadata->>'causation_id' from events where stream = $1 and type = 'RunRequested'",
    )
    .bind(format!("run-{session}"))
    .fetch_one(&room.node.app.db)
    .await?;
    assert_eq!(caused, Some(parent));
    let listed = data(room.ann.get("/api/conversations")).await?;
    assert_eq!(listed["total"], 1);
    assert_eq!(room.bob.get(&format!("/v1/runs/{session}")).send().await?.status(), 404);

    // The next question's history has the result, and not what led to it.
    room.said("s", &Script { deltas: 1, ..Script::default() }).await?;
    let told = room.model.calls().all()[4].body["messages"].clone();
    let roles: Vec<_> =
        told.as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "assistant", "user"]);
    room.close().await
}

#[tokio::test]
async fn what_several_say_at_once_does_not_mix() -> Result<()> {
    let room = Room::open().await?;
    let body = json!({"available_tools": ["echo"], "custom_sub_agents": [
        {"name": "a", "system_prompt": "You are a."}, {"name": "b", "available_tools": []}]});
    let child = Script { deltas: 9, delay_ms: 3, ..Script::default() };
    let calling = Script { tool_calls: vec![call("echo", json!({"say": "x"}))], ..child.clone() };
    let mut script = giving(&[("a", &calling), ("b", &child)]);
    script.tool_calls.push(call("echo", json!({"say": "at once"})));
    script.tool_calls.push(giving(&[("b", &child)]).tool_calls.remove(0));
    let lines = room.asked("s", &script, &body).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let mut children = sessions(&values, "do_subtask_result");
    children.sort_unstable();
    children.dedup();
    assert_eq!(children.len(), 4, "three sub-agents and the run itself");
    assert_eq!(sessions(&values, "tool_call_result").iter().filter(|s| **s == "s").count(), 3);
    let calls = room.model.calls().all();
    let system = |call: usize| calls[call].body["messages"][0]["content"].to_string();
    assert!((1..4).any(|call| system(call).contains("You are a.")));
    resumes_everywhere(&room, &lines).await?;
    room.close().await
}

#[tokio::test]
async fn a_session_the_model_names_is_the_tasks_and_nobody_elses() -> Result<()> {
    let room = Room::open().await?;
    let plain = Script { deltas: 1, ..Script::default() };
    room.said("mine", &plain).await?;
    let before = room.ann.messages("mine").await?;
    let content = plain.message("do it");
    for (number, (named, kept)) in
        [("sub-1", true), ("mine", true), ("s2", false)].into_iter().enumerate()
    {
        let task = json!({"agent_id": "worker", "content": content, "session_id": named});
        let tool_calls = vec![call(TOOL, json!({"tasks": [task]}))];
        let script = Script { deltas: 1, tool_calls, ..Script::default() };
        let session = format!("s{number}");
        let lines = room.asked(&session, &script, &json!({"multi_agent": true})).await?;
        check_whole(&lines)?;
        let values = parsed(&lines)?;
        let below = values.iter().find(|line| line["session_id"] != *session).unwrap();
        assert_eq!(below["session_id"] == named, kept, "{below}");
        check_snapshot(&room.ann.messages(&session).await?, &lines, 0)?;
    }
    assert_eq!(room.ann.messages("mine").await?["messages"], before["messages"]);
    room.close().await
}

#[tokio::test]
async fn nobody_gives_work_to_agents_they_may_not_use() -> Result<()> {
    let room = Room::open().await?;
    let foreign = agent(&room.bob, json!({"name": "Bobs", "systemPrefix": "Secret."})).await?;
    let shared = agent(&room.bob, json!({"name": "Shared"})).await?;
    let users = json!({"user_ids": [room.ann.user]});
    data(room.bob.post(&format!("/api/agent/{shared}/auth")).json(&users)).await?;
    let child = Script { deltas: 1, ..Script::default() };
    let ids = json!([foreign, "agent_00000000", "a\u{0}", shared]);
    let custom = json!([{"name": "made", "agent_id": foreign}]);
    let body =
        json!({"multi_agent": true, "available_sub_agent_ids": ids, "custom_sub_agents": custom});
    let lines = room.asked("s", &giving(&[(&foreign, &child)]), &body).await?;
    let refused = parsed(&lines)?.into_iter().find(|line| line["role"] == "tool").unwrap();
    assert_eq!(refused["metadata"]["tool_execution_status"], "error");
    assert_eq!(refused["content"], format!("there is no agent {foreign}; available: {shared}"));
    assert_eq!(room.model.calls().count(), 2, "nobody was asked but the agent itself");
    let lines = room.asked("t", &giving(&[(&shared, &child)]), &body).await?;
    assert!(lines.concat().contains("completed"), "{lines:#?}");
    room.close().await
}

#[tokio::test]
async fn work_is_given_away_where_that_is_wanted_and_not_for_ever() -> Result<()> {
    let room = Room::open().await?;
    let plain = Script { deltas: 1, ..Script::default() };
    let scout = agent(&room.ann, json!({"name": "Scout"})).await?;
    let config = json!({"name": "Boss", "multiAgent": true, "availableSubAgentIds": [scout]});
    let boss = agent(&room.ann, config).await?;
    let bodies = [
        (json!({"agent_id": boss}), true),
        (json!({"agent_id": boss, "multi_agent": false}), false),
        (json!({"agent_id": scout}), false),
        (json!({"agent_id": scout, "available_sub_agent_ids": [boss]}), true),
        (json!({"multi_agent": true}), true),
        (json!({"agent_mode": "fibre", "available_sub_agent_ids": [scout]}), true),
        (json!({"multi_agent": true, "available_sub_agent_ids": ["agent_00000000"]}), false),
    ];
    for (number, (body, expected)) in bodies.into_iter().enumerate() {
        room.asked(&format!("n{number}"), &plain, &body).await?;
        assert_eq!(!offered(&room, number).is_empty(), expected, "{body}");
    }
    // An agent that gives work to itself comes to an end.
    let own = json!({"name": "Loop", "multiAgent": true, "availableSubAgentIds": []});
    let own = agent(&room.ann, own).await?;
    let mut config = json!({"name": "Loop", "multiAgent": true});
    config["availableSubAgentIds"] = json!([own]);
    let path = format!("/api/agent/{own}");
    data(room.ann.request(reqwest::Method::PUT, &path).json(&config)).await?;
    let before = room.model.calls().count();
    let third = giving(&[(&own, &plain)]);
    let second = giving(&[(&own, &third)]);
    let lines = room.asked("s", &giving(&[(&own, &second)]), &json!({"agent_id": own})).await?;
    check_whole(&lines)?;
    assert!(lines.concat().contains("there is no tool sys_delegate_task"), "{lines:#?}");
    let offers: Vec<_> =
        (before..room.model.calls().count()).map(|n| offered(&room, n).len()).collect();
    assert_eq!(offers, [1, 1, 0, 0, 1, 1]);
    resumes_everywhere(&room, &lines).await?;
    room.close().await
}

#[tokio::test]
async fn whoever_stops_a_run_stops_those_who_work_for_it() -> Result<()> {
    let room = Room::open().await?;
    let body = json!({"multi_agent": true});
    let child = Script { deltas: 9, stall_after: Some(3), ..Script::default() };
    let mut stream = room.ask("s", &giving(&[("worker", &child)]), &body).await?;
    let mut lines = Vec::new();
    // Every word is relayed as it comes.
    while !lines
        .last()
        .is_some_and(|line: &String| line.contains(text(3).split(' ').nth(2).unwrap()))
    {
        stream.until(lines.len() + 1, &mut lines).await?;
    }
    check_snapshot(&room.ann.messages("s").await?, &lines, 0)?;
    let session = parsed(&lines)?.pop().unwrap()["session_id"].as_str().unwrap().to_owned();
    assert_ne!(session, "s");
    data(room.ann.post("/api/sessions/s/interrupt")).await?;
    stream.rest(&mut lines).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let cancelled = &values[values.len() - 2];
    assert_eq!(cancelled["metadata"]["tool_execution_status"], "cancelled");
    let shown: Value = room.ann.get(&format!("/v1/runs/{session}")).send().await?.json().await?;
    assert_eq!(shown["state"], "interrupted");
    resumes_everywhere(&room, &lines).await?;
    room.close().await
}

#[tokio::test]
async fn a_sub_agent_that_fails_is_a_result_that_says_so() -> Result<()> {
    let room = Room::open().await?;
    let child = Script { deltas: 3, break_after: Some(2), ..Script::default() };
    let lines =
        room.asked("s", &giving(&[("worker", &child)]), &json!({"multi_agent": true})).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    assert_eq!(result(&values)["results"][0]["status"], "failed");
    let last = values.iter().rfind(|line| line["type"] == "do_subtask_result").unwrap();
    assert_eq!((&last["session_id"], &last["content"]), (&json!("s"), &json!("\n")));
    resumes_everywhere(&room, &lines).await?;
    room.close().await
}

#[tokio::test]
async fn a_client_that_leaves_stops_them_too() -> Result<()> {
    let room = Room::open().await?;
    let child = Script { deltas: 9, stall_after: Some(3), ..Script::default() };
    let content = giving(&[("worker", &child)]).message("hello");
    let body = json!({"session_id": "s", "multi_agent": true,
        "messages": [{"role": "user", "content": content}]});
    let mut stream = Lines::of(room.ann.post(TIED).json(&body).send().await?).await?;
    let session = loop {
        let line: Value = serde_json::from_str(&stream.next().await?.context("it goes on")?)?;
        if line["session_id"] != "s" {
            break line["session_id"].as_str().unwrap().to_owned();
        }
    };
    drop(stream);
    let run = StreamId::of::<Run>(&session.parse()?);
    let mut events = room.node.app.log.follow(run, Revision(0));
    let ended = async {
        while let Some(batch) = events.next().await {
            if let Some(end) = batch.iter().find(|event| &*event.kind == "RunEnded") {
                return end.data.get().to_owned();
            }
        }
        String::new()
    };
    let ended = timeout(Duration::from_secs(20), ended).await?;
    assert!(ended.contains("\"interrupted\""), "{ended}");
    let mut lines = Vec::new();
    room.ann.resume("s", "").await?.rest(&mut lines).await?;
    check_whole(&lines)?;
    resumes_everywhere(&room, &lines).await?;
    room.close().await
}
