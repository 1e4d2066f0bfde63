#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

type Read = (Vec<Delta>, Result<(), ModelError>);

const LIMIT: usize = 2_000;

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let (mut answer, mut out) = (Answer::new(LIMIT, "sk-secret-key".into()), Vec::new());
    for piece in pieces {
        if let Err(error) = answer.push(piece, &mut out) {
            return (out, Err(error));
        }
    }
    let end = answer.end(&mut out);
    (out, end)
}

fn read_whole(body: &str) -> Read {
    read([body.as_bytes()])
}

/// Every cut in two, every even cut, and many uneven ones give what the whole gives.
fn read_in_all_ways(body: &str, dice: &mut StdRng) -> Read {
    let bytes = body.as_bytes();
    let whole = read_whole(body);
    for at in 0..=bytes.len() {
        assert_eq!(read([&bytes[..at], &bytes[at..]]), whole, "cut at {at}: {body:?}");
    }
    for size in 1..20 {
        assert_eq!(read(bytes.chunks(size)), whole, "pieces of {size}: {body:?}");
    }
    for _ in 0..50 {
        let mut rest = bytes;
        let pieces = std::iter::from_fn(|| {
            let (piece, after) = rest.split_at(dice.random_range(0..=rest.len().min(40)));
            rest = after;
            (!piece.is_empty() || !rest.is_empty()).then_some(piece)
        });
        assert_eq!(read(pieces), whole, "uneven pieces: {body:?}");
    }
    whole
}

fn chunk(delta: Value) -> String {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]}).to_string()
}

fn finish(reason: &str) -> String {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}).to_string()
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn finished(reason: &str) -> Delta {
    Delta::Finished(Some(reason.to_owned()))
}

fn some_text(dice: &mut StdRng) -> String {
    const PIECES: [&str; 12] =
        ["a", " ", "\n", "\"", "\\", "é", "词", "🙂", "data:", "\u{2028}", "[DONE]", "\r\n"];
    (0..dice.random_range(1..8)).map(|_| PIECES[dice.random_range(0..PIECES.len())]).collect()
}

