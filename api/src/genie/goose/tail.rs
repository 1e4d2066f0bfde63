//! The last events, without anybody's words in them.

use super::{
    super::{Fault, ids, usage::iso},
    params::Params,
    upkeep::Wish,
};
use crate::{app::App, log_tail};
use domain::{Metadata, Recorded, ids::UserId};
use serde_json::{Value, json};

/// Events, unless somebody asks for another number.
const SOME: u64 = 50;
/// Most events.
const MOST: u64 = 500;
/// Characters of a text that is shown.
const LONGEST: usize = 64;
/// Names whose texts are shown, and those that end as ids do.
const PLAIN: [&str; 18] = [
    "id",
    "user",
    "owner",
    "holder",
    "node",
    "job",
    "post",
    "status",
    "state",
    "tier",
    "role",
    "operation",
    "action",
    "platform",
    "queue",
    "at",
    "reason",
    "reservation",
];

/// What is wanted.
pub(super) fn read(params: &Params) -> Result<Wish, Fault> {
    let limit = params.number(&["limit"], SOME)?;
    if !(1..=MOST).contains(&limit) {
        return Err(Fault::invalid(format!("limit is 1 to {MOST}")));
    }
    let user = params.optional(&["userId", "user_id"])?.map(|id| ids::user(id.into()));
    Ok(Wish::Tail { limit: usize::try_from(limit).unwrap_or(usize::MAX), user })
}

/// The last events, newest first; of this person only, if any.
pub(super) async fn show(app: &App, limit: usize, user: Option<&UserId>) -> Result<Value, Fault> {
    let (found, head) = log_tail::last(app, limit, user).await?;
    let events: Vec<Value> = found.iter().map(|(event, of)| shown(event, of)).collect();
    Ok(json!({ "events": events, "head": head.0 }))
}

fn shown(event: &Recorded, metadata: &Metadata) -> Value {
    let data = serde_json::from_str(event.data.get()).unwrap_or_default();
    json!({
        "position": event.position.0,
        "stream": event.stream.to_string(),
        "revision": event.revision.0,
        "type": event.kind,
        "time": iso(event.recorded_at),
        "actor": ids::shown(&metadata.actor),
        "on_behalf_of": metadata.on_behalf_of.as_ref().map(ids::shown),
        "request_id": metadata.correlation,
        "data": redacted(None, data),
    })
}

/// Numbers stay, and texts that are ids or words of this program's own.
fn redacted(name: Option<&str>, value: Value) -> Value {
    match value {
        Value::String(text) => {
            let plain = name.is_some_and(|name| {
                PLAIN.contains(&name) || name.ends_with("_id") || name.ends_with("_at")
            });
            let word = text.len() <= LONGEST && !text.contains(char::is_whitespace);
            if plain && word { Value::String(text) } else { json!("[redacted]") }
        }
        Value::Array(list) => {
            Value::Array(list.into_iter().map(|value| redacted(name, value)).collect())
        }
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                let value = redacted(Some(&name), value);
                (name, value)
            })
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_words_are_shown() {
        let data = json!({"user": "ann", "email": "ann@example.org", "tokens": ["a"], "amount": 3,
            "draft": {"text": "Hi all", "platform": "x"}, "status": "not one word"});
        let expected = json!({"user": "ann", "email": "[redacted]", "tokens": ["[redacted]"],
            "amount": 3, "draft": {"text": "[redacted]", "platform": "x"},
            "status": "[redacted]"});
        assert_eq!(redacted(None, data), expected);
    }
}
