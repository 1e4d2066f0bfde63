//! The page of metrics, read as strictly as the format is written, and what is written about it.

use annals_tests::app::TestApp;
use anyhow::{Context, Result, ensure};
use domain::user::Role;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A family: its kind, and its samples by name with their labels.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Labels between braces, escapes undone.
fn labels(mut text: &str) -> Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").with_context(|| format!("label {text}"))?;
        ensure!(is_name(name), "label {name}");
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in rest.char_indices() {
            match (escaped, c) {
                (true, '\\' | '"') => value.push(c),
                (true, 'n') => value.push('\n'),
                (true, _) => anyhow::bail!("escape \\{c}"),
                (false, '"') => {
                    end = Some(at);
                    break;
                }
                (false, '\\') => {}
                (false, c) => value.push(c),
            }
            escaped = !escaped && c == '\\';
        }
        let after = &rest[end.context("an open label")? + 1..];
        ensure!(labels.insert(name.to_owned(), value).is_none(), "{name} twice");
        text = after.strip_prefix(',').unwrap_or(after);
        ensure!(after.is_empty() || after.starts_with(','), "after a label: {after}");
    }
    Ok(labels)
}

/// The page, as long as every rule of the format and of names is kept.
fn parse(page: &str) -> Result<BTreeMap<String, Family>> {
    ensure!(page.ends_with('\n'), "the last line is open");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut helped, mut open) = (String::new(), String::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').context("help")?;
            ensure!(is_name(name) && help.ends_with('.'), "{line}");
            ensure!(!families.contains_key(name), "{name} begins twice");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').context("type")?;
            ensure!(name == helped, "{name} without its help");
            ensure!((kind == "counter") == name.ends_with("_total"), "{name} is a {kind}");
            families.insert(name.to_owned(), Family { kind: kind.to_owned(), ..Family::default() });
            open = name.to_owned();
        } else {
            let (key, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            let (name, inside) = match key.split_once('{') {
                Some((name, rest)) => (name, rest.strip_suffix('}').context("an open brace")?),
                None => (key, ""),
            };
            let family = families.get_mut(&open).context("a sample outside of a family")?;
            let ends: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let fits = name.strip_prefix(&*open).is_some_and(|end| ends.contains(&end));
            ensure!(fits, "{line} in {open}");
            let sample = (name.to_owned(), labels(inside)?, value.parse()?);
            let same = |(n, l, _): &&(String, _, f64)| (n, l) == (&sample.0, &sample.1);
            ensure!(!family.samples.iter().any(|other| same(&other)), "{line} twice");
            family.samples.push(sample);
        }
    }
    for (name, family) in &families {
        check_histogram(name, family)?;
    }
    Ok(families)
}

/// Buckets only grow, and the last one holds all.
fn check_histogram(name: &str, family: &Family) -> Result<()> {
    if family.kind != "histogram" {
        return Ok(());
    }
    let units = ["_seconds", "_events", "_bytes"];
    ensure!(units.iter().any(|unit| name.ends_with(unit)), "{name} has no unit");
    let mut last: BTreeMap<Vec<(&String, &String)>, (f64, f64)> = BTreeMap::new();
    for (sample, labels, value) in &family.samples {
        let others: Vec<_> = labels.iter().filter(|(label, _)| *label != "le").collect();
        if sample.ends_with("_bucket") {
            let bound = labels["le"].replace('+', "").parse::<f64>()?;
            let (below, count) = last.insert(others, (bound, *value)).unwrap_or((0.0, 0.0));
            ensure!(bound > below && *value >= count, "{name}: {bound} after {below}");
        } else if sample.ends_with("_count") {
            let (bound, all) = last.get(&others).context("no buckets")?;
            ensure!(bound.is_infinite() && all == value, "{name}: {value} of {all}");
        }
    }
    Ok(())
}

/// The names of metrics in a text, without what histograms add.
fn named(text: &str, families: &BTreeMap<String, Family>) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = words.filter(|word| word.starts_with("annals_") || word.starts_with("process_"));
    ours.map(|word| {
        let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
        match bare {
            Some(bare) if families.get(bare).is_some_and(|it| it.kind == "histogram") => bare,
            _ => word,
        }
        .to_owned()
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_keeps_to_the_format_and_everything_written_of_it_is_true() -> Result<()> {
    let app = TestApp::start().await?;
    let person = app.user("ann", Role::Creator).await?;
    let mut lines = Vec::new();
    person.say("/api/web-stream", "s", "hello").await?.rest(&mut lines).await?;
    app.settled().await?;
    let answer = app.nobody()?.get("/metrics").send().await?;
    let page = answer.text().await?;
    let families = parse(&page).with_context(|| page.clone())?;

    let value = |name: &str, labels: &[(&str, &str)]| {
        let fits = |(sample, told, _): &&(String, BTreeMap<String, String>, f64)| {
            sample == name && labels.iter().all(|(l, v)| told.get(*l).is_some_and(|it| it == v))
        };
        let all = families.values().flat_map(|family| &family.samples);
        all.filter(fits).map(|(_, _, value)| value).sum::<f64>()
    };
    assert!(value("annals_runs_total", &[("outcome", "completed")]) >= 1.0);
    assert!(value("annals_runs_performed_total", &[]) >= 1.0);
    let offline = [("provider", "offline"), ("model", "offline")];
    assert!(value("annals_provider_first_token_seconds_count", &offline) >= 1.0, "{page}");
    assert!(value("annals_provider_turn_seconds_count", &offline) >= 1.0);
    assert_eq!(value("annals_database_up", &[]), 1.0);
    assert_eq!(value("annals_projection_lag", &[]), 0.0, "behind the head of the log");
    assert!(value("process_start_time_seconds", &[]) > 1e9);
    assert_eq!(families["annals_queue_jobs"].samples.len(), 6);

    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let known: BTreeSet<String> = families.keys().cloned().collect();
    for file in ["grafana/annals.json", "prometheus/alerts.yml"] {
        let names = named(&fs::read_to_string(docs.join(file))?, &families);
        assert!(!names.is_empty() && names.is_subset(&known), "{file}: {:?}", &names - &known);
    }
    let described = fs::read_to_string(docs.join("telemetry.md"))?;
    let mut listed = BTreeMap::new();
    for row in described.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        if name.starts_with("annals_") || name.starts_with("process_") {
            assert!(listed.insert(name, cells[2]).is_none(), "{name} is listed twice");
        }
    }
    let kinds = families.iter().map(|(name, family)| (name.as_str(), family.kind.as_str()));
    assert_eq!(listed, kinds.collect(), "docs/telemetry.md lists what is on the page");
    app.stop().await?;
    Ok(())
}
