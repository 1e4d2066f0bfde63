//! PDF: the glyphs of every page in the order they are drawn, put together to words, lines and paragraphs by where they
//! stand.

use super::{Extracted, Unreadable, draft::Draft};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask,
    font::{Glyph, GlyphRun},
    hayro_cmap::{BfString, WritingMode},
    hayro_syntax::{DecryptionError, LoadPdfError, Pdf},
    interpret_page,
    kurbo::{Affine, BezPath, Point, Rect, Vec2},
};
use std::cmp::Ordering;

const FORMAT: &str = "PDF";
/// Pages that are read.
const PAGES: usize = 20_000;
/// Units of a glyph's width to the size of its font.
const UNITS: f64 = 1_000.0;
/// Glyphs whose width nobody tells are taken to be so wide, in sizes.
const SOME_WIDTH: f64 = 0.5;
/// Gap between two glyphs that is a space, in sizes.
const SPACE: f64 = 0.16;
/// How far a glyph may be off the line, in sizes: superscripts are.
const OFF_LINE: f64 = 0.6;
/// Distance of two lines from which on they are two paragraphs, in sizes.
const APART: f64 = 1.75;
/// How much larger than the text a heading is.
const LARGER: f64 = 1.15;

pub(super) fn extract(bytes: &[u8]) -> Result<Extracted, Unreadable> {
    let pdf = Pdf::new(bytes.to_vec()).map_err(|error| match error {
        LoadPdfError::Decryption(
            DecryptionError::PasswordProtected | DecryptionError::UnsupportedAlgorithm,
        ) => Unreadable::Encrypted(FORMAT.into()),
        LoadPdfError::Decryption(_) | LoadPdfError::Invalid => Unreadable::Damaged(FORMAT.into()),
    })?;
    if pdf.pages().is_empty() {
        return Err(Unreadable::Damaged(FORMAT.into()));
    }
    let cache = InterpreterCache::new();
    let pages: Vec<Page> = pdf
        .pages()
        .iter()
        .take(PAGES)
        .map(|page| {
            let area = Rect::new(0.0, 0.0, 1.0, 1.0);
            let settings = InterpreterSettings::default();
            let mut context = Context::new(Affine::IDENTITY, area, &cache, pdf.xref(), settings);
            let mut read = Page::default();
            interpret_page(page, &mut context, &mut read);
            read
        })
        .collect();
    let body = body_size(&pages);
    let sizes = heading_sizes(&pages, body);
    let mut draft = Draft::of("application/pdf");
    for page in &pages {
        draft.page();
        page.write(&mut draft, &sizes);
    }
    let extracted = draft.finish();
    match extracted.text.is_empty() {
        true => Err(Unreadable::Scanned),
        false => Ok(extracted),
    }
}

/// Glyphs that stand side by side.
#[derive(Debug, Default)]
struct Line {
    text: String,
    size: f64,
    /// Where its first glyph begins and its last one ends.
    start: Point,
    end: Point,
    /// Where it runs.
    along: Vec2,
}

/// What a page shows.
#[derive(Debug, Default)]
struct Page {
    lines: Vec<Line>,
    /// The last run, to know it when it is drawn again: filled, then outlined.
    last: Option<(Point, usize)>,
}

impl Page {
    fn glyph(&mut self, text: &str, at: Point, along: Vec2, size: f64, width: f64) {
        let end = at + along * width;
        if let Some(line) = self.lines.last_mut() {
            let step = at - line.end;
            let (forth, off) = (step.dot(line.along), step.cross(line.along).abs());
            let same_way = line.along.dot(along) > 0.9;
            // Back by a little is kerning, back by much is another column, or text over text.
            if same_way && off < OFF_LINE * line.size && (-0.5..12.0).contains(&(forth / line.size))
            {
                if forth > SPACE * line.size && !text.starts_with(' ') && !line.text.ends_with(' ')
                {
                    line.text.push(' ');
                }
                line.text.push_str(text);
                line.end = end;
                line.size = line.size.max(size);
                return;
            }
        }
        self.lines.push(Line { text: text.to_owned(), size, start: at, end, along });
    }

    fn write(&self, draft: &mut Draft, sizes: &[f64]) {
        let lines: Vec<&Line> = self.lines.iter().filter(|l| !l.text.trim().is_empty()).collect();
        let widest = lines.iter().map(|line| line.width()).fold(0.0, f64::max);
        let (mut paragraph, mut first) = (String::new(), 0);
        for (n, line) in lines.iter().enumerate() {
            let text = line.text.trim();
            let next = lines.get(n + 1);
            join(&mut paragraph, text);
            let goes_on = next.is_some_and(|next| line.goes_on_in(next, widest));
            if goes_on {
                continue;
            }
            let text = std::mem::take(&mut paragraph);
            let below = first > 0 && lines[first - 1].is_near(lines[first]);
            first = n + 1;
            let level = sizes.iter().position(|size| line.is_of(*size));
            match level.and_then(|level| u8::try_from(level + 1).ok()) {
                Some(level) => draft.heading(level, &text),
                None if below => drop(draft.line(&text)),
                None => drop(draft.paragraph(&text)),
            }
        }
    }
}

