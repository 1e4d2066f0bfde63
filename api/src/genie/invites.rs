//! Invitations: made, listed and disabled by administrators; looked up by whoever has a code.

use super::{
    Fault, Result,
    answers::{Counts, Done, done},
    ids::shown,
    register::{network, told},
    roles::Admin,
    usage::iso,
};
use crate::{
    app::App,
    core::{Context, Error, Path, Query, extract::OptionalJson, peer::Peer},
    openapi::Documented,
};
use axum::extract::State;
use chrono::{DateTime, Utc};
use commands::invites;
use domain::ids::UserId;
use projections::invites::{self as read_model, Row};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(show))
        .routes(routes!(list))
        .routes(routes!(create))
        .routes(routes!(disable))
        .tagged("Invitations")
}

/// What became of a code.
#[derive(Serialize, ToSchema)]
struct Looked {
    /// `null` when nobody was invited with this code.
    invite: Option<Standing>,
    /// Why there is none.
    error: Option<&'static str>,
}

/// An invitation, as whoever has its code may see it.
#[derive(Serialize, ToSchema)]
#[schema(as = InvitationStanding)]
struct Standing {
    code: String,
    /// `pending`, `claimed` or `disabled`.
    status: &'static str,
}

/// Tells how an invitation stands.
///
/// Who guesses too often has to wait.
#[utoipa::path(
    get,
    path = "/api/invite/{code}",
    params(("code" = String, Path, description = "The invitation's code.")),
    responses((status = 200, description = "How it stands.", body = Done<Looked>)),
    security(()),
)]
async fn show(
    State(app): State<App>,
    Path(code): Path<String>,
    peer: Peer,
) -> Result<Done<Looked>> {
    // Wrong codes count against the address they come from; against everybody only once they are known to be wrong, so
    // that nobody can keep out people whose code is right.
    let address = network(peer.address);
    let from = format!("an invite, from {address:?}");
    let guess = app.access.guesses.attempt(&from, address).await?;
    let metadata = Context::current().metadata(UserId::anonymous());
    let status = app.invites.settled(&code, &metadata).await.map_err(told)?.status();
    match status {
        Some(_) => guess.forgive(),
        None => app.access.wrong_invites.attempt("from anywhere")?,
    }
    let invite = status.map(|status| Standing { code, status });
    let error = invite.is_none().then_some("invite not found");
    Ok(done(Looked { invite, error }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Most invitations of the page, 200 at most; 50 unless it is named.
    #[serde(default)]
    limit: Option<u32>,
    /// How many newer ones to pass over.
    #[serde(default)]
    offset: Option<u32>,
}

/// Invitations.
#[derive(Serialize, ToSchema)]
#[schema(as = InvitationPage)]
struct Listed {
    /// The newest first.
    invites: Vec<Shown>,
    meta: Counts,
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    error: (),
}

/// An invitation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Invitation)]
struct Shown {
    id: String,
    /// Only when it is new: afterwards nobody has it but whoever it was given to.
    code: Option<String>,
    /// `pending`, `claimed` or `disabled`.
    status: &'static str,
    max_uses: i32,
    uses: usize,
    /// Who came first.
    claimed_by: Option<String>,
    /// Who came.
    claims: Vec<String>,
    created_by: String,
    created_at: String,
    expires_at: Option<String>,
}

/// Lists all invitations, for administrators.
#[utoipa::path(
    get,
    path = "/api/admin/invites",
    params(ListQuery),
    responses((status = 200, description = "The page.", body = Done<Listed>)),
)]
async fn list(
    State(app): State<App>,
    Admin(_): Admin,
    Query(query): Query<ListQuery>,
) -> Result<Done<Listed>> {
    let (offset, limit) = (query.offset.unwrap_or(0), query.limit.unwrap_or(50).min(200));
    let (rows, all) = read_model::page(&app.db, offset.into(), limit.into()).await?;
    let invites = rows.into_iter().map(listed).collect();
    let meta = Counts { total_count: all, filter_count: all };
    Ok(done(Listed { invites, meta, error: () }))
}

fn listed(row: Row) -> Shown {
    let status = row.status();
    let claims: Vec<String> = row.claimed_by.into_iter().map(|id| shown(&id.into())).collect();
    Shown {
        id: row.invite_id.to_string(),
        code: None,
        status,
        max_uses: row.max_uses,
        uses: claims.len(),
        claimed_by: claims.first().cloned(),
        claims,
        created_by: shown(&row.created_by.into()),
        created_at: iso(row.created_at),
        expires_at: row.expires_at.map(iso),
    }
}

/// What a new invitation is good for.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InvitationWish)]
struct NewInvite {
    /// Until when; without it for good.
    #[serde(default, alias = "expires_at")]
    expires_at: Option<DateTime<Utc>>,
    /// For how many people; 1 unless it is named.
    #[serde(default, alias = "max_uses")]
    #[schema(minimum = 1)]
    max_uses: Option<u32>,
}

/// What was made.
#[derive(Serialize, ToSchema)]
struct Invited {
    invite: New,
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    error: (),
}

/// A new invitation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewInvitation)]
struct New {
    id: String,
    /// To give away; it is not shown again.
    code: String,
    /// Always `pending`.
    status: &'static str,
    max_uses: u32,
    expires_at: Option<String>,
    created_by: String,
}

/// Makes an invitation, for administrators.
#[utoipa::path(
    post,
    path = "/api/admin/invite/new",
    request_body(content = Option<NewInvite>, content_type = "application/json"),
    responses((status = 200, description = "The invitation.", body = Done<Invited>)),
)]
async fn create(
    State(app): State<App>,
    Admin(caller): Admin,
    OptionalJson(body): OptionalJson<NewInvite>,
) -> Result<Done<Invited>> {
    let (expires_at, max_uses) = (body.expires_at, body.max_uses.unwrap_or(1));
    if expires_at.is_some_and(|ends| ends <= Utc::now()) {
        return Err(Fault::invalid("expiresAt lies in the past"));
    }
    let created = app.invites.create(expires_at, max_uses, &caller.metadata()).await;
    let created = created.map_err(told)?;
    app.caught_up("invites", created.position).await;
    let invite = New {
        id: created.id.to_string(),
        code: created.code.expose().to_owned(),
        status: "pending",
        max_uses,
        expires_at: expires_at.map(iso),
        created_by: shown(&caller.user),
    };
    Ok(done(Invited { invite, error: () }))
}

/// What is left of an invitation.
#[derive(Serialize, ToSchema)]
struct Disabled {
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    error: (),
}

/// Disables an invitation, for administrators.
#[utoipa::path(
    delete,
    path = "/api/admin/invite/{id}",
    params(("id" = String, Path, description = "Its id, or its code.")),
    responses((status = 200, description = "It is good for nobody any more.", body = Done<Disabled>)),
)]
async fn disable(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(code): Path<String>,
) -> Result<Done<Disabled>> {
    match app.invites.disable(&code, &caller.metadata()).await {
        Ok(position) => {
            app.caught_up("invites", position).await;
            Ok(done(Disabled { error: () }))
        }
        Err(invites::Error::Refused(_)) => Err(Error::NotFound.into()),
        Err(error) => Err(told(error)),
    }
}
