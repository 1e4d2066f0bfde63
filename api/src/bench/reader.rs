//! Reads a run's lines as they arrive, and misses nothing that is wrong with them.

use anyhow::{Result, ensure};
use std::time::Instant;

/// What one reader has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Lines, the end line included; heartbeats are none.
    pub lines: u64,
    /// Stamped deltas among them: all that were sent, in order.
    pub deltas: u64,
    /// Time from the stamp to the arrival of each, microseconds.
    pub delays_us: Vec<u32>,
    /// Whether the end line was there.
    pub over: bool,
    rest: Vec<u8>,
}

impl Seen {
    /// Takes bytes that just arrived; stamps are counted from `epoch`.
    pub fn take(&mut self, bytes: &[u8], epoch: Instant) -> Result<()> {
        let now = epoch.elapsed().as_micros();
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let mut begin = 0;
        while let Some(length) = rest[begin..].iter().position(|byte| *byte == b'\n') {
            self.line(&rest[begin..begin + length], now)?;
            begin += length + 1;
        }
        rest.drain(..begin);
        self.rest = rest;
        Ok(())
    }

    fn line(&mut self, line: &[u8], now: u128) -> Result<()> {
        if line.first() != Some(&b'{') {
            return Ok(());
        }
        let line = std::str::from_utf8(line)?;
        ensure!(!self.over, "a line after the end line: {line}");
        self.lines += 1;
        if let Some((number, sent)) = stamp(line) {
            ensure!(number == self.deltas, "delta {number} came instead of {}", self.deltas);
            self.deltas += 1;
            self.delays_us.push(now.saturating_sub(sent).try_into().unwrap_or(u32::MAX));
        }
        self.over = line.contains("\"type\":\"stream_end\"");
        Ok(())
    }
}

/// Number and time of a delta of the [`super::provider`].
fn stamp(line: &str) -> Option<(u64, u128)> {
    let (_, content) = line.split_once("\"content\":\"@")?;
    let (number, rest) = content.split_once(':')?;
    let (sent, _) = rest.split_once(' ')?;
    Some((number.parse().ok()?, sent.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        ": heartbeat\n\n",
        "{\"content\":\"@0:1 and so on \"}\n",
        "{\"content\":\"@1:2 and so on \"}\n",
        "{\"type\":\"stream_end\"}\n",
    );

    #[test]
    fn lines_are_counted_wherever_they_are_cut() -> Result<()> {
        for size in 1..LINES.len() {
            let mut seen = Seen::default();
            for chunk in LINES.as_bytes().chunks(size) {
                seen.take(chunk, Instant::now())?;
            }
            assert_eq!((seen.lines, seen.deltas, seen.over), (3, 2, true));
        }
        Ok(())
    }

    #[test]
    fn a_missing_or_doubled_line_is_an_error() {
        for (find, put) in [("@1", "@2"), ("@1", "@0")] {
            let lines = LINES.replace(find, put);
            assert!(Seen::default().take(lines.as_bytes(), Instant::now()).is_err(), "{lines}");
        }
        let late = format!("{LINES}{{}}\n");
        assert!(Seen::default().take(late.as_bytes(), Instant::now()).is_err());
    }
}
