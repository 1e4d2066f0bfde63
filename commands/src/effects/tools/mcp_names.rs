//! What the tools of MCP servers are called here. Servers are strangers to each other, so names collide; and models take only
//! letters, digits, `_` and `-`, at most 64 of them.

use domain::mcp_server::Tool;
use std::collections::HashSet;

/// Longest name models take.
const LONGEST: usize = 64;

/// A tool that has got a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// The name.
    pub name: String,
    /// Which server.
    pub server: usize,
    /// Which of its tools.
    pub tool: usize,
}

/// Names for the tools of these servers (name, tools). A tool keeps its own name if models can take it and no server before has
/// it; else it is called `server__tool`. One for which that is taken too is left out.
pub(super) fn shown<'a>(servers: impl Iterator<Item = (&'a str, &'a [Tool])>) -> Vec<Shown> {
    let mut taken = HashSet::new();
    let mut shown = Vec::new();
    for (server, (server_name, tools)) in servers.enumerate() {
        for (tool, own) in tools.iter().enumerate() {
            let plain = fitted(&own.name) == own.name;
            let own_name = plain.then(|| own.name.clone());
            let alias = fitted(&format!("{server_name}__{}", own.name));
            let mut candidates = own_name.into_iter().chain([alias]);
            match candidates.find(|name| !taken.contains(name)) {
                Some(name) => {
                    taken.insert(name.clone());
                    shown.push(Shown { name, server, tool });
                }
                None => tracing::debug!(server_name, tool = own.name, "no name is left for a tool"),
            }
        }
    }
    shown
}

fn fitted(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    name.chars().map(plain).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tools(names: &[&str]) -> Vec<Tool> {
        let tool = |name: &&str| Tool {
            name: (*name).to_owned(),
            description: String::new(),
            parameters: json!({"type": "object"}),
            idempotent: false,
        };
        names.iter().map(tool).collect()
    }

    #[test]
    fn the_first_server_keeps_the_name() {
        let (one, two) = (tools(&["find", "read"]), tools(&["find", "a.b"]));
        let shown = shown([("docs", &*one), ("wiki 2", &*two)].into_iter());
        let names: Vec<_> = shown.iter().map(|tool| &*tool.name).collect();
        assert_eq!(names, ["find", "read", "wiki_2__find", "wiki_2__a_b"]);
        assert_eq!((shown[3].server, shown[3].tool), (1, 1));
    }

    #[test]
    fn a_tool_without_a_free_name_is_left_out() {
        let (one, two) = (tools(&["a", "b__a"]), tools(&["a", "汉"]));
        let shown = shown([("x", &*one), ("b", &*two)].into_iter());
        let names: Vec<_> = shown.iter().map(|tool| &*tool.name).collect();
        assert_eq!(names, ["a", "b__a", "b___"]);
    }

    #[test]
    fn names_are_as_long_as_models_take_them() {
        let long = tools(&[&"x".repeat(LONGEST + 1)]);
        let shown = shown([("docs", &*long)].into_iter());
        assert_eq!(shown[0].name.len(), LONGEST);
        assert!(shown[0].name.starts_with("docs__x"));
    }
}
