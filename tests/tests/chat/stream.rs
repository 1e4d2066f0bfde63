//! What a stream looks like on the wire.

use super::room::{Room, TIED, WEB, data, hello};
use annals_tests::{
    lines::{Lines, check_snapshot, check_whole, parsed},
    model_server::{Script, ToolCall, text, thought, word},
};
use anyhow::Result;
use serde_json::{Value, json};

/// The order in which the contract lists the keys of a line.
const KEYS: [&str; 14] = [
    "role",
    "content",
    "reasoning_content",
    "tool_calls",
    "message_id",
    "tool_call_id",
    "type",
    "timestamp",
    "agent_name",
    "agent_type",
    "metadata",
    "error_info",
    "session_id",
    "updated_at",
];

/// Checks the keys of a line: known, in order, none of them null.
fn check_keys(line: &str) {
    let value: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
    assert!(value.keys().all(|key| KEYS.contains(&key.as_str())), "{line}");
    assert!(value.values().all(|value| !value.is_null()), "{line}");
    // The last place of each: within tool calls and metadata there are others before it.
    let places: Vec<_> = KEYS.iter().filter_map(|key| line.rfind(&format!("\"{key}\":"))).collect();
    assert!(places.is_sorted(), "{line}");
}

#[tokio::test]
async fn a_plain_answer_is_framed_as_the_contract_says() -> Result<()> {
    let room = Room::open().await?;
    let script = Script { deltas: 8, ..Script::default() };
    let body = json!({"session_id": "s", "messages":
        [{"role": "user", "content": script.message("hello")}]});
    let response = room.ann.post(WEB).json(&body).send().await?;
    let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").unwrap(), "text/plain; charset=utf-8");
    assert_eq!(header("cache-control").unwrap(), "no-cache");
    assert_eq!(header("x-accel-buffering").unwrap(), "no");
    assert!(header("content-length").is_none());
    assert!(header("x-run-id").unwrap().parse::<uuid::Uuid>().is_ok());

    let text_of_all = response.text().await?;
    assert!(text_of_all.ends_with('\n') && !text_of_all.contains("\n\n"), "{text_of_all:?}");
    assert!(text_of_all.contains(&word(6)), "characters are escaped: {text_of_all}");
    let lines: Vec<String> = text_of_all.lines().map(str::to_owned).collect();
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let (end, before) = values.split_last().unwrap();
    lines[..before.len()].iter().for_each(|line| check_keys(line));

    // Words, the closing newline, the usage.
    assert_eq!(before.len(), 8 + 1 + 1);
    for (i, line) in before[..9].iter().enumerate() {
        let said = if i < 8 { word(i) } else { "\n".to_owned() };
        assert_eq!((&line["content"], &line["role"]), (&json!(said), &json!("assistant")));
        assert_eq!((&line["type"], &line["metadata"]), (&json!("do_subtask_result"), &json!({})));
        assert_eq!(
            (&line["message_id"], &line["session_id"]),
            (&before[0]["message_id"], &json!("s"))
        );
        assert!(line["timestamp"].is_f64());
    }
    assert_eq!((&end["session_id"], &end["total_stream_count"]), (&json!("s"), &json!(10)));
    assert!(end["timestamp"].is_f64());
    room.close().await
}

#[tokio::test]
async fn the_usage_is_told_in_its_own_line() -> Result<()> {
    let room = Room::open().await?;
    let lines = room.said("s", &Script { deltas: 4, reasoning: 2, ..Script::default() }).await?;
    let values = parsed(&lines)?;
    let usage = &values[values.len() - 2];
    assert_eq!((&usage["type"], &usage["content"]), (&json!("token_usage"), &json!("")));
    assert_ne!(usage["message_id"], values[0]["message_id"]);
    let told = &usage["metadata"];
    let total = &told["token_usage"]["total_info"];
    assert_eq!(total["completion_tokens"], 6);
    assert_eq!(
        total["total_tokens"].as_u64().unwrap(),
        6 + total["prompt_tokens"].as_u64().unwrap()
    );
    assert_eq!((&total["reasoning_tokens"], &total["model"]), (&json!(2), &json!("test-model")));
    let step = &told["token_usage"]["per_step_info"][0];
    assert_eq!(
        (&step["step_name"], &step["usage"]["completion_tokens"]),
        (&json!("direct_execution"), &json!(6))
    );
    assert_eq!(
        (&told["model"], &told["models"], &told["session_id"]),
        (&json!("test-model"), &json!(["test-model"]), &json!("s"))
    );
    assert!(
        room.ann.messages("s").await?["messages"]
            .as_array()
            .unwrap()
            .iter()
            .all(|m| m["type"] != "token_usage")
    );
    room.close().await
}

