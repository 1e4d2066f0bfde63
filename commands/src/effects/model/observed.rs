//! Watches a model's answer as it goes by: a span by the conventions for generative AI, and what the process counts.
//! Neither holds a word of what is said.

use super::{Delta, Deltas, ModelError, Request};
use crate::{
    pulse::models::{self, Provided},
    trace,
};
use futures::{Stream, StreamExt, future::BoxFuture};
use opentelemetry::{Array, Value as Attribute};
use serde_json::Value;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Begins an answer of a model of this kind, and watches it to its end.
pub(super) fn observed(
    provider: &'static str,
    request: &Request,
    begin: impl Future<Output = Result<Deltas, ModelError>> + Send + 'static,
) -> BoxFuture<'static, Result<Deltas, ModelError>> {
    let mut watch = Watch::new(provider, request);
    let span = watch.span.clone();
    Box::pin(async move {
        match begin.instrument(span).await {
            Ok(deltas) => Ok(Observed { deltas, watch }.boxed()),
            Err(error) => {
                watch.failed(&error);
                Err(error)
            }
        }
    })
}

/// One turn of a model, until it is over or nobody listens any more.
struct Watch {
    span: Span,
    begun: Instant,
    provided: Arc<Provided>,
    spoke: bool,
}

impl Watch {
    fn new(provider: &'static str, request: &Request) -> Self {
        let endpoint = &request.endpoint;
        let model = endpoint.model.as_str();
        let span = tracing::info_span!(
            target: trace::TARGET,
            "chat",
            otel.name = format!("chat {model}"),
            otel.kind = "client",
            otel.status_code = field::Empty,
            error.type = field::Empty,
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = provider,
            gen_ai.request.model = model,
            gen_ai.response.model = field::Empty,
            gen_ai.usage.input_tokens = field::Empty,
            gen_ai.usage.output_tokens = field::Empty,
            server.address = field::Empty,
            server.port = field::Empty,
        );
        if !span.is_disabled() {
            trace::note_server(&span, &endpoint.base_url);
        }
        let provided = models::of(provider, model);
        Self { span, begun: Instant::now(), provided, spoke: false }
    }

    fn saw(&mut self, delta: &Result<Delta, ModelError>) {
        match delta {
            Ok(Delta::Usage(usage)) => self.used(usage),
            Ok(Delta::Finished(reason)) => {
                if let Some(reason) = reason {
                    let reasons = Array::String(vec![reason.clone().into()]);
                    self.span
                        .set_attribute("gen_ai.response.finish_reasons", Attribute::Array(reasons));
                }
            }
            Ok(Delta::Text(_) | Delta::Reasoning(_) | Delta::ToolCalls(_)) => {
                if !std::mem::replace(&mut self.spoke, true) {
                    self.provided.first_token.time(self.begun.elapsed());
                }
            }
            Err(error) => self.failed(error),
        }
    }

    fn used(&self, usage: &Value) {
        for (name, counter, attribute) in [
            ("prompt_tokens", &self.provided.prompt_tokens, "gen_ai.usage.input_tokens"),
            ("completion_tokens", &self.provided.completion_tokens, "gen_ai.usage.output_tokens"),
        ] {
            if let Some(tokens) = usage[name].as_u64() {
                counter.add(tokens);
                self.span.record(attribute, i64::try_from(tokens).unwrap_or(i64::MAX));
            }
        }
    }

    fn failed(&mut self, error: &ModelError) {
        let class = error.class();
        self.provided.errors.add(class);
        self.span.record("error.type", class);
        self.span.record("otel.status_code", "ERROR");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.provided.turn.time(self.begun.elapsed());
    }
}

struct Observed {
    deltas: Deltas,
    watch: Watch,
}

impl Stream for Observed {
    type Item = Result<Delta, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { deltas, watch } = &mut *self;
        let delta = {
            let _inside = watch.span.enter();
            futures::ready!(deltas.poll_next_unpin(task))
        };
        if let Some(delta) = &delta {
            watch.saw(delta);
        }
        Poll::Ready(delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::model::Endpoint;
    use futures::stream;
    use serde_json::json;

    fn asked(model: &str) -> Request {
        let endpoint = Endpoint { model: model.to_owned(), ..Endpoint::default() };
        Request { endpoint, ..Request::default() }
    }

    #[tokio::test]
    async fn an_answer_is_counted_by_its_tokens_and_its_times() -> Result<(), ModelError> {
        let said = [
            Delta::Text("a".to_owned()),
            Delta::Text("b".to_owned()),
            Delta::Usage(json!({"prompt_tokens": 7, "completion_tokens": 2})),
            Delta::Finished(Some("stop".to_owned())),
        ];
        let deltas = stream::iter(said.clone().map(Ok)).boxed();
        let seen = observed("openai", &asked("counted"), async { Ok(deltas) }).await?;
        let seen: Vec<_> = seen.filter_map(|delta| async { delta.ok() }).collect().await;
        assert_eq!(seen, said, "what goes by stays as it is");
        let provided = models::of("openai", "counted");
        assert_eq!((provided.prompt_tokens.get(), provided.completion_tokens.get()), (7, 2));
        assert_eq!((provided.first_token.snapshot().count, provided.turn.snapshot().count), (1, 1));
        assert!(provided.errors.each().all(|(_, errors)| errors == 0));
        Ok(())
    }

    #[tokio::test]
    async fn a_failure_is_counted_once_by_its_class() {
        let status = ModelError::Status { status: 429, tries: 3, excerpt: "slow down".into() };
        let begun = observed("openai", &asked("limited"), async { Err(status) }).await;
        assert!(begun.is_err());
        let provided = models::of("openai", "limited");
        let errors = provided.errors.each().filter(|(_, n)| *n > 0);
        assert_eq!(errors.collect::<Vec<_>>(), [("rate_limited", 1)]);
    }
}
