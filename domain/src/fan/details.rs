//! What is known of a fan.

use super::Refusal;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names a fan goes by.
const MOST_ALIASES: usize = 20;
/// Purchases that are kept of a fan.
const MOST_PURCHASES: usize = 200;
/// Characters of a name.
const LONGEST_NAME: usize = 200;
/// Characters of notes.
const LONGEST_NOTES: usize = 5_000;
/// Most money, in minor units.
const MOST_MONEY: u64 = 1_000_000_000_000_000;

/// How a fan stands to the creator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// They follow and pay.
    #[default]
    Active,
    /// They try it out.
    Trial,
    /// They are gone.
    Churned,
    /// They are gone and might come back.
    WinBack,
}

impl Stage {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Trial => "trial",
            Self::Churned => "churned",
            Self::WinBack => "win_back",
        }
    }

    /// The stage of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim().to_lowercase().replace(['-', ' '], "_").as_str() {
            "active" => Some(Self::Active),
            "trial" => Some(Self::Trial),
            "churned" => Some(Self::Churned),
            "win_back" | "winback" | "win_back_candidate" => Some(Self::WinBack),
            _ => None,
        }
    }
}

/// An amount in hundredths of its currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub u64);

impl Money {
    /// The amount in this decimal number, rounded to hundredths; `None` of anything else, and of too much.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
        if whole.is_empty() || whole.len() > 15 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let place =
            |at: usize| fraction.as_bytes().get(at).map_or(0, |digit| u64::from(digit - b'0'));
        let rounded = u64::from(place(2) >= 5);
        let minor = whole.parse::<u64>().ok()? * 100 + place(0) * 10 + place(1) + rounded;
        (minor <= MOST_MONEY).then_some(Self(minor))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// Something a fan has bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// What.
    pub title: String,
    /// For how much.
    pub amount: Money,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<DateTime<Utc>>,
}

/// What is known of a fan beside accounts and memories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// What the creator calls them.
    pub display_name: String,
    /// What else they are called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// How they stand.
    #[serde(default)]
    pub lifecycle_stage: Stage,
    /// What they have paid in all.
    #[serde(default)]
    pub total_spend: Money,
    /// In which currency: three letters.
    #[serde(default)]
    pub currency: String,
    /// Messages to and fro.
    #[serde(default)]
    pub message_count: u64,
    /// When somebody last wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_contact_at: Option<DateTime<Utc>>,
    /// What the creator has noted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// In which mood they write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<String>,
    /// What they have bought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purchases: Vec<Purchase>,
}

/// What is known now; what is `None` stays as it was. Fields are those of [`Details`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of Details")]
pub struct Patch {
    pub display_name: Option<String>,
    pub aliases: Option<Vec<String>>,
    pub lifecycle_stage: Option<Stage>,
    pub total_spend: Option<Money>,
    pub currency: Option<String>,
    pub message_count: Option<u64>,
    pub last_contact_at: Option<DateTime<Utc>>,
    pub notes: Option<String>,
    pub sentiment: Option<String>,
    pub purchases: Option<Vec<Purchase>>,
}

impl Patch {
    pub(super) fn applied_to(&self, known: &Details) -> Result<Details, Refusal> {
        let mut all = known.clone();
        if let Some(name) = &self.display_name {
            all.display_name = name.trim().to_owned();
        }
        if let Some(aliases) = &self.aliases {
            all.aliases = aliases.iter().map(|alias| alias.trim().to_owned()).collect();
        }
        if let Some(currency) = &self.currency {
            all.currency = currency.trim().to_uppercase();
        } else if all.currency.is_empty() {
            "USD".clone_into(&mut all.currency);
        }
        if let Some(notes) = &self.notes {
            notes.trim().clone_into(&mut all.notes);
        }
        if let Some(sentiment) = &self.sentiment {
            all.sentiment = Some(sentiment.trim().to_owned()).filter(|text| !text.is_empty());
        }
        all.lifecycle_stage = self.lifecycle_stage.unwrap_or(all.lifecycle_stage);
        all.total_spend = self.total_spend.unwrap_or(all.total_spend);
        all.message_count = self.message_count.unwrap_or(all.message_count);
        all.last_contact_at = self.last_contact_at.or(all.last_contact_at);
        if let Some(purchases) = &self.purchases {
            all.purchases.clone_from(purchases);
        }
        all.check()?;
        Ok(all)
    }
}

impl Details {
    fn check(&self) -> Result<(), Refusal> {
        let unfit = |wrong: bool, why| if wrong { Err(Refusal::Unfit(why)) } else { Ok(()) };
        let name = |text: &String| is_line(text, LONGEST_NAME);
        unfit(
            !self.display_name.is_empty() && !name(&self.display_name),
            "display_name has at most 200 characters",
        )?;
        unfit(
            self.aliases.len() > MOST_ALIASES || !self.aliases.iter().all(name),
            "aliases are at most 20 names of at most 200 characters",
        )?;
        let letters = self.currency.bytes().all(|letter| letter.is_ascii_uppercase());
        unfit(self.currency.len() != 3 || !letters, "currency has three letters")?;
        let notes = self.notes.chars().count() > LONGEST_NOTES || self.notes.contains('\0');
        unfit(notes, "notes have at most 5000 characters")?;
        unfit(
            self.sentiment.as_ref().is_some_and(|text| !is_line(text, 100)),
            "sentiment has at most 100 characters",
        )?;
        unfit(i64::try_from(self.message_count).is_err(), "message_count is too large")?;
        let bought = |purchase: &Purchase| name(&purchase.title);
        unfit(
            self.purchases.len() > MOST_PURCHASES || !self.purchases.iter().all(bought),
            "purchases are at most 200, each with a title of at most 200 characters",
        )
    }
}

/// How a fan pays for following.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// In the platform's words: `active`, `expired`.
    pub status: String,
    /// When it goes on by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews_at: Option<DateTime<Utc>>,
}

/// A fan's account at a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Where, in lower case.
    pub platform: String,
    /// The platform's id for the fan.
    pub platform_fan_id: String,
    /// What they are called there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// How they pay there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
}

impl Account {
    /// Whether it is the same account, however it stands with it.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.platform, &self.platform_fan_id) == (&other.platform, &other.platform_fan_id)
    }

    /// What is known of it, with what is known now.
    pub(super) fn with(&self, news: &Self) -> Self {
        Self {
            handle: news.handle.clone().or_else(|| self.handle.clone()),
            subscription: news.subscription.clone().or_else(|| self.subscription.clone()),
            ..self.clone()
        }
    }

    /// Whether its values fit.
    ///
    /// # Errors
    /// [`Refusal::Unfit`].
    pub fn check(&self) -> Result<(), Refusal> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
        if !(1..=40).contains(&self.platform.len()) || !self.platform.chars().all(word) {
            return Err(Refusal::Unfit("platform has 1 to 40 letters, digits, dots or dashes"));
        }
        if !is_line(&self.platform_fan_id, LONGEST_NAME) {
            return Err(Refusal::Unfit("platform_fan_id has 1 to 200 characters"));
        }
        if self.handle.as_ref().is_some_and(|handle| !is_line(handle, LONGEST_NAME)) {
            return Err(Refusal::Unfit("handle has 1 to 200 characters"));
        }
        match &self.subscription {
            Some(subscription) if !is_line(&subscription.status, 40) => {
                Err(Refusal::Unfit("a subscription's status has 1 to 40 characters"))
            }
            _ => Ok(()),
        }
    }
}

fn is_line(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.chars().count() <= longest && !text.chars().any(char::is_control)
}
