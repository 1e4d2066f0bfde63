//! Values by lines: a row is a line, the names of its columns stand above it as a heading.

use super::{Extracted, draft::Draft};

/// Separators that are looked for.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Stands between two values of a row.
const BETWEEN: &str = " | ";

/// What separates the values: what the first lines have most evenly.
pub(super) fn separator(beginning: &str) -> u8 {
    let lines: Vec<&str> = beginning.lines().filter(|line| !line.is_empty()).take(5).collect();
    let least = |separator: &u8| {
        let count = |line: &&str| line.bytes().filter(|byte| byte == separator).count();
        lines.iter().map(count).min().unwrap_or_default()
    };
    // The first of those that are equally good.
    SEPARATORS.into_iter().rev().max_by_key(least).unwrap_or(b',')
}

/// The rows of a table.
pub(super) fn rows(text: &str, separator: u8) -> impl Iterator<Item = Vec<String>> {
    let reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(std::io::Cursor::new(text.to_owned()));
    // What is no UTF-8 cannot occur, and nothing else stops a flexible reader.
    reader
        .into_records()
        .map_while(Result::ok)
        .map(|record| record.iter().map(str::to_owned).collect())
}

pub(super) fn extract(text: &str, separator: u8) -> Extracted {
    let mut draft = Draft::of("text/csv");
    table(&mut draft, 1, rows(text, separator));
    draft.finish()
}

/// Writes a table; its first row with anything in it is the heading of all others.
pub(super) fn table(draft: &mut Draft, level: u8, rows: impl Iterator<Item = Vec<String>>) {
    let mut rows = rows.map(|row| line(&row)).filter(|row| !row.is_empty());
    let Some(first) = rows.next() else { return };
    draft.heading(level, &first);
    let mut start = draft.len();
    for (n, row) in rows.enumerate() {
        let written = if n == 0 { draft.paragraph(&row) } else { draft.line(&row) };
        if let (0, Some(written)) = (n, written) {
            start = written.start;
        }
    }
    draft.rows_since(start);
}

/// A row as one line.
fn line(row: &[String]) -> String {
    let cell = |cell: &String| cell.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cells: Vec<String> = row.iter().map(cell).collect();
    while cells.last().is_some_and(String::is_empty) {
        cells.pop();
    }
    cells.join(BETWEEN)
}
