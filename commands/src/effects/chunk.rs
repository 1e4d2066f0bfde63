//! Cuts a text into passages along its structure: headings first, then paragraphs, then sentences.
//!
//! A passage is exactly `text[start..end]`, so a quotation can be checked against the file. Sizes are in bytes: about
//! four to a token in English, three to a character in Chinese, so bytes are a fair measure of both.

use super::extract::{Extracted, Heading};
use std::{collections::VecDeque, ops::Range};

/// How large passages are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// A passage is closed before it grows beyond this.
    pub target: usize,
    /// How much of a passage's end the next one of the same section repeats, at most.
    pub overlap: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { target: 1_200, overlap: 200 }
    }
}

/// Where a passage stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Headings above it, outermost first, joined by ` > `.
    pub heading: String,
    /// The page it begins on, from 1, when there are pages.
    pub page: Option<u32>,
    /// The row it is, from 0, when rows are passages.
    pub row: Option<u32>,
}

/// The passages of a text, in order.
///
/// Every character that is not white space or part of a heading lies in at least one of them.
pub fn chunk(read: &Extracted, sizes: Sizes) -> Vec<Piece> {
    let mut cut = Cut { read, sizes, pieces: Vec::new() };
    if read.rows.is_empty() {
        cut.sections();
    } else {
        for (row, range) in (0..).zip(&read.rows) {
            let first = cut.pieces.len();
            cut.section(range.clone(), "");
            cut.pieces[first..].iter_mut().for_each(|piece| piece.row = Some(row));
        }
    }
    cut.pieces
}

/// The work at hand.
struct Cut<'a> {
    read: &'a Extracted,
    sizes: Sizes,
    pieces: Vec<Piece>,
}

impl Cut<'_> {
    fn sections(&mut self) {
        let Extracted { text, outline, .. } = self.read;
        let mut path: Vec<&Heading> = Vec::new();
        let first = outline.first().map_or(text.len(), |heading| heading.start);
        self.section(0..first, "");
        for (n, heading) in outline.iter().enumerate() {
            path.retain(|above| above.level < heading.level);
            path.push(heading);
            let next = outline.get(n + 1);
            let body = heading.end..next.map_or(text.len(), |next| next.start);
            if !text[body.clone()].trim().is_empty() {
                self.section(body, &joined(&path));
            } else if next.is_none_or(|next| next.level <= heading.level) {
                // Nothing below it at all: the heading is what there is to find.
                let parents = joined(&path[..path.len() - 1]);
                self.section(heading.start..heading.end, &parents);
            }
        }
    }

    fn section(&mut self, section: Range<usize>, heading: &str) {
        let sizes = self.sizes;
        let mut rest = Units::of(self.read, sizes.target, section);
        // One passage and the unit behind it, never the units of a whole section: those of a hundred megabytes of short
        // lines are many times as large as the text.
        let mut units: Vec<Unit> = Vec::new();
        loop {
            while units
                .last()
                .is_none_or(|last| last.range.end - units[0].range.start <= sizes.target)
            {
                match rest.next() {
                    Some(unit) => units.push(unit),
                    None => break,
                }
            }
            let Some(Unit { range: Range { start, .. }, .. }) = units.first().cloned() else {
                return;
            };
            let mut end = 1;
            while end < units.len() && units[end].range.end - start <= sizes.target {
                end += 1;
            }
            if end < units.len() {
                end = at_paragraph(&units, end, sizes.target);
            }
            self.push(start..units[end - 1].range.end, heading);
            if end == units.len() {
                return;
            }
            units.drain(..overlap_start(&units, end, sizes));
        }
    }

    fn push(&mut self, range: Range<usize>, heading: &str) {
        let begun = self.read.pages.partition_point(|start| *start <= range.start);
        let page = u32::try_from(begun).ok().filter(|page| *page > 0);
        self.pieces.push(Piece { range, heading: heading.to_owned(), page, row: None });
    }
}

/// The units of a section, without white space around them, none longer than a passage.
struct Units<'a> {
    read: &'a Extracted,
    target: usize,
    at: usize,
    end: usize,
    /// Whether the next one begins a paragraph.
    opens: bool,
    /// Those of a sentence that was too long.
    ready: VecDeque<Unit>,
}

impl<'a> Units<'a> {
    fn of(read: &'a Extracted, target: usize, section: Range<usize>) -> Self {
        let Range { start: at, end } = section;
        Self { read, target, at, end, opens: true, ready: VecDeque::new() }
    }

    /// Takes the next sentence or line, if it is not blank.
    fn take(&mut self) {
        let text = &self.read.text;
        let rest = &text[self.at..self.end];
        let length = self.unit(rest);
        let raw = &rest[..length];
        let body = raw.trim();
        if !body.is_empty() {
            let start = self.at + (raw.len() - raw.trim_start().len());
            push_cut(text, start..start + body.len(), self.target, self.opens, &mut self.ready);
            self.opens = false;
        }
        let breaks = raw.trim_end_matches([' ', '\t', '\r']);
        // Blank lines are looked ahead at from a line with text only: once, however many there are.
        self.opens |= body.is_empty() || (breaks.ends_with('\n') && begins_blank(&rest[length..]));
        self.at += length;
    }

