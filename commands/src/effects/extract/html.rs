//! HTML to text: scripts and styles dropped, blocks on lines of their own, entities decoded, headings kept as outline.
//!
//! Forgiving as browsers are: nothing in a page makes it fail.

use super::{Extracted, Heading, PARTS, entities::decode};

/// Elements whose content is not text.
const DROPPED: [&str; 9] =
    ["script", "style", "template", "noscript", "svg", "math", "iframe", "object", "canvas"];
/// Elements set apart by an empty line.
const BLOCKS: [&str; 27] = [
    "p",
    "div",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "nav",
    "aside",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "dl",
    "table",
    "blockquote",
    "pre",
    "figure",
    "form",
    "fieldset",
    "address",
    "details",
    "body",
];
/// Elements on a line of their own.
const LINES: [&str; 10] =
    ["br", "hr", "li", "tr", "dt", "dd", "option", "figcaption", "summary", "caption"];

/// How far into a tag quotes are followed, so that a page of unclosed quotes costs no quadratic time.
const MAX_QUOTING: usize = 4_096;

/// Whether a text begins as HTML pages do.
pub fn looks_like_html(text: &str) -> bool {
    let mut rest = text.trim_start();
    while let Some(comment) = rest.strip_prefix("<!--") {
        let Some((_, after)) = comment.split_once("-->") else { return false };
        rest = after.trim_start();
    }
    let begins = |with: &str| rest.get(..with.len()).is_some_and(|s| s.eq_ignore_ascii_case(with));
    ["<!doctype html", "<html", "<head>", "<body"].into_iter().any(begins)
}

/// The text of a page.
pub fn extract(html: &str) -> Extracted {
    let mut page = Page::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        page.text(&rest[..at]);
        rest = page.markup(&rest[at..]);
    }
    page.text(rest);
    page.close_heading();
    page.out.truncate(page.out.trim_end().len());
    let (text, outline) = (page.out, page.outline);
    Extracted { text, outline, media_type: "text/html".into(), ..Extracted::default() }
}

#[derive(Default)]
struct Page {
    out: String,
    outline: Vec<Heading>,
    /// Line breaks and spaces owed before the next visible character.
    owed: Owed,
    pre: usize,
    heading: Option<(u8, usize)>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owed {
    #[default]
    Nothing,
    Space,
    Tab,
    Line,
    Block,
}

impl Page {
    fn text(&mut self, raw: &str) {
        if raw.is_empty() {
            return;
        }
        let text = decode(raw);
        for c in text.chars() {
            if self.pre > 0 && c == '\n' {
                self.pay();
                self.out.push('\n');
            } else if c == '\0' || (c.is_control() && !c.is_whitespace()) {
                // Neither stored nor seen.
            } else if c.is_whitespace() && (self.pre == 0 || c == '\r') {
                self.owe(Owed::Space);
            } else {
                self.pay();
                self.out.push(c);
            }
        }
    }

    fn owe(&mut self, owed: Owed) {
        self.owed = self.owed.max(owed);
    }

    fn pay(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        if self.out.is_empty() {
            return;
        }
        self.out.push_str(match owed {
            Owed::Nothing => "",
            Owed::Space => " ",
            Owed::Tab => "\t",
            Owed::Line => "\n",
            Owed::Block => "\n\n",
        });
    }

