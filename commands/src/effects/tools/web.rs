//! Reading pages of the public web. A model chose the URL, and what it read last may have talked it into it: so private
//! addresses stay out of reach here, also where the operator lets people's own URLs lead there.

use super::{
    Call, Outcome, Place, Tool, Tools, ToolsUnavailable,
    builtin::{Answer, arguments, clipped, json_answer, tool},
};
use crate::effects::{
    extract,
    fetch::{Fetched, Fetcher, Limits, Reach},
};
use futures::{
    StreamExt,
    future::{BoxFuture, ready},
    stream,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Most pages of one call.
const PAGES: usize = 10;
/// Pages that are fetched at once.
const AT_ONCE: usize = 4;
/// Characters of a page that are read unless told otherwise, and at most.
const LENGTH: (usize, usize) = (10_000, 50_000);
/// Limits of one page.
const LIMITS: Limits = Limits { bytes: 5 << 20, time: Duration::from_secs(20) };

/// Pages of the web.
pub struct Web {
    fetcher: Fetcher,
}

#[derive(Deserialize)]
struct Arguments {
    urls: Urls,
    #[serde(default)]
    max_length_per_url: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Urls {
    One(String),
    Many(Vec<String>),
}

impl Default for Web {
    fn default() -> Self {
        Self { fetcher: Fetcher::new(Reach::Public) }
    }
}

impl Web {
    async fn fetch(&self, call: &Call) -> Answer {
        let Arguments { urls, max_length_per_url } = arguments(call)?;
        let urls = match urls {
            Urls::One(url) => vec![url],
            Urls::Many(urls) => urls,
        };
        if urls.is_empty() || urls.len() > PAGES {
            return Err(format!("between 1 and {PAGES} URLs are fetched at once"));
        }
        let length = max_length_per_url.unwrap_or(LENGTH.0).clamp(1, LENGTH.1);
        let pages: Vec<_> = urls.iter().map(|url| self.page(url, length)).collect();
        let pages: Vec<(bool, Value)> = stream::iter(pages).buffered(AT_ONCE).collect().await;
        let read = pages.iter().filter(|(read, _)| *read).count();
        let results: Vec<Value> = pages.into_iter().map(|(_, page)| page).collect();
        let answer = json!({"results": results, "fetched": read});
        // A model can go on with some of the pages, not with none.
        if read == 0 { Err(answer.to_string()) } else { json_answer(&answer) }
    }

    async fn page(&self, url: &str, length: usize) -> (bool, Value) {
        let failed =
            |error: String| (false, json!({"url": url, "status": "error", "error": error}));
        let page = match self.fetcher.get(url, LIMITS).await {
            Ok(page) if page.status < 400 => page,
            Ok(page) => return failed(format!("the server answers {}", page.status)),
            Err(error) => return failed(error.to_string()),
        };
        match text(&page) {
            Ok((title, text)) => {
                let (content, cut) = clipped(&text, length);
                let page = json!({"url": url, "status": "success", "title": title,
                    "content": content, "truncated": cut});
                (true, page)
            }
            Err(unreadable) => failed(unreadable.to_string()),
        }
    }
}

fn text(page: &Fetched) -> Result<(Option<String>, String), extract::Unreadable> {
    let media_type = page.content_type.as_deref().unwrap_or_default();
    let found = extract::extract("", media_type, &page.body)?;
    let title = found.outline.into_iter().find(|heading| heading.level <= 1);
    Ok((title.map(|heading| heading.title), found.text))
}

impl Tools for Web {
    fn list<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        let urls = json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": PAGES,
            "description": "Public http or https URLs"});
        let length = json!({"type": "integer", "minimum": 1, "maximum": LENGTH.1, "default": LENGTH.0,
            "description": "Characters of each page"});
        let fetch = tool(
            "fetch_webpages",
            "Fetch public web pages and return their readable text.",
            json!({"urls": urls, "max_length_per_url": length}),
            &["urls"],
        );
        Box::pin(ready(Ok(vec![Tool { deadline: Some(Duration::from_secs(90)), ..fetch }])))
    }

    fn call<'a>(&'a self, _: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            match call.name == "fetch_webpages" {
                true => Some(self.fetch(call).await.into()),
                false => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    fn call(urls: &Value) -> Call {
        let arguments = json!({"urls": urls}).as_object().cloned().unwrap_or_default();
        Call { id: String::new(), name: "fetch_webpages".to_owned(), arguments }
    }

    /// A server that gives everybody this page.
    async fn server(body: &'static str) -> std::io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/page", listener.local_addr()?);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4_096];
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                if stream.read(&mut request).await.is_ok() {
                    let _gone = stream.write_all([&head, body].concat().as_bytes()).await;
                }
            }
        });
        Ok(url)
    }

    #[tokio::test]
    async fn a_page_is_read_as_text() -> Result<(), Box<dyn std::error::Error>> {
        let url =
            server("<!doctype html><title>Keys</title><script>no()</script><p>Turn <b>it</b>.")
                .await?;
        let web = Web { fetcher: Fetcher::new(Reach::Anywhere) };
        let answer: Value =
            serde_json::from_str(&web.fetch(&call(&json!([url, "ftp://x"]))).await?)?;
        let page = &answer["results"][0];
        let content = page["content"].as_str().unwrap_or_default();
        assert!(content.contains("Turn it.") && !content.contains("no()"), "{page}");
        assert_eq!(
            (&answer["fetched"], &answer["results"][1]["status"]),
            (&json!(1), &json!("error"))
        );
        Ok(())
    }

    #[tokio::test]
    async fn nothing_private_is_reached() -> Result<(), Box<dyn std::error::Error>> {
        let inner = server("secret").await?;
        for url in [inner.as_str(), "file:///etc/passwd", "http://169.254.169.254/", "nonsense"] {
            let answer = Web::default().fetch(&call(&json!(url))).await;
            let refused = answer.err().unwrap_or_default();
            assert!(
                refused.contains("\"error\"") && !refused.contains("secret"),
                "{url}: {refused}"
            );
        }
        Ok(())
    }
}
