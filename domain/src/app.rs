//! An app: a definition in versions, of which at most one is a draft, and who may run it.

pub mod check;
pub mod definition;
pub mod names;
pub mod plan;
pub mod secrets;
pub mod stitch;
#[cfg(test)]
mod tests;

use crate::{
    Decider, Kind,
    ids::{AppId, UserId},
};
pub use check::Flaw;
pub use definition::{Definition, Patch, Processor};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// People with whom an app is shared for one purpose.
const MOST_SHARED: usize = 20;

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody made an app; the definition is its version 0.
    AppCreated {
        /// Whose.
        owner: UserId,
        /// What it is.
        definition: Box<Definition>,
        /// Whether nobody but its owner runs it yet.
        draft: bool,
        /// For people.
        comment: String,
    },
    /// A version came to be, or the draft became another.
    AppVersionSaved {
        /// From 0.
        version: u32,
        /// What it is.
        definition: Box<Definition>,
        /// Whether it is the draft.
        draft: bool,
        /// For people.
        comment: String,
    },
    /// Others may run it from now on.
    AppPublished {
        /// Its name among published apps.
        published: Uuid,
        /// Who.
        audience: Audience,
    },
    /// Only its owner may run it from now on.
    AppUnpublished {},
    /// It is gone.
    AppDeleted {},
}

/// Who may run a published app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Everybody, or only those named.
    pub visibility: Visibility,
    /// E-mail addresses of those who may read and run it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<String>,
    /// E-mail addresses of those who may change it, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<String>,
}

/// To whom a published app shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Those named.
    Private,
    /// The owner's organisation; as nobody has one here, those named.
    Organization,
    /// Whoever knows its id.
    Unlisted,
    /// Everybody.
    #[default]
    Public,
}

impl Visibility {
    /// The visibility of this number, from 0 (private) to 3 (public).
    pub fn numbered(number: u64) -> Option<Self> {
        let place = usize::try_from(number).ok()?;
        [Self::Private, Self::Organization, Self::Unlisted, Self::Public].get(place).copied()
    }
}

/// What somebody wants. Whether they may is established by the caller.
#[derive(Debug, Clone)]
pub enum Command {
    /// Create.
    Create {
        /// Whose.
        owner: UserId,
        /// What it is.
        patch: Box<Patch>,
        /// Whether it is a draft.
        draft: bool,
        /// For people.
        comment: String,
    },
    /// Save another version.
    Save {
        /// What changes.
        patch: Box<Patch>,
        /// Whether it is a draft.
        draft: bool,
        /// For people.
        comment: String,
    },
    /// Let others run it.
    Publish {
        /// Its name among published apps, if it has none yet.
        published: Uuid,
        /// Who.
        audience: Audience,
    },
    /// Let nobody else run it.
    Unpublish,
    /// Delete it.
    Delete,
}

/// The state.
#[derive(Debug, Clone, Default)]
pub enum App {
    /// Never created.
    #[default]
    Absent,
    /// There.
    Present(Box<Standing>),
    /// Deleted.
    Deleted,
}

/// An app as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Whose.
    pub owner: UserId,
    /// The newest version.
    pub newest: Version,
    /// The newest version that is no draft.
    pub released: Option<Version>,
    /// Its name among published apps and who may run it, if others may.
    pub published: Option<(Uuid, Audience)>,
}

/// A version of an app.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// From 0.
    pub number: u32,
    /// Whether it is the draft.
    pub draft: bool,
    /// What it is.
    pub definition: Box<Definition>,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such app.
    #[error("no such app")]
    Unknown,
    /// The id is taken.
    #[error("the app exists already")]
    Exists,
    /// Something is wrong with the definition.
    #[error("{0}")]
    Flawed(Flaw),
    /// Others may be using it.
    #[error("Cannot delete a published app.")]
    Published,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Exists | Self::Published => Kind::Conflict,
            Self::Flawed(_) => Kind::Invalid,
        }
    }
}

impl Standing {
    /// Whether this person may run it: its owner, whoever is named, and everybody if it is published for everybody.
    pub fn may_run(&self, person: &UserId, email: Option<&str>) -> bool {
        self.owner == *person
            || self.published.as_ref().is_some_and(|(_, audience)| {
                matches!(audience.visibility, Visibility::Unlisted | Visibility::Public)
                    || audience.names(email)
            })
    }

