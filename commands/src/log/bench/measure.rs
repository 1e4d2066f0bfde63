//! Clocks: of calls, and of processors.

use super::{BenchError, Row};
use sqlx::PgPool;
use std::{
    fs,
    future::Future,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Processor time is counted in ticks of this many microseconds (`USER_HZ` is 100 wherever Linux runs).
const TICK_US: u64 = 10_000;

/// Calls that were timed, and what they took.
#[derive(Debug, Default)]
pub(super) struct Timed {
    pub(super) events: u64,
    pub(super) calls_us: Vec<u32>,
    pub(super) wall: Duration,
    pub(super) cpu_us: Option<u64>,
}

impl Timed {
    pub(super) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.calls_us.extend(other.calls_us);
        self.wall += other.wall;
        self.cpu_us = self.cpu_us.zip(other.cpu_us).map(|(a, b)| a + b).or(other.cpu_us);
    }

    pub(super) fn per_s(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    /// A row of the report.
    pub(super) fn against(mut self, name: &'static str, baseline: (String, &Self)) -> Row {
        self.calls_us.sort_unstable();
        let quantile = |q: f64| {
            let at = (self.calls_us.len() as f64 * q) as usize;
            self.calls_us.get(at).copied().map_or(0, u64::from)
        };
        let (baseline, base) = baseline;
        let other = base.per_s();
        let per_event = |it: &Self| it.cpu_us.map(|us| round(us as f64 / it.events.max(1) as f64));
        let (cpu, baseline_cpu) = (per_event(&self), per_event(base));
        Row {
            name,
            writers: None,
            batch: None,
            per_s: self.per_s().round(),
            baseline,
            baseline_per_s: other.round(),
            ratio: round(self.per_s() / other.max(1e-9)),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            cpu_us_per_event: cpu,
            baseline_cpu_us_per_event: baseline_cpu,
        }
    }
}

fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// One of several workers that call something again and again.
pub(super) trait Worker: Send + 'static {
    /// One call; how many events it brought.
    fn call(&mut self) -> impl Future<Output = Result<u64, BenchError>> + Send;
}

/// Lets the workers call for this long.
pub(super) async fn run<W: Worker>(
    workers: &mut Vec<W>,
    time: Duration,
    meter: &Meter,
) -> Result<Timed, BenchError> {
    let (cpu, begin) = (meter.read(), Instant::now());
    let end = begin + time;
    let mut tasks = JoinSet::new();
    for mut worker in workers.drain(..) {
        tasks.spawn(async move {
            let mut timed = Timed::default();
            while Instant::now() < end {
                let call = Instant::now();
                timed.events += worker.call().await?;
                timed.calls_us.push(call.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
            }
            Ok::<_, BenchError>((worker, timed))
        });
    }
    let mut all = Timed::default();
    while let Some(done) = tasks.join_next().await {
        let (worker, timed) = done??;
        workers.push(worker);
        all.add(timed);
    }
    all.wall = begin.elapsed();
    all.cpu_us = meter.since(cpu);
    Ok(all)
}

/// Reads the processor time of this process and of the server, when that runs here.
#[derive(Debug)]
pub(super) struct Meter {
    postmaster: Option<u32>,
}

impl Meter {
    pub(super) async fn new(pool: &PgPool) -> Result<Self, BenchError> {
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(pool).await?;
        let backend = pid.unsigned_abs();
        let parent = Stat::of(backend).filter(Stat::is_postgres).map(|stat| stat.parent);
        let postmaster = parent.filter(|pid| Stat::of(*pid).is_some_and(|it| it.is_postgres()));
        Ok(Self { postmaster })
    }

    /// Microseconds so far.
    pub(super) fn read(&self) -> Option<u64> {
        let postmaster = self.postmaster?;
        let mut ticks = Stat::of(std::process::id())?.own;
        let main = Stat::of(postmaster)?;
        ticks += main.own + main.dead_children;
        for entry in fs::read_dir("/proc").ok()?.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let stat = pid.and_then(Stat::of).filter(|stat| stat.parent == postmaster);
            ticks += stat.map_or(0, |stat| stat.own);
        }
        Some(ticks * TICK_US)
    }

    pub(super) fn since(&self, before: Option<u64>) -> Option<u64> {
        self.read()?.checked_sub(before?)
    }
}

/// What `/proc/<pid>/stat` says, times in ticks.
struct Stat {
    name: String,
    parent: u32,
    own: u64,
    dead_children: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = text.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            name: head.split_once('(')?.1.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            dead_children: number(13)? + number(14)?,
        })
    }

    fn is_postgres(&self) -> bool {
        self.name.starts_with("postgres")
    }
}
