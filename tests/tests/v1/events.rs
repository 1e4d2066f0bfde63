use crate::json as fetch;
use annals_tests::app::{Person, TestApp};
use commands::{log::Append, log::EventLog};
use domain::{Expected, NewEvent, user::Role};
use futures::StreamExt;
use reqwest::StatusCode;
use serde_json::{Value, json, value::RawValue};
use std::time::Duration;
use uuid::Uuid;

const DATA: &str = "{ \"b\": 1.50,\n  \"a\": \"é\\u00e9\" }";

async fn world() -> (TestApp, Person) {
    let app = TestApp::start().await.unwrap();
    let admin = app.user("ann", Role::Administrator).await.unwrap();
    (app, admin)
}

/// Appends `count` events of this type to a stream.
async fn given(log: &dyn EventLog, stream: &str, kind: &str, count: usize) {
    let event = |_| NewEvent {
        id: Uuid::now_v7(),
        kind: kind.into(),
        data: RawValue::from_string(DATA.to_owned()).unwrap(),
        metadata: RawValue::from_string(format!(
            "{{\"actor\":\"{kind}-actor\",\"correlation_id\":\"{}\"}}",
            Uuid::from_u128(count as u128)
        ))
        .unwrap(),
    };
    let events = (0..count).map(event).collect();
    let append = Append { stream: stream.parse().unwrap(), expected: Expected::Any, events };
    log.append(append).await.unwrap();
}

