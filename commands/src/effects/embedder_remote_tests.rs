#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// An endpoint that answers its first requests with `first` (status line and headers) and then with vectors.
async fn endpoint(first: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(stream, first.get(nth).copied()));
        }
    });
    (url, asked)
}

async fn answer(mut stream: TcpStream, failure: Option<&'static str>) {
    let (mut seen, mut piece) = (Vec::new(), [0; 4_096]);
    let body = loop {
        let read = stream.read(&mut piece).await.unwrap();
        seen.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&seen).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            assert!(head.starts_with("post /v1/embeddings ") && head.contains("bearer s3cret"));
            break serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
    };
    // In the wrong order: only `index` tells.
    let data: Vec<_> = body["input"].as_array().unwrap().iter().enumerate().rev().collect();
    let data: Vec<_> = data
        .into_iter()
        .map(|(n, text)| json!({"index": n, "embedding": [text.as_str().unwrap().len(), 1]}))
        .collect();
    let body = json!({"data": data}).to_string();
    let head = failure.unwrap_or("HTTP/1.1 200 OK");
    let text =
        format!("{head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
}

fn remote(url: &str) -> Remote {
    let mut settings = Settings::new(url, Some("s3cret".into()), "small");
    settings.backoff = Duration::from_millis(1);
    Remote::new(settings).unwrap()
}

#[tokio::test]
async fn vectors_come_in_the_order_of_the_texts() {
    let (url, asked) = endpoint(&[]).await;
    let remote = remote(&url);
    assert_eq!(remote.dimensions(), None);
    let texts: Vec<String> = (0..BATCH.0 * 3 + 1).map(|n| "x".repeat(n)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = remote.embed(&texts).await.unwrap();
    for (n, vector) in vectors.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let length = n as f32;
        assert_eq!(vector, &[length, 1.0]);
    }
    assert_eq!((vectors.len(), asked.load(Ordering::SeqCst)), (texts.len(), 4));
    assert_eq!(remote.dimensions(), Some(2));
}

#[tokio::test]
async fn an_overloaded_service_is_asked_again() {
    let (url, asked) = endpoint(&[
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 0",
        "HTTP/1.1 503 Service Unavailable",
    ])
    .await;
    assert_eq!(remote(&url).embed(&["ab"]).await.unwrap(), [[2.0, 1.0]]);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn one_that_stays_away_is_given_up_as_passing() {
    let (url, asked) = endpoint(&["HTTP/1.1 500 Oops"; 9]).await;
    let error = remote(&url).embed(&["ab"]).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_refusal_is_final_and_tells_no_secret() {
    let (url, asked) = endpoint(&["HTTP/1.1 401 Unauthorized"]).await;
    let remote = remote(&url);
    let error = remote.embed(&["ab"]).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(!format!("{error:?} {remote:?}").contains("s3cret"));
}

#[tokio::test]
async fn nobody_listening_is_passing() {
    let error = remote("http://127.0.0.1:1/v1").embed(&["ab"]).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[test]
fn long_texts_travel_in_smaller_company() {
    let long = "x".repeat(BATCH.1 / 2);
    let longer = "x".repeat(BATCH.1 + 1);
    let texts = [long.as_str(), &long, "a", &longer, "b"];
    let sizes: Vec<usize> = batches(&texts).into_iter().map(<[&str]>::len).collect();
    assert_eq!(sizes, [2, 1, 1, 1]);
    assert!(batches(&[]).is_empty());
}

#[test]
fn who_is_told_to_wait_makes_all_others_wait() {
    let remote = remote("http://127.0.0.1:1/v1");
    let began = Instant::now();
    remote.leave_alone(Duration::from_secs(7));
    remote.leave_alone(Duration::from_secs(3));
    let until = remote.not_before.lock().unwrap().unwrap();
    assert!(until >= began + Duration::from_secs(7));
}
