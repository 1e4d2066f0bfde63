//! Word documents: paragraphs, headings by their styles, tables row by row, notes at the end.

use super::{
    Extracted, Unreadable,
    draft::Draft,
    package::Package,
    xml::{self, Piece, Tag},
};
use std::collections::HashMap;

const FORMAT: &str = "Word";
const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
/// Stands between two cells of a row.
const BETWEEN: &str = " | ";

pub(super) fn extract(bytes: &[u8]) -> Result<Extracted, Unreadable> {
    let mut package = Package::open(bytes, FORMAT)?;
    let styles = match package.text("word/styles.xml")? {
        Some(xml) => levels(&xml)?,
        None => HashMap::new(),
    };
    let main = match package.text("word/document.xml")? {
        Some(xml) => xml,
        None => package.needed("word/document2.xml")?,
    };
    let mut draft = Draft::of(MEDIA_TYPE);
    read(&main, &styles, &mut draft)?;
    for notes in ["word/footnotes.xml", "word/endnotes.xml", "word/comments.xml"] {
        if let Some(xml) = package.text(notes)? {
            read(&xml, &styles, &mut draft)?;
        }
    }
    Ok(draft.finish())
}

/// Which styles are headings, and of what level: by their outline, else by the name that is the same in all languages.
fn levels(xml: &str) -> Result<HashMap<String, u8>, Unreadable> {
    let mut levels = HashMap::new();
    let mut style = String::new();
    xml::read(xml, FORMAT, |piece| {
        let Piece::Open(tag) = piece else { return };
        match tag.name() {
            "style" => style = tag.get("styleId").unwrap_or_default(),
            "name" => {
                let name = tag.get("val").unwrap_or_default().to_lowercase();
                if let Some(level) = named(&name) {
                    levels.insert(style.clone(), level);
                }
            }
            "outlineLvl" => {
                let level = tag.get("val").and_then(|level| level.parse::<u8>().ok());
                if let Some(level) = level.filter(|level| *level < 9) {
                    levels.insert(style.clone(), level + 1);
                }
            }
            _ => {}
        }
    })?;
    Ok(levels)
}

fn named(name: &str) -> Option<u8> {
    if name == "title" {
        return Some(0);
    }
    let level = name.strip_prefix("heading")?.trim();
    level.parse().ok().filter(|level| (1..=9).contains(level))
}

/// Where the reading of a document is.
struct Body<'a> {
    styles: &'a HashMap<String, u8>,
    draft: &'a mut Draft,
    paragraph: String,
    level: Option<u8>,
    /// Cells of the current row, one row for every table around.
    rows: Vec<Row>,
    /// Depth of what is there twice, for programs that do not know the first version.
    fallback: u32,
    in_text: bool,
}

#[derive(Default)]
struct Row {
    cells: Vec<String>,
    start: usize,
}

fn read(xml: &str, styles: &HashMap<String, u8>, draft: &mut Draft) -> Result<(), Unreadable> {
    let (paragraph, rows) = (String::new(), Vec::new());
    let mut body =
        Body { styles, draft, paragraph, level: None, rows, fallback: 0, in_text: false };
    xml::read(xml, FORMAT, |piece| match piece {
        Piece::Open(tag) if tag.name() == "Fallback" => body.fallback += 1,
        Piece::Close("Fallback") => body.fallback = body.fallback.saturating_sub(1),
        _ if body.fallback > 0 => {}
        Piece::Open(tag) => body.open(tag),
        Piece::Close(name) => body.close(name),
        Piece::Text(text) if body.in_text => body.paragraph.push_str(text),
        Piece::Text(_) => {}
    })
}

impl Body<'_> {
    fn open(&mut self, tag: &Tag<'_>) {
        match tag.name() {
            "t" => self.in_text = true,
            "tab" | "ptab" => self.paragraph.push(' '),
            "br" | "cr" => self.paragraph.push('\n'),
            "noBreakHyphen" => self.paragraph.push('-'),
            "pStyle" => {
                let style = tag.get("val").unwrap_or_default();
                self.level = self.styles.get(&style).copied();
            }
            "tbl" => self.rows.push(Row { cells: Vec::new(), start: self.draft.len() }),
            "tc" => {
                if let Some(row) = self.rows.last_mut() {
                    row.cells.push(String::new());
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "p" => self.end_paragraph(),
            "tr" => self.end_row(),
            "tbl" => {
                if let Some(table) = self.rows.pop()
                    && self.rows.is_empty()
                {
                    self.draft.rows_since(table.start);
                }
            }
            _ => {}
        }
    }

    fn end_paragraph(&mut self) {
        let text = std::mem::take(&mut self.paragraph);
        let level = self.level.take();
        match (self.rows.last_mut().and_then(|row| row.cells.last_mut()), level) {
            (Some(cell), _) => {
                cell.push(' ');
                cell.push_str(&text);
            }
            (None, Some(level)) => self.draft.heading(level, &text),
            (None, None) => {
                self.draft.paragraph(&text);
            }
        }
    }

    /// A row of a table within a cell belongs to that cell.
    fn end_row(&mut self) {
        let Some(row) = self.rows.last_mut() else { return };
        let words = |cell: String| cell.split_whitespace().collect::<Vec<_>>().join(" ");
        let cells: Vec<String> = row.cells.drain(..).map(words).collect();
        if cells.iter().all(String::is_empty) {
            return;
        }
        let line = cells.join(BETWEEN);
        let depth = self.rows.len();
        let around = depth.checked_sub(2).and_then(|n| self.rows[n].cells.last_mut());
        match around {
            Some(cell) => {
                cell.push(' ');
                cell.push_str(&line);
            }
            None => {
                let row = &mut self.rows[depth - 1];
                let first = row.start == self.draft.len();
                let written =
                    if first { self.draft.paragraph(&line) } else { self.draft.line(&line) };
                if let (true, Some(written)) = (first, written) {
                    // Empty lines before the table belong to nobody.
                    row.start = written.start;
                }
            }
        }
    }
}
