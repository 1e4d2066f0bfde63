//! The way to the collector, and what is said about it: once when it fails, now and then while it goes on failing, once when
//! it works again.

use commands::pulse::Counts;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often it is said that it goes on failing.
const AGAIN: Duration = Duration::from_secs(600);
/// Characters of what went wrong.
const LONGEST: usize = 300;

/// Spans by whether the collector took them.
pub static SPANS: Counts<2> = Counts::new(["exported", "lost"]);

/// An exporter that is spoken of.
#[derive(Debug)]
pub(super) struct Told<E> {
    exporter: E,
    /// When it was last said that it fails.
    failing: Mutex<Option<Instant>>,
}

impl<E> Told<E> {
    pub(super) fn new(exporter: E) -> Self {
        Self { exporter, failing: Mutex::default() }
    }

    fn tell(&self, sent: &OTelSdkResult) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match (sent, *failing) {
            (Ok(()), Some(_)) => {
                *failing = None;
                tracing::info!("the collector takes spans again");
            }
            (Err(error), since) if since.is_none_or(|since| since.elapsed() >= AGAIN) => {
                *failing = Some(Instant::now());
                let error = without_userinfo(&error.to_string());
                tracing::warn!(error, "the collector takes no spans; they are dropped");
            }
            (Ok(()) | Err(_), _) => {}
        }
    }
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.exporter.export(batch).await;
        SPANS.add_many(if sent.is_ok() { "exported" } else { "lost" }, spans as u64);
        self.tell(&sent);
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The first characters of a text, URLs in it without name and password.
fn without_userinfo(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let host = piece.find(['/', ' ', ')', '"']).unwrap_or(piece.len());
        let from = piece[..host].rfind('@').map_or(0, |at| at + 1);
        plain.push_str("://");
        plain.push_str(&piece[from..]);
    }
    plain.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_of_a_url_is_told() {
        let error = "error sending request for url (http://me:pw@host:4318/v1/traces) to a@b";
        let told = "error sending request for url (http://host:4318/v1/traces) to a@b";
        assert_eq!(without_userinfo(error), told);
        assert_eq!(without_userinfo("http://host"), "http://host");
    }
}