    /// Whether this person may change it: its owner, and whoever is named for that.
    pub fn may_write(&self, person: &UserId, email: Option<&str>) -> bool {
        self.owner == *person
            || self.published.as_ref().is_some_and(|(_, audience)| is_in(&audience.writers, email))
    }

    /// The version that this person runs: the newest that is no draft; before there is one, its owner runs the draft.
    pub fn runnable(&self, person: &UserId) -> Option<&Version> {
        self.released.as_ref().or_else(|| (self.owner == *person).then_some(&self.newest))
    }
}

impl Audience {
    fn names(&self, email: Option<&str>) -> bool {
        is_in(&self.readers, email) || is_in(&self.writers, email)
    }

    /// This audience without what is no address, and without those beyond the limit.
    #[must_use]
    pub fn trimmed(self) -> Self {
        let trimmed = |list: Vec<String>| {
            let list = list.into_iter().filter(|email| {
                email.len() <= 254
                    && email.split_once('@').is_some_and(|(user, host)| {
                        !user.is_empty()
                            && host.contains('.')
                            && !email.contains(char::is_whitespace)
                    })
            });
            list.take(MOST_SHARED).collect()
        };
        let (readers, writers) = (trimmed(self.readers), trimmed(self.writers));
        Self { visibility: self.visibility, readers, writers }
    }
}

fn is_in(list: &[String], email: Option<&str>) -> bool {
    email.is_some_and(|email| list.iter().any(|named| named.eq_ignore_ascii_case(email)))
}

impl Decider for App {
    const CATEGORY: &'static str = "app";
    type Id = AppId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Create { owner, patch, draft, comment }) => {
                let definition = patched(&Definition::default(), patch)?;
                let (owner, comment) = (owner.clone(), comment.clone());
                Ok(vec![Event::AppCreated { owner, definition, draft: *draft, comment }])
            }
            (Self::Present(_) | Self::Deleted, Command::Create { .. }) => Err(Refusal::Exists),
            (Self::Present(app), Command::Save { patch, draft, comment }) => {
                let Version { number, draft: overwritten, definition } = &app.newest;
                let version = if *overwritten { *number } else { number + 1 };
                let definition = patched(definition, patch)?;
                let (draft, comment) = (*draft, comment.clone());
                Ok(vec![Event::AppVersionSaved { version, definition, draft, comment }])
            }
            (Self::Present(app), Command::Publish { published, audience }) => {
                let published = app.published.as_ref().map_or(*published, |(known, _)| *known);
                let audience = audience.clone().trimmed();
                Ok(match app.published.as_ref().is_some_and(|(_, known)| *known == audience) {
                    true => vec![],
                    false => vec![Event::AppPublished { published, audience }],
                })
            }
            (Self::Present(app), Command::Unpublish) => {
                Ok(app.published.iter().map(|_| Event::AppUnpublished {}).collect())
            }
            (Self::Present(app), Command::Delete) => match app.published {
                Some(_) => Err(Refusal::Published),
                None => Ok(vec![Event::AppDeleted {}]),
            },
            (
                Self::Absent | Self::Deleted,
                Command::Save { .. }
                | Command::Publish { .. }
                | Command::Unpublish
                | Command::Delete,
            ) => Err(Refusal::Unknown),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::AppCreated { owner, definition, draft, .. }) => {
                let (owner, definition) = (owner.clone(), definition.clone());
                let newest = Version { number: 0, draft: *draft, definition };
                let released = (!draft).then(|| newest.clone());
                Self::Present(Box::new(Standing { owner, newest, released, published: None }))
            }
            (Self::Present(mut app), Event::AppVersionSaved { version, definition, draft, .. }) => {
                app.newest =
                    Version { number: *version, draft: *draft, definition: definition.clone() };
                if !draft {
                    app.released = Some(app.newest.clone());
                }
                Self::Present(app)
            }
            (Self::Present(mut app), Event::AppPublished { published, audience }) => {
                app.published = Some((*published, audience.clone()));
                Self::Present(app)
            }
            (Self::Present(mut app), Event::AppUnpublished {}) => {
                app.published = None;
                Self::Present(app)
            }
            (_, Event::AppDeleted {}) => Self::Deleted,
            (
                gone,
                Event::AppVersionSaved { .. }
                | Event::AppPublished { .. }
                | Event::AppUnpublished {},
            ) => gone,
        }
    }
}

fn patched(old: &Definition, patch: &Patch) -> Result<Box<Definition>, Refusal> {
    let new = old.patched(patch);
    new.check().map_err(Refusal::Flawed)?;
    Ok(Box::new(new))
}
