//! `promptly/echo`: says what it is told.

use super::{super::steps::Task, Done, Report, fields};
use serde_json::json;

pub(super) async fn perform(task: Task) -> Done {
    let text = fields::text(&task.input, "input_str");
    if fields::flag(&task.input, "stream") == Some(true) {
        for word in text.split(' ') {
            task.say(json!({ "output_str": format!("{word} ") })).await;
        }
    } else {
        task.say(json!({ "output_str": text })).await;
    }
    Ok(Report::default())
}
