//! What the scenarios have in common.

use annals_tests::app::{Person, TestApp};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::IntoResponse,
    routing::any,
};
use commands::log::Filter;
use domain::Position;
use reqwest::{Client, RequestBuilder, Response, redirect::Policy};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// Status and body.
pub async fn told(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Status, code and English message.
pub async fn refusal(request: RequestBuilder) -> (u16, u64, String) {
    let (status, body) = told(request.header("accept-language", "en")).await;
    let code = body["code"].as_u64().unwrap_or_default();
    assert!(body["data"].is_null() && body["timestamp"].is_number(), "{body}");
    (status, code, body["message"].as_str().unwrap_or_default().to_owned())
}

/// Types of all events of this category so far.
pub async fn facts(app: &TestApp, category: &str) -> Vec<String> {
    let filter = Filter::categories(&[category]);
    let page = app.app.log.read_all(Position::START, 1_000, &filter).await.unwrap();
    page.events.iter().map(|event| event.kind.to_string()).collect()
}

/// Who did these things.
pub async fn actors(app: &TestApp, category: &str) -> Vec<String> {
    let filter = Filter::categories(&[category]);
    let page = app.app.log.read_all(Position::START, 1_000, &filter).await.unwrap();
    page.events.iter().map(|event| event.metadata().unwrap().actor.0).collect()
}

/// A client that shows redirects instead of following them.
pub fn unmoved() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

pub fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Uploads these bytes and says where they are.
pub async fn upload(
    person: &Person,
    name: &str,
    media_type: &str,
    path: Option<&str>,
    bytes: impl Into<Vec<u8>>,
) -> String {
    let (status, body) = told(sent(person, name, media_type, path, bytes)).await;
    assert_eq!((status, &body["code"]), (200, &200.into()), "{body}");
    body["data"]["url"].as_str().unwrap().to_owned()
}

/// The upload of these bytes; the name is sent as it is.
pub fn sent(
    person: &Person,
    name: &str,
    media_type: &str,
    path: Option<&str>,
    bytes: impl Into<Vec<u8>>,
) -> RequestBuilder {
    let disposition = format!("name=\"file\"; filename=\"{name}\"");
    let mut parts = vec![(disposition, media_type, bytes.into())];
    parts.extend(path.map(|path| ("name=\"path\"".to_owned(), "text/plain", path.into())));
    form(person, parts)
}

/// A form of these parts: disposition, media type, content.
pub fn form(person: &Person, parts: Vec<(String, &str, Vec<u8>)>) -> RequestBuilder {
    const BORDER: &str = "border-of-parts";
    let mut body = Vec::new();
    for (disposition, media_type, content) in parts {
        let head = format!(
            "--{BORDER}\r\ncontent-disposition: form-data; {disposition}\r\n\
             content-type: {media_type}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BORDER}--\r\n").as_bytes());
    let media_type = format!("multipart/form-data; boundary={BORDER}");
    person.post("/api/oss/upload").header("content-type", media_type).body(body)
}

/// A server elsewhere that answers each path with what it was given, and remembers what it was asked for.
#[derive(Clone, Default)]
pub struct Elsewhere {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    pub base: String,
}

type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

impl Elsewhere {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { base, ..Self::default() };
        let router = Router::new().fallback(any(answer)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub fn answers(
        &self,
        path: &str,
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: impl Into<Vec<u8>>,
    ) {
        let answer = (status, headers, body.into());
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    pub fn asked(&self) -> Vec<(String, HeaderMap)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(server): State<Elsewhere>, uri: Uri, request: Request) -> impl IntoResponse {
    let path = uri.path().to_owned();
    server.asked.lock().unwrap().push((path.clone(), request.headers().clone()));
    let found = server.answers.lock().unwrap().get(&path).cloned();
    let (status, sent, body) = found.unwrap_or((404, vec![], vec![]));
    let mut headers = HeaderMap::new();
    for (name, value) in sent {
        headers.insert(name, value.parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), headers, body)
}
