//! Invitations: made, listed and disabled by administrators; looked up by whoever has a code.

use super::{
    Fault, Result,
    ids::shown,
    register::{network, told},
    roles::Admin,
    usage::iso,
};
use crate::{
    app::App,
    core::{Context, Error, Path, Query, extract::OptionalJson, peer::Peer},
};
use axum::{
    Router,
    extract::State,
    routing::{delete, get, post},
};
use chrono::{DateTime, Utc};
use commands::invites;
use domain::ids::UserId;
use projections::invites::{self as read_model, Row};
use serde::Deserialize;
use serde_json::{Value, json};

/// The table of contents.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/invite/{code}", get(show))
        .route("/api/admin/invites", get(list))
        .route("/api/admin/invite/new", post(create))
        .route("/api/admin/invite/{id}", delete(disable))
}

/// Wrong codes count against the address they come from; against everybody only once they are known to be wrong, so that
/// nobody can keep out people whose code is right.
async fn show(State(app): State<App>, Path(code): Path<String>, peer: Peer) -> Result<Value> {
    let address = network(peer.address);
    let from = format!("an invite, from {address:?}");
    let guess = app.access.guesses.attempt(&from, address).await?;
    let metadata = Context::current().metadata(UserId::anonymous());
    let status = app.invites.settled(&code, &metadata).await.map_err(told)?.status();
    match status {
        Some(_) => guess.forgive(),
        None => app.access.wrong_invites.attempt("from anywhere")?,
    }
    let invite = status.map(|status| json!({ "code": code, "status": status }));
    let error = status.is_none().then_some("invite not found");
    Ok(axum::Json(json!({ "ok": true, "success": true, "invite": invite, "error": error })))
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    offset: Option<u32>,
}

async fn list(
    State(app): State<App>,
    Admin(_): Admin,
    Query(query): Query<ListQuery>,
) -> Result<Value> {
    let (offset, limit) = (query.offset.unwrap_or(0), query.limit.unwrap_or(50).min(200));
    let (rows, all) = read_model::page(&app.db, offset.into(), limit.into()).await?;
    let invites: Vec<Value> = rows.into_iter().map(listed).collect();
    let meta = json!({ "total_count": all, "filter_count": all });
    Ok(axum::Json(json!({
        "ok": true, "success": true, "invites": invites, "meta": meta, "error": null,
    })))
}

fn listed(row: Row) -> Value {
    let status = row.status();
    let claims: Vec<String> = row.claimed_by.into_iter().map(|id| shown(&id.into())).collect();
    json!({
        "id": row.invite_id,
        // Nobody has it but whoever it was given to.
        "code": null,
        "status": status,
        "maxUses": row.max_uses,
        "uses": claims.len(),
        "claimedBy": claims.first(),
        "claims": claims,
        "createdBy": shown(&row.created_by.into()),
        "createdAt": iso(row.created_at),
        "expiresAt": row.expires_at.map(iso),
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewInvite {
    #[serde(default, alias = "expires_at")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(default, alias = "max_uses")]
    max_uses: Option<u32>,
}

async fn create(
    State(app): State<App>,
    Admin(caller): Admin,
    OptionalJson(body): OptionalJson<NewInvite>,
) -> Result<Value> {
    let (expires_at, max_uses) = (body.expires_at, body.max_uses.unwrap_or(1));
    if expires_at.is_some_and(|ends| ends <= Utc::now()) {
        return Err(Fault::invalid("expiresAt lies in the past"));
    }
    let created = app.invites.create(expires_at, max_uses, &caller.metadata()).await;
    let created = created.map_err(told)?;
    app.caught_up("invites", created.position).await;
    let invite = json!({
        "id": created.id.to_string(),
        "code": created.code.expose(),
        "status": "pending",
        "maxUses": max_uses,
        "expiresAt": expires_at.map(iso),
        "createdBy": shown(&caller.user),
    });
    Ok(axum::Json(json!({ "ok": true, "success": true, "invite": invite, "error": null })))
}

async fn disable(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(code): Path<String>,
) -> Result<Value> {
    match app.invites.disable(&code, &caller.metadata()).await {
        Ok(position) => {
            app.caught_up("invites", position).await;
            Ok(axum::Json(json!({ "ok": true, "success": true, "error": null })))
        }
        Err(invites::Error::Refused(_)) => Err(Error::NotFound.into()),
        Err(error) => Err(told(error)),
    }
}
