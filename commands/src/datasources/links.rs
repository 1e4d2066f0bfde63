//! Where a page leads to.

use regex::{Captures, Regex};
use reqwest::Url;
use std::{collections::HashSet, sync::LazyLock};

/// Links that are looked for in one page, at most.
const MOST: usize = 1_000;
/// Longest address, in bytes.
const LONGEST: usize = 2_048;

#[expect(clippy::unwrap_used, reason = "a fixed expression")]
static ANCHOR: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)<a\s([^>]*)").unwrap());
#[expect(clippy::unwrap_used, reason = "a fixed expression")]
static TARGET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:^|\s)href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))"#).unwrap()
});

/// The addresses that a page links to, in order, each once, without the place within the page.
pub fn links(html: &str, page: &Url) -> Vec<String> {
    let mut seen = HashSet::new();
    let target = |anchor: Captures<'_>| {
        let found = TARGET.captures(anchor.get(1)?.as_str())?;
        let href = found.iter().skip(1).flatten().next()?.as_str().trim();
        let href = Some(href).filter(|href| href.len() <= LONGEST)?.replace("&amp;", "&");
        let mut url = page.join(&href).ok()?;
        url.set_fragment(None);
        let is_page = matches!(url.scheme(), "http" | "https") && url.as_str() != page.as_str();
        is_page.then(|| url.to_string())
    };
    let found = ANCHOR.captures_iter(html).filter_map(target);
    found.filter(|url| seen.insert(url.clone())).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn links_are_whole_addresses_each_once() {
        let page: Url = "https://a.example/docs/index.html".parse().unwrap();
        let html = "<a href='b?x=1&amp;y=2'>b</a> <A class=\"k\" HREF=\"/c#top\">c</A><a href=/c>again</a>\
                    <a href=\"mailto:x@y\">m</a><a href='#top'>here</a><abbr href=no>\
                    <a href=https://other.example>o</a>";
        assert_eq!(
            links(html, &page),
            ["https://a.example/docs/b?x=1&y=2", "https://a.example/c", "https://other.example/"]
        );
    }
}
