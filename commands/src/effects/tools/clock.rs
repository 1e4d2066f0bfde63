//! What time it is.

use super::{
    Call, Outcome, Place, Tool, Tools, ToolsUnavailable,
    builtin::{Answer, arguments, json_answer, tool},
};
use futures::future::{BoxFuture, ready};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::json;

/// The clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

impl Tools for Clock {
    fn list<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        let timezone = json!({"type": "string",
            "description": "IANA name such as Asia/Shanghai; UTC when left out"});
        let now = tool(
            "current_time",
            "Tell the current date and time.",
            json!({"timezone": timezone}),
            &[],
        );
        Box::pin(ready(Ok(vec![now])))
    }

    fn call<'a>(&'a self, _: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        let known = call.name == "current_time";
        Box::pin(ready(known.then(|| answer(call, Timestamp::now()).into())))
    }
}

#[derive(Deserialize)]
struct Arguments {
    #[serde(default)]
    timezone: Option<String>,
}

fn answer(call: &Call, now: Timestamp) -> Answer {
    let Arguments { timezone } = arguments(call)?;
    let name = timezone.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let name = name.unwrap_or("UTC");
    let zone = TimeZone::get(name).map_err(|_| format!("{name:?} is not a known time zone"))?;
    let local = now.to_zoned(zone);
    json_answer(&json!({
        "time": local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        "timezone": name,
        "weekday": local.strftime("%A").to_string(),
        "unix": now.as_second(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn asked(timezone: Value) -> Answer {
        let arguments = json!({"timezone": timezone}).as_object().cloned().unwrap_or_default();
        let call = Call { id: String::new(), name: "current_time".to_owned(), arguments };
        answer(&call, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_time_is_told_where_it_is_asked_for() -> Result<(), String> {
        let answer = asked(json!("Asia/Shanghai"))?;
        assert!(answer.contains("1970-01-01T08:00:00+08:00"), "{answer}");
        assert!(answer.contains("Thursday"), "{answer}");
        assert!(asked(Value::Null)?.contains("1970-01-01T00:00:00+00:00"));
        assert!(asked(json!("Mars/Base")).is_err());
        assert!(asked(json!("../../etc/passwd")).is_err());
        Ok(())
    }
}