impl Line {
    fn width(&self) -> f64 {
        (self.end - self.start).dot(self.along)
    }

    fn is_of(&self, size: f64) -> bool {
        (self.size / size - 1.0).abs() < 0.03
    }

    /// Whether `next` is the line below.
    fn is_near(&self, next: &Self) -> bool {
        let step = next.start - self.start;
        let alike = self.size.min(next.size) * LARGER > self.size.max(next.size);
        alike && step.cross(self.along).abs() < APART * self.size.max(1e-6)
    }

    /// Whether a sentence may go on in the line below: not after one that ends early.
    fn goes_on_in(&self, next: &Self, widest: f64) -> bool {
        self.is_near(next) && self.width() > widest * 0.75
    }
}

/// Adds a line to a paragraph: a word that was divided is whole again, and Chinese has no spaces.
fn join(paragraph: &mut String, line: &str) {
    let (before, after) = (paragraph.chars().last(), line.chars().next());
    let (Some(before), Some(after)) = (before, after) else {
        paragraph.push_str(line);
        return;
    };
    let divided = before == '-' && after.is_lowercase();
    if divided && paragraph[..paragraph.len() - 1].ends_with(char::is_alphabetic) {
        paragraph.pop();
    } else if !(is_wide(before) && is_wide(after)) {
        paragraph.push(' ');
    }
    paragraph.push_str(line);
}

fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x3000..=0x30FF | 0x3400..=0x9FFF | 0xFF00..=0xFFEF)
}

/// The size most of the text has.
fn body_size(pages: &[Page]) -> f64 {
    let mut sizes: Vec<(f64, usize)> =
        pages.iter().flat_map(|p| &p.lines).map(|line| (line.size, line.text.len())).collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = sizes.iter().map(|(_, letters)| letters).sum::<usize>() / 2;
    let mut seen = 0;
    let middle = sizes.iter().find(|(_, letters)| {
        seen += letters;
        seen > half
    });
    middle.map_or(1.0, |(size, _)| *size)
}

/// The sizes of headings, largest first.
fn heading_sizes(pages: &[Page], body: f64) -> Vec<f64> {
    let lines = pages.iter().flat_map(|page| &page.lines);
    let mut sizes: Vec<f64> = lines.map(|l| l.size).filter(|size| *size > body * LARGER).collect();
    sizes.sort_by(|a, b| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    sizes.dedup_by(|a, b| (*a / *b - 1.0).abs() < 0.03);
    sizes.truncate(4);
    sizes
}

impl Device<'_> for Page {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, '_>, props: DrawProps<'_>, _: &DrawMode) {
        let place = |glyph: &Affine| props.transform * *glyph;
        let first = run.glyphs().first().map(|glyph| place(&glyph.transform()) * Point::ZERO);
        let this = first.map(|first| (first, run.glyphs().len()));
        if this.is_some() && this == self.last {
            return;
        }
        self.last = this;
        for glyph in run.glyphs() {
            let transform = place(&glyph.transform());
            let at = transform * Point::ZERO;
            let size = (transform * Point::new(0.0, UNITS) - at).hypot();
            let across = transform * Point::new(UNITS, 0.0) - at;
            if !size.is_finite() || !at.x.is_finite() || !at.y.is_finite() || size <= 0.0 {
                continue;
            }
            let width = match &**glyph {
                Glyph::Outline(outline) => outline.advance_width(),
                Glyph::Type3(drawn) => drawn.advance_width(),
            };
            let (along, width) = match run.writing_mode() {
                WritingMode::Horizontal => {
                    (across, width.map_or(SOME_WIDTH, |w| f64::from(w) / UNITS))
                }
                WritingMode::Vertical => (at - transform * Point::new(0.0, UNITS), 1.0),
            };
            let length = along.hypot();
            let along = if length > 0.0 { along / length } else { Vec2::new(1.0, 0.0) };
            match glyph.as_unicode() {
                Some(BfString::Char(c)) => {
                    self.glyph(c.encode_utf8(&mut [0; 4]), at, along, size, width * size);
                }
                Some(BfString::String(text)) => self.glyph(&text, at, along, size, width * size),
                None => {}
            }
        }
    }

    fn draw_image(&mut self, _: Image<'_, '_>, _: ImageDrawProps<'_>) {}

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'_>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
