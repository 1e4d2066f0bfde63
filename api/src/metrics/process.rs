//! What the system knows about the process; on systems that do not tell, nothing.

use super::page::{Kind, Page};
use std::fs;

/// Ticks of the system's clock in a second, as all its architectures have it.
const TICKS: f64 = 100.0;

/// Bytes of memory this process has.
pub fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(resident.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

pub(super) fn write(page: &mut Page) {
    page.head("annals_build_info", Kind::Gauge, "1, with what is running.");
    page.line("annals_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    if let Some(bytes) = resident_memory() {
        page.gauge("process_resident_memory_bytes", "Resident memory.", bytes);
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field may hold anything in parentheses. Of those after it, user and system time are the 12th and 13th, and
    // the start since boot is the 20th.
    let fields: Vec<u32> = match stat.rsplit_once(") ") {
        Some((_, rest)) => rest.split(' ').map(|field| field.parse().unwrap_or_default()).collect(),
        None => vec![],
    };
    if let [user, system] = fields.get(11..13).unwrap_or_default() {
        let seconds = (f64::from(*user) + f64::from(*system)) / TICKS;
        page.counter("process_cpu_seconds_total", "Time on processors.", seconds);
    }
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<u32>().ok());
    if let (Some(boot), Some(since)) = (boot, fields.get(19)) {
        let start = f64::from(boot) + f64::from(*since) / TICKS;
        page.gauge("process_start_time_seconds", "When it began, in Unix time.", start);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        page.gauge("process_open_fds", "Open files and sockets.", files.count());
    }
}
