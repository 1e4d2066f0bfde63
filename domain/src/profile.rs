//! What people say of themselves, and how an assistant sounds when it writes for them. Also people whom a proxy vouches
//! for have a profile, so it is not part of the account.

use crate::{
    Decider, Kind,
    ids::{UploadId, UserId},
};
use serde::{Deserialize, Serialize};

/// Colours of a brand, at most.
pub const MOST_COLORS: usize = 12;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The person describes themselves like this from now on.
    ProfileChanged(Box<Details>),
    /// The person is shown with this picture from now on.
    AvatarSet {
        /// The picture.
        file: UploadId,
        /// The one before, which nobody needs any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced: Option<UploadId>,
    },
}

/// What a person has said of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// What they are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// What their family is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Who they are, in their own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bio: Option<String>,
    /// How they sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tone: Option<String>,
    /// A language tag: `en`, `pt-BR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// A zone of the tz database: `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Colours in hexadecimal: `#ff0088`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brand_colors: Vec<String>,
}

/// A text of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// What they are called.
    FirstName,
    /// What their family is called.
    LastName,
    /// Who they are.
    Bio,
    /// How they sound.
    Tone,
    /// Which language they want.
    Language,
    /// Where their clock is.
    Timezone,
}

impl Field {
    const ALL: [Self; 6] =
        [Self::FirstName, Self::LastName, Self::Bio, Self::Tone, Self::Language, Self::Timezone];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Bio => "bio",
            Self::Tone => "tone",
            Self::Language => "language",
            Self::Timezone => "timezone",
        }
    }

    /// The field of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }

    /// Most characters.
    fn longest(self) -> usize {
        match self {
            Self::FirstName | Self::LastName => 100,
            Self::Bio => 5_000,
            Self::Tone => 200,
            Self::Language => 35,
            Self::Timezone => 64,
        }
    }

    fn takes(self, text: &str) -> bool {
        let only = |more: &[char]| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
                && text.chars().any(|c| c.is_ascii_alphabetic())
        };
        text.chars().count() <= self.longest()
            && match self {
                Self::Bio => !text.chars().any(|c| c.is_control() && !"\n\r\t".contains(c)),
                Self::Language => only(&['-']),
                Self::Timezone => only(&['/', '_', '-', '+']),
                Self::FirstName | Self::LastName | Self::Tone => {
                    !text.chars().any(char::is_control)
                }
            }
    }
}

/// One thing that is to be different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// This text, or none; an empty one is none.
    Text(Field, Option<String>),
    /// These colours.
    Colors(Vec<String>),
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Change some of it; the rest stays.
    Change(Vec<Wish>),
    /// Show the person with this picture.
    SetAvatar(UploadId),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A text that does not fit its field.
    #[error("{} has at most {} characters, and none that cannot be written there", .0.as_str(), .0.longest())]
    Unfit(Field),
    /// Not colours, or too many.
    #[error("brand_colors holds at most {MOST_COLORS} colours like #ff0088")]
    NoColors,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

/// A person's profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// What they have said.
    pub details: Details,
    /// Their picture.
    pub avatar: Option<UploadId>,
}

impl Details {
    fn with(mut self, wish: &Wish) -> Result<Self, Refusal> {
        match wish {
            Wish::Text(field, text) => {
                let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
                if text.is_some_and(|text| !field.takes(text)) {
                    return Err(Refusal::Unfit(*field));
                }
                let place = match field {
                    Field::FirstName => &mut self.first_name,
                    Field::LastName => &mut self.last_name,
                    Field::Bio => &mut self.bio,
                    Field::Tone => &mut self.tone,
                    Field::Language => &mut self.language,
                    Field::Timezone => &mut self.timezone,
                };
                *place = text.map(str::to_owned);
            }
            Wish::Colors(colors) => {
                if colors.len() > MOST_COLORS || !colors.iter().all(|color| is_color(color)) {
                    return Err(Refusal::NoColors);
                }
                self.brand_colors = colors.iter().map(|color| color.to_lowercase()).collect();
            }
        }
        Ok(self)
    }
}

