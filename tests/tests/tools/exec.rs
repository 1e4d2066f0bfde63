//! Listing tools and calling them directly.

use super::room::{Room, answer, data, raised};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn tools_are_listed_with_what_they_take() -> Result<()> {
    let room = Room::open().await?;
    let list = data(room.ann.get("/api/tools")).await?;
    let names: Vec<_> = list["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    for name in [
        "todo_write",
        "todo_read",
        "file_read",
        "file_write",
        "file_update",
        "list_dir",
        "grep",
        "glob",
        "fetch_webpages",
        "search_web_page",
        "retrieve_knowledge_base",
        "retrieve_on_zavixai_db",
        "current_time",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert!(!names.contains(&"execute_shell_command"), "{names:?}");
    let read =
        list["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "file_read").unwrap();
    assert_eq!(read["parameters"]["file_path"]["type"], "string");
    for (key, value) in [
        ("type", json!("basic")),
        ("source", json!("基础工具")),
        ("user_id", json!("")),
        ("required", json!(["file_path"])),
    ] {
        assert_eq!(read[key], value, "{key}");
    }
    assert_eq!(read["input_schema"]["properties"], read["parameters"]);
    assert_eq!(data(room.ann.get("/api/tools?type=basic")).await?, list);
    for other in ["mcp", "sage_mcp", "nonsense"] {
        assert_eq!(
            data(room.ann.get(&format!("/api/tools?type={other}"))).await?["tools"],
            json!([])
        );
    }
    let (status, _) = answer(room.node.nobody()?.get("/api/tools")).await?;
    assert_eq!(status, 401);
    room.close().await
}

#[tokio::test]
async fn a_call_is_on_record_without_what_was_said() -> Result<()> {
    let room = Room::open().await?;
    let before = room.node.settled().await?;
    let content = "a word nobody else shall read";
    let body = json!({"tool_name": "file_write", "agent_id": room.agent,
        "arguments": {"file_path": "a.txt", "content": content}});
    let (status, done) = answer(room.ann.post("/api/tools/exec").json(&body)).await?;
    assert_eq!(
        (status, &done["code"], &done["message"]),
        (200, &json!(200), &json!("工具执行成功"))
    );
    assert_eq!(done["data"]["file_path"], "a.txt");
    raised(room.tool(&room.ann, "file_read", json!({"file_path": "b.txt"}))).await?;
    assert_eq!(
        room.news(before).await?,
        ["ToolCallStarted", "FileWritten", "ToolCallEnded", "ToolCallStarted", "ToolCallEnded"]
    );
    let filter = commands::log::Filter::default();
    let page = room.node.app.log.read_all(before, 100, &filter).await?;
    for event in &page.events {
        assert!(!event.data.get().contains(content), "{}", event.data.get());
        let metadata: Value = serde_json::from_str(event.metadata.get())?;
        assert_eq!(metadata["actor"], json!(room.ann.user));
    }
    let correlation = |at: usize| -> Result<Value> {
        let metadata: Value = serde_json::from_str(page.events[at].metadata.get())?;
        Ok(metadata["correlation_id"].clone())
    };
    assert_eq!(correlation(0)?, correlation(1)?, "the file goes back to the same request");
    room.close().await
}

#[tokio::test]
async fn what_cannot_be_called_says_so_and_leaves_nothing() -> Result<()> {
    let room = Room::open().await?;
    let before = room.node.settled().await?;
    let call = |body: Value| room.ann.post("/api/tools/exec").json(&body);
    assert_eq!(
        raised(call(json!({"tool_name": "web_search", "tool_params": {"query": "x"}}))).await?,
        "工具不存在"
    );
    assert_eq!(
        raised(call(
            json!({"tool_name": "execute_shell_command", "tool_params": {"command": "id"}})
        ))
        .await?,
        "工具不存在"
    );
    assert_eq!(
        raised(call(json!({"tool_name": "grep", "agent_id": "agent_0"}))).await?,
        "Agent 'agent_0' 不存在"
    );
    assert_eq!(
        raised(call(json!({"tool_name": "todo_read", "session_id": "x"}))).await?,
        "会话 x 不存在"
    );
    for body in
        [json!({}), json!({"tool_name": 7}), json!({"tool_name": "grep", "tool_params": "x"})]
    {
        let (status, _) = answer(call(body)).await?;
        assert_eq!(status, 422);
    }
    assert_eq!(room.news(before).await?, Vec::<String>::new());
    for (tool, arguments, said) in [
        ("file_read", json!({}), "missing field `file_path`"),
        ("search_web_page", json!({"query": "x"}), "ANNALS_SEARCH_URL"),
        ("todo_read", json!({}), "conversation"),
        ("current_time", json!({"timezone": "Mars"}), "time zone"),
        ("retrieve_knowledge_base", json!({"query": "x"}), "no knowledge base"),
        ("fetch_webpages", json!({"urls": ["http://127.0.0.1/"]}), "public address"),
        ("fetch_webpages", json!({"urls": ["http://169.254.169.254/"]}), "public address"),
        ("fetch_webpages", json!({"urls": ["file:///etc/passwd"]}), "only http and https"),
        ("grep", json!({"pattern": "("}), "unclosed group"),
    ] {
        let failed = raised(room.tool(&room.ann, tool, arguments)).await?;
        assert!(failed.starts_with("工具执行失败: ") && failed.contains(said), "{tool}: {failed}");
    }
    room.close().await
}

#[tokio::test]
async fn files_are_read_changed_and_found() -> Result<()> {
    let room = Room::open().await?;
    let tool =
        async |name: &str, arguments: Value| data(room.tool(&room.ann, name, arguments)).await;
    room.write("src/main.rs", "fn main() {\n    one();\n    two();\n}\n").await?;
    room.write("notes 笔记.md", "one\n").await?;
    let append = json!({"file_path": "notes 笔记.md", "content": "two\n", "mode": "append"});
    assert_eq!(tool("file_write", append).await?["size"], 8);
    let update = json!({"file_path": "src/main.rs", "operations": [
        {"search_pattern": "one()", "replacement": "three()"},
        {"start_line": 3, "end_line": 3, "replacement": "    four();"},
    ]});
    tool("file_update", update).await?;
    let read =
        tool("file_read", json!({"file_path": "src/main.rs", "start_line": 2, "end_line": 3}))
            .await?;
    assert_eq!(read["content"], "    2 |     three();\n    3 |     four();\n");
    assert_eq!((&read["total_lines"], &read["truncated"]), (&json!(4), &json!(true)));
    let plain = json!({"file_path": "notes 笔记.md", "include_line_numbers": false});
    assert_eq!(tool("file_read", plain).await?["content"], "one\ntwo\n");
    let globbed = tool("glob", json!({"pattern": "*.rs"})).await?;
    assert_eq!((&globbed["files"], &globbed["count"]), (&json!(["src/main.rs"]), &json!(1)));
    let found = tool("grep", json!({"pattern": "t(wo|hree)", "path": "src"})).await?;
    assert_eq!(
        found["matches"],
        json!([{"file": "src/main.rs", "line": 2, "text": "    three();"}])
    );
    let one = tool(
        "grep",
        json!({"pattern": "THREE", "path": "src/main.rs", "case_insensitive": true,
        "output_mode": "count"}),
    )
    .await?;
    assert_eq!(one["counts"], json!([{"file": "src/main.rs", "matches": 1}]));
    let files = tool("grep", json!({"pattern": "o", "output_mode": "files_with_matches"})).await?;
    assert_eq!(files["files"], json!(["notes 笔记.md", "src/main.rs"]));
    let listed = tool("list_dir", json!({"depth": 1})).await?;
    assert_eq!(listed["entries"][1]["path"], "src");
    let twice = json!({"file_path": "src/main.rs", "search_pattern": "()", "replacement": "(1)"});
    assert!(raised(room.tool(&room.ann, "file_update", twice)).await?.contains("3 times"));
    room.close().await
}

#[tokio::test]
async fn changes_at_the_same_moment_are_all_kept() -> Result<()> {
    let room = Room::open().await?;
    room.write("log.txt", "").await?;
    let append = |n: i32| {
        let line = json!({"file_path": "log.txt", "content": format!("{n}\n"), "mode": "append"});
        data(room.tool(&room.ann, "file_write", line))
    };
    tokio::try_join!(append(1), append(2), append(3), append(4))?;
    let read = data(room.tool(&room.ann, "file_read", json!({"file_path": "log.txt"}))).await?;
    assert_eq!(read["total_lines"], 4);
    room.close().await
}

#[tokio::test]
async fn no_pattern_takes_long() -> Result<()> {
    let room = Room::open().await?;
    room.write("a.txt", &format!("{}!\n", "a".repeat(60_000)).repeat(5)).await?;
    let began = Instant::now();
    let found = data(room.tool(&room.ann, "grep", json!({"pattern": "^(a+)+$"}))).await?;
    assert_eq!(found["total"], 0);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    room.close().await
}

#[tokio::test]
async fn a_conversation_has_a_list_of_tasks() -> Result<()> {
    let room = Room::open().await?;
    let status = async |person: &annals_tests::app::Person| {
        answer(person.post("/api/sessions/s-1/tasks_status")).await
    };
    let chat = json!({"session_id": "s-1", "messages": [{"role": "user", "content": "hi"}]});
    room.ann.post("/api/web-stream").json(&chat).send().await?.text().await?;
    assert_eq!(status(&room.ann).await?.1["data"]["tasks_status"], json!({"tasks": []}));
    let write = |tasks: Value| {
        room.ann
            .post("/api/tools/exec")
            .json(&json!({"tool_name": "todo_write", "session_id": "s-1",
            "tool_params": {"tasks": tasks}}))
    };
    data(write(json!([{"id": "t1", "content": "read"}, {"id": "t2", "content": "write"}]))).await?;
    let list =
        data(write(json!([{"id": "t1", "status": "completed", "conclusion": "done"}]))).await?;
    assert_eq!((&list["total"], &list["unfinished"]), (&json!(2), &json!(1)));
    // What Sage's web client shows of each.
    let shown = |at: usize| (&list["tasks"][at]["name"], &list["tasks"][at]["status"]);
    assert_eq!(shown(0), (&json!("read"), &json!("completed")));
    assert_eq!(shown(1), (&json!("write"), &json!("pending")));
    assert!(raised(write(json!([{"id": "t3"}]))).await?.contains("no content"));
    let (code, body) = status(&room.ann).await?;
    assert_eq!(
        (code, &body["data"]["session_id"], &body["data"]["user_id"]),
        (200, &json!("s-1"), &json!(room.ann.user))
    );
    let tasks = &body["data"]["tasks_status"]["tasks"];
    for (key, value) in [
        ("id", "t1"),
        ("task_id", "t1"),
        ("content", "read"),
        ("title", "read"),
        ("status", "completed"),
        ("conclusion", "done"),
    ] {
        assert_eq!(tasks[0][key], value, "{key}");
    }
    assert_eq!((&tasks[1]["id"], &tasks[1]["status"]), (&json!("t2"), &json!("pending")));
    let (code, body) = status(&room.bob).await?;
    assert_eq!((code, &body["message"]), (500, &json!("会话 s-1 已完成或者不存在")));
    room.close().await
}

#[tokio::test]
async fn arguments_go_by_either_name() -> Result<()> {
    let room = Room::open().await?;
    for (params, arguments) in [
        (json!({"timezone": "Asia/Tokyo"}), json!({"timezone": "UTC"})),
        (json!({"timezone": "Asia/Tokyo"}), Value::Null),
        (Value::Null, json!({"timezone": "Asia/Tokyo"})),
    ] {
        let body = json!({"tool_name": "current_time", "tool_params": params,
            "arguments": arguments});
        let told = data(room.ann.post("/api/tools/exec").json(&body)).await?;
        assert_eq!(told["timezone"], "Asia/Tokyo", "{body}");
    }
    room.close().await
}

#[tokio::test]
async fn everybody_who_appends_at_once_is_heard() -> Result<()> {
    let room = Room::open().await?;
    let append = |n: u32| {
        let line = json!({"file_path": "log.txt", "content": format!("{n}\n"), "mode": "append"});
        data(room.tool(&room.ann, "file_write", line))
    };
    futures::future::try_join_all((0..24).map(append)).await?;
    let read = json!({"file_path": "log.txt", "include_line_numbers": false});
    let read = data(room.tool(&room.ann, "file_read", read)).await?;
    let mut lines: Vec<u32> =
        read["content"].as_str().unwrap().lines().map(str::parse).collect::<Result<_, _>>()?;
    lines.sort_unstable();
    assert_eq!(lines, (0..24).collect::<Vec<_>>());
    room.close().await
}

#[tokio::test]
async fn an_empty_workspace_is_searched_without_complaint() -> Result<()> {
    let room = Room::open().await?;
    for path in [json!("."), json!("/"), json!(""), Value::Null, json!("nothing.txt")] {
        let found = room.tool(&room.ann, "grep", json!({"pattern": "x", "path": path}));
        data(found).await?;
    }
    room.close().await
}

#[tokio::test]
async fn a_pattern_that_nests_too_deep_is_refused() -> Result<()> {
    let room = Room::open().await?;
    room.write("a.txt", "x").await?;
    let deep = format!("{}{}", "{a,".repeat(249), "}".repeat(249));
    for (tool, arguments) in
        [("glob", json!({"pattern": deep})), ("grep", json!({"pattern": "x", "glob": deep}))]
    {
        let refused = raised(room.tool(&room.ann, tool, arguments)).await?;
        assert!(refused.starts_with("工具执行失败: \"{a,"), "{refused}");
    }
    room.close().await
}
