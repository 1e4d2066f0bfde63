//! `/api/onboarding`: how far somebody has come.

use super::{
    Fault, Result,
    ids::{self, shown},
    webhook::Either,
};
use crate::{
    app::App,
    core::{Caller, Context, Error, Json},
};
use axum::{Router, extract::State, http::StatusCode, routing::get};
use commands::execute;
use domain::{
    ids::UserId,
    onboarding::{Command, NotNext, Onboarding, Station},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The table of contents.
pub fn routes() -> Router<App> {
    let both = || get(show).patch(go);
    Router::new().route("/api/onboarding", both()).route("/api/onboarding/state", both())
}

async fn show(State(app): State<App>, caller: Caller) -> Result<Value> {
    let state = app.load::<Onboarding>(&caller.user).await?.state().station.as_str();
    Ok(axum::Json(json!({ "state": state, "userId": shown(&caller.user) })))
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    state: Option<String>,
    #[serde(default, rename = "userId", alias = "user_id")]
    user: Option<UserId>,
}

async fn go(State(app): State<App>, by: Either, Json(body): Json<Body>) -> Result<Value> {
    let Some(to) = body.state.as_deref().and_then(Station::named) else {
        let known = "EXTENSION_INSTALL, DATA_COLLECTION, PROCESSING or COMPLETE";
        return Err(Fault::invalid(format!("state has to be {known}")));
    };
    let named = body.user.map(ids::user);
    let (user, metadata, freely) = match &by {
        Either::Server => {
            let user = named.ok_or_else(|| Fault::invalid("userId is required"))?;
            app.identity.account(&user).await.map_err(super::auth::told)?;
            (user, Context::current().metadata(UserId::system()), true)
        }
        Either::Person(caller) => {
            let user = named.unwrap_or_else(|| caller.user.clone());
            if user != caller.user && !caller.admin {
                return Err(Error::NotFound.into());
            }
            (user, caller.metadata(), caller.admin)
        }
    };
    let before = app.load::<Onboarding>(&user).await?.state().station;
    let moved = app.execute::<Onboarding>(&user, &Command { to, freely }, &metadata).await;
    if let Err(execute::Error::Refused(NotNext { from, to })) = moved {
        let names =
            |stations: &[Station]| json!(stations.iter().map(|s| s.as_str()).collect::<Vec<_>>());
        let extra = Map::from_iter([
            ("from".to_owned(), json!(from.as_str())),
            ("to".to_owned(), json!(to.as_str())),
            ("allowed".to_owned(), names(from.next())),
        ]);
        let message = NotNext { from, to }.to_string().into();
        let (status, error) = (StatusCode::BAD_REQUEST, "invalid_transition");
        return Err(Fault::Own { status, error, message, extra });
    }
    moved.map_err(Error::from)?;
    Ok(axum::Json(json!({
        "ok": true,
        "success": true,
        "state": to.as_str(),
        "onboarding_state": to.as_str(),
        "previousState": before.as_str(),
        "userId": shown(&user),
    })))
}
