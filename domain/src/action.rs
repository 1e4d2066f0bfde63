//! `[ACTION:<slug>:<json object>]` in what a model says: taken out of the text, whatever pieces it comes in.

use crate::json::is_too_deep;
use serde_json::{Map, Value};
use std::collections::VecDeque;

/// How a tag begins.
const OPENING: &str = "[ACTION:";
/// Bytes of a tag at most.
const LARGEST: usize = 8 << 10;
/// Bytes of a slug at most.
const SLUG: usize = 64;

/// Something the model wants done.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Which flow.
    pub slug: String,
    /// With what.
    pub input: Map<String, Value>,
}

/// A part of what a model says.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// For people.
    Text(String),
    /// For us.
    Action(Action),
}

/// Reads what a model says. What may be the beginning of a tag is held back until that is known; what is none after all
/// is text.
#[derive(Debug, Default)]
pub struct Interceptor {
    place: Place,
    /// What is held back.
    held: String,
    /// Where in it the slug ends and the object begins.
    object: usize,
}

/// Where in a tag the reader is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Outside.
    #[default]
    Text,
    /// In the opening.
    Opening,
    Slug,
    /// Between the second colon and the object.
    Gap,
    Object {
        depth: usize,
        string: bool,
        escaped: bool,
    },
    /// Between object and bracket.
    Closing,
}

impl Interceptor {
    /// The model says more.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.read(text.chars().collect(), &mut pieces);
        pieces
    }

    /// The model says nothing more.
    pub fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while !self.held.is_empty() {
            let rest = self.release(&mut pieces);
            self.read(rest, &mut pieces);
        }
        pieces
    }

    fn read(&mut self, mut waiting: VecDeque<char>, pieces: &mut Vec<Piece>) {
        while let Some(c) = waiting.pop_front() {
            if self.place == Place::Text && c != '[' {
                say(pieces, c);
                continue;
            }
            self.held.push(c);
            match self.step(c) {
                Some(place) if self.held.len() <= LARGEST => self.place = place,
                Some(_) | None => match self.action().filter(|_| self.held.len() <= LARGEST) {
                    Some(action) => {
                        pieces.push(Piece::Action(action));
                        self.held.clear();
                        self.place = Place::Text;
                    }
                    None => {
                        // A tag may begin inside of what was taken for one.
                        for c in self.release(pieces).into_iter().rev() {
                            waiting.push_front(c);
                        }
                    }
                },
            }
        }
    }

    /// Where the reader is after this character, which is the last one held; `None` where the tag ends, well or badly.
    fn step(&mut self, c: char) -> Option<Place> {
        match self.place {
            Place::Text => Some(Place::Opening),
            Place::Opening if !OPENING.starts_with(&self.held) => None,
            Place::Opening if self.held == OPENING => Some(Place::Slug),
            Place::Opening => Some(Place::Opening),
            Place::Slug => match c {
                ':' if self.held.len() > OPENING.len() + 1 => {
                    self.object = self.held.len();
                    Some(Place::Gap)
                }
                _ if self.held.len() > OPENING.len() + SLUG => None,
                _ if c.is_ascii_alphanumeric() || "-_.".contains(c) => Some(Place::Slug),
                _ => None,
            },
            Place::Gap => match c {
                '{' => Some(Place::Object { depth: 1, string: false, escaped: false }),
                _ if c.is_whitespace() => Some(Place::Gap),
                _ => None,
            },
            Place::Object { depth, string, escaped } => match (c, string) {
                (_, true) if escaped => Some(Place::Object { depth, string, escaped: false }),
                ('\\', true) => Some(Place::Object { depth, string, escaped: true }),
                ('"', _) => Some(Place::Object { depth, string: !string, escaped: false }),
                ('{', false) => Some(Place::Object { depth: depth + 1, string, escaped }),
                ('}', false) if depth == 1 => Some(Place::Closing),
                ('}', false) => Some(Place::Object { depth: depth - 1, string, escaped }),
                _ => Some(Place::Object { depth, string, escaped }),
            },
            Place::Closing => c.is_whitespace().then_some(Place::Closing),
        }
    }

    /// The action, if what is held is a whole tag.
    fn action(&self) -> Option<Action> {
        if self.place != Place::Closing {
            return None;
        }
        let object = self.held[self.object..].strip_suffix(']')?.trim();
        if is_too_deep(object.as_bytes()) {
            return None;
        }
        let input = serde_json::from_str(object).ok()?;
        let slug = self.held[OPENING.len()..self.object - 1].to_owned();
        Some(Action { slug, input })
    }

    /// Lets go of the first character held; the others are still to be read.
    fn release(&mut self, pieces: &mut Vec<Piece>) -> VecDeque<char> {
        self.place = Place::Text;
        let mut rest: VecDeque<char> = self.held.chars().collect();
        self.held.clear();
        if let Some(first) = rest.pop_front() {
            say(pieces, first);
        }
        rest
    }
}

