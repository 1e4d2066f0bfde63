//! SIGKILL in the middle of an answer and of an action: another performer goes on, nothing is lost, doubled or charged
//! twice.

use crate::stream_chat::{PATH, events, text_in};
use annals_tests::{
    app::Person,
    model_server::{ModelServer, Script, text},
    process::{Folder, Setup, eventually},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The run and its stream; the server knows the token a moment after it was made.
async fn begun(ann: &Person, message: &str) -> Result<(String, reqwest::Response)> {
    let body = json!({ "message": message });
    let response = eventually("a login", async || {
        let response = ann.post(PATH).json(&body).send().await?;
        Ok((response.status() != 401).then_some(response))
    });
    let response = response.await?;
    ensure!(response.status() == 200, "{}", response.status());
    Ok((response.headers()["x-run-id"].to_str()?.to_owned(), response))
}

async fn replayed(ann: &Person, run: &str) -> Result<Vec<Value>> {
    let replay = ann.get(&format!("/v1/runs/{run}/stream")).send().await?.text().await?;
    let framed: String = replay.lines().map(|line| format!("data: {line}\n\n")).collect();
    events(&framed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_and_its_actions_survive_the_death_of_their_server() -> Result<()> {
    let model = ModelServer::start(Script::default()).await?;
    let folder = Folder::new("crash-chat");
    let flows = std::env::temp_dir().join(format!("annals-flows-{}.json", uuid::Uuid::new_v4()));
    let node = |name: &str| {
        json!({"type": "directus_write", "config": {
            "collection": "user_nodes", "fields": {"name": name}, "charge": "post_creations"}})
    };
    let slow = Script { deltas: 30, delay_ms: 50, ..Script::default() }.message("slowly");
    let ask = json!({"type": "model_call", "result_key": "said", "config": {"prompt": slow}});
    let flow = json!([{"slug": "long", "name": "Long", "steps": [node("one"), ask, node("two")]}]);
    std::fs::write(&flows, flow.to_string())?;
    let setup = Setup::embedded(folder.path())
        .with_model(&model.base_url())
        .with("ANNALS_GENIE_FLOWS", &flows.to_string_lossy());
    let server = setup.start().await?;
    let token = setup.run(&["user", "token", "admin"]).await?;
    let authorization = format!("Token {}", token.trim());
    let ann = Person::calling(&server.base_url, &authorization)?;

    // In the middle of the answer.
    let asked = Script { deltas: 40, delay_ms: 40, ..Script::default() }.message("hello");
    let (run, mut stream) = begun(&ann, &asked).await?;
    let mut seen = String::new();
    while !seen.contains("w7 ") {
        let chunk = stream.chunk().await?.context("it goes on")?;
        seen.push_str(std::str::from_utf8(&chunk)?);
    }
    server.kill()?;
    let server = setup.start().await?;
    let ann = Person::calling(&server.base_url, &authorization)?;
    let lines = replayed(&ann, &run).await?;
    let seen = &seen[..seen.rfind("\n\n").context("an event")? + 2];
    let framed: String = lines.iter().map(|line| format!("data: {line}\n\n")).collect();
    assert!(framed.starts_with(seen), "{seen}\n---\n{framed}");
    assert_eq!(text_in(&lines), text(40), "said once, though the model was asked twice");
    assert_eq!(model.calls().count(), 2);

    // In the middle of an action.
    model.follow(Script {
        says: Some("Yes. [ACTION:long:{}] Bye.".to_owned()),
        ..Script::default()
    });
    let (run, stream) = begun(&ann, "go").await?;
    model.calls().until(|calls| calls.len() == 4).await?;
    server.kill()?;
    drop(stream);
    let server = setup.start().await?;
    let ann = Person::calling(&server.base_url, &authorization)?;
    let lines = replayed(&ann, &run).await?;
    assert_eq!(text_in(&lines), "Yes.  Bye.");
    let statuses: Vec<&Value> =
        lines.iter().filter_map(|line| line.get("action")).map(|a| &a["status"]).collect();
    assert_eq!(statuses.last(), Some(&&json!("success")), "{lines:?}");
    assert_eq!(model.calls().count(), 5, "the answer is not asked for again, the step is");
    let kept: Value = ann.get("/items/user_nodes").send().await?.json().await?;
    let mut names: Vec<&str> = kept["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["one", "two"]);
    let usage: Value = ann.get("/api/usage").send().await?.json().await?;
    assert_eq!(usage["usage"]["post_creations"], 2, "{usage}");
    std::fs::remove_file(&flows)?;
    server.stop().await
}
