//! A fan as clients and exports write one, liberally.

use super::Known;
use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    fan::{Account, Money, Patch, Purchase, Stage, Subscription},
    ids::FanId,
};
use serde::Deserialize;
use serde_json::Value;

/// Entries of a list.
const MOST: usize = 1_000;

/// What was written of a fan.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Record {
    #[serde(default)]
    id: Option<FanId>,
    #[serde(default, alias = "displayName", alias = "name")]
    display_name: Option<String>,
    #[serde(default)]
    aliases: Option<Value>,
    #[serde(default, alias = "lifecycleStage", alias = "stage")]
    lifecycle_stage: Option<String>,
    #[serde(default, alias = "totalSpend", alias = "total_spent", alias = "spend")]
    total_spend: Option<Value>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default, alias = "messageCount")]
    message_count: Option<Value>,
    #[serde(default, alias = "lastContactAt", alias = "last_contact")]
    last_contact_at: Option<String>,
    #[serde(default)]
    notes: Option<String>,
    #[serde(default)]
    sentiment: Option<String>,
    #[serde(default)]
    purchases: Option<Vec<PurchaseRecord>>,
    #[serde(default)]
    memories: Option<Value>,
    #[serde(flatten)]
    account: AccountRecord,
    #[serde(default, alias = "platformAccounts", alias = "accounts")]
    platform_accounts: Vec<AccountRecord>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct AccountRecord {
    #[serde(default)]
    platform: Option<String>,
    #[serde(default, alias = "platformFanId", alias = "fan_id")]
    platform_fan_id: Option<Value>,
    #[serde(default, alias = "username")]
    handle: Option<String>,
    #[serde(default)]
    subscription: Option<SubscriptionRecord>,
    #[serde(default, alias = "subscriptionStatus")]
    subscription_status: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct SubscriptionRecord {
    status: String,
    #[serde(default, alias = "renewsAt")]
    renews_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct PurchaseRecord {
    #[serde(alias = "name")]
    title: String,
    #[serde(alias = "price")]
    amount: Value,
    #[serde(default, alias = "date", alias = "purchased_at")]
    at: Option<String>,
}

/// A value that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(&'static str);

impl Record {
    /// What this says of whom.
    ///
    /// # Errors
    /// [`Unreadable`] with the first value that says nothing.
    pub fn read(self) -> Result<Known, Unreadable> {
        let stage = self.lifecycle_stage.filter(|stage| !stage.trim().is_empty());
        let stage = stage.map(|stage| {
            let why = "lifecycle_stage is active, trial, churned or win_back";
            Stage::named(&stage).ok_or(Unreadable(why))
        });
        let count = self.message_count.filter(|count| !is_blank(count)).map(|count| {
            let count = count.as_u64().or_else(|| count.as_str()?.trim().parse().ok());
            count.ok_or(Unreadable("message_count is a number from 0"))
        });
        let purchases = self.purchases.map(|all| all.into_iter().map(purchase).collect());
        let patch = Patch {
            display_name: self.display_name.filter(|name| !name.trim().is_empty()),
            aliases: self.aliases.map(texts).transpose()?,
            lifecycle_stage: stage.transpose()?,
            total_spend: self.total_spend.filter(|sum| !is_blank(sum)).map(money).transpose()?,
            currency: self.currency.filter(|currency| !currency.trim().is_empty()),
            message_count: count.transpose()?,
            last_contact_at: time(self.last_contact_at)?,
            notes: self.notes,
            sentiment: self.sentiment,
            purchases: purchases.transpose()?,
        };
        let mut accounts = Vec::new();
        for record in [self.account].into_iter().chain(self.platform_accounts) {
            accounts.extend(account(record)?);
        }
        if accounts.len() > MOST {
            return Err(Unreadable("platform_accounts are too many"));
        }
        let memories = self.memories.map(texts).transpose()?.unwrap_or_default();
        Ok(Known { id: self.id, patch, accounts, memories })
    }
}

fn account(record: AccountRecord) -> Result<Option<Account>, Unreadable> {
    let text =
        |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|t| !t.is_empty());
    let id = match record.platform_fan_id {
        Some(Value::String(id)) => text(Some(id)),
        Some(Value::Number(id)) => Some(id.to_string()),
        None | Some(Value::Null) => None,
        Some(_) => return Err(Unreadable("platform_fan_id is a text")),
    };
    let (platform, platform_fan_id) = match (text(record.platform), id) {
        (Some(platform), Some(id)) => (platform.to_lowercase(), id),
        (None, None) => return Ok(None),
        _ => return Err(Unreadable("platform and platform_fan_id belong together")),
    };
    let subscription = match (record.subscription, text(record.subscription_status)) {
        (Some(SubscriptionRecord { status, renews_at }), _) => {
            Some(Subscription { status, renews_at: time(renews_at)? })
        }
        (None, status) => status.map(|status| Subscription { status, renews_at: None }),
    };
    Ok(Some(Account { platform, platform_fan_id, handle: text(record.handle), subscription }))
}

fn purchase(record: PurchaseRecord) -> Result<Purchase, Unreadable> {
    let PurchaseRecord { title, amount, at } = record;
    Ok(Purchase { title, amount: money(amount)?, at: time(at)? })
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn money(value: Value) -> Result<Money, Unreadable> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text,
        _ => String::new(),
    };
    Money::parse(&text).ok_or(Unreadable("amounts of money are decimal numbers from 0"))
}

