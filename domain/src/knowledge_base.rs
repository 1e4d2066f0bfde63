//! A knowledge base: a named shelf of documents that one person owns and agents may read.

use crate::{
    Decider, Kind,
    ids::{KnowledgeBaseId, UserId},
};
use serde::{Deserialize, Serialize};

/// Longest name, in characters.
pub const MAX_NAME: usize = 255;
/// Longest introduction, in characters.
pub const MAX_INTRO: usize = 10_000;

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
    },
    /// Call or describe it differently; `None` leaves as is.
    Update {
        /// Who asks.
        by: Authority,
        /// The new name.
        name: Option<String>,
        /// The new introduction.
        intro: Option<String>,
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
    /// A NUL character, which no database stores.
    #[error("texts may not contain NUL characters")]
    Nul,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Exists => Kind::Conflict,
            Self::BadName | Self::LongIntro | Self::LongKind | Self::Nul => Kind::Invalid,
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
            Command::Create { owner, name, kind, intro, language } => {
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
                let (owner, kind, language) = (owner.clone(), kind.clone(), language.clone());
                Ok(vec![Event::KnowledgeBaseCreated { owner, name, kind, intro, language }])
            }
            Command::Update { by, name, intro } => {
                self.owner_for(by)?;
                let Self::Open { name: old_name, intro: old_intro, .. } = self else {
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
                Ok(events)
            }
            Command::Delete { by } => {
                self.owner_for(by)?;
                Ok(vec![Event::KnowledgeBaseDeleted {}])
            }
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::KnowledgeBaseCreated { owner, name, kind, intro, .. }) => Self::Open {
                owner: owner.clone(),
                name: name.clone(),
                intro: intro.clone(),
                kind: kind.clone(),
            },
            (Self::Open { owner, intro, kind, .. }, Event::KnowledgeBaseRenamed { name }) => {
                Self::Open { owner, name: name.clone(), intro, kind }
            }
            (Self::Open { owner, name, kind, .. }, Event::KnowledgeBaseDescribed { intro }) => {
                Self::Open { owner, name, intro: intro.clone(), kind }
            }
            (_, Event::KnowledgeBaseDeleted {}) => Self::Deleted,
            (
                gone @ (Self::Unknown | Self::Deleted),
                Event::KnowledgeBaseRenamed { .. } | Event::KnowledgeBaseDescribed { .. },
            ) => gone,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn created() -> Event {
        Event::KnowledgeBaseCreated {
            owner: "ann".into(),
            name: "Docs".into(),
            kind: "rag".into(),
            intro: "all of them".into(),
            language: "en".into(),
        }
    }

    fn create(name: &str) -> Command {
        Command::Create {
            owner: "ann".into(),
            name: name.into(),
            kind: "rag".into(),
            intro: "all of them".into(),
            language: "en".into(),
        }
    }

    fn update(by: Authority, name: Option<&str>, intro: Option<&str>) -> Command {
        Command::Update { by, name: name.map(Into::into), intro: intro.map(Into::into) }
    }

    fn ann() -> Authority {
        Authority::Person("ann".into())
    }

    fn bob() -> Authority {
        Authority::Person("bob".into())
    }

    #[test]
    fn a_name_is_trimmed_and_needed() {
        given::<KnowledgeBase>([]).when(create(" Docs ")).then([created()]);
        given::<KnowledgeBase>([]).when(create("  ")).then_refused(Refusal::BadName);
        given::<KnowledgeBase>([]).when(create(&"x".repeat(256))).then_refused(Refusal::BadName);
        given::<KnowledgeBase>([]).when(create("a\0b")).then_refused(Refusal::Nul);
    }

    #[test]
    fn an_id_is_used_once() {
        given::<KnowledgeBase>([created()]).when(create("Docs")).then_refused(Refusal::Exists);
        given::<KnowledgeBase>([created(), Event::KnowledgeBaseDeleted {}])
            .when(create("Docs"))
            .then_refused(Refusal::Exists);
    }

    #[test]
    fn only_what_changes_is_recorded() {
        given::<KnowledgeBase>([created()])
            .when(update(ann(), Some("Docs"), Some("some of them")))
            .then([Event::KnowledgeBaseDescribed { intro: "some of them".into() }]);
        given::<KnowledgeBase>([created()]).when(update(ann(), None, None)).then_nothing();
    }

    #[test]
    fn a_stranger_meets_nothing_and_an_admin_everything() {
        let history = || given::<KnowledgeBase>([created()]);
        history().when(update(bob(), Some("Mine"), None)).then_refused(Refusal::Unknown);
        history().when(Command::Delete { by: bob() }).then_refused(Refusal::Unknown);
        history()
            .when(Command::Delete { by: Authority::Admin })
            .then([Event::KnowledgeBaseDeleted {}]);
    }

    #[test]
    fn what_is_deleted_is_gone_for_its_owner_too() {
        given::<KnowledgeBase>([created(), Event::KnowledgeBaseDeleted {}])
            .when(Command::Delete { by: ann() })
            .then_refused(Refusal::Unknown);
    }
}
