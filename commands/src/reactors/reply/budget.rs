//! Fits a conversation into the model's window.

use super::tokens;
use domain::run::Settings;
use serde_json::{Value, json};

/// Tokens a model is taken to hold when nobody says.
const WINDOW: u64 = 64_000;
/// Part of the window kept free for the answer when nobody says.
const ANSWER: f64 = 0.25;
/// Stands for a tool's result that had to give way.
const OMITTED: &str = "[result omitted to save room; call the tool again if it is needed]";

/// What belongs together: a message, or calls with their results. Given up as a whole or not at all.
#[derive(Debug)]
pub(super) struct Block {
    pub messages: Vec<Value>,
    pub place: Place,
    tokens: usize,
    /// Whether its results have given way.
    bare: bool,
}

/// Where a block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Said before the run.
    Past,
    /// What the run answers; always told.
    Question,
    /// Said in the run.
    Now,
}

/// Tokens that parts of the conversation may take at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    whole: usize,
    past: usize,
    now: usize,
    questions: Option<u32>,
}

impl Room {
    /// What is left of the window beside so many tokens of prompt and tools.
    pub fn beside(fixed: usize, settings: &Settings) -> Self {
        let budget = settings.budget;
        let named = settings.budget.max_model_len.filter(|window| *window > 0);
        let window = usize::try_from(named.unwrap_or(WINDOW)).unwrap_or(usize::MAX);
        let asked = ["max_tokens", "max_completion_tokens"]
            .iter()
            .find_map(|name| settings.parameters.get(*name)?.as_u64());
        let answer = match (budget.max_new_message_ratio, asked) {
            (Some(ratio), _) => part(window, ratio),
            (None, Some(asked)) => usize::try_from(asked).unwrap_or(usize::MAX).min(window / 2),
            (None, None) => part(window, ANSWER),
        };
        let at_most = |ratio: Option<f64>| ratio.map_or(usize::MAX, |ratio| part(window, ratio));
        Self {
            whole: window.saturating_sub(answer).saturating_sub(fixed),
            past: at_most(budget.history_ratio),
            now: at_most(budget.active_ratio),
            questions: budget.recent_turns.filter(|turns| *turns > 0),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate, and the ratio lies between 0 and 1"
)]
fn part(window: usize, ratio: f64) -> usize {
    (window as f64 * ratio.clamp(0.0, 1.0)) as usize
}

impl Block {
    pub fn new(place: Place, messages: Vec<Value>) -> Self {
        let tokens = messages.iter().map(tokens::of_message).sum();
        Self { messages, place, tokens, bare: false }
    }

    fn has_results(&self) -> bool {
        !self.bare && self.messages.iter().any(|message| message["role"] == "tool")
    }

    /// Leaves the calls and says of their results that they are gone.
    fn bare(&mut self) {
        for message in self.messages.iter_mut().filter(|message| message["role"] == "tool") {
            if tokens::of_message(message) > tokens::of_text(OMITTED) {
                message["content"] = json!(OMITTED);
            }
        }
        self.tokens = self.messages.iter().map(tokens::of_message).sum();
        self.bare = true;
    }

