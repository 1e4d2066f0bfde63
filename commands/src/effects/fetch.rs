//! Fetches what a URL leads to, with limits; for URLs from users, from public addresses only.

use super::outbound::{self, PublicOnly, Refused};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use reqwest::{
    Client, ClientBuilder, Request, Url,
    header::{self, HeaderMap},
    redirect,
};
use std::{error::Error as _, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// Which addresses may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public ones; checked for the URL, for every redirect, and for every address a name resolves to.
    Public,
    /// All, for URLs that the operator chose.
    Anywhere,
}

/// An HTTP client for one [`Reach`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Option<Client>,
    reach: Reach,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where it came from, after redirects.
    pub url: Url,
    /// The HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The `Content-Type`, if there is a readable one.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Limits of one call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of a body.
    pub bytes: usize,
    /// How long all of it may take.
    pub time: Duration,
}

/// Why there is no answer. The texts may be told to the user; none holds a key or an inner address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL, or one it redirects to, may not be called.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Longer than the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Not there within the limit.
    #[error("no complete answer within {0:?}")]
    TooSlow(Duration),
    /// No connection, no HTTP, or a broken one.
    #[error("the server cannot be reached: {0}")]
    Unreachable(Arc<str>),
}

impl Fetcher {
    /// A client that reaches this far.
    pub fn new(reach: Reach) -> Self {
        Self::with(reach, || followed(reach))
    }

    /// A client that follows no redirect, for requests whose secrets are for one server only.
    pub fn undirected(reach: Reach) -> Self {
        Self::with(reach, redirect::Policy::none)
    }

    fn with(reach: Reach, redirects: impl Fn() -> redirect::Policy) -> Self {
        let builder = || {
            let builder = Client::builder()
                .user_agent(concat!("annals/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT)
                .redirect(redirects());
            guarded(builder, reach)
        };
        // A machine without any CA certificate can still fetch by plain HTTP.
        let client = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        Self { client: client.ok(), reach }
    }

    /// How far it reaches.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Gets `url`.
    ///
    /// # Errors
    /// As [`FetchError`]; any HTTP status is an answer.
    pub async fn get(&self, url: &str, limits: Limits) -> Result<Fetched, FetchError> {
        let url = Url::parse(url).map_err(|_| Refused::NotAUrl)?;
        self.send(Request::new(reqwest::Method::GET, url), limits).await
    }

    /// Sends `request`.
    ///
    /// # Errors
    /// As [`FetchError`]; any HTTP status is an answer.
    pub async fn send(&self, request: Request, limits: Limits) -> Result<Fetched, FetchError> {
        if self.reach == Reach::Public {
            outbound::check(request.url().as_str())?;
        }
        let Some(client) = &self.client else {
            return Err(FetchError::Unreachable("there is no HTTP client".into()));
        };
        timeout(limits.time, receive(client, request, limits.bytes))
            .await
            .unwrap_or(Err(FetchError::TooSlow(limits.time)))
    }
}

/// What a reach means for a client under construction; its redirect policy is its own.
pub fn guarded(builder: ClientBuilder, reach: Reach) -> ClientBuilder {
    match reach {
        // A proxy from the environment would resolve names in our place.
        Reach::Public => builder.dns_resolver(PublicOnly).no_proxy(),
        Reach::Anywhere => builder,
    }
}

fn followed(reach: Reach) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > REDIRECTS {
            return attempt.error("too many redirects");
        }
        match reach {
            Reach::Public => match outbound::check(attempt.url().as_str()) {
                Ok(_) => attempt.follow(),
                Err(refused) => attempt.error(refused),
            },
            Reach::Anywhere => attempt.follow(),
        }
    })
}

async fn receive(client: &Client, request: Request, most: usize) -> Result<Fetched, FetchError> {
    let response = client.execute(request).await.map_err(|error| told(&error))?;
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(FetchError::TooLarge(most));
    }
    let (url, status) = (response.url().clone(), response.status().as_u16());
    let headers = response.headers().clone();
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = BytesMut::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| told(&error))?;
        if body.len() + chunk.len() > most {
            return Err(FetchError::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { url, status, headers, content_type, body: body.freeze() })
}

/// The reason without the URL: a query may hold a key.
fn told(error: &reqwest::Error) -> FetchError {
    let mut cause = error.source();
    let mut last = None;
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return FetchError::Refused(*refused);
        }
        last = Some(inner.to_string());
        cause = inner.source();
    }
    FetchError::Unreachable(last.unwrap_or_else(|| "no answer".to_owned()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    const LIMITS: Limits = Limits { bytes: 16, time: Duration::from_secs(5) };

    /// Answers every connection with these bytes; returns the base URL.
    async fn server(answer: impl Into<String>) -> Result<String, std::io::Error> {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((mut peer, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _whatever = peer.read(&mut request).await;
                let _whoever = peer.write_all(answer.as_bytes()).await;
            }
        });
        Ok(format!("http://{address}"))
    }

    #[tokio::test]
    async fn a_body_within_the_limit_is_fetched() -> Result<(), Box<dyn std::error::Error>> {
        let url =
            server("HTTP/1.1 404 Nope\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi")
                .await?;
        let fetched = Fetcher::new(Reach::Anywhere).get(&url, LIMITS).await?;
        assert_eq!((fetched.status, &*fetched.body), (404, &b"hi"[..]));
        assert_eq!(fetched.content_type.as_deref(), Some("text/plain"));
        Ok(())
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_cut_off() -> Result<(), Box<dyn std::error::Error>> {
        let url = server("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n0123456789abcdefX").await?;
        let fetched = Fetcher::new(Reach::Anywhere).get(&url, LIMITS).await;
        assert_eq!(fetched.err(), Some(FetchError::TooLarge(16)));
        Ok(())
    }

    #[tokio::test]
    async fn inner_addresses_are_refused_by_number_and_by_name() {
        let fetcher = Fetcher::new(Reach::Public);
        for url in ["http://127.0.0.1:1/", "http://localhost:1/", "http://169.254.169.254/"] {
            let refused = fetcher.get(url, LIMITS).await.err();
            assert_eq!(refused, Some(FetchError::Refused(Refused::NotPublic)), "{url}");
        }
    }

    #[tokio::test]
    async fn a_redirect_leads_nowhere_a_url_may_not() -> Result<(), Box<dyn std::error::Error>> {
        for (answer, why) in [
            ("http://169.254.169.254/", Refused::NotPublic),
            ("http://127.0.0.1:1/", Refused::NotPublic),
            ("//[::ffff:127.0.0.1]:1/", Refused::NotPublic),
            ("http://2130706433:1/", Refused::NotPublic),
            ("http://a:b@1.1.1.1/", Refused::Credentials),
        ] {
            let answer =
                format!("HTTP/1.1 307 Go\r\nlocation: {answer}\r\ncontent-length: 0\r\n\r\n");
            let url = server(answer).await?;
            // As for public URLs, but for the first one, which has to be on this machine.
            let client = Client::builder().redirect(followed(Reach::Public)).no_proxy().build()?;
            let request = Request::new(reqwest::Method::GET, url.parse()?);
            let fetched = receive(&client, request, 16).await;
            assert_eq!(fetched.err(), Some(FetchError::Refused(why)), "{why}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_redirect_is_followed_a_few_times_only() -> Result<(), Box<dyn std::error::Error>> {
        let url =
            server("HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n").await?;
        let fetched = Fetcher::new(Reach::Anywhere).get(&url, LIMITS).await;
        assert!(matches!(fetched, Err(FetchError::Unreachable(_))), "{fetched:?}");
        Ok(())
    }
}
