//! Clocks: of calls, and of processors.

use super::{BenchError, Row};
use sqlx::PgPool;
use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    path::Path,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Processor time is counted in ticks of this many microseconds (`USER_HZ` is 100 wherever Linux runs).
const TICK_US: u64 = 10_000;

/// Calls that were timed, and what they took.
#[derive(Debug, Default)]
pub struct Timed {
    /// What the calls brought.
    pub events: u64,
    /// How long each of them took, microseconds.
    pub calls_us: Vec<u32>,
    /// How long all of them took together.
    pub wall: Duration,
    /// Processor time meanwhile, microseconds.
    pub cpu_us: Option<u64>,
}

impl Timed {
    /// Adds what was measured at another time.
    pub fn add(&mut self, other: Self) {
        self.events += other.events;
        self.calls_us.extend(other.calls_us);
        self.wall += other.wall;
        self.cpu_us = self.cpu_us.zip(other.cpu_us).map(|(a, b)| a + b).or(other.cpu_us);
    }

    /// Events per second.
    pub fn per_s(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    /// The call that only this part of all calls (0 to 1) was faster than, microseconds; 0 when there was none.
    pub fn quantile(&mut self, part: f64) -> u64 {
        self.calls_us.sort_unstable();
        let at = (self.calls_us.len() as f64 * part) as usize;
        self.calls_us.get(at).or(self.calls_us.last()).copied().map_or(0, u64::from)
    }

    /// A row of the report.
    pub fn against(mut self, name: &'static str, baseline: (String, &Self)) -> Row {
        let (p50_us, p99_us) = (self.quantile(0.5), self.quantile(0.99));
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
            p50_us,
            p99_us,
            cpu_us_per_event: cpu,
            baseline_cpu_us_per_event: baseline_cpu,
            more: BTreeMap::new(),
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
pub struct Meter {
    postmaster: Option<u32>,
    except: Option<&'static str>,
}

impl Meter {
    /// A meter for the server behind this pool.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn new(pool: &PgPool) -> Result<Self, BenchError> {
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(pool).await?;
        let backend = pid.unsigned_abs();
        let parent = Stat::of(backend).filter(Stat::is_postgres).map(|stat| stat.parent);
        let postmaster = parent.filter(|pid| Stat::of(*pid).is_some_and(|it| it.is_postgres()));
        Ok(Self { postmaster, except: None })
    }

    /// Leaves out this process's threads of this name (at most 15 bytes), which must outlive the meter.
    #[must_use]
    pub fn without(self, threads: &'static str) -> Self {
        Self { except: Some(threads), ..self }
    }

    /// Microseconds so far; `None` when the server runs elsewhere.
    pub fn read(&self) -> Option<u64> {
        let postmaster = self.postmaster?;
        let mut ticks = Stat::of(std::process::id())?.own - self.excepted()?;
        let main = Stat::of(postmaster)?;
        ticks += main.own + main.dead_children;
        for entry in fs::read_dir("/proc").ok()?.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let stat = pid.and_then(Stat::of).filter(|stat| stat.parent == postmaster);
            ticks += stat.map_or(0, |stat| stat.own);
        }
        Some(ticks * TICK_US)
    }

    /// Microseconds since an earlier reading.
    pub fn since(&self, before: Option<u64>) -> Option<u64> {
        self.read()?.checked_sub(before?)
    }

    fn excepted(&self) -> Option<u64> {
        let Some(name) = self.except else { return Some(0) };
        let threads = fs::read_dir("/proc/self/task").ok()?.flatten();
        let stats = threads.filter_map(|thread| Stat::read(&thread.path().join("stat")));
        Some(stats.filter(|stat| stat.name == name).map(|stat| stat.own).sum())
    }
}

/// What `/proc/<pid>/stat` says, times in ticks.
#[derive(Debug)]
struct Stat {
    name: String,
    parent: u32,
    own: u64,
    dead_children: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::read(Path::new(&format!("/proc/{pid}/stat")))
    }

    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
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