fn kinds(page: &Value) -> Vec<&str> {
    page["events"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect()
}

/// All pages from the first on, following `next`.
async fn all(person: &Person, query: &str) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), 0);
    loop {
        let path = format!("/v1/events?{query}&cursor={cursor}");
        let page = fetch(person, &path, StatusCode::OK).await;
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        match page["next"].as_u64() {
            Some(next) => {
                assert!(next > cursor);
                cursor = next;
            }
            None => return events,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_join_to_the_whole_log_without_gap_or_double() {
    let (app, admin) = world().await;
    given(&*app.app.log, "note-1", "Noted", 25).await;
    let head = app.settled().await.unwrap().0;
    let events = all(&admin, "limit=7").await;
    let positions: Vec<_> = events.iter().map(|e| e["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());
    let page = fetch(&admin, "/v1/events?limit=1000", StatusCode::OK).await;
    assert_eq!((page["next"].clone(), page["head"].as_u64()), (Value::Null, Some(head)));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn data_and_metadata_are_the_bytes_that_were_written() {
    let (app, admin) = world().await;
    given(&*app.app.log, "note-1", "Noted", 1).await;
    let text = admin.get("/v1/events?stream=note-1").send().await.unwrap().text().await.unwrap();
    assert!(text.contains(&format!("\"data\":{DATA}")), "{text}");
    let event = &serde_json::from_str::<Value>(&text).unwrap()["events"][0];
    let mut keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["data", "id", "metadata", "position", "recorded_at", "revision", "stream", "type"]
    );
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_finds_its_own_and_nothing_else() {
    let (app, admin) = world().await;
    let log = &*app.app.log;
    given(log, "note-1", "Noted", 3).await;
    let between = fetch(&admin, "/v1/events?limit=1000", StatusCode::OK).await;
    let last = between["events"].as_array().unwrap().last().unwrap().clone();
    given(log, "memo-1", "Kept", 2).await;
    given(log, "note-1", "Struck", 4).await;
    let time = last["recorded_at"].as_str().unwrap();
    let correlation = Uuid::from_u128(2);
    for (query, expected) in [
        ("stream=note-1".to_owned(), vec![("Noted", 3), ("Struck", 4)]),
        ("category=memo".to_owned(), vec![("Kept", 2)]),
        ("category=memo,note&type=Struck,Kept".to_owned(), vec![("Kept", 2), ("Struck", 4)]),
        ("actor=Noted-actor".to_owned(), vec![("Noted", 3)]),
        (format!("correlation={correlation}"), vec![("Kept", 2)]),
        (format!("category=note,memo&until={time}"), vec![]),
        (format!("category=note&after={}", last["position"]), vec![("Struck", 4)]),
        (format!("stream=note-1&from={}", last["position"]), vec![("Noted", 1), ("Struck", 4)]),
        (format!("actor=Kept-actor&since={time}"), vec![("Kept", 2)]),
        ("stream=note-2".to_owned(), vec![]),
    ] {
        let found = all(&admin, &format!("limit=2&{query}")).await;
        let wanted: Vec<_> =
            expected.into_iter().flat_map(|(kind, count)| vec![kind; count]).collect();
        let kinds: Vec<_> = found.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, wanted, "{query}");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_goes_on_where_the_last_one_ended() {
    let (app, admin) = world().await;
    given(&*app.app.log, "note-1", "Noted", 2).await;
    let path = "/v1/events/stream?category=note";
    let mut stream = Sse::open(&admin, path, None).await;
    let first = stream.next().await;
    assert_eq!(first.data["type"], "Noted");
    assert_eq!(stream.next().await.data["data"]["a"], "éé");
    given(&*app.app.log, "memo-1", "Kept", 1).await;
    given(&*app.app.log, "note-1", "Struck", 1).await;
    let live = stream.next().await;
    assert_eq!((&live.data["type"], &live.data["position"]), (&json!("Struck"), &json!(live.id)));
    drop(stream);
    let mut again = Sse::open(&admin, path, Some(first.id)).await;
    assert_eq!(again.next().await.id, first.id + 1);
    assert_eq!(again.next().await.id, live.id);
    app.app.draining.cancel();
    assert!(again.ended().await);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_for_administrators() {
    let (app, admin) = world().await;
    let user = app.user("bob", Role::Creator).await.unwrap();
    for path in ["/v1/events", "/v1/events/stream"] {
        let refused = fetch(&user, path, StatusCode::FORBIDDEN).await;
        assert_eq!(refused["status"], 403);
        let unknown = fetch(&app.nobody().unwrap(), path, StatusCode::UNAUTHORIZED).await;
        assert_eq!(unknown["title"], "Unauthorized");
    }
    assert!(!kinds(&fetch(&admin, "/v1/events", StatusCode::OK).await).is_empty());
    app.stop().await.unwrap();
}

struct Event {
    id: u64,
    data: Value,
}

/// A reader of server-sent events.
struct Sse {
    bytes: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Sse {
    async fn open(person: &Person, path: &str, last: Option<u64>) -> Self {
        let mut request = person.get(path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self { bytes: answer.bytes_stream().boxed(), text: String::new() }
    }

    async fn next(&mut self) -> Event {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &'static str| {
                    block.lines().filter_map(move |line| line.strip_prefix(name))
                };
                let data = field("data: ").collect::<Vec<_>>().join("\n");
                if let Some(id) = field("id: ").next() {
                    let data = serde_json::from_str(&data).unwrap();
                    return Event { id: id.parse().unwrap(), data };
                }
            }
            let more = tokio::time::timeout(Duration::from_secs(20), self.bytes.next()).await;
            self.text.push_str(std::str::from_utf8(&more.unwrap().unwrap().unwrap()).unwrap());
        }
    }

    async fn ended(&mut self) -> bool {
        let rest = async { while self.bytes.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(20), rest).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_found_by_its_id_and_by_its_cause() {
    let (app, admin) = world().await;
    given(&*app.app.log, "note-1", "Noted", 3).await;
    let cause =
        fetch(&admin, "/v1/events?stream=note-1", StatusCode::OK).await["events"][1].clone();
    let id = cause["id"].as_str().unwrap();
    let metadata = json!({"actor": "ann", "correlation_id": Uuid::nil(), "causation_id": id});
    let effect = NewEvent {
        id: Uuid::new_v4(),
        kind: "Followed".into(),
        data: RawValue::from_string(DATA.to_owned()).unwrap(),
        metadata: RawValue::from_string(metadata.to_string()).unwrap(),
    };
    let found_by = effect.id;
    let stream = "note-2".parse().unwrap();
    let append = Append { stream, expected: Expected::Any, events: vec![effect] };
    app.app.log.append(append).await.unwrap();
    given(&*app.app.log, "note-1", "Noted", 2).await;
    let ids = |page: &Value| -> Vec<String> {
        let events = page["events"].as_array().unwrap().iter();
        events.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    };
    let page = fetch(&admin, &format!("/v1/events?id={found_by}"), StatusCode::OK).await;
    assert_eq!((ids(&page), &page["next"]), (vec![found_by.to_string()], &Value::Null));
    let path = format!("/v1/events?causation={id}&after={}", cause["position"]);
    assert_eq!(ids(&fetch(&admin, &path, StatusCode::OK).await), [found_by.to_string()]);
    // All conditions hold together, and what nobody wrote is nowhere.
    for none in [
        format!("/v1/events?id={found_by}&type=Noted"),
        format!("/v1/events?id={found_by}&after={}", u32::MAX),
        format!("/v1/events?id={}", Uuid::from_u128(7)),
        format!("/v1/events?causation={}", Uuid::from_u128(7)),
    ] {
        let page = fetch(&admin, &none, StatusCode::OK).await;
        assert_eq!((ids(&page), &page["next"]), (vec![], &Value::Null), "{none}");
    }
    for odd in ["id=odd", "causation=odd"] {
        fetch(&admin, &format!("/v1/events?{odd}"), StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_effects_of_a_cause_are_found_whatever_else_metadata_hold() {
    let (app, admin) = world().await;
    let (cause, origin) = (Uuid::now_v7(), r#""actor":"ann","correlation_id""#);
    let named = format!(r#""causation_id" : "{}""#, cause.to_string().to_uppercase());
    let (nil, other) = (Uuid::nil(), Uuid::now_v7());
    let mut expected = vec![];
    for (metadata, caused) in [
        (format!(r#"{{{origin}:"{nil}",{named}}}"#), true),
        // What PostgreSQL's own functions for JSON fail at.
        (format!(r#"{{{origin}:"{nil}",{named},"x":"\u0000"}}"#), true),
        (format!(r#"{{{origin}:"{nil}","causation_id":"{other}","x":"\ud800"}}"#), false),
        (format!(r#"{{{origin}:"{nil}","causation_id":null,"x":"\u0000"}}"#), false),
        (format!(r#"{{{origin}:"{nil}","causation_id":"{other}","x":{{{named}}}}}"#), false),
        (format!(r#"{{{origin}:"{nil}","x":{{{named}}}}}"#), false),
        (format!(r#"{{{origin}:"{cause}"}}"#), false),
        (format!(r#"{{{origin}:"{nil}",{named}}}"#), true),
    ] {
        given(&*app.app.log, "note-1", "Noted", 3).await;
        let event = NewEvent {
            id: Uuid::now_v7(),
            kind: "Followed".into(),
            data: RawValue::from_string(DATA.to_owned()).unwrap(),
            metadata: RawValue::from_string(metadata).unwrap(),
        };
        expected.extend(caused.then(|| event.id.to_string()));
        let stream = "note-2".parse().unwrap();
        let append = Append { stream, expected: Expected::Any, events: vec![event] };
        app.app.log.append(append).await.unwrap();
    }
    for limit in [1, 2, 4, 100] {
        let found = all(&admin, &format!("causation={cause}&limit={limit}")).await;
        let ids: Vec<_> = found.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{limit} at a time");
    }
    app.stop().await.unwrap();
}
