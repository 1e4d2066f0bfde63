//! What a request changes about the turns of its run.

use super::room::Room;
use annals_tests::{
    lines::{check_snapshot, check_whole, parsed},
    model_server::{Script, ToolCall, text},
};
use anyhow::Result;
use serde_json::{Value, json};

/// The system prompt of a call.
fn system(room: &Room, call: usize) -> String {
    let told = room.model.calls().all()[call].body["messages"][0].clone();
    assert_eq!(told["role"], "system");
    told["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn suggestions_and_summary_follow_the_answer() -> Result<()> {
    let room = Room::open().await?;
    // The scripted model answers our own wishes by its own script, not by the user's.
    room.model.follow(Script { deltas: 3, ..Script::default() });
    let script = Script { deltas: 2, ..Script::default() };
    let body = json!({"more_suggest": true, "force_summary": true});
    let lines = room.asked("s", &script, &body).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let mut kinds: Vec<_> = values.iter().map(|line| line["type"].as_str().unwrap()).collect();
    kinds.dedup();
    let expected =
        ["do_subtask_result", "final_answer", "query_suggest", "token_usage", "stream_end"];
    assert_eq!(kinds, expected);
    let suggestion = values.iter().find(|line| line["type"] == "query_suggest").unwrap();
    assert_eq!(suggestion["content"], format!("\n- {}", text(3).trim()));
    let steps = &values[values.len() - 2]["metadata"]["token_usage"]["per_step_info"];
    let names: Vec<_> =
        steps.as_array().unwrap().iter().map(|s| s["step_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["direct_execution", "force_summary", "query_suggest"]);
    check_snapshot(&room.ann.messages("s").await?, &lines, 0)?;
    // Our own wishes are no part of the conversation, nor is what was suggested.
    room.said("s", &script).await?;
    let told = room.model.calls().all()[3].body["messages"].clone();
    let roles: Vec<_> =
        told.as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "assistant", "user"]);
    room.close().await
}

#[tokio::test]
async fn suggestions_that_fail_take_nothing_from_the_answer() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(Script { raw: Some("no completion".to_owned()), ..Script::default() });
    let script = Script { deltas: 2, ..Script::default() };
    let lines = room.asked("s", &script, &json!({"more_suggest": true})).await?;
    check_whole(&lines)?;
    assert_eq!(parsed(&lines)?.len(), 2 + 1 + 1 + 1);
    assert_eq!(room.model.calls().count(), 2);
    room.close().await
}

#[tokio::test]
async fn what_the_request_says_is_in_the_prompt() -> Result<()> {
    let room = Room::open().await?;
    let script = Script { deltas: 1, ..Script::default() };
    let body = json!({
        "system_prefix": "Be brief.",
        "system_context": {"city": "Bern"},
        "available_workflows": {"report": ["collect", "write"]},
        "deep_thinking": true,
    });
    room.asked("s", &script, &body).await?;
    let told = system(&room, 0);
    let user = format!("本次会话用户id: {}", room.ann.user);
    for part in ["Be brief.", "city: Bern", "1. collect", "Think before you act", &user] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let sent = room.model.calls().all()[0].body.clone();
    let known = ["messages", "model", "stream", "stream_options"];
    assert!(sent.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{sent}");
    room.asked("s2", &script, &json!({"memory_type": "user"})).await?;
    assert!(system(&room, 1).contains("other sessions"));
    room.asked("s3", &script, &json!({"memory_type": "session"})).await?;
    assert!(!system(&room, 2).contains("other sessions"));
    room.close().await
}

#[tokio::test]
async fn what_an_agent_was_saved_with_is_in_the_prompt_unless_the_request_says_otherwise()
-> Result<()> {
    let room = Room::open().await?;
    let agent = json!({"name": "Saved", "systemPrefix": "Be kind.", "systemContext": {"city": "Bern"},
        "availableWorkflows": {"report": ["collect", "write"]}, "memoryType": "user",
        "deepThinking": true, "maxLoopCount": 1, "availableTools": ["echo"]});
    let agent = super::room::data(room.ann.post("/api/agent/create").json(&agent)).await?;
    let calls = vec![ToolCall { name: "echo".to_owned(), arguments: json!({"say": "x"}) }];
    let plain = Script { deltas: 1, ..Script::default() };
    room.asked("before", &plain, &json!({})).await?;
    let script = Script { deltas: 1, tool_calls: calls, tool_rounds: 9, ..Script::default() };
    let body = json!({"agent_id": agent["agent_id"]});
    let lines = room.asked("s", &script, &body).await?;
    assert!(lines.concat().contains("已达到最大循环次数 1"), "{lines:#?}");
    let saved = ["Be kind.", "city: Bern", "1. collect", "Think before you act", "other sessions"];
    let told = system(&room, 1);
    saved.iter().for_each(|part| assert!(told.contains(part), "{part} is not in {told}"));
    let body = json!({"agent_id": agent["agent_id"], "system_prefix": "Be brief.",
        "system_context": {"city": "Basel"}, "available_workflows": {}, "memory_type": "session",
        "deep_thinking": false, "available_tools": [], "max_loop_count": 3});
    room.asked("t", &plain, &body).await?;
    let told = system(&room, 2);
    saved.iter().for_each(|part| assert!(!told.contains(part), "{part} is in {told}"));
    assert!(told.contains("Be brief.") && told.contains("city: Basel"), "{told}");
    room.close().await
}

#[tokio::test]
async fn history_is_fitted_to_the_window() -> Result<()> {
    let room = Room::open().await?;
    let say = "x".repeat(8_000);
    let calls = vec![ToolCall { name: "echo".to_owned(), arguments: json!({"say": say}) }];
    let script = Script { deltas: 1, tool_calls: calls, ..Script::default() };
    room.asked("s", &script, &json!({"available_tools": ["echo"]})).await?;
    let script = Script { deltas: 1, ..Script::default() };
    let body = json!({"llm_model_config": {"max_model_len": 6_000}});
    room.asked("s", &script, &body).await?;
    let told = room.model.calls().all()[2].body["messages"].clone();
    let result = told.as_array().unwrap().iter().find(|m| m["role"] == "tool").unwrap();
    assert!(result["content"].as_str().unwrap().starts_with("[result omitted"), "{result}");
    let body = json!({"context_budget_config": {"recent_turns": 1}});
    room.asked("s", &script, &body).await?;
    let told = room.model.calls().all()[3].body["messages"].clone();
    let users = told.as_array().unwrap().iter().filter(|m| m["role"] == "user");
    assert_eq!(users.count(), 2);
    room.close().await
}

#[tokio::test]
async fn parts_pass_through_untouched() -> Result<()> {
    let room = Room::open().await?;
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}});
    let script = Script { deltas: 1, ..Script::default() }.message("what is it?");
    let parts = json!([{"type": "text", "text": script}, image]);
    let body = json!({"messages": [{"role": "user", "content": parts}]});
    room.asked("s", &Script::default(), &body).await?;
    let told: Value = room.model.calls().all()[0].body["messages"][1].clone();
    assert_eq!(told["content"], parts);
    room.close().await
}