#[test]
fn what_was_sent_comes_out_however_it_is_cut() {
    let mut dice = StdRng::seed_from_u64(2);
    for _ in 0..40 {
        let ending = ["\n", "\r\n", "\r"][dice.random_range(0..3)];
        let (mut body, mut sent) = (String::new(), Vec::new());
        for _ in 0..dice.random_range(1..6) {
            let said = some_text(&mut dice);
            let call = json!([{"index": 0, "function": {"arguments": said}}]);
            let (json, delta) = match dice.random_range(0..4) {
                0 => (chunk(json!({"reasoning_content": said})), Delta::Reasoning(said)),
                1 => (chunk(json!({"reasoning": said})), Delta::Reasoning(said)),
                2 => (
                    chunk(json!({"tool_calls": call})),
                    Delta::ToolCalls(call.as_array().unwrap().clone()),
                ),
                _ => (chunk(json!({"content": said, "role": "assistant"})), Delta::Text(said)),
            };
            if dice.random_bool(0.3) {
                body += &format!(": keep-alive{ending}{ending}event: x{ending}id: 1{ending}");
            }
            let blank = if dice.random_bool(0.5) { " " } else { "" };
            body += &format!("data:{blank}{json}{ending}{ending}");
            sent.push(delta);
        }
        body += &format!("data: {}{ending}{ending}", finish("stop"));
        if dice.random_bool(0.5) {
            body += &format!(r#"data: {{"choices": [], "usage": {{"n": 1}}}}{ending}{ending}"#);
            sent.push(Delta::Usage(json!({"n": 1})));
        }
        body += ["", "data: [DONE]", "data:[DONE]\n\n", "data: [DONE]\r\n\r\ndata: {oops"]
            [dice.random_range(0..4)];
        sent.push(finished("stop"));
        assert_eq!(read_in_all_ways(&body, &mut dice), (sent, Ok(())), "{body:?}");
    }
}

#[test]
fn a_body_cut_anywhere_before_the_finish_is_broken_and_gives_a_beginning_of_the_deltas() {
    let words = ["one ", "两个 ", "three "];
    let chunks: Vec<String> =
        words.iter().map(|w| format!("data: {}\n\n", chunk(json!({"content": w})))).collect();
    let body = chunks.concat();
    for at in chunks[0].len()..=body.len() {
        let (out, end) = read([&body.as_bytes()[..at]]);
        assert_eq!(end, Err(ModelError::Broken("it ended too early".into())), "cut at {at}");
        let all: Vec<Delta> = words.iter().copied().map(text).collect();
        assert!(!out.is_empty() && all.starts_with(&out), "cut at {at}: {out:?}");
    }
}

#[test]
fn errors_are_the_same_however_the_body_is_cut() {
    let mut dice = StdRng::seed_from_u64(3);
    let first = format!("data: {}\n\n", chunk(json!({"content": "a"})));
    let usage = r#"data: {"choices": [], "usage": {"n": 1}}"#;
    let long = format!("data: {}", "x".repeat(LIMIT));
    for (rest, expected) in [
        (r#"data: {"error": {"message": "too hot", "code": 1}}"#, "reported an error: too hot"),
        ("event: error\ndata: {\"message\": \"too hot\"}", "reported an error: too hot"),
        (r#"data: {"error": "key sk-secret-key is bad"}"#, "error: key [key] is bad"),
        ("data: {broken\n\ndata: [DONE]", "cannot be understood: {broken"),
        ("data: 5\n\n", "cannot be understood: 5"),
        (&long, "a line of it is too long"),
        (usage, "broke off"),
    ] {
        let (out, end) = read_in_all_ways(&format!("{first}{rest}\n\n"), &mut dice);
        assert_eq!(out[0], text("a"));
        let error = end.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_whole_completion_is_read_as_if_it_were_streamed() {
    let mut dice = StdRng::seed_from_u64(4);
    let message = json!({
        "role": "assistant", "content": "Häuser", "reasoning_content": "hm",
        "tool_calls": [{"id": "a"}, {"id": "b"}],
    });
    let usage = json!({"total_tokens": 3});
    let body = json!({
        "choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": usage,
    });
    let calls = vec![json!({"id": "a", "index": 0}), json!({"id": "b", "index": 1})];
    let expected = vec![
        Delta::Reasoning("hm".into()),
        text("Häuser"),
        Delta::ToolCalls(calls),
        Delta::Usage(usage),
        finished("tool_calls"),
    ];
    let body = format!("\u{feff}\n {body}\n");
    assert_eq!(read_in_all_ways(&body, &mut dice), (expected, Ok(())));
}

#[test]
fn other_json_is_no_answer() {
    let (out, end) = read_whole(r#"{"detail": "who are you, sk-secret-key?"}"#);
    assert_eq!(out, []);
    assert_eq!(end, Err(ModelError::Malformed("who are you, [key]?".into())));
    let (_, end) = read_whole(r#"{"error": {"message": "busy"}}"#);
    assert_eq!(end, Err(ModelError::Reported("busy".into())));
    let (_, end) = read_whole(r#"{"choices": [{"mess"#);
    assert_eq!(end, Err(ModelError::Broken("it ended too early".into())));
    let (_, end) = read_whole(&format!(r#"{{"choices": "{}"}}"#, "x".repeat(LIMIT)));
    assert_eq!(end, Err(ModelError::Malformed("a line of it is too long".into())));
}

#[test]
fn a_page_or_nothing_is_no_answer() {
    for body in ["", "\n\n", "<html>\n<p>data: no\n</html>", ": ping\n\n"] {
        let (out, end) = read_whole(body);
        assert_eq!(out, []);
        assert_eq!(
            end,
            Err(ModelError::Malformed("there is no completion in it".into())),
            "{body}"
        );
    }
}

#[test]
fn usage_comes_once_the_last_word_counts_also_before_an_error() {
    let usage = |n: u8| json!({"choices": [{"index": 0, "delta": {}}], "usage": {"n": n}});
    let body = format!("data: {}\n\ndata: {}\n\n", usage(1), usage(2));
    let (out, end) = read_whole(&body);
    assert_eq!(out, [Delta::Usage(json!({"n": 2}))]);
    assert!(matches!(end, Err(ModelError::Broken(_))), "{end:?}");
    let (out, end) = read_whole(&format!("{body}data: [DONE]\n\n"));
    assert_eq!(out, [Delta::Usage(json!({"n": 2})), Delta::Finished(None)]);
    assert_eq!(end, Ok(()));
}

#[test]
fn the_same_thinking_under_two_names_comes_once() {
    let delta = json!({"reasoning": "hm", "reasoning_content": "hm", "content": ""});
    let (out, _) = read_whole(&format!("data: {}\n\n", chunk(delta)));
    assert_eq!(out, [Delta::Reasoning("hm".into())]);
}

#[test]
fn a_second_choice_and_empty_pieces_are_passed_over() {
    let body = json!({"choices": [
        {"index": 1, "delta": {"content": "second"}},
        {"index": 0, "delta": {"content": [{"type": "text", "text": "first"}], "tool_calls": []}},
    ]});
    let (out, _) = read_whole(&format!("data: {body}\n\ndata: {{\"type\": \"ping\"}}\n\n"));
    assert_eq!(out, [text("first")]);
}
