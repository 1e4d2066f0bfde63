//! Commands on the machine: off, for administrators, within limits.

use super::room::{Room, data, raised};
use anyhow::Result;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ADMINS: &[(&str, &str)] = &[("ANNALS_SHELL_TOOL", "admins")];

fn run(room: &Room, command: &str) -> RequestBuilder {
    timed(room, command, 20)
}

fn timed(room: &Room, command: &str, timeout: u64) -> RequestBuilder {
    let arguments = json!({"command": command, "timeout": timeout});
    room.tool(&room.admin, "execute_shell_command", arguments)
}

#[tokio::test]
async fn nobody_runs_commands_unless_it_is_turned_on() -> Result<()> {
    let room = Room::open().await?;
    assert_eq!(raised(run(&room, "id")).await?, "工具不存在");
    room.close().await?;
    let room = Room::open_with(ADMINS).await?;
    let arguments = json!({"command": "id"});
    let denied = room.tool(&room.ann, "execute_shell_command", arguments);
    assert_eq!(raised(denied).await?, "无权使用该工具");
    let names = |list: Value| list.to_string().contains("execute_shell_command");
    assert!(!names(data(room.ann.get("/api/tools")).await?));
    assert!(names(data(room.admin.get("/api/tools")).await?));
    room.close().await
}

#[tokio::test]
async fn a_command_works_on_the_workspace() -> Result<()> {
    let room = Room::open_with(ADMINS).await?;
    for (path, content) in [("in/a.txt", "hello"), ("gone.txt", "x"), ("same.txt", "y")] {
        let arguments = json!({"file_path": path, "content": content});
        data(room.tool(&room.admin, "file_write", arguments)).await?;
    }
    let before = room.node.settled().await?;
    let command = "cat in/a.txt; echo no >&2; mkdir out; tr a-z A-Z < in/a.txt > 'out/größe 1.txt'; rm gone.txt; \
        ln -s /etc/passwd link; ln -s / root; mkfifo pipe; ln in/a.txt second; exit 3";
    let done = data(run(&room, command)).await?;
    for (key, value) in [
        ("exit_code", json!(3)),
        ("stdout", json!("hello")),
        ("stderr", json!("no\n")),
        ("timed_out", json!(false)),
        ("written", json!(["out/größe 1.txt"])),
    ] {
        assert_eq!(done[key], value, "{key}: {done}");
    }
    assert_eq!(
        room.news(before).await?,
        ["ToolCallStarted", "FileWritten", "FileDeleted", "ToolCallEnded"]
    );
    let read = json!({"file_path": "out/größe 1.txt", "include_line_numbers": false});
    assert_eq!(data(room.tool(&room.admin, "file_read", read)).await?["content"], "HELLO\n");
    room.close().await
}

#[tokio::test]
async fn a_command_learns_nothing_of_the_server() -> Result<()> {
    let room = Room::open_with(ADMINS).await?;
    let done = data(run(
        &room,
        "env; id -u; cat /proc/$PPID/environ; ls -d /proc/[0-9]*/root/. 2>/dev/null",
    ))
    .await?;
    let said = done["stdout"].as_str().unwrap();
    for secret in ["DATABASE_URL", "ANNALS", "CARGO", "postgres"] {
        assert!(!said.contains(secret), "{said}");
    }
    assert!(!said.lines().any(|line| line == "0"), "runs as root: {said}");
    room.close().await
}

#[tokio::test]
async fn a_command_ends_at_its_limits() -> Result<()> {
    let room = Room::open_with(ADMINS).await?;
    let began = Instant::now();
    let slow = data(timed(
        &room,
        "echo begun; setsid sleep 600 & (sleep 600; echo late > late.txt) & sleep 600",
        1,
    ))
    .await?;
    assert_eq!(
        (&slow["timed_out"], &slow["stdout"], &slow["exit_code"]),
        (&json!(true), &json!("begun\n"), &Value::Null)
    );
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let left = data(run(&room, "ps -e -o args= 2>/dev/null | grep -c '[s]leep 600'; true")).await?;
    assert!(["0\n", ""].contains(&left["stdout"].as_str().unwrap()), "{left}");
    let loud = data(run(&room, "yes | head -c 10000000")).await?;
    assert_eq!((loud["stdout"].as_str().unwrap().len(), &loud["exit_code"]), (20 << 10, &json!(0)));
    let large = data(run(&room, "head -c 300000000 /dev/zero > big; wc -c < big; rm big")).await?;
    assert!(large["stdout"].as_str().unwrap().trim().parse::<u64>()? < 200_000_000, "{large}");
    let limits = data(run(&room, "ulimit -v; ulimit -n; ulimit -c; ulimit -t")).await?;
    assert_eq!(limits["stdout"], "1048576\n256\n0\n120\n");
    let lifted = data(run(&room, "ulimit -v unlimited && echo lifted; true")).await?;
    assert_eq!(lifted["stdout"], "", "{lifted}");
    for bad in ["", " "] {
        assert!(raised(run(&room, bad)).await?.contains("a command is"), "{bad:?}");
    }
    room.close().await
}
