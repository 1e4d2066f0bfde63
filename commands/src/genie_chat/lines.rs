//! The events of a chat's stream, exactly as clients get them.

use domain::{message::Line, onboarding::Station, run::TurnUsage};
use serde_json::{Value, json, value::to_raw_value};
use uuid::Uuid;

/// How the assistant is, as the client's stage shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Thinking,
    Focused,
    Idle,
    Error,
}

/// What the stage shows.
pub(super) fn stage(label: &str, mood: Mood) -> Option<Line> {
    stage_in(label, mood, "chat")
}

/// How an action goes: `started`, `success`, `error` or `miss`.
pub(super) fn action(label: &str, mood: Mood, slug: &str, status: &str) -> Option<Line> {
    let mut shown = shown(label, mood, "chat");
    shown["action"] = json!({ "slug": slug, "status": status });
    line(&shown)
}

fn stage_in(label: &str, mood: Mood, center: &str) -> Option<Line> {
    line(&shown(label, mood, center))
}

fn shown(label: &str, mood: Mood, center: &str) -> Value {
    let mood = match mood {
        Mood::Thinking => "thinking",
        Mood::Focused => "focused",
        Mood::Idle => "idle",
        Mood::Error => "error",
    };
    json!({
        "type": "stage_update", "missionLabel": label, "mood": mood, "centerMode": center,
        "leftPanel": null, "rightPanel": null, "close": false, "error": false,
    })
}

/// More text of the answer.
pub(super) fn chunk(uuid: Uuid, text: &str) -> Option<Line> {
    line(&json!({
        "uuid": uuid, "type": "textResponseChunk", "textResponse": text, "sources": [],
        "close": false, "error": false,
    }))
}

/// What stood so far does not count: the answer begins anew after this.
pub(super) fn anew(uuid: Uuid) -> Option<Line> {
    line(&json!({
        "uuid": uuid, "type": "textResponseChunk", "textResponse": "\n\n", "sources": [],
        "close": false, "error": false, "superseded": true,
    }))
}

/// What somebody is told who is still on the way in.
pub(super) fn gate(uuid: Uuid, station: Station) -> [Option<Line>; 2] {
    let stage = stage_in("Finish setting up", Mood::Idle, "onboarding");
    let text = line(&json!({
        "uuid": uuid, "type": "textResponse", "textResponse": guidance(station), "sources": [],
        "close": true, "error": false, "onboardingState": station.as_str(),
    }));
    [stage, text]
}

/// What is next at this station.
pub(super) fn guidance(station: Station) -> &'static str {
    match station {
        Station::ExtensionInstall => {
            "Welcome! Before we can talk, please install the browser extension and sign in to it. Setup goes on \
             from there."
        }
        Station::DataCollection => {
            "Almost there: please upload the export of your platform data, so that I can get to know your work."
        }
        Station::Processing => {
            "Your data is being processed right now. I will be with you as soon as that is done; please try again in \
             a few minutes."
        }
        Station::Complete => "You are all set.",
    }
}

/// What went wrong, after which only the end comes.
pub(super) fn abort(uuid: Uuid, reason: &str) -> Option<Line> {
    line(&json!({
        "id": uuid, "uuid": uuid, "type": "abort", "textResponse": null, "sources": [],
        "close": true, "error": reason,
    }))
}

/// The end of every stream. `kept` says that the answer is part of the chat from now on.
pub(super) fn finale(uuid: Uuid, kept: bool, failed: bool, metrics: &Value) -> Option<Line> {
    let chat = kept.then_some(uuid);
    line(&json!({
        "uuid": uuid, "type": "finalizeResponseStream", "chatId": chat, "sources": [],
        "metrics": metrics, "close": true, "error": failed,
    }))
}

/// The end of a run that its performer cannot go on with.
pub(crate) fn broken(uuid: Uuid) -> Option<Line> {
    finale(uuid, false, true, &json!({}))
}

/// What the answer cost.
pub(super) fn metrics(usage: &[TurnUsage], seconds: f64) -> Value {
    let sum = |name: &str| -> u64 {
        usage.iter().filter_map(|turn| turn.usage.as_ref()?[name].as_u64()).sum()
    };
    let (prompt, completion) = (sum("prompt_tokens"), sum("completion_tokens"));
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to look at")]
    let rate = if seconds > 0.0 { completion as f64 / seconds } else { 0.0 };
    json!({
        "prompt_tokens": prompt, "completion_tokens": completion,
        "total_tokens": prompt + completion, "outputTps": rate, "duration": seconds,
        "model": usage.last().map(|turn| &turn.model),
    })
}

/// `None` only if a value cannot be JSON, which these types exclude.
fn line(value: &Value) -> Option<Line> {
    to_raw_value(value).ok().map(Line)
}
