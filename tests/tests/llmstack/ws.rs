//! Runs over a WebSocket, as both generations of clients speak it.

use crate::room::{Room, answer, echo, made, put_together};
use annals_tests::model_server::Script;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens `path` with this `Authorization` header; the status where that is refused.
async fn open(room: &Room, path: &str, authorization: &str) -> Result<Socket, u16> {
    let url = format!("{}{path}", room.node.base_url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().unwrap();
    if !authorization.is_empty() {
        request.headers_mut().insert("authorization", authorization.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn say(socket: &mut Socket, frame: Value) {
    socket.send(Message::text(frame.to_string())).await.unwrap();
}

/// Frames up to and including `{"event": "done"}`.
async fn until_done(socket: &mut Socket) -> Vec<Value> {
    let mut frames = Vec::new();
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.unwrap() else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        let done = frame["event"] == "done";
        frames.push(frame);
        if done {
            return frames;
        }
    }
    panic!("no end: {frames:?}")
}

/// The text after a delta.
fn applied(old: &str, delta: &str) -> String {
    let (mut units, mut new) = (old.encode_utf16(), Vec::new());
    for part in delta.split('\t') {
        let (sign, rest) = part.split_at(1);
        match sign {
            "=" => new.extend(units.by_ref().take(rest.parse().unwrap())),
            "-" => drop(units.by_ref().take(rest.parse().unwrap()).count()),
            _ => {
                let query = format!("x={}", rest.replace('+', "%2B"));
                let text = form_urlencoded::parse(query.as_bytes()).next();
                new.extend(text.unwrap().1.encode_utf16());
            }
        }
    }
    String::from_utf16(&new).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn older_clients_get_the_lines_of_a_stream() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &echo()).await.unwrap();
    let path = format!("/ws/apps/{id}");
    let mut socket = open(&room, &path, &room.ann.authorization).await.unwrap();
    for session in ["one", "two"] {
        say(&mut socket, json!({"input": {"word": "a b"}, "session_id": session})).await;
        let mut frames = until_done(&mut socket).await;
        assert_eq!(frames.pop().unwrap(), json!({"event": "done"}));
        assert_eq!(frames[0]["session"]["id"], session);
        assert_eq!(put_together(&frames).unwrap(), "Said: a b ");
    }
    let (_, history) = answer(room.ann.get("/api/history?session_key=two")).await.unwrap();
    assert_eq!(history["count"], 1);
    socket.send(Message::text("{\"input\": 3}")).await.unwrap();
    socket.send(Message::text("{")).await.unwrap();
    for _ in 0..2 {
        let frame = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(frame.starts_with("{\"errors\":[\"JSON parse error - "), "{frame}");
    }
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_clients_get_what_changes_and_may_stop_it() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &echo()).await.unwrap();
    let token = room.ann.authorization.trim_start_matches("Token ");
    let path = format!("/llmstack/ws/apps/{id}?token={token}");
    let mut socket = open(&room, &path, "").await.unwrap();
    say(&mut socket, json!({"event": "run", "id": "r-1", "input": {"word": "ä\t😀 b"}})).await;
    let frames = until_done(&mut socket).await;
    assert_eq!(frames.last().unwrap(), &json!({"event": "done", "request_id": "r-1"}));
    let (mut output, mut run) = (String::new(), Value::Null);
    for frame in &frames[1..frames.len() - 1] {
        assert_eq!(
            (&frame["type"], &frame["client_request_id"]),
            (&json!("output_stream_chunk"), &json!("r-1"))
        );
        assert!(frame["data"]["chunk"]["echo1"].is_object(), "{frame}");
        if let Some(delta) = frame["data"]["deltas"]["output"].as_str() {
            output = applied(&output, delta);
        }
        run = frame["id"].clone();
    }
    assert_eq!(output, "Said: ä\t😀 b ");
    let (status, told) =
        answer(room.ann.get(&format!("/v1/runs/{}", run.as_str().unwrap()))).await.unwrap();
    assert_eq!((status, &told["state"]), (200, &json!("completed")));

    room.model.follow(Script { deltas: 10_000, delay_ms: 20, ..Script::default() });
    let slow = json!({"name": "Slow", "type_slug": "web", "draft": false, "output_template": {"markdown": "{{ a.text }}"},
        "processors": [{"id": "a", "provider_slug": "promptly", "processor_slug": "llm", "input": {"input_message": "x"}}]});
    let slow = made(&room.ann, &slow).await.unwrap();
    let mut socket =
        open(&room, &format!("/ws/apps/{slow}"), &room.ann.authorization).await.unwrap();
    say(&mut socket, json!({"event": "run", "id": 2, "input": {}})).await;
    let _first = socket.next().await.unwrap().unwrap();
    say(&mut socket, json!({"event": "stop"})).await;
    let frames = until_done(&mut socket).await;
    let stopped = json!({"errors": ["The run was stopped"], "request_id": 2});
    assert_eq!(frames[frames.len() - 2], stopped);

    // Stopped before anybody could say whether it had begun.
    say(&mut socket, json!({"event": "run", "id": 2, "input": {}})).await;
    say(&mut socket, json!({"event": "stop"})).await;
    let frames = until_done(&mut socket).await;
    assert_eq!(frames[frames.len() - 2], stopped);
    // Runs of a session wait for one another, so nothing goes on behind.
    room.model.follow(Script::default());
    say(&mut socket, json!({"event": "run", "id": 3, "input": {}})).await;
    let frames = until_done(&mut socket).await;
    assert!(frames.iter().all(|frame| frame["errors"].is_null()), "{frames:?}");
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_token_or_to_anothers_app() {
    let room = Room::open().await.unwrap();
    let mut draft = echo();
    draft["draft"] = true.into();
    let id = made(&room.ann, &draft).await.unwrap();
    let path = format!("/ws/apps/{id}");
    let spaced = format!("{path}?token=a%20b");
    for (path, authorization, status) in [
        (path.as_str(), "", 403),
        (&path, "Token 0000000000000000000000000000000000000000", 403),
        (&spaced, "", 403),
        (&path, &room.bob.authorization, 404),
        ("/ws/apps/x", &room.ann.authorization, 404),
        ("/llmstack/ws/apps/x", &room.ann.authorization, 404),
    ] {
        assert_eq!(open(&room, path, authorization).await.err(), Some(status), "{path}");
    }
    let (status, body) = answer(room.ann.get(&path)).await.unwrap();
    assert!(status == 426 && body["detail"].is_string(), "{body}");
    let preview = format!("{path}/preview");
    assert_eq!(open(&room, &preview, &room.bob.authorization).await.err(), Some(404));
    let mut socket = open(&room, &preview, &room.ann.authorization).await.unwrap();
    say(&mut socket, json!({"input": {"word": "d"}})).await;
    let frames = until_done(&mut socket).await;
    assert_eq!(put_together(&frames[..frames.len() - 1]).unwrap(), "Said: d ");
    // What is no longer there cannot be run over a connection that is.
    let gone = room.ann.request(reqwest::Method::DELETE, &format!("/api/apps/{id}"));
    assert_eq!(answer(gone).await.unwrap().0, 200);
    say(&mut socket, json!({"input": {}})).await;
    let frames = until_done(&mut socket).await;
    assert_eq!(frames[0], json!({"errors": ["No App matches the given query."]}));
    room.close().await.unwrap();
}