    /// Takes one piece of markup off the front and returns what is behind it.
    fn markup<'a>(&mut self, html: &'a str) -> &'a str {
        if let Some(comment) = html.strip_prefix("<!--") {
            return comment.split_once("-->").map_or("", |(_, after)| after);
        }
        if let Some(data) = html.strip_prefix("<![CDATA[") {
            return data.split_once("]]>").map_or("", |(_, after)| after);
        }
        let inner = &html[1..];
        let closing = inner.starts_with('/');
        let inner = inner.strip_prefix('/').unwrap_or(inner);
        match inner.chars().next() {
            Some(c) if c.is_ascii_alphabetic() => {}
            Some('!' | '?') => return html.split_once('>').map_or("", |(_, after)| after),
            _ => {
                self.text("<");
                return &html[1..];
            }
        }
        let end = inner.find(|c: char| c.is_whitespace() || c == '/' || c == '>');
        let name = inner[..end.unwrap_or(inner.len())].to_ascii_lowercase();
        let (attributes_end, after) = end_of_tag(inner);
        let self_closing = inner[..attributes_end].ends_with('/');
        if !closing && !self_closing && DROPPED.contains(&name.as_str()) {
            return after_element(after, &name);
        }
        self.tag(&name, closing);
        after
    }

    fn tag(&mut self, name: &str, closing: bool) {
        if closing {
            self.close_heading_of(name);
        }
        if BLOCKS.contains(&name) || name == "title" {
            self.owe(Owed::Block);
        } else if LINES.contains(&name) {
            self.owe(Owed::Line);
        } else if matches!(name, "td" | "th") {
            self.owe(Owed::Tab);
        }
        match (name, closing) {
            ("pre" | "textarea", false) => self.pre += 1,
            ("pre" | "textarea", true) => self.pre = self.pre.saturating_sub(1),
            _ => {}
        }
        if !closing && let Some(level) = heading_level(name) {
            self.close_heading();
            self.pay();
            self.heading = Some((level, self.out.len()));
        }
    }

    fn close_heading_of(&mut self, name: &str) {
        if heading_level(name).is_some() {
            self.close_heading();
        }
    }

    fn close_heading(&mut self) {
        let Some((level, start)) = self.heading.take() else { return };
        let end = self.out.trim_end().len();
        if end <= start {
            return;
        }
        let title = self.out[start..end].split_whitespace().collect::<Vec<_>>().join(" ");
        if self.outline.len() < PARTS {
            self.outline.push(Heading { start, end, level, title });
        }
    }
}

fn heading_level(name: &str) -> Option<u8> {
    match name.as_bytes() {
        b"title" => Some(0),
        [b'h', level @ b'1'..=b'6'] => Some(level - b'0'),
        _ => None,
    }
}

/// Where the tag's `>` stands (quoted ones do not count), and what follows it.
fn end_of_tag(tag: &str) -> (usize, &str) {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate().take(MAX_QUOTING) {
        match (quote, byte) {
            (None, b'>') => return (at, &tag[at + 1..]),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    // A quote that is never closed, or a very long value: the first `>` it is.
    tag.find('>').map_or((tag.len(), ""), |at| (at, &tag[at + 1..]))
}

/// What follows the closing tag of `name`; nothing when it is never closed.
fn after_element<'a>(html: &'a str, name: &str) -> &'a str {
    let mut rest = html;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        let closes = rest.get(..name.len()).is_some_and(|s| s.eq_ignore_ascii_case(name));
        if closes && !rest[name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return rest.split_once('>').map_or("", |(_, after)| after);
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(html: &str) -> String {
        extract(html).text
    }

    #[test]
    fn blocks_are_apart_and_spaces_collapse() {
        assert_eq!(text("<p>a  <b>b</b>\n c<p>d<br>e<ul><li>f<li>g</ul>"), "a b c\n\nd\ne\n\nf\ng");
        assert_eq!(text("<table><tr><td>1<td>2<tr><td>3"), "1\t2\n3");
    }

    #[test]
    fn scripts_styles_and_comments_are_no_text() {
        let html = "a<script>if (1 < 2) '</p>'</script>b<style>x</STYLE >c<!-- <p>no -->d";
        assert_eq!(text(html), "abcd");
        assert_eq!(text("a<script>never closed"), "a");
        assert_eq!(text("<script src='x'/>a"), "a");
    }

    #[test]
    fn a_quoted_bracket_does_not_end_a_tag() {
        assert_eq!(text("<a title='1 > 0' href=x>b</a>"), "b");
        assert_eq!(text("<a title=\"open>b</a> c"), "b c");
    }

    #[test]
    fn lone_brackets_are_text() {
        assert_eq!(text("1 < 2 & 3 > 2 <"), "1 < 2 & 3 > 2 <");
    }

    #[test]
    fn preformatted_text_keeps_its_lines() {
        assert_eq!(text("<pre>fn a() {\n    b\n}</pre>c"), "fn a() {\n    b\n}\n\nc");
    }

    #[test]
    fn headings_make_the_outline() {
        let page =
            extract("<title>T &amp; U</title><h1>One\n two</h1>x<h2><i>Three</i></h2>y<h3></h3>");
        let found: Vec<_> = page
            .outline
            .iter()
            .map(|h| (h.level, h.title.as_str(), &page.text[h.start..h.end]))
            .collect();
        assert_eq!(
            found,
            [(0, "T & U", "T & U"), (1, "One two", "One two"), (2, "Three", "Three")]
        );
    }

    #[test]
    fn no_page_makes_it_fail() {
        for html in ["<", "</", "<a", "<!--", "<!", "&", "&#", "&#x110000;", "<é>", "</é", "<p/"]
        {
            let _ = text(html);
            let _ = text(&format!("{html}é😀"));
        }
    }
}