/// A point in time, or the beginning of a day.
fn time(text: Option<String>) -> Result<Option<DateTime<Utc>>, Unreadable> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let day = |text: &str| {
        let day: NaiveDate = text.parse().ok()?;
        Some(day.and_hms_opt(0, 0, 0)?.and_utc())
    };
    let at = DateTime::parse_from_rfc3339(text.trim()).map(|at| at.to_utc()).ok();
    let at = at.or_else(|| day(text.trim()));
    at.map(Some).ok_or(Unreadable("times are written as 2026-11-21T12:00:00Z"))
}

/// A list of texts, or one text with semicolons, as tables have it.
fn texts(value: Value) -> Result<Vec<String>, Unreadable> {
    match value {
        Value::Null => Ok(vec![]),
        Value::String(text) => {
            let texts = text.split(';').map(str::trim).filter(|text| !text.is_empty());
            Ok(texts.map(str::to_owned).take(MOST).collect())
        }
        Value::Array(all) if all.len() <= MOST => all
            .into_iter()
            .map(|one| match one {
                Value::String(text) => Ok(text),
                Value::Object(mut memory) => match memory.remove("text") {
                    Some(Value::String(text)) => Ok(text),
                    _ => Err(Unreadable("a memory is a text")),
                },
                _ => Err(Unreadable("aliases and memories are lists of texts")),
            })
            .collect(),
        _ => Err(Unreadable("aliases and memories are lists of texts")),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn read(record: Value) -> Result<Known, Unreadable> {
        serde_json::from_value::<Record>(record).unwrap().read()
    }

    #[test]
    fn tables_and_objects_say_the_same() {
        let row = read(json!({
            "platform": "OnlyFans", "platform_fan_id": "77", "username": "bob", "name": "Bob",
            "total_spend": "12.50", "message_count": "3", "aliases": "bobby; rob",
            "last_contact_at": "2026-11-21", "memories": "likes cats", "stage": "win-back",
            "subscription_status": "active", "notes": "",
        }));
        let object = read(json!({
            "displayName": "Bob", "totalSpend": 12.5, "messageCount": 3,
            "aliases": ["bobby", "rob"], "lastContactAt": "2026-11-21T00:00:00Z",
            "memories": [{"text": "likes cats"}], "lifecycleStage": "win_back", "notes": "",
            "platformAccounts": [{
                "platform": "onlyfans", "platformFanId": 77, "handle": "bob",
                "subscription": {"status": "active"},
            }],
        }));
        assert_eq!(row, object);
        assert_eq!(row.unwrap().patch.total_spend, Some(Money(1_250)));
    }

    #[test]
    fn what_says_nothing_is_told() {
        for record in [
            json!({"total_spend": -1}),
            json!({"total_spend": true}),
            json!({"message_count": -1}),
            json!({"lifecycle_stage": "gone"}),
            json!({"last_contact_at": "yesterday"}),
            json!({"aliases": [1]}),
            json!({"platform": "x"}),
            json!({"platform_fan_id": "x"}),
            json!({"platform": "x", "platform_fan_id": []}),
            json!({"purchases": [{"title": "a", "amount": "much"}]}),
        ] {
            assert!(read(record.clone()).is_err(), "{record}");
        }
    }
}
