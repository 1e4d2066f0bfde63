//! The text format of Prometheus, version 0.0.4: for every family its meaning and kind once, then its samples.

use commands::pulse::Snapshot;
use std::fmt::{Display, Write};

/// Names and values that tell the samples of a family apart.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// What a family's numbers mean.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The text as it grows. Writing to a string cannot fail.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Begins a family; its samples follow. Called once for each.
    pub(super) fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _infallible = write!(self.0, "# HELP {name} ");
        self.escaped(help, false);
        let _infallible = writeln!(self.0, "\n# TYPE {name} {kind}");
    }

    /// One sample of the family that was begun.
    pub(super) fn line(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.sample(name, "", labels, None, value);
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, Kind::Counter, help);
        self.line(name, &[], value);
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, Kind::Gauge, help);
        self.line(name, &[], value);
    }

    /// A family of counters that one label tells apart.
    pub(super) fn counters<'a>(
        &mut self,
        (name, help): (&str, &str),
        label: &'static str,
        each: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.head(name, Kind::Counter, help);
        for (value, count) in each {
            self.line(name, &[(label, value)], count);
        }
    }

    /// A family of histograms that one label tells apart.
    pub(super) fn histograms<'a>(
        &mut self,
        (name, help): (&str, &str),
        label: &'static str,
        each: impl IntoIterator<Item = (&'a str, Snapshot)>,
    ) {
        self.head(name, Kind::Histogram, help);
        for (value, snapshot) in each {
            self.histogram(name, &[(label, value)], &snapshot);
        }
    }

    /// The samples of one histogram.
    pub(super) fn histogram(&mut self, name: &str, labels: Labels<'_>, snapshot: &Snapshot) {
        for (bound, count) in &snapshot.buckets {
            self.sample(name, "_bucket", labels, Some(&bound.to_string()), count);
        }
        self.sample(name, "_bucket", labels, Some("+Inf"), snapshot.count);
        self.sample(name, "_sum", labels, None, snapshot.sum);
        self.sample(name, "_count", labels, None, snapshot.count);
    }

    fn sample(
        &mut self,
        name: &str,
        suffix: &str,
        labels: Labels<'_>,
        le: Option<&str>,
        value: impl Display,
    ) {
        self.0.push_str(name);
        self.0.push_str(suffix);
        let mut open = '{';
        for (label, value) in labels.iter().copied().chain(le.map(|le| ("le", le))) {
            let _infallible = write!(self.0, "{open}{label}=\"");
            self.escaped(value, true);
            self.0.push('"');
            open = ',';
        }
        let close = if open == ',' { "}" } else { "" };
        let _infallible = writeln!(self.0, "{close} {value}");
    }

    fn escaped(&mut self, text: &str, quoted: bool) {
        for c in text.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '"' if quoted => self.0.push_str("\\\""),
                c => self.0.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_families_begin_once() {
        let mut page = Page::default();
        page.counters(("a_total", "One\nline."), "model", [("say \"hi\\\"\n", 2), ("b", 3)]);
        page.gauge("c", "Plain.", 1);
        let expected = "# HELP a_total One\\nline.\n# TYPE a_total counter\n\
            a_total{model=\"say \\\"hi\\\\\\\"\\n\"} 2\na_total{model=\"b\"} 3\n\
            # HELP c Plain.\n# TYPE c gauge\nc 1\n";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn a_histogram_ends_with_all_that_was_seen() {
        let mut page = Page::default();
        let snapshot = Snapshot { buckets: vec![(0.5, 1), (1.0, 1)], count: 2, sum: 3.5 };
        page.histograms(("h_seconds", "Time."), "of", [("x", snapshot)]);
        let samples: Vec<String> = page.into_text().lines().skip(2).map(str::to_owned).collect();
        assert_eq!(
            samples,
            [
                r#"h_seconds_bucket{of="x",le="0.5"} 1"#,
                r#"h_seconds_bucket{of="x",le="1"} 1"#,
                r#"h_seconds_bucket{of="x",le="+Inf"} 2"#,
                r#"h_seconds_sum{of="x"} 3.5"#,
                r#"h_seconds_count{of="x"} 2"#,
            ]
        );
    }
}
