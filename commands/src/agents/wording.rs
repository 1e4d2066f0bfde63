//! What somebody is about to say, said better.

use super::{Writer, template::Language};
use crate::effects::model::complete::Unanswered;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The text as it is.
    pub input: String,
    /// What was said before, as (role, text), the oldest first.
    pub before: Vec<(String, String)>,
    /// Language of what tells the model what to do; the text keeps its own.
    pub language: Language,
}

/// The better text. Without a model, and when the model has nothing to say, it is the text as it was.
///
/// # Errors
/// When the model does not answer.
pub async fn reworded(writer: &Writer, wish: &Wish) -> Result<String, Unanswered> {
    let answer = match writer.is_offline() {
        true => String::new(),
        false => writer.answer(task(wish.language), &about(wish)).await?,
    };
    Ok(match answer.trim() {
        "" => wish.input.trim().to_owned(),
        better => better.to_owned(),
    })
}

fn task(language: Language) -> &'static str {
    language.pick(
        "你改进用户将要发给智能体的话：更清楚、更具体、更完整，不改变意思，不回答它，不添加用户没有提到的要求，保留原来的语言。\
         对话只供理解上下文。只输出改进后的文字。",
        "You improve what a user is about to say to an agent: clearer, more specific, complete. Do not change its meaning, do \
         not answer it, add no demands of your own, and keep its language. The conversation is for context only. Answer with \
         the improved text and nothing else.",
    )
}

fn about(wish: &Wish) -> String {
    let (before, input) = wish
        .language
        .pick("对话\n将要发送的话", "Conversation\nText")
        .split_once('\n')
        .unwrap_or_default();
    let told: String = wish.before.iter().map(|(role, text)| format!("{role}: {text}\n")).collect();
    match told.as_str() {
        "" => format!("{input}:\n{}", wish.input),
        told => format!("{before}:\n{told}\n{input}:\n{}", wish.input),
    }
}
