//! The provider of a fresh start: no network, no key, no model. It quotes what the knowledge base holds, and says so.

use super::{Delta, Deltas, Model, ModelError, Passage, Request, observed::observed};
use futures::{StreamExt, future::BoxFuture, stream};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// What this provider is called.
const PROVIDER: &str = "offline";
/// Passages quoted at most.
const QUOTES: usize = 3;
/// Characters of one quotation at most.
const QUOTE_CHARS: usize = 600;
/// Characters of the question that are echoed.
const ECHO_CHARS: usize = 120;

/// The offline provider. The same request always gives the same deltas.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offline {
    /// Pause before each delta; zero unless somebody wants to watch it stream.
    pub pace: Duration,
}

impl Model for Offline {
    fn stream(&self, request: Request) -> BoxFuture<'static, Result<Deltas, ModelError>> {
        let deltas = stream::iter(answer(&request)).map(Ok);
        let pace = self.pace;
        let deltas: Deltas = if pace.is_zero() {
            deltas.boxed()
        } else {
            deltas
                .then(move |delta| async move { (tokio::time::sleep(pace).await, delta).1 })
                .boxed()
        };
        observed(PROVIDER, &request, async move { Ok(deltas) })
    }

    fn name(&self) -> &str {
        PROVIDER
    }

    fn follows_instructions(&self) -> bool {
        false
    }
}

fn answer(request: &Request) -> Vec<Delta> {
    let question = last_question(&request.messages);
    let text = compose(&question, &request.passages);
    let prompt: usize = request.messages.iter().map(|m| tokens(&content(m))).sum::<usize>()
        + request.passages.iter().map(|p| tokens(&p.text)).sum::<usize>();
    let completion = tokens(&text);
    let usage = json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    });
    let mut deltas: Vec<Delta> = pieces(&text).into_iter().map(Delta::Text).collect();
    deltas.extend([Delta::Usage(usage), Delta::Finished(Some("stop".to_owned()))]);
    deltas
}

/// The text of the last user message; empty when there is none.
fn last_question(messages: &[Value]) -> String {
    let last = messages.iter().rev().find(|m| m["role"] == "user");
    last.map(content).unwrap_or_default().trim().to_owned()
}

/// The text of a message: a string, or the text parts of a list.
fn content(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|p| p["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn compose(question: &str, passages: &[Passage]) -> String {
    let words = if question.chars().any(is_cjk) { &CHINESE } else { &ENGLISH };
    let (fits, quoted) = best(question, passages);
    let mut text = words.who.to_owned();
    if !question.is_empty() {
        text += &words.asked.replace("{}", &cut(question, ECHO_CHARS));
    }
    text += match (quoted.is_empty(), fits) {
        (true, _) => words.nothing,
        (false, true) => words.found,
        (false, false) => words.nearest,
    };
    for (number, passage) in quoted.iter().enumerate() {
        text += &format!("{}. **{}**", number + 1, heading(passage));
        if !passage.document.is_empty() && passage.document != passage.title {
            text += &format!(" ({})", passage.document);
        }
        let quote = cut(passage.text.trim(), QUOTE_CHARS);
        let lines: Vec<String> = quote.lines().map(|line| format!("   > {line}\n")).collect();
        text += &format!("\n{}\n", lines.concat());
    }
    text + words.how
}

fn heading(passage: &Passage) -> &str {
    let names = [passage.title.trim(), passage.document.trim()];
    names.into_iter().find(|name| !name.is_empty()).unwrap_or("–")
}

/// The passages to quote, best first, and whether they share any word with the question. When none does, the first one:
/// retrieval found it by meaning.
fn best<'a>(question: &str, passages: &'a [Passage]) -> (bool, Vec<&'a Passage>) {
    let asked = terms(question);
    let held: Vec<BTreeSet<String>> =
        passages.iter().map(|p| terms(&format!("{} {}", p.title, p.text))).collect();
    // A word that every passage has tells them apart least.
    let weight = |term: &String| {
        let holders = held.iter().filter(|h| h.contains(term)).count();
        1 + passages.len() - holders
    };
    let mut scored: Vec<(usize, &Passage)> = held
        .iter()
        .zip(passages)
        .map(|(held, passage)| (asked.intersection(held).map(weight).sum(), passage))
        .collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let fitting: Vec<&Passage> =
        scored.iter().filter(|(score, _)| *score > 0).take(QUOTES).map(|(_, p)| *p).collect();
    match fitting.is_empty() {
        true => (false, passages.iter().take(1).collect()),
        false => (true, fitting),
    }
}

/// The words of a text that carry meaning: lowercase words of two letters or more, and pairs of Chinese characters.
fn terms(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for run in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
        let word: String = run.chars().filter(|c| !is_cjk(*c)).collect();
        if word.chars().count() > 1 && !COMMON.contains(&word.as_str()) {
            found.insert(word);
        }
        let cjk: Vec<char> = run.chars().filter(|c| is_cjk(*c)).collect();
        found.extend(cjk.windows(2).map(|pair| pair.iter().collect::<String>()));
    }
    found
}

fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

/// The first `limit` characters, with an ellipsis where something was left out.
fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// Cuts a text into words with the blanks behind them; Chinese into pairs of characters. Joined they are the text.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let characters: Vec<char> = word.chars().collect();
        let size = if characters.iter().copied().any(is_cjk) { 2 } else { characters.len() };
        pieces.extend(characters.chunks(size.max(1)).map(|piece| piece.iter().collect()));
    }
    pieces
}

