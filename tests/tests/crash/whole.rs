//! SIGKILL of the real server in the middle of a run with everything: tools at once, an MCP server, a sub-agent, a skill.

use annals_tests::{
    audit::audit,
    lines::{Lines, check_snapshot, check_whole, is_end, parsed},
    mcp_server::McpServer,
    model_server::{ModelServer, Script, ToolCall},
    process::{Folder, Setup, eventually},
    skill_archive::{upload, zip},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn call(name: &str, arguments: Value) -> ToolCall {
    ToolCall { name: name.to_owned(), arguments }
}

/// What the sub-agent's model does: a call, then a long answer.
fn child() -> Script {
    let tool_calls = vec![call("current_time", json!({}))];
    Script { deltas: 30, delay_ms: 20, tool_calls, ..Script::default() }
}

fn script() -> Script {
    let task = json!({"agent_id": "helper", "content": child().message("help")});
    Script {
        deltas: 2,
        tool_calls: vec![
            call("current_time", json!({})),
            call("file_write", json!({"file_path": "a.txt", "content": "once"})),
            call("slow", json!({"text": "never"})),
            call("patient", json!({"text": "again"})),
            call("load_skill", json!({"skill_name": "maps"})),
            call("sys_delegate_task", json!({"tasks": [task]})),
        ],
        ..Script::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_done_twice_and_everything_comes_to_an_end() -> Result<()> {
    let (model, mcp) = (ModelServer::start(Script::default()).await?, McpServer::start(None)?);
    mcp.change_tools(&["slow", "patient"]);
    let folder = Folder::new("crash-whole");
    let setup = Setup::embedded(folder.path())
        .with_model(&model.base_url())
        .with("ANNALS_ALLOW_PRIVATE_URLS", "true");
    let server = setup.start().await?;
    let person = server.admin().await?;
    let skill = zip(&[("SKILL.md", b"---\nname: maps\ndescription: Reads maps\n---\n# Maps\n")])?;
    ensure!(upload(&person, "maps.zip", &skill, &[]).send().await?.status() == 200);
    let body = json!({"session_id": "s", "available_tools": ["current_time", "file_write"],
        "available_skills": ["maps"], "custom_sub_agents": [{"name": "helper"}],
        "extra_mcp_config": {"docs": {"url": mcp.url()}},
        "messages": [{"role": "user", "content": script().message("go")}]});
    let mut stream = Lines::of(person.post("/api/web-stream").json(&body).send().await?).await?;
    let mut lines: Vec<String> = Vec::new();
    // Three calls are done, two hang at the MCP server, and the sub-agent has made a call and speaks.
    let called = || mcp.methods().iter().filter(|method| *method == "tools/call").count();
    let done = |lines: &[String]| {
        let results = lines.iter().filter(|line| line.contains("\"tool_call_result\""));
        results.count() == 3 + 1
    };
    while !done(&lines) {
        lines.push(stream.next().await?.context("it goes on")?);
    }
    let speaking = async || Ok((called() == 2 && model.calls().count() == 3).then_some(()));
    eventually("calls that hang", speaking).await?;
    let run = stream.run()?;
    let heard = async || {
        // The child's second turn is on record, so that it is taken up again with something said.
        let shown = person.get(&format!("/v1/runs/{}", child_of(&lines)?)).send().await?;
        let shown: Value = shown.json().await?;
        Ok((shown["lines"].as_u64() > Some(50)).then_some(()))
    };
    eventually("a sub-agent that speaks", heard).await?;
    server.kill()?;

    let server = setup.start().await?;
    let person = server.admin().await?;
    let query = format!("?run_id={run}&last_index={}", lines.len());
    person.resume("s", &query).await?.rest(&mut lines).await?;
    assert!(is_end(lines.last().context("lines")?), "{lines:#?}");
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let results = values.iter().filter(|l| l["role"] == "tool" && l["session_id"] == "s");
    let results: Vec<(String, (String, String))> = results
        .map(|line| {
            let status = text(&line["metadata"]["tool_execution_status"]);
            (text(&line["tool_call_id"]), (status, text(&line["content"])))
        })
        .collect();
    assert_eq!(results.len(), 6, "{results:#?}");
    let results: BTreeMap<_, _> = results.into_iter().collect();
    for id in ["call_0", "call_1", "call_3", "call_4", "call_5"] {
        assert_eq!(results[id].0, "success", "{results:#?}");
    }
    let (status, reason) = &results["call_2"];
    assert!(status == "error" && reason.starts_with("interrupted"), "{results:#?}");
    assert_eq!(results["call_3"].1, "again");
    assert!(results["call_4"].1.contains("# Maps"), "{results:#?}");
    assert!(results["call_5"].1.contains("\"completed\""), "{results:#?}");

    // One sub-agent, whose call was not made again and whose second turn was; what it had said is marked.
    assert_eq!((called(), model.calls().count()), (3, 5));
    let below: Vec<&Value> = values.iter().filter(|line| line["session_id"] != "s").collect();
    assert!(below.iter().all(|line| line["session_id"] == below[0]["session_id"]));
    assert_eq!(below.iter().filter(|line| line["role"] == "tool").count(), 1);
    assert_eq!(below.iter().filter(|line| line["metadata"]["superseded"] == true).count(), 1);
    let usage = &values[values.len() - 2]["metadata"]["token_usage"]["per_step_info"];
    assert_eq!(usage.as_array().context("steps")?.len(), 4);

    for index in 0..lines.len() {
        let mut found = Vec::new();
        person.resume("s", &format!("?last_index={index}")).await?.rest(&mut found).await?;
        assert_eq!(found, lines[index..], "from {index}");
    }
    check_snapshot(&person.messages("s").await?, &lines, 0)?;
    let database = embedded::attach_or_start(embedded::Options::new(folder.path())).await?;
    audit(database.url()).await?;
    let db = sqlx::PgPool::connect(database.url()).await?;
    let counts: (i64, i64, i64) = sqlx::query_as(
        "select count(*), count(parent), count(*) filter (where outcome is null) from runs",
    )
    .fetch_one(&db)
    .await?;
    assert_eq!(counts, (2, 1, 0));
    db.close().await;
    database.stop().await?;
    server.kill()
}

/// The run of the sub-agent whose lines are among these.
fn child_of(lines: &[String]) -> Result<String> {
    let lines = parsed(lines)?;
    let below = lines.iter().find(|line| line["session_id"] != "s").context("a sub-agent")?;
    Ok(below["session_id"].as_str().context("a session")?.to_owned())
}
