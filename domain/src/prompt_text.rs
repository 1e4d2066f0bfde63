//! What clients prefix to a user's text, and the titles made of what is left.

/// Tags that steer the agent and are no part of what the user said.
const CONTROL: [&str; 5] =
    ["enable_deep_thinking", "thinking_level", "deep_thinking_level", "enable_plan", "skill"];
/// Characters of a title before it is cut.
const TITLE: usize = 50;

/// The text without leading control tags (`<enable_plan>true</enable_plan>` …).
pub fn without_control_tags(text: &str) -> &str {
    without_leading(text, |_| true).trim_start()
}

/// The text as people read it again: without the switches before it, which clients set without asking. The skills it calls
/// for were named by hand, and stay. What begins otherwise is as it was.
pub fn without_switches(text: &str) -> &str {
    without_leading(text, |tag| tag != "skill")
}

fn without_leading(text: &str, goes: impl Fn(&str) -> bool) -> &str {
    let mut rest = text;
    while let Some(after) =
        CONTROL.iter().filter(|tag| goes(tag)).find_map(|tag| after_element(rest.trim_start(), tag))
    {
        rest = after.trim_start();
    }
    rest
}

/// The leading control tags of the text, as (name, value), in their order.
pub fn control_tags(text: &str) -> Vec<(&'static str, &str)> {
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while let Some((tag, after)) =
        CONTROL.iter().find_map(|tag| Some((*tag, after_element(rest, tag)?)))
    {
        let element = &rest[..rest.len() - after.len()];
        let value = element.get(tag.len() + 2..element.len() - tag.len() - 3).unwrap_or_default();
        found.push((tag, value.trim()));
        rest = after.trim_start();
    }
    found
}

/// What follows `<tag>…</tag>` at the start of the text.
fn after_element<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let body = text.strip_prefix('<')?.strip_prefix(tag)?.strip_prefix('>')?;
    let (_, after) = body.split_once("</")?;
    after.strip_prefix(tag)?.strip_prefix('>')
}

/// A conversation's title from its first message: no tags, white space and control characters folded, at most 50 characters and `...`.
/// Empty when nothing is left.
pub fn title(text: &str) -> String {
    let plain = without_tags(without_control_tags(text));
    let blank = |c: char| c.is_whitespace() || c.is_control();
    let words = plain.split(blank).filter(|word| !word.is_empty());
    let folded = words.collect::<Vec<_>>().join(" ");
    match folded.char_indices().nth(TITLE) {
        None => folded,
        Some((end, _)) => format!("{}...", &folded[..end]),
    }
}

/// Drops everything that looks like a tag: `<`, an optional `/`, a letter, up to `>`.
fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let inner = &rest[start + 1..];
        let name = inner.strip_prefix('/').unwrap_or(inner);
        let tag =
            name.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| inner.find('>')).flatten();
        plain.push_str(&rest[..start]);
        rest = match tag {
            Some(end) => &inner[end + 1..],
            None => {
                plain.push('<');
                inner
            }
        };
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_tags_are_no_part_of_what_was_said() {
        let sent = "<enable_deep_thinking>true</enable_deep_thinking><skill>a</skill> 1 < 2?";
        assert_eq!(without_control_tags(sent), "1 < 2?");
        assert_eq!(without_control_tags("<enable_plan>open"), "<enable_plan>open");
    }

    #[test]
    fn switches_are_not_shown_but_skills_are() {
        let sent = "<enable_deep_thinking>true</enable_deep_thinking> <enable_plan>true</enable_plan> <skill>a</skill> hi";
        assert_eq!(without_switches(sent), "<skill>a</skill> hi");
        assert_eq!(without_switches("<thinking_level>low</thinking_level>"), "");
        assert_eq!(without_switches("  1\n"), "  1\n");
    }

    #[test]
    fn control_tags_are_read() {
        let sent = " <enable_deep_thinking> true</enable_deep_thinking>\n<skill>a</skill>1 <skill>b</skill>";
        assert_eq!(control_tags(sent), [("enable_deep_thinking", "true"), ("skill", "a")]);
        assert!(control_tags("<skill>a").is_empty());
    }

    #[test]
    fn a_title_is_short_and_plain() {
        assert_eq!(title("<skill>x</skill> <b>Hello</b>\n  world, 1 < 2"), "Hello world, 1 < 2");
        assert_eq!(title(&"汉".repeat(51)), format!("{}...", "汉".repeat(50)));
        assert_eq!(title(&"汉".repeat(50)), "汉".repeat(50));
        assert_eq!(title("<b></b>"), "");
        assert_eq!(title("a\0b\u{1b}[1m \0"), "a b [1m");
    }
}