/// A rule of thumb: four letters to a token, one Chinese character to a token.
fn tokens(text: &str) -> usize {
    let cjk = text.chars().filter(|c| is_cjk(*c)).count();
    cjk + (text.chars().count() - cjk).div_ceil(4)
}

/// English words that say nothing about what is asked.
const COMMON: [&str; 36] = [
    "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "in",
    "is", "it", "me", "my", "of", "on", "or", "our", "tell", "that", "the", "this", "to", "was",
    "what", "when", "where", "which", "who", "why", "with", "you",
];

struct Words {
    who: &'static str,
    asked: &'static str,
    nothing: &'static str,
    found: &'static str,
    nearest: &'static str,
    how: &'static str,
}

const ENGLISH: Words = Words {
    who: "This is the offline provider of annals: no language model is configured, so nothing here was written by one. ",
    asked: "You asked: “{}”.\n\n",
    nothing: "I have no passages from a knowledge base to quote for this.\n\n",
    found: "These passages of the knowledge base fit best:\n\n",
    nearest: "No passage of the knowledge base shares a word with this; the nearest one found is:\n\n",
    how: "To get answers from a model, set ANNALS_LLM_BASE_URL, ANNALS_LLM_API_KEY and ANNALS_LLM_MODEL to any OpenAI-compatible endpoint and start annals again.",
};

const CHINESE: Words = Words {
    who: "这里是 annals 的离线应答:尚未配置任何语言模型,以下内容并非由模型生成。",
    asked: "您的问题是:“{}”。\n\n",
    nothing: "知识库中没有可供引用的段落。\n\n",
    found: "知识库中最相关的段落如下:\n\n",
    nearest: "知识库中没有与问题用词相同的段落,最接近的一段是:\n\n",
    how: "若要由模型作答,请将 ANNALS_LLM_BASE_URL、ANNALS_LLM_API_KEY 和 ANNALS_LLM_MODEL 设为任一兼容 OpenAI 的服务,然后重新启动 annals。",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(title: &str, text: &str) -> Passage {
        Passage { title: title.into(), text: text.into(), document: "handbook.md".into() }
    }

    async fn ask(question: Value, passages: Vec<Passage>) -> (String, Vec<Delta>) {
        let messages = vec![json!({"role": "user", "content": question})];
        let request = Request { messages, passages, ..Request::default() };
        let stream = Offline::default().stream(request).await.expect("never fails");
        let deltas: Vec<Delta> = stream.map(|d| d.expect("never fails")).collect().await;
        let texts = deltas.iter().filter_map(|d| match d {
            Delta::Text(text) => Some(text.as_str()),
            _ => None,
        });
        (texts.collect(), deltas)
    }

    #[tokio::test]
    async fn quotes_the_passage_that_fits_before_the_others() {
        let passages = vec![
            passage("Holidays", "The office is closed in August."),
            passage("Expenses", "Receipts above 50 euros need the signature of a manager."),
        ];
        let (text, deltas) = ask(json!("Who signs receipts?"), passages).await;
        assert!(
            text.contains("offline provider") && text.contains("ANNALS_LLM_BASE_URL"),
            "{text}"
        );
        assert!(text.contains("1. **Expenses** (handbook.md)\n   > Receipts above"), "{text}");
        assert!(!text.contains("August"), "{text}");
        assert_eq!(deltas.last(), Some(&Delta::Finished(Some("stop".into()))));
    }

    #[tokio::test]
    async fn says_so_when_there_is_nothing_to_quote() {
        let (text, deltas) = ask(json!([{"type": "text", "text": "Hello there"}]), vec![]).await;
        assert!(text.contains("You asked: “Hello there”."), "{text}");
        assert!(text.contains("no passages"), "{text}");
        let Delta::Usage(usage) = &deltas[deltas.len() - 2] else { panic!("{deltas:?}") };
        assert_eq!(usage["prompt_tokens"], 3);
        assert_eq!(usage["completion_tokens"], tokens(&text));
    }

    #[tokio::test]
    async fn quotes_the_nearest_passage_when_no_word_is_shared() {
        let (text, _) = ask(json!("vacation"), vec![passage("Leave", "Thirty days.")]).await;
        assert!(text.contains("nearest one") && text.contains("> Thirty days."), "{text}");
    }

    #[tokio::test]
    async fn answers_a_chinese_question_in_chinese() {
        let passages = vec![
            passage("假期", "八月办公室关闭。"),
            passage("报销", "超过五十欧元的发票需要经理签字。"),
        ];
        let (text, deltas) = ask(json!("发票需要谁签字?"), passages).await;
        assert!(text.starts_with("这里是 annals 的离线应答"), "{text}");
        assert!(text.contains("1. **报销**") && !text.contains("八月"), "{text}");
        assert!(deltas.len() > 40, "word by word, not {} deltas", deltas.len());
    }

    #[tokio::test]
    async fn the_same_question_gives_the_same_deltas() {
        let passages = || vec![passage("One", "alpha beta"), passage("Two", "beta gamma")];
        let (_, first) = ask(json!("beta gamma"), passages()).await;
        let (_, again) = ask(json!("beta gamma"), passages()).await;
        assert_eq!(first, again);
    }

    #[tokio::test]
    async fn a_request_without_messages_is_answered_too() {
        let stream = Offline::default().stream(Request::default()).await.expect("never fails");
        assert!(stream.count().await > 2);
    }
}
