//! What the log holds may only grow: `stored_events.jsonl` has the stored JSON of every event, one per line.
//!
//! A new variant breaks the build here until it has a sample. `UPDATE_STORED_EVENTS=1 cargo test -p annals-domain --test
//! stored_events` writes the file anew; a line that changes by that is a shape that old logs no longer have.

mod samples;

use annals_domain::{
    Decider, agent, categories::CATEGORIES, codec, conversation, quota, run, user,
};
use anyhow::{Context, Result, ensure};
use serde_json::value::RawValue;
use std::fmt::Debug;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stored_events.jsonl");

/// One line of the file: the bytes, and what reads them back.
struct Stored {
    line: String,
    /// Whether the event in this line equals the sample.
    comes_back: Box<Check>,
}

type Check = dyn Fn(&str) -> Result<bool>;

impl Stored {
    fn of<D: Decider>(event: D::Event) -> Result<Self>
    where
        D::Event: PartialEq + 'static,
    {
        let (kind, data) = codec::encode(&event)?;
        let line =
            format!(r#"{{"category":"{}","type":"{kind}","data":{}}}"#, D::CATEGORY, data.get());
        let comes_back = move |line: &str| {
            let read: Line = serde_json::from_str(line)?;
            Ok(codec::decode::<D::Event>(read.kind, read.data)? == event)
        };
        Ok(Self { line, comes_back: Box::new(comes_back) })
    }
}

#[derive(serde::Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[test]
fn events_are_stored_as_they_always_were() -> Result<()> {
    let stored = samples::all()?;
    if std::env::var_os("UPDATE_STORED_EVENTS").is_some() {
        let lines: String = stored.iter().map(|event| format!("{}\n", event.line)).collect();
        std::fs::write(FILE, lines)?;
    }
    let file = std::fs::read_to_string(FILE)?;
    let lines: Vec<_> = file.lines().collect();
    ensure!(lines.len() == stored.len(), "{} lines, {} samples", lines.len(), stored.len());
    for (line, event) in lines.into_iter().zip(stored) {
        assert_eq!(event.line, line);
        ensure!((event.comes_back)(line).context(line.to_owned())?, "another event: {line}");
    }
    Ok(())
}

#[track_caller]
fn still_reads<E>(kind: &str, data: &str, event: &E) -> Result<()>
where
    E: serde::de::DeserializeOwned + Debug + PartialEq,
{
    let data = RawValue::from_string(data.to_owned())?;
    assert_eq!(&codec::decode::<E>(kind, &data)?, event);
    Ok(())
}

#[test]
fn events_from_before_a_field_existed_still_read() -> Result<()> {
    let config = agent::Config { name: "Research".to_owned(), ..agent::Config::default() };
    still_reads(
        "AgentCreated",
        r#"{"owner":"ann","config":{"name":"Research"}}"#,
        &agent::Event::AgentCreated { owner: "ann".into(), config: Box::new(config) },
    )?;
    still_reads(
        "RunOpened",
        r#"{"run":"00000000-0000-0000-0000-000000000001"}"#,
        &conversation::Event::RunOpened { run: samples::RUN, replaces: None },
    )?;
    still_reads(
        "UserRegistered",
        r#"{"username":"Ann","role":"Creator"}"#,
        &samples::registered(None, None)?,
    )?;
    still_reads(
        "PasswordChanged",
        r#"{"secret":"00000000-0000-0000-0000-000000000004"}"#,
        &user::Event::PasswordChanged { secret: samples::SECRET, kept_login: None },
    )?;
    still_reads("UsageCharged", OLD_CHARGE, &samples::charged(quota::Action::TaxonomyTags, None)?)?;
    still_reads(
        "InterruptRequested",
        r#"{"reason":"stop"}"#,
        &run::Event::InterruptRequested(run::Interrupt {
            reason: "stop".to_owned(),
            replaced: false,
        }),
    )?;
    still_reads("RunRequested", OLD_REQUEST, &samples::plain_request())
}

const OLD_CHARGE: &str = r#"{"action":"taxonomy_tags","amount":3,
    "billing_cycle_start":"2026-02-01T00:00:00Z","charged_at":"2026-02-03T04:05:06.000007Z"}"#;

const OLD_REQUEST: &str = r#"{"owner":"ann","conversation":"00000000-0000-0000-0000-000000000002",
    "session_id":"s-1","surface":"sage_chat","node":"00000000-0000-0000-0000-000000000003",
    "agent_name":"Sage Assistant","messages":[{"role":"user","message_id":"m","type":"user_input"}]}"#;

#[test]
fn every_category_is_known_to_be_ours() -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Of {
        category: String,
    }
    for line in std::fs::read_to_string(FILE)?.lines() {
        let Of { category } = serde_json::from_str(line)?;
        ensure!(CATEGORIES.contains(&&*category), "{category} is missing in categories.rs");
    }
    Ok(())
}
