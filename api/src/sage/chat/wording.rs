//! Better words for what somebody is about to say.

use crate::{
    app::App,
    core::{Caller, Json, run_stream::Framing},
    sage::{
        Fault, Reply, Result,
        agents::writing::{check, language, writer},
        envelope::{Replied, timestamp},
        text,
    },
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use commands::agents::{
    Writer,
    wording::{Wish, reworded},
};
use domain::{message::Message, prompt_text::without_control_tags};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::convert::Infallible;
use utoipa::ToSchema;

/// Messages that the model gets to see of the conversation, from its end.
const BEFORE: usize = 12;
/// Characters of each.
const OF_EACH: usize = 2_000;

/// A text to improve.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WordingWish)]
pub(super) struct WordingBody {
    #[schema(min_length = 1, max_length = 50_000)]
    current_input: String,
    /// What was said before; the end of it counts.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    history_messages: Option<Vec<Value>>,
    /// `zh` or `en`; without it the language of the request.
    #[serde(default)]
    language: Option<String>,
}

/// The better text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Wording)]
pub(super) struct Reworded {
    /// Always true.
    success: bool,
    optimized_input: String,
}

/// Has a model improve what somebody is about to say.
///
/// Nothing is saved.
#[utoipa::path(
    post,
    path = "/api/chat/optimize-input",
    request_body = WordingBody,
    responses((status = 200, description = "The better text.", body = Replied<Reworded>)),
)]
pub(super) async fn whole(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<WordingBody>,
) -> Result<Reworded> {
    let (writer, wish) = prepared(&app, &caller, body).await?;
    let optimized_input = reworded(&writer, &wish).await.map_err(|error| {
        Fault::raised(text(format!("优化输入失败: {error}"), format!("Not improved: {error}")))
    })?;
    let message = text("输入优化成功", "Input improved");
    Ok(Reply(message, Reworded { success: true, optimized_input }))
}

/// A text that was improved.
const LINES: &str = r#"{"type":"start","timestamp":1763712000.1}
{"type":"delta","content":"What is the weather in Berlin tomorrow?","timestamp":1763712001.2}
{"type":"done","success":true,"optimized_input":"What is the weather in Berlin tomorrow?","timestamp":1763712001.2}
"#;

/// Has a model improve what somebody is about to say, and tells when it begins.
///
/// A model that fails is told in a line of the type `error`, with `message`. Nothing is saved.
#[utoipa::path(
    post,
    path = "/api/chat/optimize-input/stream",
    request_body = WordingBody,
    responses((status = 200, description = "The better text.", content((String = "text/plain", example = json!(LINES))))),
)]
pub(super) async fn streamed(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Json(body): Json<WordingBody>,
) -> std::result::Result<Response, Fault> {
    let (writer, wish) = prepared(&app, &caller, body).await?;
    let framing = Framing::wanted(&headers);
    let written = move |line: Value| framing.lone(&line.to_string());
    let begun = written(json!({"type": "start", "timestamp": timestamp()}));
    let answer = async move {
        let answer = reworded(&writer, &wish).await;
        let at = timestamp();
        match answer {
            Ok(text) => [
                written(json!({"type": "delta", "content": text, "timestamp": at})),
                written(json!({"type": "done", "success": true, "optimized_input": text, "timestamp": at})),
            ]
            .concat()
            .into(),
            Err(error) => {
                written(json!({"type": "error", "message": error.to_string(), "timestamp": at}))
            }
        }
    };
    let lines = stream::iter([begun]).chain(stream::once(answer)).map(Ok::<Bytes, Infallible>);
    Ok((framing.headers(), Body::from_stream(lines)).into_response())
}

async fn prepared(
    app: &App,
    caller: &Caller,
    body: WordingBody,
) -> std::result::Result<(Writer, Wish), Fault> {
    check("current_input", &body.current_input, true)?;
    let history = body.history_messages.unwrap_or_default();
    let latest = history.into_iter().rev().filter_map(said).take(BEFORE);
    let mut before: Vec<_> = latest.collect();
    before.reverse();
    let language = language(body.language.as_deref());
    let wish = Wish { input: body.current_input, before, language };
    Ok((writer(app, caller).await?, wish))
}

/// Who said what, if somebody said something.
fn said(message: Value) -> Option<(String, String)> {
    let role = message.get("role")?.as_str()?.to_owned();
    let content = message.get("content").cloned();
    let text = Message { content, ..Message::default() }.text();
    let text: String = without_control_tags(&text).chars().take(OF_EACH).collect();
    let spoken = matches!(role.as_str(), "user" | "assistant") && !text.trim().is_empty();
    spoken.then_some((role, text))
}
