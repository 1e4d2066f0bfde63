//! The HTTP half of the streamable transport: a client that reaches as far as it may, follows no redirect, and knows a forgotten
//! session in every way servers put it.

use crate::{
    effects::fetch::{Reach, guarded},
    trace::TRACEPARENT,
};
use futures::stream::BoxStream;
use reqwest::{
    Client,
    header::{HeaderName, HeaderValue},
    redirect,
};
use rmcp::{
    model::{
        ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, RequestParamsMeta,
        ServerJsonRpcMessage,
    },
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use sse_stream::Sse;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

type Headers = HashMap<HeaderName, HeaderValue>;
type Failure = StreamableHttpError<reqwest::Error>;

/// A client for this reach; `None` when none can be made on this machine. A key is for one server, so no redirect is followed.
pub(super) fn client(reach: Reach) -> Option<Client> {
    let builder = || {
        let builder = Client::builder()
            .user_agent(concat!("annals/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none());
        guarded(builder, reach)
    };
    // A machine without any CA certificate can still speak plain HTTP.
    builder().build().or_else(|_| builder().tls_certs_only([]).build()).ok()
}

/// A client as the transport wants it.
#[derive(Clone)]
pub(super) struct Http(pub Client);

impl StreamableHttpClient for Http {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        key: Option<String>,
        mut headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        headers.extend(traceparent(&message));
        let (asked, in_session) = (is_request(&message), session.is_some());
        let answer = self.0.post_message(uri, message, session, key, headers).await?;
        told_apart(answer, asked && in_session)
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        key: Option<String>,
        mut headers: Headers,
        most: usize,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        headers.extend(traceparent(&message));
        let (asked, in_session) = (is_request(&message), session.is_some());
        let sent =
            self.0.post_message_with_max_sse_event_size(uri, message, session, key, headers, most);
        told_apart(sent.await?, asked && in_session)
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        key: Option<String>,
        headers: Headers,
    ) -> Result<(), Failure> {
        self.0.delete_session(uri, session, key, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        key: Option<String>,
        headers: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        self.0.get_stream(uri, session, last_event, key, headers).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        key: Option<String>,
        headers: Headers,
        most: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        self.0
            .get_stream_with_max_sse_event_size(uri, session, last_event, key, headers, most)
            .await
    }
}

/// The trace a call belongs to, as a header besides: messages are sent by a task outside of the call's span.
pub(super) fn traceparent(message: &ClientJsonRpcMessage) -> Option<(HeaderName, HeaderValue)> {
    let JsonRpcMessage::Request(request) = message else { return None };
    let ClientRequest::CallToolRequest(call) = &request.request else { return None };
    let value = HeaderValue::from_str(call.params.traceparent()?).ok()?;
    Some((HeaderName::from_static(TRACEPARENT), value))
}

fn is_request(message: &ClientJsonRpcMessage) -> bool {
    matches!(message, JsonRpcMessage::Request(_))
}

/// The standard says 404 for a forgotten session. Servers built on the TypeScript SDK's examples say 400 with an error about the
/// session, and often without the request's id, which would otherwise be waited for until the deadline.
fn told_apart(
    answer: StreamableHttpPostResponse,
    asked_in_session: bool,
) -> Result<StreamableHttpPostResponse, Failure> {
    if let StreamableHttpPostResponse::Json(ServerJsonRpcMessage::Error(error), _) = &answer
        && asked_in_session
    {
        let about_session = error.error.message.to_ascii_lowercase().contains("session");
        if error.id.is_none() || about_session && error.error.code.0 == -32_000 {
            return Err(StreamableHttpError::SessionExpired);
        }
    }
    Ok(answer)
}
