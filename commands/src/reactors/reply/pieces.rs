//! Tool calls as a provider streams them, brought into the one shape that clients are sent.
//!
//! Providers differ: calls without id, one id for two calls, one index for all calls, whole calls in one piece, the name
//! only in the second piece. Clients get, for every call, first a piece with id, name and empty arguments, then
//! fragments of the arguments; ids are unique within the run, and indexes count from 0.

use serde_json::{Value, json};
use std::collections::HashSet;
use uuid::Uuid;

/// Calls of one turn at most; what a model asks for beyond is not heard.
const CALLS: usize = 128;
/// Tools by which upstream's agents talk to their own loop; nobody is shown them, and nothing is to be done.
const HIDDEN: [&str; 1] = ["turn_status"];

/// The calls of the turn in flight.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Ids that calls of this run have.
    used: HashSet<String>,
    slots: Vec<Slot>,
    shown: usize,
}

#[derive(Debug)]
struct Slot {
    /// The provider's index.
    index: Option<u64>,
    /// The provider's id.
    given: Option<String>,
    /// Arguments that came before the name.
    held: String,
    any: bool,
    shown: Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Its name is not known yet.
    NotYet,
    /// Under this index.
    As(usize),
    Never,
}

impl Pieces {
    /// For a turn of a run whose calls so far have these ids.
    pub fn after(used: impl IntoIterator<Item = String>) -> Self {
        Self { used: used.into_iter().collect(), ..Self::default() }
    }

    /// What clients are sent of these pieces.
    pub fn take(&mut self, pieces: &[Value]) -> Vec<Value> {
        let mut out = Vec::new();
        for piece in pieces.iter().filter(|piece| piece.is_object()) {
            let Some(at) = self.slot(piece) else { continue };
            let name = piece["function"]["name"].as_str().unwrap_or_default();
            if self.slots[at].shown == Shown::NotYet && !name.is_empty() {
                self.open(at, name, &mut out);
            }
            self.fragment(at, arguments(&piece["function"]["arguments"]), &mut out);
        }
        out
    }

    /// What is left when the turn is over: calls that never got a name.
    pub fn close(&mut self) -> Vec<Value> {
        let mut out = Vec::new();
        for at in 0..self.slots.len() {
            if self.slots[at].shown == Shown::NotYet {
                self.open(at, "unnamed", &mut out);
                self.fragment(at, String::new(), &mut out);
            }
        }
        out
    }

    /// The call this piece belongs to; `None` when there are too many.
    fn slot(&mut self, piece: &Value) -> Option<usize> {
        let index = piece["index"].as_u64();
        let given = piece["id"].as_str().filter(|id| !id.is_empty());
        let named = piece["function"]["name"].as_str().is_some_and(|name| !name.is_empty());
        let last = self.slots.iter().rposition(|slot| index.is_none() || slot.index == index);
        let known = match given {
            Some(id) => {
                let same = |slot: &Slot| slot.given.as_deref() == Some(id) && slot.index == index;
                let late = |at: &usize| self.slots[*at].given.is_none() && index.is_some();
                self.slots.iter().rposition(same).or_else(|| last.filter(late))
            }
            // Without id or index only a new name tells that another call begins.
            None => last.filter(|at| index.is_some() || !named || !self.slots[*at].any),
        };
        if let Some(at) = known {
            return Some(at);
        }
        if self.slots.len() == CALLS {
            return None;
        }
        let (given, held) = (given.map(str::to_owned), String::new());
        self.slots.push(Slot { index, given, held, any: false, shown: Shown::NotYet });
        Some(self.slots.len() - 1)
    }

    fn open(&mut self, at: usize, name: &str, out: &mut Vec<Value>) {
        let slot = &mut self.slots[at];
        if HIDDEN.contains(&name) {
            slot.shown = Shown::Never;
            return;
        }
        let index = self.shown;
        self.shown += 1;
        slot.shown = Shown::As(index);
        let own = slot.given.clone().filter(|id| !self.used.contains(id));
        let id = own.unwrap_or_else(|| format!("call_{}", Uuid::new_v4().simple()));
        self.used.insert(id.clone());
        let function = json!({"name": name, "arguments": ""});
        out.push(json!({"id": id, "type": "function", "index": index, "function": function}));
    }

    fn fragment(&mut self, at: usize, text: String, out: &mut Vec<Value>) {
        let slot = &mut self.slots[at];
        slot.any |= !text.is_empty();
        match slot.shown {
            Shown::Never => {}
            Shown::NotYet => slot.held.push_str(&text),
            Shown::As(index) => {
                let text = std::mem::take(&mut slot.held) + &text;
                if !text.is_empty() {
                    let function = json!({"name": null, "arguments": text});
                    let piece =
                        json!({"id": null, "type": null, "index": index, "function": function});
                    out.push(piece);
                }
            }
        }
    }
}

