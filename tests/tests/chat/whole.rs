//! A run with everything: two tools at once, one of an MCP server, a sub-agent, a skill.

use super::room::{Room, data};
use annals_tests::{
    lines::{check_snapshot, check_whole, parsed},
    mcp_server::McpServer,
    model_server::{Script, ToolCall},
    skill_archive::{upload, zip},
};
use anyhow::Result;
use serde_json::{Value, json};

#[tokio::test]
async fn its_lines_come_in_order_and_are_the_same_wherever_it_is_cut() -> Result<()> {
    let room = Room::open_with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await?;
    let server = McpServer::start(None)?;
    server.change_tools(&["shout"]);
    let text = b"---\nname: maps\ndescription: Reads maps\n---\n# Maps\n";
    data(upload(&room.ann, "maps.zip", &zip(&[("SKILL.md", text)])?, &[])).await?;
    let call = |name: &str, arguments: Value| ToolCall { name: name.to_owned(), arguments };
    let child = Script {
        deltas: 4,
        delay_ms: 5,
        tool_calls: vec![call("echo", json!({"say": "from below"}))],
        ..Script::default()
    };
    let script = Script {
        deltas: 4,
        delay_ms: 5,
        reasoning: 2,
        tool_calls: vec![
            call("after", json!({"word": "now", "say": "second"})),
            call("echo", json!({"say": "now"})),
            call("shout", json!({"text": "hey"})),
            call("load_skill", json!({"skill_name": "maps"})),
            call(
                "sys_delegate_task",
                json!({"tasks": [
                {"agent_id": "helper", "content": child.message("help")}]}),
            ),
        ],
        ..Script::default()
    };
    let body = json!({"available_tools": ["after", "echo"], "available_skills": ["maps"],
        "custom_sub_agents": [{"name": "helper"}],
        "extra_mcp_config": {"docs": {"url": server.url()}}});

    // Cut after every line while it goes on, and taken up again.
    let mut stream = room.ask("s", &script, &body).await?;
    let run = stream.run()?;
    let mut lines = Vec::new();
    while let Some(line) = stream.next().await? {
        lines.push(line);
        drop(stream);
        let query = format!("?run_id={run}&last_index={}", lines.len());
        if annals_tests::lines::is_end(&lines[lines.len() - 1]) {
            break;
        }
        stream = room.ann.resume("s", &query).await?;
    }
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let order: Vec<_> = values
        .iter()
        .filter(|line| line["session_id"] == "s")
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    let mut kinds = order.clone();
    kinds.dedup();
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
    assert_eq!(kinds, expected);
    let results = values.iter().filter(|l| l["session_id"] == "s" && l["role"] == "tool");
    let mut results: Vec<_> = results
        .map(|line| {
            assert_eq!(line["metadata"]["tool_execution_status"], "success", "{line}");
            (line["tool_call_id"].as_str().unwrap(), line["content"].as_str().unwrap())
        })
        .collect();
    results.sort_unstable();
    assert_eq!(results[..3], [("call_0", "second"), ("call_1", "now"), ("call_2", "hey")]);
    assert!(results[3].1.contains("# Maps") && results[4].1.contains("completed"), "{results:?}");
    // What the sub-agent says comes before the result of the call that asked it.
    let from_below = values.iter().rposition(|line| line["session_id"] != "s").unwrap();
    let result = values.iter().position(|line| line["tool_call_id"] == "call_4").unwrap();
    assert!(from_below < result);

    for index in 0..lines.len() {
        let mut found = Vec::new();
        room.ann.resume("s", &format!("?last_index={index}")).await?.rest(&mut found).await?;
        assert_eq!(found, lines[index..], "from {index}");
    }
    check_snapshot(&room.ann.messages("s").await?, &lines, 0)?;
    room.close().await
}
