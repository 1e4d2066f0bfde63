use annals_tests::{
    app::{Person, TestApp},
    database::Database,
    process::{Folder, Setup},
};
use anyhow::Result;
use std::{fmt::Write, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const SIZE: usize = 200 << 20;
const DEADLINE: Duration = Duration::from_secs(60);

/// Sends a head with these lines, and the body unless `size` is 0 of it; then reads what comes until the end.
async fn exchange(base_url: &str, head: &str, sent: usize) -> String {
    let address = base_url.strip_prefix("http://").unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    let head =
        format!("{head}host: {address}\r\ncontent-length: {SIZE}\r\nconnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..sent >> 20 {
        client.write_all(&chunk).await.unwrap();
    }
    let mut answer = String::new();
    timeout(DEADLINE, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

fn head(method: &str, path: &str, person: &Person) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !person.authorization.is_empty() {
        write!(head, "authorization: {}\r\n", person.authorization).unwrap();
    }
    head
}

// A process of its own: in this one the other tests take memory, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_gets_its_answer_in_the_dialect_and_is_kept_nowhere() -> Result<()> {
    let (database, folder) = (Database::create().await?, Folder::new("uploads"));
    let server = Setup::on(folder.path(), &database.url()).start().await?;
    let admin = server.admin().await?;
    let nobody = Person::calling(&server.base_url, "")?;
    let before = server.peak_memory()?;
    for (person, method, path, status, shape) in [
        (&admin, "POST", "/api/nothing-here", 404, "{\"detail\":"),
        (&nobody, "POST", "/api/web-stream", 401, "\"code\":401"),
        (&admin, "PUT", "/api/web-stream", 405, "{\"detail\":"),
        (&admin, "POST", "/api/web-stream", 413, "\"code\":"),
        (&nobody, "POST", "/v1/nothing-here", 404, "application/problem+json"),
        (&nobody, "POST", "/api/usage/increment", 401, "\"error\":"),
    ] {
        let answer = exchange(&server.base_url, &head(method, path, person), SIZE).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {answer}");
        assert!(answer.contains(shape), "{method} {path}: {answer}");
    }
    let more = server.peak_memory()?.saturating_sub(before);
    assert!(more < SIZE / 4, "{} MB more", more >> 20);
    server.stop().await?;
    database.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_permission_is_answered_at_once() {
    let app = TestApp::start().await.unwrap();
    let nobody = app.nobody().unwrap();
    let head = head("POST", "/api/web-stream", &nobody) + "expect: 100-continue\r\n";
    let answer = exchange(&app.base_url, &head, 0).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_sending_is_answered_all_the_same() {
    let app = TestApp::start().await.unwrap();
    let nobody = app.nobody().unwrap();
    let answer = exchange(&app.base_url, &head("POST", "/api/web-stream", &nobody), 5 << 20).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with('}'), "{answer}");
    app.stop().await.unwrap();
}
