//! YAML as a JSON value, together with the line of everything in it.

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use serde_saphyr::{Options, Spanned, alias_limits, budget, options};
use std::{collections::BTreeMap, fmt, thread};

/// Bytes of the parser's stack; far more than the depth that is allowed needs.
const STACK: usize = 32 << 20;

/// The line, from 1, of everything in a document, by its path: `processors[2].id`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines(BTreeMap<String, u64>);

impl Lines {
    /// The line of what is at this path, or else of the nearest thing around it.
    pub fn of(&self, path: &str) -> Option<u64> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

/// Reads one document, on a stack of its own: the parser works by recursion, and texts come from anybody.
///
/// # Errors
/// With what is wrong, in one line, and where.
pub fn read(text: &str) -> Result<(Value, Lines), String> {
    thread::scope(|scope| {
        let reading = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || parse(text));
        let read = reading.map_err(|error| error.to_string())?.join();
        read.unwrap_or_else(|_| Err("it cannot be read".to_owned()))
    })
}

fn parse(text: &str) -> Result<(Value, Lines), String> {
    let node: Spanned<Node> = serde_saphyr::from_str_with_options(text, limits())
        .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())?;
    let mut lines = Lines::default();
    let value = settle(node, String::new(), &mut lines);
    Ok((value, lines))
}

/// Far more than a definition needs; aliases that multiply are an attack.
fn limits() -> Options {
    options! {
        budget: budget! {
            max_events: 400_000,
            max_nodes: 200_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_depth: 48,
            max_documents: 1,
            max_inclusion_depth: 0,
            max_merge_keys: 1_000,
            max_total_scalar_bytes: 8 << 20,
        },
        alias_limits: alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 1_000,
        },
        strict_booleans: true,
        with_snippet: false,
    }
}

enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

fn settle(node: Spanned<Node>, path: String, lines: &mut Lines) -> Value {
    let line = node.referenced.line();
    let value = match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let items = items.into_iter().enumerate();
            items.map(|(place, item)| settle(item, format!("{path}[{place}]"), lines)).collect()
        }
        Node::Map(fields) => {
            let mut object = Map::new();
            for (key, field) in fields {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                object.insert(key, settle(field, inner, lines));
            }
            Value::Object(object)
        }
    };
    if line > 0 {
        lines.0.insert(path, line);
    }
    value
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = fields.next_key::<Node>()? {
            let key = match key {
                Node::Scalar(Value::String(key)) => key,
                Node::Scalar(other) => other.to_string(),
                Node::List(_) | Node::Map(_) => return Err(de::Error::custom("a key is a text")),
            };
            map.push((key, fields.next_value()?));
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use serde_json::json;

    const APP: &str = "name: A\ndraft: false\nprocessors:\n  - id: x\n    config: {temperature: 0.2, n: 3}\n  - id: y z\n";

    #[test]
    fn everything_has_its_line() {
        let (value, lines) = read(APP).unwrap();
        assert_eq!(
            value,
            json!({"name": "A", "draft": false, "processors": [
                {"id": "x", "config": {"temperature": 0.2, "n": 3}}, {"id": "y z"}]})
        );
        for (path, line) in [
            ("name", 1),
            ("draft", 2),
            ("processors[0].id", 4),
            ("processors[0].config.n", 5),
            ("processors[1].id", 6),
            ("processors[1].gone.x", 6),
            ("processors[0].config.gone", 5),
        ] {
            assert_eq!(lines.of(path), Some(line), "{path}");
        }
        assert_eq!(lines.of("gone"), None);
    }

    #[test]
    fn json_is_yaml() {
        let (value, lines) = read("{\n \"a\": [1,\n  {\"b\": null}]}").unwrap();
        assert_eq!(value, json!({"a": [1, {"b": null}]}));
        assert_eq!(lines.of("a[1].b"), Some(3));
    }

    #[test]
    fn what_is_no_yaml_or_too_much_of_it_is_refused() {
        for wrong in ["a: [1", "a: b: c", "a: 1\na: 2\n", "? [1]\n: 2\n"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, inner) in
            ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"])
        {
            bomb.push_str(&format!(
                "{name}: &{name} [{}]\n",
                vec![format!("*{inner}"); 9].join(", ")
            ));
        }
        assert!(read(&bomb).is_err());
        for deep in ["[", "{a: ", "- ", "? ", "a: [", "!!x [", "&a ["] {
            assert!(read(&deep.repeat(20_000)).is_err(), "{deep}");
        }
    }
}
