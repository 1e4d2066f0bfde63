//! Drafts and prompts that are written in the background.

use super::room::{Room, answer, data, refused, says};
use annals_tests::{
    app::{Person, TestApp},
    model_server::{Fate, Script},
};
use anyhow::{Context, Result};
use domain::Revision;
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// How long a task may take; far more than it needs.
const PATIENCE: Duration = Duration::from_secs(30);

const DRAFT: &str = "/api/agent/auto-generate/submit";
const OPTIMIZE: &str = "/api/agent/system-prompt/optimize/submit";

fn body() -> Value {
    json!({"agent_description": "find things"})
}

fn path(task: &Value) -> String {
    format!("/api/agent/tasks/{}", task["task_id"].as_str().unwrap())
}

/// The task once it is over.
async fn over(room: &Room, who: &Person, task: &Value) -> Result<Value> {
    let stream = format!("agent_task-{}", task["task_id"].as_str().unwrap()).parse()?;
    let mut end = room.node.app.log.follow(stream, Revision(1));
    timeout(PATIENCE, end.next()).await.context("still running")?;
    room.node.settled().await?;
    data(who.get(&path(task))).await
}

#[tokio::test]
async fn a_task_is_submitted_polled_and_completed() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(says("{\"name\": \"Finder\", \"sections\": {\"role\": \"r\"}}"));
    for (submit, body, kind) in [
        (DRAFT, body(), "agent_auto_generate"),
        (OPTIMIZE, json!({"original_prompt": "p"}), "system_prompt_optimize"),
    ] {
        let task = data(room.ann.post(submit).json(&body)).await?;
        assert_eq!(task["task_type"], kind);
        assert!(["running", "completed"].contains(&task["status"].as_str().unwrap()), "{task}");
        let done = over(&room, &room.ann, &task).await?;
        assert_eq!((&done["status"], &done["error"]), (&json!("completed"), &Value::Null));
        assert!(done["result"]["name"] == "Finder" || done["result"]["success"] == true, "{done}");
        for key in ["task_id", "metadata", "created_at", "updated_at"] {
            assert!(!done[key].is_null(), "{key}");
        }
        let late = data(room.ann.post(&format!("{}/cancel", path(&task)))).await?;
        assert_eq!(late["status"], "completed", "what is over stays as it is");
    }
    room.close().await
}

#[tokio::test]
async fn a_cancelled_task_ends_the_models_call() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(Script { silent: true, ..Script::default() });
    let task = data(room.ann.post(DRAFT).json(&body())).await?;
    room.model.calls().until(|calls| calls.len() == 1).await?;
    let cancelled = data(room.ann.post(&format!("{}/cancel", path(&task)))).await?;
    assert_eq!((&cancelled["status"], &cancelled["result"]), (&json!("cancelled"), &Value::Null));
    assert_eq!(room.model.calls().fate_of(0).await?, Fate::Abandoned);
    assert_eq!(over(&room, &room.ann, &task).await?["status"], "cancelled");
    room.close().await
}

#[tokio::test]
async fn a_failure_is_kept_with_its_reason() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(Script { raw: Some("rubbish".to_owned()), ..Script::default() });
    let task = data(room.ann.post(DRAFT).json(&body())).await?;
    let failed = over(&room, &room.ann, &task).await?;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!(500)));
    assert!(failed["error"]["message"].as_str().unwrap().contains("model"), "{failed}");
    room.close().await
}

#[tokio::test]
async fn tasks_are_bounded_and_nobody_elses() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(Script { silent: true, ..Script::default() });
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(data(room.ann.post(DRAFT).json(&body())).await?);
    }
    assert!(refused(room.ann.post(DRAFT).json(&body())).await?.contains('4'));
    data(room.bob.post(DRAFT).json(&body())).await?;
    for request in [
        room.bob.get(&path(&tasks[0])),
        room.bob.post(&format!("{}/cancel", path(&tasks[0]))),
        room.ann.get("/api/agent/tasks/00000000-0000-0000-0000-000000000000"),
        room.ann.get("/api/agent/tasks/nonsense"),
    ] {
        let (status, said) = answer(request).await?;
        assert_eq!((status, &said["message"]), (404, &json!("任务不存在")));
    }
    assert_eq!(answer(room.node.nobody()?.get(&path(&tasks[0]))).await?.0, 401);
    assert_eq!(data(room.root.get(&path(&tasks[0]))).await?["status"], "running");
    room.close().await
}

#[tokio::test]
async fn what_a_node_leaves_behind_has_failed() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(Script { silent: true, ..Script::default() });
    let url = room.model.base_url();
    let settings = [("ANNALS_LLM_BASE_URL", url.as_str()), ("ANNALS_LLM_MODEL", "test-model")];
    let other = TestApp::on(&room.node.database_url(), &settings).await?;
    let task = data(room.ann.at(&other).post(DRAFT).json(&body())).await?;
    assert_eq!(data(room.ann.get(&path(&task))).await?["status"], "running");
    other.stop().await?;
    let failed = over(&room, &room.ann, &task).await?;
    assert_eq!(failed["status"], "failed");
    assert!(failed["error"]["message"].as_str().unwrap().contains("stopped"), "{failed}");
    room.close().await
}
