//! Markdown: its headings make the outline; the text stays as it was written.

use super::{Extracted, Heading, PARTS};
use std::ops::Range;

pub(super) fn extract(text: String) -> Extracted {
    let (outline, lines) = read(&text);
    Extracted { text, outline, lines, media_type: "text/markdown".into(), ..Extracted::default() }
}

/// The headings outside fenced code, and the parts where lines mean something: code and tables.
fn read(text: &str) -> (Vec<Heading>, Vec<Range<usize>>) {
    let mut outline: Vec<Heading> = Vec::new();
    let mut lines: Vec<Range<usize>> = Vec::new();
    let mut keep = |range: Range<usize>| match lines.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => lines.push(range),
    };
    let (mut at, mut fence, mut above) = (0, None, None);
    for raw in text.split_inclusive('\n') {
        let start = at;
        at += raw.len();
        let line = raw.trim_end();
        let body = line.trim_start_matches(' ');
        let before = above.take();
        if let Some(mark) = ["```", "~~~"].into_iter().find(|mark| body.starts_with(mark)) {
            match fence {
                None => fence = Some(mark),
                Some(open) if open == mark => fence = None,
                Some(_) => {}
            }
            keep(start..at);
            continue;
        }
        if fence.is_some() || body.starts_with('|') {
            keep(start..at);
            continue;
        }
        if line.len() - body.len() > 3 {
            continue;
        }
        let end = start + line.len();
        let level = body.len() - body.trim_start_matches('#').len();
        let title = &body[level..];
        if (1..=6).contains(&level) && title.starts_with([' ', '\t']) {
            let title = title.trim().trim_end_matches('#').trim();
            push(&mut outline, start..end, level, title);
        } else if let (Some((start, title)), Some(level)) = (before, underline(body)) {
            push(&mut outline, start..end, level, title);
        } else if !body.is_empty() {
            above = Some((start, body));
        }
    }
    (outline, lines)
}

/// The level of the heading above, if this is a line below one.
fn underline(body: &str) -> Option<usize> {
    let all = |mark: char| body.len() >= 3 && body.chars().all(|c| c == mark);
    if all('=') {
        Some(1)
    } else if all('-') {
        Some(2)
    } else {
        None
    }
}

fn push(outline: &mut Vec<Heading>, range: Range<usize>, level: usize, title: &str) {
    if !title.is_empty() && outline.len() < PARTS {
        let level = u8::try_from(level).unwrap_or(6);
        let title = title.to_owned();
        outline.push(Heading { start: range.start, end: range.end, level, title });
    }
}
