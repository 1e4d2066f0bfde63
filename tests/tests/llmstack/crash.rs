//! SIGKILL in the middle of a run: another performer goes on, and nothing that was finished is done again.

use crate::room::{answer, made, put_together};
use annals_tests::{
    app::Person,
    model_server::{ModelServer, Script, text},
    process::{Folder, Setup, eventually},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};

fn asks(id: &str, question: &str) -> Value {
    json!({"id": id, "provider_slug": "promptly", "processor_slug": "llm",
        "input": {"input_message": question}, "config": {"retain_history": true}})
}

fn objects(lines: &str) -> Result<Vec<Value>> {
    lines.lines().map(|line| serde_json::from_str(line).context(line.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_survives_the_death_of_its_server() -> Result<()> {
    let model = ModelServer::start(Script::default()).await?;
    let folder = Folder::new("crash-apps");
    let setup = Setup::embedded(folder.path()).with_model(&model.base_url());
    let server = setup.start().await?;
    let token = setup.run(&["user", "token", "admin"]).await?;
    let authorization = format!("Token {}", token.trim());
    let ann = Person::calling(&server.base_url, &authorization)?;
    let slow = Script { deltas: 12, delay_ms: 60, ..Script::default() };
    let asked = format!("{} {{{{ one.text }}}}", slow.message("after"));
    let definition = json!({
        "name": "Two", "type_slug": "web", "draft": false,
        "output_template": {"markdown": "{{ one.text }}|{{ two.text }}"},
        "processors": [asks("two", &asked), asks("one", "first")],
    });
    // The token is in the log, and a moment later in the read model.
    let app = eventually("an app", async || Ok(made(&ann, &definition).await.ok())).await?;
    let path = format!("/api/apps/{app}/run/s");
    let mut stream = ann.post(&path).json(&json!({"stream": true})).send().await?;
    let run = stream.headers()["x-run-id"].to_str()?.to_owned();
    let mut seen = String::new();
    while !seen.contains("{\"two\":{\"output_str\":\"w3 ") {
        let chunk = stream.chunk().await?.context("it goes on")?;
        seen.push_str(std::str::from_utf8(&chunk)?);
    }
    server.kill()?;

    let server = setup.start().await?;
    let ann = Person::calling(&server.base_url, &authorization)?;
    let replay = ann.get(&format!("/v1/runs/{run}/stream")).send().await?.text().await?;
    let seen = &seen[..=seen.rfind('\n').context("a line")?];
    assert!(replay.starts_with(seen), "{seen}\n---\n{replay}");
    let lines = objects(&replay)?;
    let headers = lines.iter().rposition(|line| line.get("session").is_some());
    let (end, last) = lines[headers.context("a header")?..].split_last().context("an end")?;
    assert_eq!(put_together(last)?, end["output"]);
    assert_eq!(end["output"], format!("{}|{}", text(10), text(12)));
    assert_eq!(model.calls().count(), 3, "what was finished is not asked again");

    let (_, whole) = answer(ann.post(&path).json(&json!({}))).await?;
    assert_eq!(whole["output"], end["output"]);
    let told = &model.calls().all()[3].body["messages"];
    let told: Vec<&str> =
        told.as_array().into_iter().flatten().filter_map(|m| m["content"].as_str()).collect();
    assert_eq!(told[1..], ["first", &text(10), "first"]);
    server.stop().await
}
