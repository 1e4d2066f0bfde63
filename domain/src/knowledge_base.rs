//! A knowledge base: a named shelf of documents that one person owns and agents may read.

use crate::{
    Decider, Kind, datasource,
    ids::{KnowledgeBaseId, UserId},
    json,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest name, in characters.
pub const MAX_NAME: usize = 255;
/// Longest introduction, in characters.
pub const MAX_INTRO: usize = 10_000;

/// Most bytes of a setting, as JSON.
pub const MAX_SETTING: usize = 32 << 10;
/// The kind of knowledge bases whose files are tables of questions and answers.
pub const QUESTIONS: &str = "qa";

/// What happened to a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody set it up.
    KnowledgeBaseCreated {
        /// Whose it is.
        owner: UserId,
        /// What people call it.
        name: String,
        /// How its files are read: `qa` for question-and-answer tables, anything else for documents.
        kind: String,
        /// What it is about.
        intro: String,
        /// Language of its documents as the owner put it, e.g. `zh-cn`.
        language: String,
        /// What it holds as a datasource; `None` of one that is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        datasource: Option<datasource::Type>,
    },
    /// It is called something else now.
    KnowledgeBaseRenamed {
        /// The new name.
        name: String,
    },
    /// It has another introduction now.
    KnowledgeBaseDescribed {
        /// The new introduction.
        intro: String,
    },
    /// It is used in another way now.
    KnowledgeBaseConfigured {
        /// What its clients keep with it: a JSON object, the whole of it.
        setting: Value,
    },
    /// Every document on it is gone; it is still there.
    KnowledgeBaseCleared {},
    /// It is gone, and with it every document on it.
    KnowledgeBaseDeleted {},
}

/// On whose authority something is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// A person, who may touch what is theirs.
    Person(UserId),
    /// An administrator, who may touch everything.
    Admin,
}

impl Authority {
    /// Whether this authority reaches something of `owner`.
    pub fn covers(&self, owner: &UserId) -> bool {
        match self {
            Self::Person(person) => person == owner,
            Self::Admin => true,
        }
    }
}

/// What somebody wants of a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Set it up.
    Create {
        /// Whose it will be.
        owner: UserId,
        /// What to call it.
        name: String,
        /// How its files are read.
        kind: String,
        /// What it is about.
        intro: String,
        /// Language of its documents.
        language: String,
        /// What it will hold as a datasource; `None` of one that is none.
        datasource: Option<datasource::Type>,
    },
    /// Call or describe it differently; `None` leaves as is.
    Update {
        /// Who asks.
        by: Authority,
        /// The new name.
        name: Option<String>,
        /// The new introduction.
        intro: Option<String>,
        /// The new setting.
        setting: Option<Value>,
    },
    /// Remove all its documents.
    Clear {
        /// Who asks.
        by: Authority,
    },
    /// Remove it.
    Delete {
        /// Who asks.
        by: Authority,
    },
}

/// A knowledge base as its history leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KnowledgeBase {
    /// Never heard of.
    #[default]
    Unknown,
    /// In use.
    Open {
        /// Whose it is.
        owner: UserId,
        /// What people call it.
        name: String,
        /// What it is about.
        intro: String,
        /// How its files are read.
        kind: String,
        /// What its clients keep with it; `None` until they do.
        setting: Option<Value>,
        /// What it holds as a datasource; `None` of one that is none.
        datasource: Option<datasource::Type>,
    },
    /// Gone.
    Deleted,
}

impl KnowledgeBase {
    /// The owner, when it is in use and `by` may see it.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] otherwise: to strangers it does not exist.
    pub fn owner_for(&self, by: &Authority) -> Result<&UserId, Refusal> {
        match self {
            Self::Open { owner, .. } if by.covers(owner) => Ok(owner),
            Self::Open { .. } | Self::Unknown | Self::Deleted => Err(Refusal::Unknown),
        }
    }
}

impl KnowledgeBase {
    /// What it holds, where it is a datasource of `owner`.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] otherwise.
    pub fn datasource_of(&self, owner: &UserId) -> Result<datasource::Type, Refusal> {
        match self {
            Self::Open { owner: own, datasource: Some(kind), .. } if own == owner => Ok(*kind),
            Self::Open { .. } | Self::Unknown | Self::Deleted => Err(Refusal::Unknown),
        }
    }