    fn asks(&self) -> bool {
        self.messages.iter().any(|message| message["role"] == "user")
    }
}

/// Gives up what does not fit: the oldest tool results first, then the oldest blocks; never the question, and never the
/// last block.
pub(super) fn fit(blocks: &mut Vec<Block>, room: Room) {
    if let Some(questions) = room.questions {
        let past = |block: &&Block| block.place == Place::Past && block.asks();
        let surplus = blocks.iter().filter(past).count().saturating_sub(questions as usize);
        let mut seen = 0;
        blocks.retain(|block| {
            seen += usize::from(block.place == Place::Past && block.asks());
            block.place != Place::Past || seen > surplus || surplus == 0
        });
    }
    shrink(blocks, room.past, |place| place == Place::Past);
    shrink(blocks, room.now, |place| place == Place::Now);
    shrink(blocks, room.whole, |_| true);
}

fn shrink(blocks: &mut Vec<Block>, room: usize, counts: impl Fn(Place) -> bool) {
    let counted = |block: &Block| if counts(block.place) { block.tokens } else { 0 };
    let mut taken: usize = blocks.iter().map(&counted).sum();
    let before_last = blocks.len().saturating_sub(1);
    for block in &mut blocks[..before_last] {
        if taken <= room {
            return;
        }
        if counts(block.place) && block.has_results() {
            let was = block.tokens;
            block.bare();
            taken = taken.saturating_sub(was).saturating_add(block.tokens);
        }
    }
    let mut left = before_last;
    blocks.retain(|block| {
        let last = left == 0;
        left = left.saturating_sub(1);
        let stays = taken <= room || last || block.place == Place::Question || !counts(block.place);
        taken -= if stays { 0 } else { block.tokens };
        stays
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::run::Budget;

    fn said(place: Place, role: &str, tokens: usize) -> Block {
        Block::new(place, vec![json!({"role": role, "content": "x".repeat(4 * (tokens - 4))})])
    }

    fn called(place: Place, tokens: usize) -> Block {
        let calls = json!([{"id": "c"}]);
        let call = json!({"role": "assistant", "content": null, "tool_calls": calls});
        let result =
            json!({"role": "tool", "tool_call_id": "c", "content": "x".repeat(4 * tokens)});
        Block::new(place, vec![call, result])
    }

    fn room(whole: usize) -> Room {
        Room { whole, past: usize::MAX, now: usize::MAX, questions: None }
    }

    fn roles(blocks: &[Block]) -> Vec<&str> {
        let messages = blocks.iter().flat_map(|block| &block.messages);
        messages.filter_map(|message| message["role"].as_str()).collect()
    }

    #[test]
    fn old_results_give_way_before_anything_else() {
        let mut blocks = vec![
            said(Place::Past, "user", 50),
            called(Place::Past, 500),
            said(Place::Question, "user", 50),
            called(Place::Now, 100),
        ];
        fit(&mut blocks, room(300));
        assert_eq!(roles(&blocks), ["user", "assistant", "tool", "user", "assistant", "tool"]);
        assert_eq!(blocks[1].messages[1]["content"], OMITTED);
        assert_ne!(blocks[3].messages[1]["content"], OMITTED);
    }

    #[test]
    fn a_call_goes_with_its_result() {
        let mut blocks = vec![
            called(Place::Past, 500),
            said(Place::Past, "assistant", 20),
            said(Place::Question, "user", 50),
        ];
        fit(&mut blocks, room(75));
        assert_eq!(roles(&blocks), ["assistant", "user"]);
    }

    #[test]
    fn the_question_and_the_last_word_always_stay() {
        let mut blocks = vec![
            said(Place::Past, "user", 20),
            said(Place::Question, "user", 900),
            called(Place::Now, 900),
            called(Place::Now, 900),
        ];
        fit(&mut blocks, room(10));
        assert_eq!(roles(&blocks), ["user", "assistant", "tool"]);
        assert_eq!(blocks[0].tokens, 900);
    }

    #[test]
    fn past_and_present_have_shares_of_the_window() {
        let budget = Budget {
            max_model_len: Some(1_000),
            history_ratio: Some(0.1),
            active_ratio: Some(0.2),
            max_new_message_ratio: Some(0.5),
            recent_turns: None,
        };
        let room = Room::beside(100, &Settings { budget, ..Settings::default() });
        assert_eq!((room.whole, room.past, room.now), (400, 100, 200));
        let mut blocks = vec![
            said(Place::Past, "user", 80),
            said(Place::Past, "assistant", 80),
            said(Place::Question, "user", 20),
            called(Place::Now, 150),
            called(Place::Now, 80),
        ];
        fit(&mut blocks, room);
        assert_eq!(roles(&blocks)[..2], ["assistant", "user"]);
        assert_eq!(blocks[2].messages[1]["content"], OMITTED);
    }

    #[test]
    fn only_the_last_questions_of_the_past_are_told() {
        let past = |role| said(Place::Past, role, 10);
        let blocks = || {
            vec![
                past("user"),
                past("assistant"),
                past("user"),
                past("assistant"),
                said(Place::Question, "user", 10),
            ]
        };
        for (questions, left) in [(1, 3), (2, 5), (9, 5)] {
            let mut blocks = blocks();
            fit(&mut blocks, Room { questions: Some(questions), ..room(1_000) });
            assert_eq!(blocks.len(), left, "{questions}");
        }
    }
}
