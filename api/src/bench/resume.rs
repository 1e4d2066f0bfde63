//! Resuming a long run that is over, over HTTP, from random indexes.

use super::{
    client::{Outside, THREADS},
    node::Served,
    scratch::Scratch,
    written::Finished,
};
use anyhow::{Context, Result, ensure};
use commands::log::bench::{Meter, Report, Row, Timed};
use domain::{StreamId, ids::RunId, run::Run};
use futures::TryStreamExt;
use reqwest::{Client, Response};
use sqlx::{PgPool, Row as _};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Ours and the baseline take turns so often.
const SLICES: u32 = 4;
/// Events from which a reader may begin; one event holds that many lines.
const PER_EVENT: [(&str, &str, u64); 2] = [
    ("first byte, one line an event", "rest, one line an event", 1),
    ("first byte, 50 lines an event", "rest, 50 lines an event", 50),
];
const SELECT: &str =
    "select data from events where stream = $1 and revision >= $2 order by revision";

/// A run of `lines` lines, once with every line in an event of its own and once with many in one. `first byte`: from the
/// request to the first byte of the body, against a raw SELECT of one row; `rest`: lines per second from there to the
/// end, against a raw SELECT of the same rows (`mb_per_s` on the wire, `baseline_mb_per_s` of stored JSON).
pub(super) async fn resume(scratch: &Scratch, seconds: u64, lines: u64) -> Result<Report> {
    let outside = Outside::start()?;
    let served = Served::start(scratch, None).await?;
    let results = all(scratch, &served, &outside, (seconds, lines)).await;
    let stopped = served.stop().await;
    let results = results?;
    stopped?;
    Ok(Report { bench: "resume", results })
}

async fn all(
    scratch: &Scratch,
    served: &Served,
    outside: &Outside,
    (seconds, lines): (u64, u64),
) -> Result<Vec<Row>> {
    let mut results = Vec::new();
    for (first, rest, per_event) in PER_EVENT {
        let run = RunId(Uuid::now_v7());
        let session = format!("bench-{per_event}");
        let run = Finished { owner: served.user.clone(), session, run, lines, per_event };
        run.write(&*served.app.log).await?;
        served.app.caught_up("conversations", Some(served.app.log.head().await?)).await;
        scratch.settle().await?;
        let case =
            Case { scratch, served, outside, run, client: Client::builder().no_proxy().build()? };
        results.push(case.first_bytes(first, seconds).await?);
        results.push(case.rests(rest, seconds).await?);
    }
    Ok(results)
}

struct Case<'a> {
    scratch: &'a Scratch,
    served: &'a Served,
    outside: &'a Outside,
    run: Finished,
    client: Client,
}