    /// Length of the unit that begins here: a line where lines mean something, a sentence elsewhere.
    fn unit(&self, rest: &str) -> usize {
        let lines = &self.read.lines;
        let next = lines.get(lines.partition_point(|range| range.end <= self.at));
        match next {
            Some(range) if range.start <= self.at => {
                rest.find('\n').map_or(rest.len(), |newline| newline + 1)
            }
            Some(range) => sentence(&rest[..rest.len().min(range.start - self.at)]),
            None => sentence(rest),
        }
    }
}

impl Iterator for Units<'_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        while self.ready.is_empty() && self.at < self.end {
            self.take();
        }
        self.ready.pop_front()
    }
}

/// Whether an empty line comes before the next text.
fn begins_blank(text: &str) -> bool {
    text.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\n')
}

/// Longest heading path kept; headings are context, not text.
const MAX_PATH: usize = 300;

fn joined(path: &[&Heading]) -> String {
    let mut joined = String::new();
    for heading in path {
        if !joined.is_empty() {
            joined.push_str(" > ");
        }
        joined.push_str(&heading.title);
    }
    joined.truncate(joined.floor_char_boundary(MAX_PATH));
    joined
}

/// A sentence, a line, or a part of one that is too long.
#[derive(Debug, Clone)]
struct Unit {
    range: Range<usize>,
    /// Whether a paragraph begins here.
    opens: bool,
}

/// The last paragraph border before `end` that leaves at least half a passage; `end` when there is none.
fn at_paragraph(units: &[Unit], end: usize, target: usize) -> usize {
    let start = units[0].range.start;
    (1..=end)
        .rev()
        .find(|&n| units[n].opens && units[n - 1].range.end - start >= target / 2)
        .unwrap_or(end)
}

/// Where the next passage begins: some sentences back, but never inside the previous passage's first sentence, and
/// never across a paragraph border, and only so far that there is room for something new.
fn overlap_start(units: &[Unit], end: usize, sizes: Sizes) -> usize {
    let mut start = end;
    while start > 1
        && !units[start].opens
        && units[end - 1].range.end - units[start - 1].range.start <= sizes.overlap
        && units[end].range.end - units[start - 1].range.start <= sizes.target
    {
        start -= 1;
    }
    start
}

/// Length of the first sentence or line, its line break included.
fn sentence(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after = at + c.len_utf8();
        let ends = match c {
            '\n' => return after,
            '。' | '！' | '？' | '；' | '｡' | '…' => true,
            '.' | '!' | '?' => {
                chars.peek().is_none_or(|(_, next)| next.is_whitespace() || is_closing(*next))
            }
            _ => false,
        };
        if !ends {
            continue;
        }
        let tail = &text[after..];
        let closing = tail.find(|c: char| !is_closing(c)).unwrap_or(tail.len());
        let behind = &tail[closing..];
        // A line break right behind the sentence belongs to it, so that paragraphs are seen.
        let spaces = behind.find(|c| !matches!(c, ' ' | '\t' | '\r')).unwrap_or(behind.len());
        let newline = usize::from(behind[spaces..].starts_with('\n'));
        return after + closing + if newline == 1 { spaces + 1 } else { 0 };
    }
    text.len()
}

fn is_closing(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | ')'
            | ']'
            | '”'
            | '’'
            | '»'
            | '」'
            | '』'
            | '）'
            | '】'
            | '》'
            | '.'
            | '!'
            | '?'
            | '。'
            | '！'
            | '？'
            | '…'
    )
}

/// Adds one unit, or several when it is too long; cut at white space where there is some in the last quarter.
fn push_cut(text: &str, range: Range<usize>, max: usize, opens: bool, into: &mut VecDeque<Unit>) {
    let (mut start, mut opens) = (range.start, opens);
    while range.end - start > max {
        let limit = text.floor_char_boundary(start + max).max(start + 1);
        let limit = text.ceil_char_boundary(limit);
        let from = text.floor_char_boundary(start + max / 4 * 3);
        let space = text.get(from..limit).and_then(|s| s.rfind(char::is_whitespace));
        let end = space.map_or(limit, |space| from + space).max(start + 1);
        let end = text.ceil_char_boundary(end);
        let kept = text[start..end].trim_end().len();
        if kept > 0 {
            into.push_back(Unit { range: start..start + kept, opens });
            opens = false;
        }
        let rest = &text[end..range.end];
        start = end + (rest.len() - rest.trim_start().len());
    }
    if start < range.end {
        into.push_back(Unit { range: start..range.end, opens });
    }
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
