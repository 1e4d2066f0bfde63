//! Runs, the models and tools they call, questions to knowledge bases, and what waits in queues.

use super::page::{Kind, Page};
use crate::{app::App, telemetry};
use commands::pulse::{self, Counter, Histogram, models};
use domain::job::Queue;
use projections::{documents, jobs};
use sqlx::PgPool;
use std::collections::BTreeMap;

/// What waits, and what is worked on, wherever.
pub(super) struct Depth {
    jobs: BTreeMap<(String, String), i64>,
    documents: documents::Depth,
}

/// Looks into tables that are small or have an index for it.
pub(super) async fn depth(db: &PgPool) -> sqlx::Result<Depth> {
    Ok(Depth { jobs: jobs::standing(db).await?, documents: documents::depth(db).await? })
}

pub(super) fn write(app: &App, page: &mut Page, depth: Option<&Depth>) {
    page.gauge("annals_runs_performing", "Runs performed by this node.", app.reply.performing());
    page.counter(
        "annals_runs_performed_total",
        "Performances that began on this node.",
        pulse::RUNS_PERFORMED.get(),
    );
    page.counter(
        "annals_runs_taken_over_total",
        "Runs that this node went on with.",
        pulse::RUNS_TAKEN_OVER.get(),
    );
    let family = ("annals_runs_total", "Runs that this node ended.");
    page.counters(family, "outcome", pulse::RUNS_ENDED.each());
    providers(page);
    let family = ("annals_tool_call_seconds", "Calls that models make.");
    page.histograms(family, "outcome", pulse::TOOL_SECONDS.each());
    let family = ("annals_mcp_call_seconds", "Calls to MCP servers, the connecting included.");
    page.histograms(family, "outcome", pulse::MCP_SECONDS.each());
    let family = ("annals_retrieval_seconds", "Stages of a question to knowledge bases.");
    page.histograms(family, "stage", pulse::RETRIEVAL_SECONDS.each());
    let family = ("annals_ingestion_seconds", "One attempt at a document.");
    page.histograms(family, "outcome", pulse::INGESTION_SECONDS.each());
    queues(page, depth);
    let family = ("annals_trace_spans_total", "Spans, by whether the collector took them.");
    page.counters(family, "outcome", telemetry::SPANS.each());
}

fn queues(page: &mut Page, depth: Option<&Depth>) {
    let name = "annals_queue_jobs";
    page.head(name, Kind::Gauge, "Jobs that wait or are worked on, on whatever node.");
    if let Some(depth) = depth {
        for queue in Queue::ALL {
            for (state, status) in [("waiting", "queued"), ("working", "processing")] {
                let key = (queue.as_str().to_owned(), status.to_owned());
                let labels = [("queue", queue.as_str()), ("state", state)];
                page.line(name, &labels, depth.jobs.get(&key).copied().unwrap_or(0));
            }
        }
    }
    let name = "annals_documents_unfinished";
    let help = "Documents that wait or are read, on whatever node; counted up to 10000.";
    page.head(name, Kind::Gauge, help);
    if let Some(Depth { documents, .. }) = depth {
        page.line(name, &[("state", "waiting")], documents.waiting);
        page.line(name, &[("state", "working")], documents.working);
    }
}

/// A histogram of a model.
type Times = (&'static str, &'static str, fn(&models::Provided) -> &Histogram);

const TIMES: [Times; 2] = [
    (
        "annals_provider_first_token_seconds",
        "From the call of a model to the first piece of its answer.",
        |provided| &provided.first_token,
    ),
    (
        "annals_provider_turn_seconds",
        "From the call of a model to the end of its answer.",
        |provided| &provided.turn,
    ),
];

fn providers(page: &mut Page) {
    let models = models::each();
    for (name, help, times) in TIMES {
        page.head(name, Kind::Histogram, help);
        for ((provider, model), provided) in &models {
            let labels = [("provider", *provider), ("model", &**model)];
            page.histogram(name, &labels, &times(provided).snapshot());
        }
    }
    let name = "annals_provider_tokens_total";
    page.head(name, Kind::Counter, "Tokens, as providers count them.");
    for ((provider, model), provided) in &models {
        let kinds: [(&str, &Counter); 2] =
            [("prompt", &provided.prompt_tokens), ("completion", &provided.completion_tokens)];
        for (kind, counter) in kinds {
            let labels = [("provider", *provider), ("model", &**model), ("kind", kind)];
            page.line(name, &labels, counter.get());
        }
    }
    let name = "annals_provider_retries_total";
    page.head(name, Kind::Counter, "Calls of a model that were made again.");
    for ((provider, model), provided) in &models {
        let labels = [("provider", *provider), ("model", &**model)];
        page.line(name, &labels, provided.retries.get());
    }
    let name = "annals_provider_errors_total";
    page.head(name, Kind::Counter, "Turns of a model that came to no good end.");
    for ((provider, model), provided) in &models {
        for (reason, count) in provided.errors.each() {
            let labels = [("provider", *provider), ("model", &**model), ("reason", reason)];
            page.line(name, &labels, count);
        }
    }
}
