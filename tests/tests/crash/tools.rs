//! SIGKILL between a call and its result.

use annals_tests::{
    lines::{Lines, check_snapshot, check_whole, is_end, parsed},
    model_server::{ModelServer, Script, ToolCall},
    process::{Folder, Setup, eventually},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// How often a tool noted that it was called.
fn noted(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |note| note.lines().count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_finished_call_is_repeated_and_one_in_flight_only_where_that_does_no_harm() -> Result<()>
{
    let model = ModelServer::start(Script::default()).await?;
    let folder = Folder::new("crash-tools");
    std::fs::create_dir_all(folder.path())?;
    let setup = Setup::embedded(folder.path())
        .with_model(&model.base_url())
        .running(env!("CARGO_BIN_EXE_annals-with-tools"));
    let server = setup.start().await?;
    let (once, twice) = (folder.path().join("once"), folder.path().join("twice"));
    let call = |name: &str, arguments: Value| ToolCall { name: name.to_owned(), arguments };
    let tool_calls = vec![
        call("once", json!({"note": once, "say": "again"})),
        call("twice", json!({"note": twice, "say": "again"})),
        call("echo", json!({"say": "done"})),
    ];
    let script = Script { deltas: 2, tool_calls, ..Script::default() };
    let body = json!({"session_id": "s", "available_tools": ["once", "twice", "echo"],
        "messages": [{"role": "user", "content": script.message("go")}]});
    let person = server.admin().await?;
    let mut stream = Lines::of(person.post("/api/web-stream").json(&body).send().await?).await?;
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.contains("tool_call_result")) {
        lines.push(stream.next().await?.context("it goes on")?);
    }
    let hanging = async || Ok((noted(&once) == 1 && noted(&twice) == 1).then_some(()));
    eventually("calls that hang", hanging).await?;
    server.kill()?;

    let server = setup.start().await?;
    let person = server.admin().await?;
    let query = format!("?last_index={}", lines.len());
    person.resume("s", &query).await?.rest(&mut lines).await?;
    assert!(is_end(lines.last().context("lines")?), "{lines:#?}");
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let results = values.iter().filter(|line| line["type"] == "tool_call_result");
    let results: Vec<(String, (String, String))> = results
        .map(|line| {
            let status = text(&line["metadata"]["tool_execution_status"]);
            (text(&line["tool_call_id"]), (status, text(&line["content"])))
        })
        .collect();
    assert_eq!(results.len(), 3, "{results:?}");
    let results: BTreeMap<_, _> = results.into_iter().collect();
    let (status, reason) = &results["call_0"];
    assert!(status == "error" && reason.starts_with("interrupted"), "{results:?}");
    assert_eq!(results["call_1"], ("success".to_owned(), "again".to_owned()));
    assert_eq!(results["call_2"], ("success".to_owned(), "done".to_owned()));
    assert_eq!((noted(&once), noted(&twice)), (1, 2));
    assert_eq!(model.calls().count(), 2, "the finished turn is not repeated");
    assert_eq!(person.replay("s").await?, lines);
    check_snapshot(&person.messages("s").await?, &lines, 0)?;
    server.kill()
}
