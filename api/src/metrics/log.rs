//! The log, who publishes it, who follows it from outside, and the read models behind it.

use super::page::{Kind, Page};
use crate::app::App;
use commands::{publish, pulse};
use domain::Position;
use projections::Status;

pub(super) fn write(app: &App, page: &mut Page, head: Option<Position>) {
    page.head("annals_log_head_position", Kind::Gauge, "Position of the last event.");
    if let Some(head) = head {
        page.line("annals_log_head_position", &[], head);
    }
    for (name, help, histogram) in [
        (
            "annals_log_append_seconds",
            "From the call of an append to its answer.",
            &pulse::APPEND_SECONDS,
        ),
        ("annals_log_commit_seconds", "One statement of the writer.", &pulse::COMMIT_SECONDS),
        ("annals_log_batch_events", "Events committed together.", &pulse::BATCH_EVENTS),
    ] {
        page.head(name, Kind::Histogram, help);
        page.histogram(name, &[], &histogram.snapshot());
    }
    publisher(app, page, head);
    let family = ("annals_esdb_appends_total", "Appends over the EventStoreDB protocol.");
    page.counters(family, "outcome", pulse::ESDB_APPENDS.each());
    let name = "annals_esdb_subscriptions";
    page.head(name, Kind::Gauge, "Who follows the log over the EventStoreDB protocol.");
    page.line(name, &[("kind", "catch_up")], pulse::ESDB_CATCH_UP.get());
    page.line(name, &[("kind", "persistent")], pulse::ESDB_CONSUMERS.get());
}

/// Families are told also where nothing is published: who asks for them finds them.
fn publisher(app: &App, page: &mut Page, head: Option<Position>) {
    let status = app.publisher.as_ref().map(publish::Publisher::status);
    let mut gauge = |name, help, value: Option<u64>| {
        page.head(name, Kind::Gauge, help);
        if let Some(value) = value {
            page.line(name, &[], value);
        }
    };
    let publishing = |status: &publish::Status| status.state == publish::State::Publishing;
    gauge(
        "annals_publisher_active",
        "1 while this node publishes.",
        status.as_ref().map(|status| u64::from(publishing(status))),
    );
    gauge(
        "annals_publisher_position",
        "Everything up to here was acknowledged, as far as this node knows.",
        status.as_ref().map(|status| status.position.0),
    );
    // One that stands by is told nothing of how far the other is.
    let lag = status.zip(head).filter(|(status, _)| status.state != publish::State::Standby);
    gauge(
        "annals_publisher_lag",
        "Positions between the head of the log and what was acknowledged.",
        lag.map(|(status, head)| head.0.saturating_sub(status.position.0)),
    );
}

/// One measure of a read model.
type Measure = (&'static str, &'static str, fn(&Status) -> f64);

#[expect(clippy::cast_precision_loss, reason = "positions stay far below 2^53")]
const MEASURES: [Measure; 4] = [
    ("annals_projection_position", "The rows reflect everything up to here.", |status| {
        status.position.0 as f64
    }),
    (
        "annals_projection_lag",
        "Positions between the head of the log and what the rows reflect.",
        |status| status.lag as f64,
    ),
    ("annals_projection_heartbeat_age_seconds", "Since its last sign of life.", |status| {
        status.heartbeat_age.as_secs_f64()
    }),
    ("annals_projection_stuck", "1 while an event cannot be applied.", |status| {
        f64::from(u8::from(status.failure.is_some()))
    }),
];

pub(super) fn read_models(page: &mut Page, statuses: &[Status]) {
    for (name, help, measure) in MEASURES {
        page.head(name, Kind::Gauge, help);
        for status in statuses {
            page.line(name, &[("name", status.name)], measure(status));
        }
    }
}
