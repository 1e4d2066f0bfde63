//! Searching the web through the operator's search engine, which speaks as SearXNG does.

use super::{
    Call, Outcome, Place, Tool, Tools, ToolsUnavailable,
    builtin::{Answer, arguments, clipped, json_answer, tool},
};
use crate::effects::fetch::{Fetcher, Limits, Reach};
use futures::future::{BoxFuture, ready};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Limits of one search.
const LIMITS: Limits = Limits { bytes: 4 << 20, time: Duration::from_secs(20) };
/// Most results.
const RESULTS: usize = 30;
/// Longest question, in characters.
const QUESTION: usize = 1_000;
/// Characters of a result's excerpt.
const EXCERPT: usize = 1_000;

/// A search engine, if there is one.
pub struct Search {
    endpoint: Option<Url>,
    fetcher: Fetcher,
}

#[derive(Deserialize)]
struct Arguments {
    query: String,
    #[serde(default)]
    count: Option<usize>,
}

/// What is used of an engine's answer.
#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    results: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    url: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    content: Option<String>,
}

impl Search {
    /// The engine at this address, for example `https://searx.example.org`.
    pub fn new(endpoint: Option<Url>) -> Self {
        // The operator chose the address; only the question comes from elsewhere.
        Self { endpoint, fetcher: Fetcher::new(Reach::Anywhere) }
    }

    async fn search(&self, call: &Call) -> Answer {
        let Arguments { query, count } = arguments(call)?;
        let Some(endpoint) = &self.endpoint else {
            return Err(
                "no search engine is configured on this server (ANNALS_SEARCH_URL)".to_owned()
            );
        };
        if query.trim().is_empty() || query.chars().count() > QUESTION {
            return Err(format!("a query has 1 to {QUESTION} characters"));
        }
        let answer = self.fetcher.get(asked(endpoint, &query).as_str(), LIMITS).await;
        let answer = answer.map_err(|error| {
            tracing::warn!(%error, "the search engine does not answer");
            "the search engine does not answer".to_owned()
        })?;
        if answer.status != 200 {
            tracing::warn!(status = answer.status, "the search engine refuses");
            return Err(format!("the search engine answers {}", answer.status));
        }
        let found: Found = serde_json::from_slice(&answer.body)
            .map_err(|_| "the search engine does not answer in JSON".to_owned())?;
        let count = count.unwrap_or(10).clamp(1, RESULTS);
        let results: Vec<Value> = found.results.iter().take(count).map(shown).collect();
        json_answer(&json!({"query": query, "results": results}))
    }
}

fn asked(endpoint: &Url, query: &str) -> Url {
    let mut url = endpoint.clone();
    if !url.path().ends_with("/search") {
        let path = format!("{}/search", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    url.query_pairs_mut().append_pair("q", query).append_pair("format", "json");
    url
}

fn shown(hit: &Hit) -> Value {
    let snippet = clipped(hit.content.as_deref().unwrap_or_default(), EXCERPT).0;
    json!({"title": hit.title, "url": hit.url, "snippet": snippet})
}

impl Tools for Search {
    fn list<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        let count = json!({"type": "integer", "minimum": 1, "maximum": RESULTS, "default": 10});
        let search = tool(
            "search_web_page",
            "Search the web; returns titles, URLs and excerpts. Read a page with fetch_webpages.",
            json!({"query": {"type": "string"}, "count": count}),
            &["query"],
        );
        Box::pin(ready(Ok(vec![search])))
    }

    fn call<'a>(&'a self, _: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            match call.name == "search_web_page" {
                true => Some(self.search(call).await.into()),
                false => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_asked_below_the_address() -> Result<(), Box<dyn std::error::Error>> {
        for address in ["http://s.example/", "http://s.example/search", "http://s.example"] {
            let url = asked(&address.parse()?, "a&b 词");
            assert_eq!(url.as_str(), "http://s.example/search?q=a%26b+%E8%AF%8D&format=json");
        }
        let deeper = asked(&"http://s.example/x?lang=de".parse()?, "a");
        assert_eq!(deeper.as_str(), "http://s.example/x/search?lang=de&q=a&format=json");
        Ok(())
    }
}
