//! Stopping runs: by command, by disconnecting, by speaking again, by deleting.

use super::room::{Room, TIED, WEB, answer, data};
use annals_tests::{
    lines::{check_snapshot, check_whole, is_end},
    model_server::{Fate, Script, text},
    process::eventually,
};
use anyhow::Result;
use serde_json::json;

#[tokio::test]
async fn an_interrupt_keeps_what_was_said_and_ends_once() -> Result<()> {
    let room = Room::open().await?;
    let (mut stream, mut lines) = room.stuck(WEB, "s").await?;
    let stop = || room.ann.post("/api/sessions/s/interrupt").json(&json!({"message": "enough"}));
    let (status, body) = answer(stop()).await?;
    assert_eq!((status, &body["message"]), (200, &json!("会话 s 已中断")));
    assert_eq!(body["data"], json!({"session_id": "s", "user_id": room.ann.user}));
    stream.rest(&mut lines).await?;
    check_whole(&lines)?;
    assert_eq!(room.model.calls().fate_of(0).await?, Fate::Abandoned);
    let snapshot = room.ann.messages("s").await?;
    check_snapshot(&snapshot, &lines, 0)?;
    assert_eq!(snapshot["messages"][1]["content"], text(3));
    // Again, and for nothing: the same answer, and no line more.
    data(stop()).await?;
    assert_eq!(room.ann.replay("s").await?, lines);
    let unknown = answer(room.ann.post("/api/sessions/nobody/interrupt")).await?;
    assert_eq!((unknown.0, &unknown.1["message"]), (200, &json!("会话 nobody 已中断")));
    room.said("s", &Script::default()).await?;
    room.close().await
}

#[tokio::test]
async fn somebody_else_stops_nothing() -> Result<()> {
    let room = Room::open().await?;
    let script = Script { deltas: 30, delay_ms: 10, ..Script::default() };
    let mut stream = room.ann.say(WEB, "s", &script.message("hello")).await?;
    let mut lines = Vec::new();
    stream.until(3, &mut lines).await?;
    data(room.bob.post("/api/sessions/s/interrupt")).await?;
    stream.rest(&mut lines).await?;
    assert_eq!(lines.len(), 30 + 3, "stopped by a stranger");
    room.close().await
}

#[tokio::test]
async fn a_client_that_leaves_stops_a_tied_run_only() -> Result<()> {
    let room = Room::open().await?;
    let (stream, seen) = room.stuck(TIED, "tied").await?;
    drop(stream);
    assert_eq!(room.model.calls().fate_of(0).await?, Fate::Abandoned);
    let lines = room.ann.replay("tied").await?;
    check_whole(&lines)?;
    assert_eq!(seen, lines[..3]);
    check_snapshot(&room.ann.messages("tied").await?, &lines, 0)?;
    // The session is free at once.
    let mut again = room.ann.say(TIED, "tied", "hello").await?;
    again.rest(&mut Vec::new()).await?;

    let script = Script { deltas: 30, delay_ms: 10, ..Script::default() };
    let mut stream = room.ann.say(WEB, "web", &script.message("hello")).await?;
    stream.until(3, &mut Vec::new()).await?;
    drop(stream);
    let lines = room.ann.replay("web").await?;
    check_whole(&lines)?;
    assert_eq!(lines.len(), 30 + 3);
    room.close().await
}

#[tokio::test]
async fn speaking_again_replaces_the_run() -> Result<()> {
    let room = Room::open().await?;
    let (mut old, mut old_lines) = room.stuck(WEB, "s").await?;
    let quick = Script { deltas: 2, ..Script::default() }.message("no, wait");
    let mut new = room.ann.say(WEB, "s", &quick).await?;
    let mut new_lines = Vec::new();
    new.rest(&mut new_lines).await?;
    old.rest(&mut old_lines).await?;
    assert_ne!(old.run()?, new.run()?);
    check_whole(&old_lines)?;
    check_whole(&new_lines)?;
    assert_eq!(old_lines.iter().filter(|line| is_end(line)).count(), 1);
    assert_eq!(room.model.calls().fate_of(0).await?, Fate::Abandoned);
    let snapshot = room.ann.messages("s").await?;
    check_snapshot(&snapshot, &new_lines, 2)?;
    assert_eq!(snapshot["messages"][1]["content"], text(3), "what was said stays");
    room.close().await
}

#[tokio::test]
async fn a_conversation_that_is_deleted_stops_speaking() -> Result<()> {
    let room = Room::open().await?;
    let (mut stream, mut lines) = room.stuck(WEB, "s").await?;
    let (status, body) =
        answer(room.ann.request(reqwest::Method::DELETE, "/api/conversations/s")).await?;
    assert_eq!((status, &body["data"]), (200, &json!({"session_id": "s"})));
    stream.rest(&mut lines).await?;
    check_whole(&lines)?;
    assert_eq!(room.model.calls().fate_of(0).await?, Fate::Abandoned);
    let gone = answer(room.ann.get("/api/conversations/s/messages")).await?;
    super::room::failed(&gone, 500, "会话 s 不存在");
    // The id is free for something new.
    let lines = room.said("s", &Script::default()).await?;
    check_snapshot(&room.ann.messages("s").await?, &lines, 0)?;
    eventually("nothing going on", async || {
        let sql = "select count(*) from runs where outcome is null";
        let left: i64 = sqlx::query_scalar(sql).fetch_one(&room.node.app.db).await?;
        Ok((left == 0).then_some(()))
    })
    .await?;
    room.close().await
}
