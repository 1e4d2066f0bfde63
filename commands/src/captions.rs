//! Captions for posts: what a platform wants, how a model is told, and what is written where there is no model.

use crate::{
    agents::Writer,
    effects::model::{
        Request,
        complete::{Unanswered, complete},
    },
};
use serde_json::json;
use std::time::Duration;

/// How long a caption may take.
pub const WITHIN: Duration = Duration::from_secs(60);

/// Where a caption is to appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// Its name on the wire.
    pub name: &'static str,
    /// How people write there.
    style: &'static str,
    /// Most characters, where the platform has such a limit.
    pub most: Option<usize>,
}

/// All platforms that are known.
pub const PLATFORMS: [Platform; 8] = [
    platform(
        "onlyfans",
        "intimate and personal, 1 to 3 sentences, emoji are fine, no external links",
        None,
    ),
    platform("fansly", "direct, and inviting to subscribe", None),
    platform("x", "punchy, less than 280 characters", Some(280)),
    platform("reddit", "conversational, as one of the community", None),
    platform("tiktok", "energetic, with hashtags, at most 150 characters", Some(150)),
    platform("instagram", "descriptive, with 3 to 5 hashtags", None),
    platform("youtube", "rich in keywords, with a hook in the first two lines", None),
    platform("snapchat", "playful, at most 30 characters", Some(30)),
];

const fn platform(name: &'static str, style: &'static str, most: Option<usize>) -> Platform {
    Platform { name, style, most }
}

impl Platform {
    /// The platform of this name.
    pub fn named(name: &str) -> Option<Self> {
        PLATFORMS.into_iter().find(|platform| platform.name == name)
    }

    /// The text without blanks around it, cut at the end of a word if the platform takes no more.
    fn fit(self, text: &str) -> String {
        let text = text.trim().trim_matches('"').trim();
        let Some((end, _)) = self.most.and_then(|most| text.char_indices().nth(most)) else {
            return text.to_owned();
        };
        let cut = &text[..end];
        let word = cut.rfind(char::is_whitespace).filter(|at| *at > 0);
        // A first word longer than all there is room for is cut, too.
        cut[..word.unwrap_or(end)].trim_end().to_owned()
    }
}

/// How long a caption is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// 1 or 2 sentences.
    Short,
    /// 2 to 4.
    Medium,
    /// 4 to 8.
    Long,
}

impl Length {
    /// The length of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "short" => Some(Self::Short),
            "medium" => Some(Self::Medium),
            "long" => Some(Self::Long),
            _ => None,
        }
    }

    fn sentences(self) -> &'static str {
        match self {
            Self::Short => "1 to 2 sentences",
            Self::Medium => "2 to 4 sentences",
            Self::Long => "4 to 8 sentences",
        }
    }
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Where it appears.
    pub platform: Platform,
    /// How it sounds.
    pub tone: String,
    /// What it is about.
    pub topic: String,
    /// How long it is.
    pub length: Length,
    /// What the writer is called there.
    pub username: Option<String>,
}

/// A caption, and the model that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// The text.
    pub text: String,
    /// The model's name; `template` where there is none.
    pub model: String,
}

/// Writes a caption.
///
/// # Errors
/// When the model does not answer, or says nothing.
pub async fn write(writer: &Writer, wish: &Wish) -> Result<Caption, Unanswered> {
    if writer.is_offline() {
        let text = wish.platform.fit(&template(wish));
        return Ok(Caption { text, model: "template".to_owned() });
    }
    let (endpoint, parameters) = (writer.choice.endpoint.clone(), writer.parameters.clone());
    let model = endpoint.model.clone();
    let messages = vec![
        json!({"role": "system", "content": task(wish)}),
        json!({"role": "user", "content": format!("Topic: {}", wish.topic)}),
    ];
    let request = Request { endpoint, messages, parameters, ..Request::default() };
    let answer = complete(&*writer.choice.model, request, WITHIN).await?;
    Ok(Caption { text: wish.platform.fit(&answer), model })
}

fn task(wish: &Wish) -> String {
    let Platform { name, style, .. } = wish.platform;
    let (tone, length) = (&wish.tone, wish.length.sentences());
    let writer = wish.username.as_ref().map(|name| format!(" The writer is called {name}."));
    let writer = writer.unwrap_or_default();
    format!(
        "Write one caption for a post on {name}, in a tone that is {tone}. Style: {style}. Length: {length}.{writer} \
         Answer with the caption alone, without quotation marks and without explanation."
    )
}

fn template(wish: &Wish) -> String {
    let topic = &wish.topic;
    let name = wish.username.as_ref().map(|name| format!(" — {name}")).unwrap_or_default();
    match wish.platform.name {
        "snapchat" => topic.clone(),
        "x" => format!("{topic}. Don't miss it.{name}"),
        "tiktok" => format!("{topic}! #new #foryou"),
        "instagram" => format!("Something new today: {topic}.{name}\n\n#new #creator #today"),
        "youtube" => format!("{topic}\nHere is what it is about, and why now.{name}"),
        "reddit" => format!("I made something new: {topic}. Tell me what you think."),
        "fansly" => format!("{topic} is waiting for you. Subscribe and see all of it.{name}"),
        _ => format!("I have something new for you: {topic}. Come and see.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(platform: &str, text: &str) -> Option<String> {
        Platform::named(platform).map(|platform| platform.fit(text))
    }

    #[test]
    fn a_caption_that_is_too_long_ends_with_a_whole_word() {
        let text = "one two three four five six seven";
        assert_eq!(cut("snapchat", text).as_deref(), Some("one two three four five six"));
        assert_eq!(cut("snapchat", &"é".repeat(40)), Some("é".repeat(30)));
        assert_eq!(cut("onlyfans", &format!(" \"{text}\" ")).as_deref(), Some(text));
    }
}
