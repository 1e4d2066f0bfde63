//! Better words for what somebody is about to say.

use super::room::{Room, answer, data, says};
use annals_tests::model_server::{Fail, Script};
use anyhow::Result;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

const WHOLE: &str = "/api/chat/optimize-input";
const STREAMED: &str = "/api/chat/optimize-input/stream";

/// The lines of a stream, without their times.
async fn lines(request: RequestBuilder) -> Result<Vec<Value>> {
    let response = request.send().await?.error_for_status()?;
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    let text = response.text().await?;
    assert!(text.ends_with('\n'));
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut line: Value = serde_json::from_str(line)?;
        assert!(line["timestamp"].take().is_f64(), "{line}");
        lines.push(line);
    }
    Ok(lines)
}

#[tokio::test]
async fn the_model_sees_what_was_said_before_and_answers_the_better_text() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(says(" What is the weather in Berlin tomorrow?\n"));
    let said = |text: String| json!({"role": "user", "content": text});
    let mut history: Vec<Value> = (0..20).map(|at| said(format!("<{at}>"))).collect();
    history.push(json!({"role": "tool", "content": "secret"}));
    history.push(said("<enable_plan>true</enable_plan> I am in Berlin".to_owned()));
    let body = json!({"current_input": "weather?", "history_messages": history,
        "session_id": null, "agent_id": null});
    let better = "What is the weather in Berlin tomorrow?";
    let whole = data(room.ann.post(WHOLE).json(&body)).await?;
    assert_eq!(whole, json!({"success": true, "optimized_input": better}));
    let asked = room.model.calls().all().pop().unwrap().body["messages"].to_string();
    assert!(asked.contains("weather?") && asked.contains("user: I am in Berlin"), "{asked}");
    assert!(asked.contains("<19>") && !asked.contains("<8>") && !asked.contains("secret"));
    let expected = [
        json!({"type": "start", "timestamp": null}),
        json!({"type": "delta", "content": better, "timestamp": null}),
        json!({"type": "done", "success": true, "optimized_input": better, "timestamp": null}),
    ];
    assert_eq!(lines(room.ann.post(STREAMED).json(&body)).await?, expected);
    room.close().await
}

#[tokio::test]
async fn what_goes_wrong_is_told_and_the_text_stays_without_a_model() -> Result<()> {
    let room = Room::open().await?;
    let body = json!({"current_input": "weather?"});
    let message = "down".to_owned();
    let fail = Fail { status: 400, times: usize::MAX, retry_after: None, message };
    room.model.follow(Script { fail: Some(fail), ..Script::default() });
    let (status, told) = answer(room.ann.post(WHOLE).json(&body)).await?;
    assert_eq!(
        (status, told["message"].as_str().unwrap().starts_with("优化输入失败: ")),
        (500, true)
    );
    let told = lines(room.ann.post(STREAMED).json(&body)).await?;
    assert_eq!((told.len(), &told[1]["type"]), (2, &json!("error")));
    assert!(told[1]["message"].as_str().unwrap().contains("down"), "{told:?}");
    for path in [WHOLE, STREAMED] {
        for bad in
            [json!({}), json!({"current_input": " "}), json!({"current_input": "x".repeat(50_001)})]
        {
            assert_eq!(answer(room.ann.post(path).json(&bad)).await?.0, 422, "{path}");
        }
        assert_eq!(answer(room.node.nobody()?.post(path).json(&body)).await?.0, 401, "{path}");
    }
    room.close().await?;
    let room = Room::offline().await?;
    assert_eq!(data(room.ann.post(WHOLE).json(&body)).await?["optimized_input"], "weather?");
    room.close().await
}
