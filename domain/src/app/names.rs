//! Which steps a template speaks of.

use std::collections::BTreeSet;

/// The text with the first releases' `_inputs[1].x` spelled as everybody does now: `_inputs1.x`.
pub fn modern(template: &str) -> String {
    let mut rest = template;
    let mut text = String::with_capacity(template.len());
    while let Some(at) = rest.find("_inputs[") {
        let (before, found) = rest.split_at(at);
        let inside = &found["_inputs[".len()..];
        let digits = inside.len() - inside.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        text.push_str(before);
        text.push_str("_inputs");
        if digits > 0 && inside[digits..].starts_with(']') {
            text.push_str(&inside[..digits]);
            rest = &inside[digits + 1..];
        } else {
            text.push('[');
            rest = inside;
        }
    }
    text.push_str(rest);
    text
}

/// The first segments of all paths in the template's expressions, and some words of the language besides.
pub fn roots(template: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        rest = &rest[at + 1..];
        let close = match rest.as_bytes().first() {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            _ => continue,
        };
        let inside = &rest[1..];
        let end = inside.find(close).unwrap_or(inside.len());
        words(&inside[..end], &mut found);
        rest = &inside[end..];
    }
    found
}

fn words(expression: &str, found: &mut BTreeSet<String>) {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut rest = expression;
    let mut after_dot = false;
    while let Some(next) = rest.chars().next() {
        if matches!(next, '"' | '\'') {
            let inside = &rest[1..];
            rest = inside.find(next).map_or("", |end| &inside[end + 1..]);
        } else if next.is_alphabetic() || next == '_' {
            let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
            if !after_dot {
                found.insert(rest[..end].to_owned());
            }
            rest = &rest[end..];
        } else {
            rest = &rest[next.len_utf8()..];
        }
        after_dot = next == '.';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots_of(template: &str) -> Vec<String> {
        roots(template).into_iter().collect()
    }

    #[test]
    fn the_old_spelling_is_read_as_the_new_one() {
        assert_eq!(
            modern("{{ _inputs[1].x }}{{_inputs[12].y}}"),
            "{{ _inputs1.x }}{{_inputs12.y}}"
        );
        for same in ["", "_inputs[", "_inputs[x]", "{{ _inputs1.x }}", "_inputs[1"] {
            assert_eq!(modern(same), same);
        }
    }

    #[test]
    fn first_segments_are_found_wherever_an_expression_stands() {
        assert_eq!(
            roots_of("a.b {{ a.b }} {x.y} {{ 'c.d' | append: e[0].f }}"),
            ["a", "append", "e"]
        );
        assert_eq!(
            roots_of("{% if one.x == \"two\" %}{{three-four}}{% endif %}").join(" "),
            "endif if one three-four"
        );
        assert_eq!(roots_of("{{ a[\"b\"].c }} {{ unfinished"), ["a", "unfinished"]);
        assert!(roots_of("{ a } { { b } } é {").is_empty());
    }
}