/// Some servers send an object where the protocol has its JSON text.
fn arguments(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::message::merge_tool_calls;

    fn piece(index: Value, id: Value, name: Value, arguments: &str) -> Value {
        json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}})
    }

    /// The calls that clients merge from these pieces: (id, name, arguments).
    fn calls(pieces: &mut Pieces, sent: &[Value]) -> Vec<(String, String, String)> {
        let mut out: Vec<Value> =
            sent.iter().flat_map(|one| pieces.take(std::slice::from_ref(one))).collect();
        out.extend(pieces.close());
        let mut merged = Vec::new();
        out.iter().for_each(|piece| merge_tool_calls(&mut merged, std::slice::from_ref(piece)));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let whole = |call: &Value| {
            let function = &call["function"];
            (text(&call["id"]), text(&function["name"]), text(&function["arguments"]))
        };
        merged.iter().map(whole).collect()
    }

    fn shape(found: &[(String, String, String)]) -> Vec<(&str, &str)> {
        found.iter().map(|(_, name, arguments)| (name.as_str(), arguments.as_str())).collect()
    }

    #[test]
    fn a_call_begins_with_empty_arguments() {
        let out = Pieces::default().take(&[piece(json!(0), json!("a"), json!("look"), "{}")]);
        let function = json!({"name": "look", "arguments": ""});
        let first = json!({"id": "a", "type": "function", "index": 0, "function": function});
        let function = json!({"name": null, "arguments": "{}"});
        let then = json!({"id": null, "type": null, "index": 0, "function": function});
        assert_eq!(out, [first, then]);
    }

    #[test]
    fn fragments_are_merged_by_index_and_by_repeated_id() {
        let found = calls(
            &mut Pieces::default(),
            &[
                piece(json!(0), json!("a"), json!("x"), ""),
                piece(json!(1), json!("b"), json!("y"), ""),
                piece(json!(0), json!(null), json!(null), "{\"n\""),
                piece(json!(1), json!("b"), json!("y"), "{}"),
                piece(json!(0), json!(""), json!(""), ":1}"),
            ],
        );
        assert_eq!(shape(&found), [("x", "{\"n\":1}"), ("y", "{}")]);
    }

    #[test]
    fn one_index_for_all_calls_and_one_id_for_two_do_not_mix_them() {
        let same_index = [
            piece(json!(0), json!("a"), json!("x"), "{}"),
            piece(json!(0), json!("b"), json!("y"), "[]"),
        ];
        let found = calls(&mut Pieces::default(), &same_index);
        assert_eq!(shape(&found), [("x", "{}"), ("y", "[]")]);
        let same_id = [
            piece(json!(0), json!("a"), json!("x"), "{}"),
            piece(json!(1), json!("a"), json!("y"), "[]"),
        ];
        let found = calls(&mut Pieces::default(), &same_id);
        assert_eq!(shape(&found), [("x", "{}"), ("y", "[]")]);
        assert_ne!(found[0].0, found[1].0);
    }

    #[test]
    fn an_id_of_an_earlier_turn_is_replaced() {
        let mut pieces = Pieces::after(["a".to_owned()]);
        let found = calls(&mut pieces, &[piece(json!(0), json!("a"), json!("x"), "{}")]);
        assert_ne!(found[0].0, "a");
    }

    #[test]
    fn calls_without_id_or_index_or_with_a_late_name_are_calls() {
        let null = || json!(null);
        let bare = [
            piece(null(), null(), json!("x"), "{}"),
            piece(null(), null(), json!("y"), "{\"a\""),
            piece(null(), null(), null(), ":1}"),
        ];
        let found = calls(&mut Pieces::default(), &bare);
        assert_eq!(shape(&found), [("x", "{}"), ("y", "{\"a\":1}")]);
        assert!(found.iter().all(|(id, ..)| id.starts_with("call_")), "{found:?}");
        let late = [
            piece(json!(0), json!("a"), null(), "{\"a\""),
            piece(json!(0), null(), json!("x"), ":1}"),
        ];
        assert_eq!(shape(&calls(&mut Pieces::default(), &late)), [("x", "{\"a\":1}")]);
        let never = [piece(json!(0), json!("a"), null(), "{}")];
        assert_eq!(shape(&calls(&mut Pieces::default(), &never)), [("unnamed", "{}")]);
    }

    #[test]
    fn nobody_sees_a_hidden_call() {
        let sent = [
            piece(json!(0), json!("a"), json!("turn_status"), "{"),
            piece(json!(0), json!(null), json!(null), "}"),
            piece(json!(1), json!("b"), json!("x"), "{}"),
        ];
        let mut pieces = Pieces::default();
        assert!(pieces.take(&sent[..2]).is_empty());
        let out = pieces.take(&sent[2..]);
        assert_eq!(out[0]["index"], 0);
    }

    #[test]
    fn arguments_may_be_an_object() {
        let call = json!({"index": 0, "id": "a", "function": {"name": "x", "arguments": {"n": 1}}});
        assert_eq!(shape(&calls(&mut Pieces::default(), &[call])), [("x", "{\"n\":1}")]);
    }
}
