//! A text that grows piece by piece, with what is known of its parts.

use super::{Extracted, Heading, PARTS};
use std::{borrow::Cow, ops::Range};

/// Longest line that is taken for a heading, in bytes.
const HEADING: usize = 300;

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Draft(Extracted);

impl Draft {
    /// Nothing yet.
    pub fn of(media_type: impl Into<Cow<'static, str>>) -> Self {
        Self(Extracted { media_type: media_type.into(), ..Extracted::default() })
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.text.len()
    }

    /// A new page begins.
    pub fn page(&mut self) {
        self.gap();
        self.0.pages.push(self.len());
    }

    /// A paragraph of its own; where it stands, if there was anything in it.
    pub fn paragraph(&mut self, text: &str) -> Option<Range<usize>> {
        self.gap();
        self.line(text)
    }

    /// A line right below the one before.
    pub fn line(&mut self, text: &str) -> Option<Range<usize>> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if !self.0.text.is_empty() && !self.0.text.ends_with('\n') {
            self.0.text.push('\n');
        }
        let start = self.len();
        self.0.text.extend(text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')));
        Some(start..self.len())
    }

    /// Sets what follows apart from what is there.
    pub fn separate(&mut self) {
        self.gap();
    }

    /// A heading; 1 is the outermost level, 0 the title of the whole. A very long one is a paragraph.
    pub fn heading(&mut self, level: u8, text: &str) {
        let title = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(Range { start, end }) = self.paragraph(&title)
            && end - start <= HEADING
            && self.0.outline.len() < PARTS
        {
            self.0.outline.push(Heading { start, end, level, title });
        }
    }

    /// Rows of a table from `start` to here.
    pub fn rows_since(&mut self, start: usize) {
        if start < self.len() {
            self.0.lines.push(start..self.len());
        }
    }

    /// A row that is a passage of its own.
    pub fn own_row(&mut self, text: &str) {
        if let Some(range) = self.paragraph(text) {
            self.0.rows.push(range);
        }
    }

    /// Another text below its title, its headings one level deeper.
    pub fn append(&mut self, title: &str, other: &Extracted) {
        self.heading(1, title);
        self.gap();
        let by = self.len();
        let moved = |range: &Range<usize>| range.start + by..range.end + by;
        self.0.text.push_str(&other.text);
        self.0.outline.extend(other.outline.iter().map(|heading| Heading {
            start: heading.start + by,
            end: heading.end + by,
            level: heading.level.saturating_add(2),
            title: heading.title.clone(),
        }));
        self.0.lines.extend(other.lines.iter().map(moved));
    }

    /// The text.
    pub fn finish(mut self) -> Extracted {
        self.0.text.truncate(self.0.text.trim_end().len());
        let end = self.len();
        self.0.pages.iter_mut().for_each(|start| *start = (*start).min(end));
        self.0
    }

    fn gap(&mut self) {
        if self.0.text.is_empty() {
            return;
        }
        while !self.0.text.ends_with("\n\n") {
            self.0.text.push('\n');
        }
    }
}
