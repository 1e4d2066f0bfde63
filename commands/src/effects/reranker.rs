//! A model that reads a question and its candidates together and orders them anew, behind the `/rerank` endpoint that
//! Cohere, Jina, vLLM and TEI share.

use super::Sensitive;
use crate::trace;
use reqwest::{Client, redirect::Policy};
use serde::Deserialize;
use serde_json::json;
use std::{fmt, sync::Arc, time::Duration};
use tracing::Instrument;

/// Deadline of a request: somebody is waiting for the answer to a question.
const WITHIN: Duration = Duration::from_secs(10);
/// Largest answer taken, in bytes.
const MAX_ANSWER: usize = 4 << 20;

/// The endpoint.
pub struct Reranker {
    client: Client,
    endpoint: String,
    api_key: Option<Sensitive>,
    model: String,
}

impl fmt::Debug for Reranker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reranker").field("model", &self.model).finish_non_exhaustive()
    }
}

/// Why there is no new order. Holds neither keys nor texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the reranking service does not help: {0}")]
pub struct Error(pub Arc<str>);

#[derive(Deserialize)]
struct Answer {
    results: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    relevance_score: f64,
}

impl Reranker {
    /// Prepares a client; nothing is sent yet. `base_url` often ends with `/v1`.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(base_url: &str, api_key: Option<Sensitive>, model: String) -> Result<Self, Error> {
        let client = Client::builder().redirect(Policy::none()).timeout(WITHIN).build();
        let endpoint = format!("{}/rerank", base_url.trim_end_matches('/'));
        Ok(Self { client: client.map_err(away)?, endpoint, api_key, model })
    }

    /// The texts' numbers, best first, each with what the model gives it. Texts it leaves out are left out.
    ///
    /// # Errors
    /// When it does not answer, or says what makes no sense.
    pub async fn order(&self, question: &str, texts: &[&str]) -> Result<Vec<(usize, f64)>, Error> {
        let span = trace::model_call("rerank", &self.model, &self.endpoint);
        self.ask(question, texts).instrument(span).await
    }

    async fn ask(&self, question: &str, texts: &[&str]) -> Result<Vec<(usize, f64)>, Error> {
        let body = json!({"model": self.model, "query": question, "documents": texts,
            "top_n": texts.len(), "return_documents": false});
        let mut request = trace::carried(self.client.post(&self.endpoint)).json(&body);
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key.expose());
        }
        let mut response = request.send().await.map_err(away)?;
        if !response.status().is_success() {
            // The body stays unread: some services repeat the key in it.
            return Err(Error(format!("it answered {}", response.status()).into()));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(away)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > MAX_ANSWER {
                return Err(Error("the answer is too large".into()));
            }
        }
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|_| Error("the answer is no list of scores".into()))?;
        let mut seen = vec![false; texts.len()];
        let fits = |item: &Item| {
            let new = seen.get_mut(item.index).is_some_and(|seen| !std::mem::replace(seen, true));
            new && item.relevance_score.is_finite()
        };
        let mut order: Vec<Item> = answer.results.into_iter().filter(fits).collect();
        order.sort_by(|a, b| {
            b.relevance_score.total_cmp(&a.relevance_score).then(a.index.cmp(&b.index))
        });
        Ok(order.into_iter().map(|item| (item.index, item.relevance_score)).collect())
    }
}

/// Without its URL: base URLs may carry credentials.
fn away(error: reqwest::Error) -> Error {
    Error(error.without_url().to_string().into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// An endpoint that gives one answer, whatever it is asked.
    async fn endpoint(status: &'static str, body: &'static str) -> Reranker {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 64 << 10];
            let read = stream.read(&mut seen).await.unwrap();
            assert!(seen[..read].starts_with(b"POST /v1/rerank "));
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        });
        Reranker::new(&url, Some("s3cret".to_owned().into()), "m".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn the_best_comes_first_and_nonsense_is_left_out() {
        let body = r#"{"results": [{"index": 0, "relevance_score": 0.1},
            {"index": 2, "relevance_score": 0.9}, {"index": 2, "relevance_score": 0.8},
            {"index": 7, "relevance_score": 1.0}]}"#;
        let reranker = endpoint("200 OK", body).await;
        assert_eq!(reranker.order("q", &["a", "b", "c"]).await.unwrap(), [(2, 0.9), (0, 0.1)]);
    }

    #[tokio::test]
    async fn a_refusal_tells_no_secret() {
        let reranker = endpoint("401 Unauthorized", "s3cret").await;
        let error = reranker.order("q", &["a"]).await.unwrap_err();
        assert!(!format!("{error} {reranker:?}").contains("s3cret"));
    }
}
