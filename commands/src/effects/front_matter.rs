//! The front matter of a `SKILL.md`: YAML between two lines of three dashes, at the very beginning.

use serde::{Deserialize, de::DeserializeOwned};
use serde_saphyr::{Options, alias_limits, budget, options};

/// Bytes of a front matter.
const LARGEST: usize = 64 << 10;

/// What a skill says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FrontMatter {
    /// What it is called.
    pub name: String,
    /// When to load it.
    pub description: String,
}

/// Why a text says nothing of itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoFrontMatter {
    /// It does not begin with `---`, or the front matter has no end.
    #[error("SKILL.md does not begin with a front matter between two lines of '---'")]
    Missing,
    /// Longer than anybody writes by hand.
    #[error("the front matter of SKILL.md is larger than {LARGEST} bytes")]
    TooLarge,
    /// Not YAML, or without name or description, or too intricate.
    #[error("the front matter of SKILL.md cannot be read: {0}")]
    Unreadable(Box<str>),
}

/// Reads the front matter of a text. A byte order mark and either kind of line ends are fine.
///
/// # Errors
/// [`NoFrontMatter`].
pub fn parse(text: &str) -> Result<FrontMatter, NoFrontMatter> {
    let (read, _) = read::<FrontMatter>(text)?;
    let unreadable = |why: String| NoFrontMatter::Unreadable(why.into());
    let (name, description) = (read.name.trim(), read.description.trim());
    for (field, value) in [("name", name), ("description", description)] {
        if value.is_empty() {
            return Err(unreadable(format!("{field} is empty")));
        }
    }
    Ok(FrontMatter { name: name.to_owned(), description: description.to_owned() })
}

/// What a text says of itself in the shape of `T`, and what follows.
///
/// # Errors
/// [`NoFrontMatter`].
pub fn read<T: DeserializeOwned>(text: &str) -> Result<(T, &str), NoFrontMatter> {
    let (yaml, rest) = between_dashes(text).ok_or(NoFrontMatter::Missing)?;
    if yaml.len() > LARGEST {
        return Err(NoFrontMatter::TooLarge);
    }
    let read = serde_saphyr::from_str_with_options(yaml, tight())
        .map_err(|error| NoFrontMatter::Unreadable(first_line(&error.to_string()).into()))?;
    Ok((read, rest))
}

fn between_dashes(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| line.trim_end() == "---")?;
    let mut end = first.len();
    for line in lines {
        if line.trim_end() == "---" {
            return Some((text.get(first.len()..end)?, text.get(end + line.len()..)?));
        }
        end += line.len();
    }
    None
}

/// A few nested lists with anchors are more than any skill needs; aliases that multiply are an attack.
fn tight() -> Options {
    options! {
        budget: budget! {
            max_events: 8_000,
            max_nodes: 4_000,
            max_aliases: 64,
            max_anchors: 64,
            max_depth: 16,
            max_documents: 1,
            max_inclusion_depth: 0,
            max_merge_keys: 16,
            max_total_scalar_bytes: 2 * LARGEST,
        },
        alias_limits: alias_limits! {
            max_total_replayed_events: 4_000,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: 64,
        },
        with_snippet: false,
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, String)> {
        parse(text).ok().map(|front| (front.name, front.description))
    }

    #[test]
    fn name_and_description_are_read_and_the_rest_is_not_minded() {
        let expected = Some(("pdf".to_owned(), "Reads PDFs: all".to_owned()));
        for text in [
            "---\nname: pdf\ndescription: 'Reads PDFs: all'\n---\n",
            "---\r\nname: pdf\r\ndescription: \"Reads PDFs: all\"\r\n---\r\n# PDF\r\n",
            "\u{feff}--- \nname: pdf\ndescription: >\n  Reads\n  PDFs: all\nmetadata:\n  a: [1, {b: c}]\n---",
            "---\nallowed-tools: &a [x]\nmore: *a\ndescription: ' Reads PDFs: all '\nname: pdf\n---\n---\n",
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
        assert_eq!(
            read("---\nname: 市场研究\ndescription: 123\n---"),
            Some(("市场研究".to_owned(), "123".to_owned()))
        );
    }

    #[test]
    fn what_says_nothing_of_itself_is_refused() {
        for text in
            ["", "# PDF", " ---\nname: a\ndescription: b\n---", "---\nname: a\ndescription: b"]
        {
            assert_eq!(parse(text), Err(NoFrontMatter::Missing), "{text:?}");
        }
        for text in [
            "---\n---\n",
            "---\nname: a\n---\n",
            "---\nname: a\ndescription:\n---\n",
            "---\nname: '  '\ndescription: b\n---\n",
            "---\nname: [a]\ndescription: b\n---\n",
            "---\nname: {a\ndescription: b\n---\n",
            "---\n- name\n---\n",
            "---\nname: a\nname: b\ndescription: c\n---\n",
            "---\nname: a\ndescription: *nothing\n---\n",
        ] {
            assert!(matches!(parse(text), Err(NoFrontMatter::Unreadable(_))), "{text:?}");
        }
        let long = format!("---\nname: a\ndescription: {}\n---\n", "x".repeat(LARGEST));
        assert_eq!(parse(&long), Err(NoFrontMatter::TooLarge));
    }

    #[test]
    fn aliases_that_multiply_are_stopped() {
        let mut text =
            "---\nname: a\ndescription: b\nx0: &x0 [l, l, l, l, l, l, l, l, l]\n".to_owned();
        for n in 1..12 {
            let alias = format!("*x{}, ", n - 1).repeat(9);
            text.push_str(&format!("x{n}: &x{n} [{alias}]\n"));
        }
        text.push_str("---\n");
        assert!(matches!(parse(&text), Err(NoFrontMatter::Unreadable(_))));
        let deep = format!("---\nname: a\ndescription: b\nx: {}\n---", "[".repeat(5_000));
        assert!(matches!(parse(&deep), Err(NoFrontMatter::Unreadable(_))));
    }
}
