//! Lets early answers reach clients that are still sending.
//!
//! An answer before the end of a large upload (no login, no such path, too large) is lost when the connection is closed
//! with bytes of the request unread: the client's machine drops what has arrived and reports a reset. So the rest of the
//! body is read and thrown away, within bounds, before the answer ends. The head of the answer goes out at once, so that
//! a client that looks may stop sending.

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use futures::{FutureExt, future::BoxFuture};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::sync::oneshot;

/// Most bytes thrown away.
const LIMIT: u64 = 1 << 30;
/// Longest time for that.
const PATIENCE: Duration = Duration::from_secs(20);
/// A client that sends nothing for so long has stopped.
const IDLE: Duration = Duration::from_secs(1);

/// The middleware; belongs outside of everything that may answer.
pub async fn drain(mut request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let headless = request.method() == Method::HEAD;
    // Such a client sends nothing before it is told to go on, which happens when the body is first asked for.
    let asks = request
        .headers()
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let (back, mut returned) = oneshot::channel();
    let body = std::mem::take(request.body_mut());
    *request.body_mut() = Body::new(Lent { body: Some(body), asked: false, back: Some(back) });
    let mut response = next.run(request).await;
    // Read to its end, or still being read by somebody.
    let Ok(Unread { body, asked }) = returned.try_recv() else { return response };
    if asks && !asked {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    let rest = discard(body).boxed();
    match response.body().size_hint().exact() {
        // Nothing of the answer can be held back, or nothing would be sent.
        Some(0) => rest.await,
        Some(_) if headless => rest.await,
        Some(_) => {
            return response.map(|body| Body::new(Held { body, last: None, rest: Some(rest) }));
        }
        // A stream, which must not wait for anybody.
        None => {}
    }
    response
}

async fn discard(mut body: Body) {
    let all = async {
        let mut seen = 0;
        while seen < LIMIT {
            let Ok(Some(Ok(frame))) = tokio::time::timeout(IDLE, body.frame()).await else {
                return;
            };
            seen += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
    };
    let _in_time = tokio::time::timeout(PATIENCE, all).await;
}

/// What nobody wanted to read.
struct Unread {
    body: Body,
    /// Whether anybody began to.
    asked: bool,
}

/// A request's body that comes back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    asked: bool,
    back: Option<oneshot::Sender<Unread>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.asked = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(task));
        if !matches!(frame, Some(Ok(_))) {
            // Ended or broken: there is nothing left to read.
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let unread = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Some(back)) = (unread, self.back.take()) {
            // Nobody waits for it any more when the answer was a stream.
            let _gone = back.send(Unread { body, asked: self.asked });
        }
    }
}

/// An answer whose last piece waits until the rest of the request has been thrown away.
struct Held {
    body: Body,
    last: Option<Frame<Bytes>>,
    rest: Option<BoxFuture<'static, ()>>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // From the first moment on: a client that sends before it reads must not have to wait.
        if self.rest.as_mut().is_some_and(|rest| rest.as_mut().poll(task).is_ready()) {
            self.rest = None;
        }
        loop {
            match Pin::new(&mut self.body).poll_frame(task) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(before) = self.last.replace(frame) {
                        return Poll::Ready(Some(Ok(before)));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => break,
            }
        }
        match self.rest {
            Some(_) => Poll::Pending,
            None => Poll::Ready(self.last.take().map(Ok)),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.last.as_ref().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
        match self.body.size_hint().exact() {
            Some(more) => SizeHint::with_exact(held + more),
            None => SizeHint::default(),
        }
    }
}