    /// Whether it is a datasource, and so none of the knowledge bases that people see as such.
    pub fn is_datasource(&self) -> bool {
        matches!(self, Self::Open { datasource: Some(_), .. })
    }
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not exist, or not for this person.
    #[error("knowledge base not found")]
    Unknown,
    /// The id is in use.
    #[error("knowledge base already exists")]
    Exists,
    /// A name is needed, of at most [`MAX_NAME`] characters.
    #[error("a knowledge base needs a name of 1 to {MAX_NAME} characters")]
    BadName,
    /// The introduction has more than [`MAX_INTRO`] characters.
    #[error("the introduction may have at most {MAX_INTRO} characters")]
    LongIntro,
    /// Kind and language are words, not texts.
    #[error("type and language may have at most 64 characters each")]
    LongKind,
    /// Not an object, or larger than [`MAX_SETTING`], or nested too deep.
    #[error("a setting is a JSON object of at most {MAX_SETTING} bytes")]
    BadSetting,
    /// A NUL character, which no database stores.
    #[error("texts may not contain NUL characters")]
    Nul,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Exists => Kind::Conflict,
            Self::BadName | Self::LongIntro | Self::LongKind | Self::BadSetting | Self::Nul => {
                Kind::Invalid
            }
        }
    }
}

impl Decider for KnowledgeBase {
    const CATEGORY: &'static str = "knowledge_base";
    type Id = KnowledgeBaseId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Create { owner, name, kind, intro, language, datasource } => {
                if *self != Self::Unknown {
                    return Err(Refusal::Exists);
                }
                let (name, intro) = (checked_name(name)?, checked_intro(intro)?);
                for word in [kind, language] {
                    stored(word)?;
                    if word.chars().count() > 64 {
                        return Err(Refusal::LongKind);
                    }
                }
                Ok(vec![Event::KnowledgeBaseCreated {
                    owner: owner.clone(),
                    name,
                    kind: kind.clone(),
                    intro,
                    language: language.clone(),
                    datasource: *datasource,
                }])
            }
            Command::Update { by, name, intro, setting } => {
                self.owner_for(by)?;
                let Self::Open { name: old_name, intro: old_intro, setting: old, .. } = self else {
                    return Err(Refusal::Unknown);
                };
                let mut events = Vec::new();
                if let Some(name) = name.as_deref().map(checked_name).transpose()?
                    && name != *old_name
                {
                    events.push(Event::KnowledgeBaseRenamed { name });
                }
                if let Some(intro) = intro.as_deref().map(checked_intro).transpose()?
                    && intro != *old_intro
                {
                    events.push(Event::KnowledgeBaseDescribed { intro });
                }
                if let Some(setting) = setting.as_ref().map(checked_setting).transpose()?
                    && Some(&setting) != old.as_ref()
                {
                    events.push(Event::KnowledgeBaseConfigured { setting });
                }
                Ok(events)
            }
            Command::Clear { by } => {
                self.owner_for(by)?;
                Ok(vec![Event::KnowledgeBaseCleared {}])
            }
            Command::Delete { by } => {
                self.owner_for(by)?;
                Ok(vec![Event::KnowledgeBaseDeleted {}])
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match (&mut self, event) {
            (_, Event::KnowledgeBaseCreated { owner, name, kind, intro, datasource, .. }) => {
                return Self::Open {
                    owner: owner.clone(),
                    name: name.clone(),
                    intro: intro.clone(),
                    kind: kind.clone(),
                    setting: None,
                    datasource: *datasource,
                };
            }
            (_, Event::KnowledgeBaseDeleted {}) => return Self::Deleted,
            (Self::Open { name, .. }, Event::KnowledgeBaseRenamed { name: new }) => {
                name.clone_from(new);
            }
            (Self::Open { intro, .. }, Event::KnowledgeBaseDescribed { intro: new }) => {
                intro.clone_from(new);
            }
            (Self::Open { setting, .. }, Event::KnowledgeBaseConfigured { setting: new }) => {
                *setting = Some(new.clone());
            }
            (Self::Open { .. }, Event::KnowledgeBaseCleared {}) => {}
            (
                Self::Unknown | Self::Deleted,
                Event::KnowledgeBaseRenamed { .. }
                | Event::KnowledgeBaseDescribed { .. }
                | Event::KnowledgeBaseConfigured { .. }
                | Event::KnowledgeBaseCleared {},
            ) => {}
        }
        self
    }
}

fn stored(text: &str) -> Result<(), Refusal> {
    if text.contains('\0') { Err(Refusal::Nul) } else { Ok(()) }
}

fn checked_name(name: &str) -> Result<String, Refusal> {
    stored(name)?;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(Refusal::BadName);
    }
    Ok(name.to_owned())
}

fn checked_intro(intro: &str) -> Result<String, Refusal> {
    stored(intro)?;
    if intro.chars().count() > MAX_INTRO {
        return Err(Refusal::LongIntro);
    }
    Ok(intro.to_owned())
}

fn checked_setting(setting: &Value) -> Result<Value, Refusal> {
    let written = setting.to_string();
    let fits = written.len() <= MAX_SETTING && !json::is_too_deep(written.as_bytes());
    // A NUL is always written like this, and a backslash before it would be written twice.
    let nul = written.replace("\\\\", "").contains("\\u0000");
    match setting.is_object() && fits && !nul {
        true => Ok(setting.clone()),
        false => Err(Refusal::BadSetting),
    }
}

#[cfg(test)]
mod tests;
