//! How far long work is: bars on a terminal, a line now and then elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Between two lines where there is no terminal; work that is over before says nothing.
const QUIET: Duration = Duration::from_secs(10);

/// Several pieces of work at a time, each with a bar of its own.
pub(crate) struct Progress {
    bars: Option<MultiProgress>,
}

/// One piece of work.
pub(crate) struct Bar {
    name: &'static str,
    bar: Option<ProgressBar>,
    said: Mutex<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { bars: io::stderr().is_terminal().then(MultiProgress::new) }
    }

    pub(crate) fn bar(&self, name: &'static str) -> Bar {
        let bar = self.bars.as_ref().map(|bars| {
            let shape = "{prefix:<20} {bar:30} {pos}/{len} {per_sec}, {eta} left";
            let style = ProgressStyle::with_template(shape)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bars.add(ProgressBar::new(0).with_style(style).with_prefix(name))
        });
        Bar { name, bar, said: Mutex::new(Instant::now()) }
    }

    /// Prints a line of the result, above the bars that are left.
    pub(crate) fn print(&self, line: &str) -> io::Result<()> {
        let print = || writeln!(io::stdout(), "{line}");
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

impl Bar {
    pub(crate) fn at(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= QUIET {
            *said = Instant::now();
            let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
            let _unread = writeln!(io::stderr(), "{}: {done} of {total} ({percent} %)", self.name);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
