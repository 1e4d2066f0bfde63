//! What every line of a request's handling may need to know: which dialect is spoken, in which language, under which id.
//!
//! Carried as a task local, so that a malformed body met by a shared extractor is still answered in the dialect of the
//! route it was sent to.

use super::Error;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use commands::trace::{self, Traceparent};
use domain::{Metadata, ids::UserId};
use futures::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};
use uuid::Uuid;

/// How a dialect answers a failure.
pub type Render = fn(Error) -> Response;

/// Language of human-readable messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locale {
    /// Chinese, the upstream's default.
    Chinese,
    /// English.
    English,
}

/// Facts of the request being handled.
#[derive(Debug, Clone)]
pub struct Context {
    /// How failures are answered.
    pub render: Render,
    /// Language of messages.
    pub locale: Locale,
    /// Id of the request: the correlation id of every event it causes, and `x-request-id` of its answer.
    pub request_id: Uuid,
    /// W3C trace context, when the request carried a well-formed one.
    pub traceparent: Option<String>,
    /// Who sent it, as soon as that is known.
    pub caller: Arc<OnceLock<UserId>>,
}

tokio::task_local! {
    static CONTEXT: Context;
}

/// Header that names the request.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Context {
    /// The context of the request being handled; outside of one, a neutral context.
    pub fn current() -> Self {
        CONTEXT.try_with(Clone::clone).unwrap_or_else(|_| Self {
            render: super::error::plain,
            locale: Locale::English,
            request_id: Uuid::now_v7(),
            traceparent: None,
            caller: Arc::default(),
        })
    }

    /// Metadata of events that `actor` causes by this request.
    pub fn metadata(&self, actor: UserId) -> Metadata {
        Metadata {
            actor,
            on_behalf_of: None,
            correlation: self.request_id,
            causation: None,
            traceparent: trace::or_current(self.traceparent.clone()),
        }
    }
}

/// Runs a request in its context and stamps its id on the answer. `render` is the dialect of the routes below. A handler that
/// panics has failed like any other.
pub async fn enter(render: Render, request: Request, next: Next) -> Response {
    let context = match CONTEXT.try_with(Clone::clone) {
        // A dialect's routes inside the server's: the same request in another accent.
        Ok(outer) => Context { render, ..outer },
        Err(_) => Context {
            render,
            locale: locale(request.headers()),
            request_id: request_id(request.headers()),
            traceparent: traceparent(request.headers()),
            caller: Arc::default(),
        },
    };
    let id = context.request_id;
    let answered = async {
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => Error::Internal("the handler panicked".to_owned()).into_response(),
        }
    };
    let mut response = CONTEXT.scope(context, answered).await;
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    response
}

/// A client's own request id is kept when it is a UUID, so that retries and proxies can be correlated.
fn request_id(headers: &HeaderMap) -> Uuid {
    let sent = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    sent.and_then(|text| text.parse().ok()).unwrap_or_else(Uuid::now_v7)
}

fn locale(headers: &HeaderMap) -> Locale {
    let said = |name| {
        let value = headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        value.map(str::trim).filter(|text| !text.is_empty())
    };
    let own = HeaderName::from_static("x-sage-locale");
    let wish = said(own).or_else(|| said(header::ACCEPT_LANGUAGE)).unwrap_or_default();
    if wish.to_ascii_lowercase().starts_with("en") { Locale::English } else { Locale::Chinese }
}

/// What is malformed, or said twice, is as if it were not there.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let mut said = headers.get_all(trace::TRACEPARENT).iter();
    let (Some(text), None) = (said.next(), said.next()) else { return None };
    Traceparent::parse(text.to_str().ok()?).map(|parsed| parsed.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, middleware::from_fn, routing::get};
    use tower::ServiceExt;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn english_only_when_asked_for() {
        assert_eq!(locale(&headers("accept-language", "en-US,en;q=0.9")), Locale::English);
        assert_eq!(locale(&headers("accept-language", "fr")), Locale::Chinese);
        assert_eq!(locale(&HeaderMap::new()), Locale::Chinese);
        for (own, spoken) in [("", Locale::English), ("zh", Locale::Chinese)] {
            let mut both = headers("accept-language", "en");
            both.insert("x-sage-locale", HeaderValue::from_static(own));
            assert_eq!(locale(&both), spoken, "{own:?}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_answered_in_the_dialect_of_the_route() -> Result<(), axum::Error> {
        async fn broken() -> &'static str {
            panic!("as asked")
        }
        fn inner(error: Error) -> Response {
            (error.status(), "in the inner dialect").into_response()
        }
        let outer: Render = |error| error.status().into_response();
        let routes = Router::new()
            .route("/", get(broken))
            .layer(from_fn(|request, next| enter(inner, request, next)))
            .layer(from_fn(move |request, next| enter(outer, request, next)));
        let answer = routes
            .oneshot(Request::<axum::body::Body>::default())
            .await
            .unwrap_or_else(|never| match never {});
        assert_eq!(answer.status(), 500);
        assert!(answer.headers().contains_key(&REQUEST_ID));
        let body = axum::body::to_bytes(answer.into_body(), 100).await?;
        assert_eq!(body, "in the inner dialect");
        Ok(())
    }

    #[test]
    fn a_malformed_traceparent_is_dropped() {
        assert_eq!(traceparent(&headers("traceparent", "00-zz-1-01")), None);
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(&headers("traceparent", good)).as_deref(), Some(good));
        let mut twice = headers("traceparent", good);
        twice.append("traceparent", HeaderValue::from_static(good));
        assert_eq!(traceparent(&twice), None);
    }
}
