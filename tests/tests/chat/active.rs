//! The list of what goes on, as events.

use super::room::{Room, WEB, answer, failed};
use annals_tests::{app::Person, model_server::Script};
use anyhow::{Context, Result};
use futures::{StreamExt, stream::BoxStream};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);

struct Active {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    read: String,
}

impl Active {
    async fn open(person: &Person) -> Result<Self> {
        let response =
            person.get("/api/stream/active_sessions").send().await?.error_for_status()?;
        let kind = response.headers()["content-type"].to_str()?;
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Ok(Self { body: response.bytes_stream().boxed(), read: String::new() })
    }

    /// The next snapshot.
    async fn next(&mut self) -> Result<Value> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data = event.strip_prefix("data: ").context("one data line per event")?;
                let list = serde_json::from_str(data)?;
                self.read = rest.to_owned();
                return Ok(list);
            }
            let bytes = timeout(DEADLINE, self.body.next()).await?.context("it never ends")??;
            self.read.push_str(std::str::from_utf8(&bytes)?);
        }
    }
}

#[tokio::test]
async fn a_full_snapshot_comes_at_once_and_on_every_start_and_end() -> Result<()> {
    let room = Room::open().await?;
    let mut anns = Active::open(&room.ann).await?;
    let mut bobs = Active::open(&room.bob).await?;
    assert_eq!((anns.next().await?, bobs.next().await?), (json!([]), json!([])));

    let (mut first, mut lines) = room.stuck(WEB, "one").await?;
    let shown = anns.next().await?;
    assert_eq!(shown.as_array().unwrap().len(), 1);
    let entry = &shown[0];
    assert_eq!((&entry["session_id"], &entry["is_completed"]), (&json!("one"), &json!(false)));
    assert!(entry["query"].as_str().unwrap().ends_with("hello"));
    assert!(entry["created_at"].is_f64() && entry["last_activity"].is_f64());
    assert_eq!((&entry["status"], &entry["run_id"]), (&json!("running"), &json!(first.run()?)));

    let (_second, _) = room.stuck(WEB, "two").await?;
    let sessions = |list: &Value| -> Vec<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|e| e["session_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(sessions(&anns.next().await?), ["one", "two"]);
    // Who comes later begins with what there is.
    assert_eq!(sessions(&Active::open(&room.ann).await?.next().await?), ["one", "two"]);
    room.ann.post("/api/sessions/one/interrupt").send().await?.error_for_status()?;
    first.rest(&mut lines).await?;
    assert_eq!(sessions(&anns.next().await?), ["two"]);

    // Bob was told nothing of all that: the next thing he hears is his own.
    let stuck = Script { stall_after: Some(1), ..Script::default() }.message("hello");
    let _his = room.bob.say(WEB, "his", &stuck).await?;
    assert_eq!(sessions(&bobs.next().await?), ["his"]);
    let anonymous = answer(room.node.nobody()?.get("/api/stream/active_sessions")).await?;
    failed(&anonymous, 401, "未授权");
    room.close().await
}