impl Case<'_> {
    async fn first_bytes(&self, name: &'static str, seconds: u64) -> Result<Row> {
        let meter = Meter::new(&self.scratch.pool).await?.without(THREADS);
        let (mut ours, mut raw, mut index) = (Timed::default(), Timed::default(), Indexes(1));
        for _ in 0..SLICES {
            let end = Instant::now() + Duration::from_secs(seconds) / SLICES / 2;
            raw.add(
                turn(&meter, end, async || {
                    Ok((1, self.select(index.below(self.run.lines), 1).await?.0))
                })
                .await?,
            );
            let end = Instant::now() + Duration::from_secs(seconds) / SLICES / 2;
            ours.add(
                turn(&meter, end, async || {
                    let began = Instant::now();
                    let mut response = self.open(index.below(self.run.lines)).await?;
                    response.chunk().await?.context("an empty stream")?;
                    Ok((1, began.elapsed()))
                })
                .await?,
            );
        }
        Ok(Row {
            writers: Some(1),
            ..ours.against(name, ("a raw SELECT of one row".to_owned(), &raw))
        })
    }

    async fn rests(&self, name: &'static str, seconds: u64) -> Result<Row> {
        let meter = Meter::new(&self.scratch.pool).await?.without(THREADS);
        let (mut ours, mut raw, mut index) = (Timed::default(), Timed::default(), Indexes(2));
        let (mut wire, mut stored) = (0, 0);
        for _ in 0..SLICES {
            let end = Instant::now() + Duration::from_secs(seconds) / SLICES / 2;
            raw.add(
                turn(&meter, end, async || {
                    let from = index.below(self.run.lines);
                    let (took, bytes) = self.select(from, i64::MAX).await?;
                    stored += bytes;
                    Ok((self.run.lines - from, took))
                })
                .await?,
            );
            let end = Instant::now() + Duration::from_secs(seconds) / SLICES / 2;
            ours.add(
                turn(&meter, end, async || {
                    let from = index.below(self.run.lines);
                    let began = Instant::now();
                    let (lines, bytes) = self.read(from).await?;
                    ensure!(lines == self.run.lines - from, "{lines} lines from {from}");
                    wire += bytes;
                    Ok((lines, began.elapsed()))
                })
                .await?,
            );
        }
        let mb = |bytes: u64, timed: &Timed| {
            (bytes as f64 / 1e5 / timed.wall.as_secs_f64()).round() / 10.0
        };
        let more = BTreeMap::from([
            ("mb_per_s", mb(wire, &ours)),
            ("baseline_mb_per_s", mb(stored, &raw)),
        ]);
        let row = ours.against(name, ("a raw SELECT of the same rows".to_owned(), &raw));
        Ok(Row { writers: Some(1), more, ..row })
    }

    async fn open(&self, index: u64) -> Result<Response> {
        let Finished { session, run, .. } = &self.run;
        let url = format!(
            "http://{}/api/stream/resume/{session}?run_id={run}&last_index={index}",
            self.served.address
        );
        let request = self.client.get(url).header("authorization", &self.served.authorization);
        Ok(self.outside.handle().spawn(request.send()).await??.error_for_status()?)
    }

    /// Lines and bytes from `index` to the end.
    async fn read(&self, index: u64) -> Result<(u64, u64)> {
        let mut response = self.open(index).await?;
        let count = async move {
            let (mut lines, mut bytes) = (0, 0);
            while let Some(chunk) = response.chunk().await? {
                lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
                bytes += chunk.len() as u64;
            }
            Ok(((lines), bytes))
        };
        self.outside.handle().spawn(count).await?
    }

    /// The rows that hold the lines from `index` on, at most `limit`: how long that took, and how many bytes they hold.
    async fn select(&self, index: u64, limit: i64) -> Result<(Duration, u64)> {
        let began = Instant::now();
        let revision = index / self.run.per_event + 2;
        let bytes =
            select(&self.scratch.pool, &StreamId::of::<Run>(&self.run.run), revision, limit)
                .await?;
        Ok((began.elapsed(), bytes))
    }
}

async fn select(pool: &PgPool, stream: &StreamId, revision: u64, limit: i64) -> Result<u64> {
    let mut connection = pool.acquire().await?;
    let statement = match limit {
        i64::MAX => SELECT.to_owned(),
        limit => format!("{SELECT} limit {limit}"),
    };
    let query = sqlx::query(sqlx::AssertSqlSafe(statement));
    let query = query.bind(stream.as_str()).bind(i64::try_from(revision)?);
    let mut rows = query.fetch(&mut *connection);
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        bytes += row.try_get_raw(0)?.as_bytes().map_or(0, <[u8]>::len) as u64;
    }
    Ok(bytes)
}

/// Calls until `end`, at least once.
async fn turn(
    meter: &Meter,
    end: Instant,
    mut call: impl AsyncFnMut() -> Result<(u64, Duration)>,
) -> Result<Timed> {
    let (cpu, began, mut timed) = (meter.read(), Instant::now(), Timed::default());
    while timed.calls_us.is_empty() || Instant::now() < end {
        let (events, took) = call().await?;
        timed.events += events;
        timed.calls_us.push(took.as_micros().try_into().unwrap_or(u32::MAX));
    }
    (timed.wall, timed.cpu_us) = (began.elapsed(), meter.since(cpu));
    Ok(timed)
}

/// Scattered numbers, the same in every run.
struct Indexes(u64);

impl Indexes {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
