//! The native API over HTTP.
#![expect(clippy::unwrap_used, reason = "tests")]

mod broker;
mod console;
mod events;
mod metrics_page;
mod openapi;
mod operations;
mod problems;
mod read_models;
mod reference;
mod run_list;
mod runs;
mod traces;
mod uploads;
mod usage;

use annals_tests::app::Person;
use reqwest::StatusCode;
use serde_json::Value;

/// The body of an answer that has to have this status.
async fn json(person: &Person, path: &str, status: StatusCode) -> Value {
    let answer = person.get(path).send().await.unwrap();
    assert_eq!(answer.status(), status, "{path}");
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}