/// `#rgb` or `#rrggbb`, either with transparency or without.
fn is_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or_default();
    matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

impl Decider for Profile {
    const CATEGORY: &'static str = "profile";
    type Id = UserId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Change(wishes) => {
                let details = wishes.iter().try_fold(self.details.clone(), Details::with)?;
                let news = details != self.details;
                Ok(news.then(|| Event::ProfileChanged(Box::new(details))).into_iter().collect())
            }
            Command::SetAvatar(file) if self.avatar == Some(*file) => Ok(vec![]),
            Command::SetAvatar(file) => {
                Ok(vec![Event::AvatarSet { file: *file, replaced: self.avatar }])
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::ProfileChanged(details) => self.details = (**details).clone(),
            Event::AvatarSet { file, .. } => self.avatar = Some(*file),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use uuid::Uuid;

    const ONE: UploadId = UploadId(Uuid::from_u128(1));
    const TWO: UploadId = UploadId(Uuid::from_u128(2));

    fn text(field: Field, text: &str) -> Wish {
        Wish::Text(field, Some(text.to_owned()))
    }

    fn ann() -> Details {
        Details { first_name: Some("Änn".to_owned()), ..Details::default() }
    }

    #[test]
    fn only_what_is_wished_for_changes() {
        let known = || [Event::ProfileChanged(Box::new(ann()))];
        let with_bio = Details { bio: Some("a\nb".to_owned()), ..ann() };
        given::<Profile>(known())
            .when(Command::Change(vec![text(Field::Bio, " a\nb ")]))
            .then([Event::ProfileChanged(Box::new(with_bio))]);
        given::<Profile>(known())
            .when(Command::Change(vec![text(Field::FirstName, "Änn")]))
            .then_nothing();
        given::<Profile>(known())
            .when(Command::Change(vec![text(Field::FirstName, " ")]))
            .then([Event::ProfileChanged(Box::default())]);
    }

    #[test]
    fn one_wish_that_does_not_fit_stops_all_of_them() {
        for (field, bad) in [
            (Field::FirstName, "a\nb"),
            (Field::LastName, &"x".repeat(101)),
            (Field::Bio, "a\0b"),
            (Field::Bio, &"x".repeat(5_001)),
            (Field::Language, "en us"),
            (Field::Timezone, "Europe\\Berlin"),
            (Field::Timezone, "//"),
        ] {
            given::<Profile>([])
                .when(Command::Change(vec![text(Field::Tone, "calm"), text(field, bad)]))
                .then_refused(Refusal::Unfit(field));
        }
        let colors = |colors: &[&str]| Wish::Colors(colors.iter().map(|&c| c.into()).collect());
        for bad in [&["red"][..], &["#12345"], &["#ggg"], &["#fff"; MOST_COLORS + 1]] {
            given::<Profile>([])
                .when(Command::Change(vec![colors(bad)]))
                .then_refused(Refusal::NoColors);
        }
        let kept = Details { brand_colors: vec!["#ff0088".to_owned()], ..Details::default() };
        given::<Profile>([])
            .when(Command::Change(vec![colors(&["#FF0088"])]))
            .then([Event::ProfileChanged(Box::new(kept))]);
    }

    #[test]
    fn a_new_picture_names_the_one_it_replaces() {
        let first = || Event::AvatarSet { file: ONE, replaced: None };
        given::<Profile>([]).when(Command::SetAvatar(ONE)).then([first()]);
        given::<Profile>([first()])
            .when(Command::SetAvatar(TWO))
            .then([Event::AvatarSet { file: TWO, replaced: Some(ONE) }]);
        given::<Profile>([first()]).when(Command::SetAvatar(ONE)).then_nothing();
    }
}
