//! The lines of an app's run, exactly as clients get them.

use domain::{
    message::Line,
    run::{AppTurn, Request},
};
use serde::Serialize;
use serde_json::{Map, Value, json, value::to_raw_value};

/// What comes first, and again when another performer begins anew: the session, and the template with which clients put
/// together what the app says.
pub(super) fn header(request: &Request, app: &AppTurn) -> Option<Line> {
    let definition = &app.definition;
    let template = domain::app::names::modern(definition.template());
    let mut header = json!({"session": {"id": request.session_id}, "csp": app.csp});
    if definition.is_agent() {
        let mut templates = Map::new();
        for step in &definition.processors {
            templates.insert(step.id.clone(), step.output_template.clone().into());
        }
        let mut own = definition.output_template.clone();
        own.insert("markdown".to_owned(), template.into());
        templates.insert("agent".to_owned(), own.into());
        header["templates"] = templates.into();
    } else {
        header["template"] = template.into();
    }
    line(&header)
}

/// A piece of what a step says.
pub(super) fn piece(name: &str, piece: &Value) -> Option<Line> {
    line(&Map::from_iter([(name.to_owned(), piece.clone())]))
}

/// The end line of a run that went well.
pub(super) fn output(output: &Value) -> Option<Line> {
    line(&json!({ "output": output }))
}

/// `None` only if a value cannot be JSON, which these types exclude.
fn line(value: &impl Serialize) -> Option<Line> {
    to_raw_value(value).ok().map(Line)
}
