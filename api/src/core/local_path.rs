//! Where to go next, on this site and nowhere else.

use percent_encoding::percent_decode_str;
use reqwest::Url;

/// Bytes of the longest path that is kept.
const LONGEST: usize = 8_192;

/// The path, query and fragment that `wish` leads to when a browser follows it from this site; `default` when it could
/// lead elsewhere, or says nothing. Of an absolute URL only the path is kept. The result begins with exactly one slash
/// and is fit for a `Location` header.
pub fn local_path(wish: Option<&str>, default: &str) -> String {
    let kept = wish.filter(|wish| wish.len() <= LONGEST && !wish.trim().is_empty());
    kept.and_then(path).unwrap_or_else(|| default.to_owned())
}

fn path(wish: &str) -> Option<String> {
    // Browsers drop some of these before they look at a URL.
    if wish.chars().any(char::is_control) {
        return None;
    }
    // The same rules as in browsers, so that nothing means one thing here and another there.
    let here = Url::parse("http://here.invalid/").ok()?;
    let url = here.join(wish.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let fragment = url.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
    is_plain(url.path()).then(|| format!("{}{query}{fragment}", url.path()))
}

/// Whether the path stays one, also for somebody who decodes it once too often.
fn is_plain(path: &str) -> bool {
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    let elsewhere = matches!(decoded[..], [b'/', b'/' | b'\\', ..]);
    decoded.starts_with(b"/") && !elsewhere && !decoded.iter().any(u8::is_ascii_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_site_are_kept() {
        for (wish, kept) in [
            ("/agent/chat", "/agent/chat"),
            ("/a?b=c&d=%2F#e", "/a?b=c&d=%2F#e"),
            ("a/b", "/a/b"),
            ("https://evil.example/a?b", "/a?b"),
            ("//evil.example/a", "/a"),
            (r"\\evil.example\a", "/a"),
            ("/报告", "/%E6%8A%A5%E5%91%8A"),
            ("/", "/"),
        ] {
            assert_eq!(local_path(Some(wish), "/x"), kept, "{wish}");
        }
    }

    #[test]
    fn whatever_could_lead_elsewhere_is_dropped() {
        for wish in [
            "",
            "  ",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://h//evil.example",
            "/.//evil.example",
            "/%2Fevil.example",
            "/%5cevil.example",
            "%2F%2Fevil.example",
            "/\t/evil.example",
            "/%09/evil.example",
            "/%0d%0aSet-Cookie: a=b",
            "/\r\nSet-Cookie: a=b",
            "http://[",
        ] {
            assert_eq!(local_path(Some(wish), "/x"), "/x", "{wish:?}");
        }
        assert_eq!(local_path(Some(&format!("/{}", "x".repeat(LONGEST))), "/x"), "/x");
        assert_eq!(local_path(None, "/x"), "/x");
    }
}
