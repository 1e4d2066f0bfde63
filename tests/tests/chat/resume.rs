//! Taking a stream up again: from any index, any run, by its owner only.

use super::room::{Room, WEB, answer, failed, unprocessable};
use annals_tests::{
    app::Person,
    lines::{check_snapshot, check_whole, parsed},
    model_server::Script,
};
use anyhow::Result;
use serde_json::json;

async fn resumed(person: &Person, session: &str, query: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    person.resume(session, query).await?.rest(&mut lines).await?;
    Ok(lines)
}

#[tokio::test]
async fn a_run_that_is_over_replays_from_every_index() -> Result<()> {
    let room = Room::open().await?;
    let lines = room.said("s", &Script { deltas: 5, ..Script::default() }).await?;
    for index in 0..lines.len() {
        let found = resumed(&room.ann, "s", &format!("?last_index={index}")).await?;
        assert_eq!(found, lines[index..], "from {index}");
    }
    for beyond in [lines.len(), lines.len() + 1, 1_000_000] {
        let found = resumed(&room.ann, "s", &format!("?last_index={beyond}")).await?;
        assert_eq!(found, lines[lines.len() - 1..], "only the end line, from {beyond}");
    }
    assert_eq!(resumed(&room.ann, "s", "?last_index=-3").await?, lines);
    for odd in ["x", "1.5", "99999999999999999999"] {
        let refused =
            answer(room.ann.get(&format!("/api/stream/resume/s?last_index={odd}"))).await?;
        unprocessable(&refused, "int_parsing", &json!(["query", "last_index"]));
    }
    room.close().await
}

#[tokio::test]
async fn an_older_run_is_named_and_the_last_one_is_meant_otherwise() -> Result<()> {
    let room = Room::open().await?;
    let mut runs = Vec::new();
    for deltas in [3, 6] {
        let text = Script { deltas, ..Script::default() }.message("hello");
        let mut stream = room.ann.say(WEB, "s", &text).await?;
        let mut lines = Vec::new();
        stream.rest(&mut lines).await?;
        runs.push((stream.run()?, lines));
    }
    let other = room.said("other", &Script::default()).await?;
    assert_eq!(room.ann.replay("s").await?, runs[1].1);
    for (run, lines) in &runs {
        assert_eq!(resumed(&room.ann, "s", &format!("?run_id={run}")).await?, *lines);
        assert_eq!(
            resumed(&room.ann, "s", &format!("?run_id={run}&last_index=2")).await?,
            lines[2..]
        );
        // A run of another session is not found here.
        assert!(resumed(&room.ann, "other", &format!("?run_id={run}")).await?.is_empty());
        assert!(resumed(&room.bob, "s", &format!("?run_id={run}")).await?.is_empty());
    }
    assert!(!other.is_empty());
    assert!(resumed(&room.ann, "s", "?run_id=nonsense").await?.is_empty());
    check_snapshot(&room.ann.messages("s").await?, &runs[1].1, 2)?;
    room.close().await
}

#[tokio::test]
async fn nobody_sees_whether_somebody_elses_session_exists() -> Result<()> {
    let room = Room::open().await?;
    room.said("s", &Script::default()).await?;
    let told = async |path: &str| -> Result<_> {
        let response = room.bob.get(path).send().await?;
        let kind = response.headers().get("content-type").cloned();
        assert!(response.headers().get("x-run-id").is_none());
        Ok((response.status().as_u16(), kind, response.text().await?))
    };
    let foreign = told("/api/stream/resume/s?last_index=0").await?;
    assert_eq!(foreign, told("/api/stream/resume/unknown?last_index=0").await?);
    assert_eq!((foreign.0, foreign.2.as_str()), (200, ""));
    let anonymous = answer(room.node.nobody()?.get("/api/stream/resume/s")).await?;
    failed(&anonymous, 401, "未授权");
    room.close().await
}

#[tokio::test]
async fn a_reader_that_comes_late_gets_what_was_said_and_what_comes() -> Result<()> {
    let room = Room::open().await?;
    let script = Script { deltas: 40, delay_ms: 10, reasoning: 3, ..Script::default() };
    let mut stream = room.ann.say(WEB, "s", &script.message("hello")).await?;
    let mut lines = Vec::new();
    stream.until(10, &mut lines).await?;
    let snapshot = room.ann.messages("s").await?;
    let next = usize::try_from(snapshot["next_stream_index"].as_u64().unwrap())?;
    assert!(next >= 10);
    // Gone before its end: the run goes on.
    drop(stream);
    let late = resumed(&room.ann, "s", &format!("?last_index={next}")).await?;
    let all = resumed(&room.ann, "s", "?last_index=10").await?;
    lines.extend(all);
    check_whole(&lines)?;
    // Who has all, because the run was over by then, is told the end again.
    assert_eq!(late, lines[next.min(lines.len() - 1)..]);
    check_snapshot(&snapshot, &lines, 0)?;
    assert_eq!(parsed(&lines)?.len(), 3 + 40 + 3);
    room.close().await
}
