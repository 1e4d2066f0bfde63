//! Many runs that stream at once: every line through provider, recorder, log and HTTP.

use super::{
    client::{Outside, THREADS},
    enough_files,
    node::Served,
    provider::{Pace, Provider},
    reader::Seen,
    scratch::Scratch,
};
use anyhow::{Context, Result, ensure};
use commands::log::bench::{Meter, Report, Row, Timed, clients, commits};
use reqwest::Client;
use serde_json::json;
use sqlx::PgPool;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

/// Clients of the baseline at most.
const CLIENTS: usize = 150;
/// Requests that are on their way at once while the runs are begun.
const BEGINNING: usize = 32;
/// How long all runs may take to begin, and to end after the last delta.
const PATIENCE: Duration = Duration::from_secs(120);

/// `runs` runs of `rate` lines per second, `seconds` long, each with a reader over HTTP; provider and readers run on
/// this machine, on threads of their own that the processor time leaves out. `p50_us` and `p99_us` are the time from a
/// delta's leaving the provider to its line's arrival at the reader. The baseline is single-row commits.
pub(super) async fn runs(scratch: &Scratch, seconds: u64, runs: u64, rate: u64) -> Result<Report> {
    enough_files(runs * 4 + 500)?;
    let clients = clients(&scratch.pool, CLIENTS).await?;
    let raw = commits(&scratch.pool, clients, Duration::from_secs(seconds.min(5))).await?;
    let outside = Outside::start()?;
    let interval = Duration::from_secs(1) / u32::try_from(rate)?;
    let pace = Pace { deltas: seconds * rate, interval };
    let epoch = Instant::now();
    let provider = Provider::start(&outside, pace, epoch).await?;
    let served = Served::start(scratch, Some(provider.base_url.clone())).await?;
    let stage = Stage { scratch, served: &served, provider: &provider, outside: &outside, epoch };
    let row = stage.play(runs, pace).await;
    let stopped = served.stop().await;
    let Played { lines, more } = row?;
    stopped?;
    let baseline = format!("single-row commits, {clients} clients");
    let row =
        Row { writers: Some(usize::try_from(runs)?), ..lines.against("lines", (baseline, &raw)) };
    Ok(Report { bench: "runs", results: vec![Row { more, ..row }] })
}

struct Stage<'a> {
    scratch: &'a Scratch,
    served: &'a Served,
    provider: &'a Provider,
    outside: &'a Outside,
    epoch: Instant,
}

struct Played {
    lines: Timed,
    more: BTreeMap<&'static str, f64>,
}

impl Stage<'_> {
    async fn play(&self, runs: u64, pace: Pace) -> Result<Played> {
        let began = Instant::now();
        let mut readers = self.readers(runs)?;
        tokio::select! {
            called = self.provider.called(runs, PATIENCE) => called?,
            Some(ended) = readers.join_next() => {
                let seen = ended??;
                anyhow::bail!("a run ended before it began, after {} lines", seen.lines);
            }
        }
        let beginning = began.elapsed();
        let meter = Meter::new(&self.scratch.pool).await?.without(THREADS);
        let (cpu, begin) = (meter.read(), Instant::now());
        self.provider.speak();
        let within = pace.interval * u32::try_from(pace.deltas)? + PATIENCE;
        let mut lines = Timed::default();
        while let Some(seen) =
            timeout(within, readers.join_next()).await.context("runs do not end")?
        {
            let seen = seen??;
            ensure!(seen.over, "a stream ended without its end line, after {} lines", seen.lines);
            ensure!(
                seen.deltas == pace.deltas,
                "{} of {} deltas arrived",
                seen.deltas,
                pace.deltas
            );
            lines.events += seen.lines;
            lines.calls_us.extend(seen.delays_us);
        }
        (lines.wall, lines.cpu_us) = (begin.elapsed(), meter.since(cpu));
        self.served
            .app
            .settled("conversations")
            .await
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let recorded = recorded(&self.scratch.pool).await?;
        ensure!(recorded == lines.events, "{recorded} lines recorded, {} delivered", lines.events);
        let more = BTreeMap::from([
            ("lines", lines.events as f64),
            ("offered_per_s", runs as f64 / pace.interval.as_secs_f64()),
            ("p999_us", lines.quantile(0.999) as f64),
            ("begun_per_s", (runs as f64 / beginning.as_secs_f64()).round()),
            ("peak_rss_mb_with_clients", peak_rss_mb()),
        ]);
        Ok(Played { lines, more })
    }

    /// Begins the runs, each followed by its reader on the threads outside.
    fn readers(&self, runs: u64) -> Result<JoinSet<Result<Seen>>> {
        let client = Client::builder().no_proxy().build()?;
        let url = format!("http://{}/api/web-stream", self.served.address);
        let beginning = Arc::new(Semaphore::new(BEGINNING));
        let mut readers = JoinSet::new();
        for number in 0..runs {
            let body = json!({
                "session_id": format!("bench-{number}"),
                "messages": [{"role": "user", "content": "Tell me something long."}],
            });
            let request = client.post(&url).header("authorization", &self.served.authorization);
            let (request, beginning, epoch) = (request.json(&body), beginning.clone(), self.epoch);
            let read = async move {
                let permit = beginning.acquire_owned().await?;
                let mut response = request.send().await?.error_for_status()?;
                drop(permit);
                let mut seen = Seen::default();
                while let Some(chunk) = response.chunk().await? {
                    seen.take(&chunk, epoch)?;
                }
                Ok(seen)
            };
            readers.spawn_on(read, &self.outside.handle());
        }
        Ok(readers)
    }
}

/// Lines of all runs, as the read model has counted them.
async fn recorded(pool: &PgPool) -> Result<u64> {
    let lines: i64 = sqlx::query_scalar("select coalesce(sum(lines), 0)::bigint from runs")
        .fetch_one(pool)
        .await?;
    Ok(u64::try_from(lines)?)
}

fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    (kb.unwrap_or(0.0) / 1_024.0).round()
}