#[tokio::test]
async fn thinking_text_and_tool_calls_share_a_message() -> Result<()> {
    let room = Room::open().await?;
    let call =
        |name: &str| ToolCall { name: name.to_owned(), arguments: json!({"词": "🙂 \"x\" \\"}) };
    let script = Script {
        deltas: 3,
        reasoning: 2,
        tool_calls: vec![call("look"), call("find")],
        ..Script::default()
    };
    let lines = room.said("s", &script).await?;
    check_whole(&lines)?;
    lines.iter().filter(|line| !line.contains("stream_end")).for_each(|line| check_keys(line));
    let values = parsed(&lines)?;
    let turn = values.iter().take_while(|line| line["message_id"] == values[0]["message_id"]);
    let said = &values[..turn.count()];
    assert_eq!(values[said.len()]["type"], "tool_call_result");
    assert!(said.iter().all(|line| line["message_id"] == said[0]["message_id"]));
    assert_eq!(
        (&said[0]["type"], &said[0]["reasoning_content"]),
        (&json!("reasoning_content"), &json!(thought(0)))
    );
    assert_eq!(
        (&said[2]["type"], &said[2]["content"]),
        (&json!("do_subtask_result"), &json!(word(0)))
    );
    let first = &said[5];
    assert_eq!(
        (&first["type"], &first["tool_calls"][0]["id"]),
        (&json!("tool_call"), &json!("call_0"))
    );
    assert_eq!(first["tool_calls"][0]["function"], json!({"name": "look", "arguments": ""}));
    assert_eq!(first["tool_calls"][0]["index"], 0);
    // No lone newline closes a response that calls tools.
    assert_eq!(said.last().unwrap()["type"], "tool_call");

    let snapshot = room.ann.messages("s").await?;
    check_snapshot(&snapshot, &lines, 0)?;
    let message = &snapshot["messages"][1];
    assert_eq!((&message["content"], &message["type"]), (&json!(text(3)), &json!("tool_call")));
    assert_eq!(message["reasoning_content"], thought(0) + &thought(1));
    let calls = message["tool_calls"].as_array().unwrap();
    let whole: Vec<_> =
        calls.iter().map(|c| c["function"]["arguments"].as_str().unwrap()).collect();
    assert_eq!(
        whole,
        [script.tool_calls[0].arguments.to_string(), script.tool_calls[1].arguments.to_string()]
    );
    for (key, value) in [
        ("message_type", json!("tool_call")),
        ("is_final", json!(false)),
        ("is_chunk", json!(false)),
        ("chunk_id", Value::Null),
    ] {
        assert_eq!(message[key], value, "{key}");
    }
    room.close().await
}

#[tokio::test]
async fn a_model_that_fails_is_told_in_the_stream() -> Result<()> {
    let room = Room::open().await?;
    let scripts = [
        ("error", Script { error_after: Some(2), ..Script::default() }),
        ("cut", Script { break_after: Some(2), ..Script::default() }),
        ("unfinished", Script { deltas: 2, finish: false, done: false, ..Script::default() }),
    ];
    for (session, script) in scripts {
        let lines = room.said(session, &script).await?;
        check_whole(&lines)?;
        let values = parsed(&lines)?;
        let kinds: Vec<_> = values.iter().map(|line| line["type"].as_str().unwrap()).collect();
        let wanted =
            ["do_subtask_result", "do_subtask_result", "final_answer", "token_usage", "stream_end"];
        assert_eq!(kinds, wanted, "{session}");
        assert!(
            values[2]["content"].as_str().unwrap().starts_with("工作流执行失败: "),
            "{session}"
        );
        check_snapshot(&room.ann.messages(session).await?, &lines, 0)?;
    }
    let refused = Script { raw: Some("no completion".to_owned()), ..Script::default() };
    let values = parsed(&room.said("refused", &refused).await?)?;
    assert_eq!(values[0]["type"], "final_answer");
    assert_eq!(values.last().unwrap()["type"], "stream_end");
    room.close().await
}

#[tokio::test]
async fn server_sent_events_carry_the_same_lines_with_ids() -> Result<()> {
    let room = Room::open().await?;
    let lines = room.said("s", &Script { deltas: 3, ..Script::default() }).await?;
    let sse = async |last: Option<String>| -> Result<(String, String)> {
        let mut request =
            room.ann.get("/api/stream/resume/s").header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await?.error_for_status()?;
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        let run = response.headers()["x-run-id"].to_str()?.to_owned();
        Ok((run, response.text().await?))
    };
    let (run, all) = sse(None).await?;
    let event = |i: usize| format!("id: {run}:{i}\ndata: {}\n\n", lines[i]);
    assert_eq!(all, (0..lines.len()).map(event).collect::<String>());
    let (_, rest) = sse(Some(format!("{run}:1"))).await?;
    assert_eq!(rest, (2..lines.len()).map(event).collect::<String>());
    room.close().await
}

#[tokio::test]
async fn every_door_tells_the_same_and_names_its_run() -> Result<()> {
    let room = Room::open().await?;
    let agent = json!({"name": "Helper", "systemPrefix": "Be kind."});
    let agent = data(room.ann.post("/api/agent/create").json(&agent)).await?;
    let mut chat = hello("by-chat");
    chat["agent_id"] = agent["agent_id"].clone();
    for (path, body) in [("/api/chat", chat), (TIED, hello("tied")), (WEB, hello("web"))] {
        let mut stream = Lines::of(room.ann.post(path).json(&body).send().await?).await?;
        let mut lines = Vec::new();
        stream.rest(&mut lines).await?;
        check_whole(&lines)?;
        let session = body["session_id"].as_str().unwrap();
        assert_eq!(room.ann.replay(session).await?, lines, "{path}");
    }
    let first = &room.model.calls().all()[0];
    assert_eq!(first.body["messages"][0]["role"], "system");
    assert!(first.body["messages"][0]["content"].as_str().unwrap().contains("Be kind."));
    let unnamed = json!({"messages": [{"role": "user", "content": "hello"}]});
    let mut stream = Lines::of(room.ann.post(WEB).json(&unnamed).send().await?).await?;
    let first: Value = serde_json::from_str(&stream.next().await?.unwrap())?;
    assert!(first["session_id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    room.close().await
}