fn say(pieces: &mut Vec<Piece>, c: char) {
    match pieces.last_mut() {
        Some(Piece::Text(text)) => text.push(c),
        _ => pieces.push(Piece::Text(c.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Text and actions of what is said in these pieces.
    fn heard<'a>(said: impl IntoIterator<Item = &'a str>) -> (String, Vec<Action>) {
        let mut interceptor = Interceptor::default();
        let mut pieces: Vec<Piece> =
            said.into_iter().flat_map(|piece| interceptor.push(piece)).collect();
        pieces.extend(interceptor.finish());
        let (mut text, mut actions) = (String::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Text(more) => text.push_str(&more),
                Piece::Action(action) => actions.push(action),
            }
        }
        (text, actions)
    }

    fn action(slug: &str, input: Value) -> Action {
        Action { slug: slug.to_owned(), input: input.as_object().cloned().unwrap_or_default() }
    }

    const SAID: &str = "Sure [1] – näher: [ACTION:post-create: {\"a\": \"}]\\\"{\", \"ä\": {\"b\": []}} ] and \
                        [ACTION:x:{}][done";

    fn meant() -> (String, Vec<Action>) {
        let input = json!({"a": "}]\"{", "ä": {"b": []}});
        let text = "Sure [1] – näher:  and [done".to_owned();
        (text, vec![action("post-create", input), action("x", json!({}))])
    }

    /// §16.3
    #[test]
    fn a_tag_is_taken_out_wherever_it_is_cut() {
        let places: Vec<usize> = (0..=SAID.len()).filter(|at| SAID.is_char_boundary(*at)).collect();
        for first in &places {
            for second in places.iter().filter(|second| *second >= first) {
                let cut = [&SAID[..*first], &SAID[*first..*second], &SAID[*second..]];
                assert_eq!(heard(cut), meant(), "{cut:?}");
            }
        }
        let letters = places.windows(2).map(|place| &SAID[place[0]..place[1]]);
        assert_eq!(heard(letters), meant());
    }

    #[test]
    fn nothing_of_a_tag_is_let_go_before_its_end() {
        let (tag, mut interceptor) = ("[ACTION:a:{\"b\": \"[ACTION:\"}]", Interceptor::default());
        for c in tag[..tag.len() - 1].chars() {
            assert_eq!(interceptor.push(&c.to_string()), []);
        }
        let done = interceptor.push("]");
        assert_eq!(done, [Piece::Action(action("a", json!({"b": "[ACTION:"})))]);
    }

    #[test]
    fn what_is_no_tag_is_text() {
        for text in [
            "[",
            "[]",
            "[[",
            "[ACTION",
            "[ACTION:",
            "[ACTION:]",
            "[ACTION::{}]",
            "[ACTION:a]",
            "[ACTION:a:]",
            "[ACTION:a:[]]",
            "[ACTION:a:{]",
            "[ACTION:a:{\"b\"}]",
            "[ACTION:a b:{}]",
            "[ACTION:a:{}}]",
            "[ACTION:a:{} x]",
            "[ACTION:a:{\"b\": 1",
            "[action:a:{}]",
            "[ACTION:ä:{}]",
        ] {
            assert_eq!(heard([text]), (text.to_owned(), vec![]));
        }
        let slug = format!("[ACTION:{}:{{}}]", "s".repeat(SLUG + 1));
        let deep = format!("[ACTION:a:{{\"a\":{}{}}}]", "[".repeat(100), "]".repeat(100));
        for text in [slug, deep] {
            assert_eq!(heard([text.as_str()]), (text.clone(), vec![]));
        }
    }

    #[test]
    fn a_tag_may_be_so_large_and_no_larger() {
        let tag = |size: usize| format!("[ACTION:a:{{\"b\":\"{}\"}}]", "x".repeat(size - 19));
        let (largest, larger) = (tag(LARGEST), tag(LARGEST + 1));
        assert_eq!((largest.len(), heard([largest.as_str()]).1.len()), (LARGEST, 1));
        assert_eq!(heard([larger.as_str()]), (larger.clone(), vec![]));
    }

    #[test]
    fn a_tag_may_begin_in_what_was_taken_for_one() {
        let one = || vec![action("a", json!({}))];
        assert_eq!(heard(["[[ACTION:a:{}]"]), ("[".to_owned(), one()));
        assert_eq!(heard(["[ACTION:[ACTION:a:{}]"]), ("[ACTION:".to_owned(), one()));
        let open = "[ACTION:b:{ never closed ";
        assert_eq!(heard([open, "[ACTION:a:{}]"]), (open.to_owned(), one()));
    }
}
