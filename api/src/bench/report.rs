//! A report for people.

use commands::log::bench::{Report, Row};
use std::fmt;

/// A report as an aligned table, further figures under their row.
pub(super) struct Table<'a>(pub &'a Report);

const HEAD: [&str; 9] = [
    "",
    "writers",
    "batch",
    "per s",
    "baseline per s",
    "ratio",
    "p50 µs",
    "p99 µs",
    "CPU µs/event",
];

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 9]> = self.0.results.iter().map(cells).collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([HEAD[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        let line = |f: &mut fmt::Formatter<'_>, cells: &[&str]| {
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "{cell:<width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)
        };
        line(f, &HEAD)?;
        for (cells, row) in rows.iter().zip(&self.0.results) {
            line(f, &cells.each_ref().map(String::as_str))?;
            writeln!(f, "    against {}", row.baseline)?;
            for (name, value) in &row.more {
                writeln!(f, "    {name} {value}")?;
            }
        }
        Ok(())
    }
}

fn cells(row: &Row) -> [String; 9] {
    let count = |n: Option<usize>| n.map_or_else(String::new, |n| n.to_string());
    [
        row.name.to_owned(),
        count(row.writers),
        count(row.batch),
        format!("{:.0}", row.per_s),
        format!("{:.0}", row.baseline_per_s),
        format!("{:.2}", row.ratio),
        row.p50_us.to_string(),
        row.p99_us.to_string(),
        row.cpu_us_per_event.map_or_else(String::new, |us| format!("{us:.1}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_figure_stands_in_the_table_and_in_the_json() {
        let row = Row {
            name: "append",
            writers: Some(32),
            batch: None,
            per_s: 20_000.0,
            baseline: "single-row commits".to_owned(),
            baseline_per_s: 10_000.0,
            ratio: 2.0,
            p50_us: 1_234,
            p99_us: 5_678,
            cpu_us_per_event: Some(47.25),
            baseline_cpu_us_per_event: Some(135.0),
            more: BTreeMap::from([("recall_at_10", 0.97)]),
        };
        let report = Report { bench: "log", results: vec![row] };
        let table = Table(&report).to_string();
        for figure in ["32", "20000", "10000", "2.00", "1234", "5678", "47.2", "recall_at_10 0.97"]
        {
            assert!(table.contains(figure), "{figure} is not in\n{table}");
        }
        let json = serde_json::to_value(&report).unwrap_or_default();
        assert_eq!(json["results"][0]["recall_at_10"], 0.97);
        assert_eq!(json["results"][0].get("batch"), None);
    }
}
