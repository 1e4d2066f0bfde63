//! `POST /api/rbac-sync`: a role change at the identity provider takes effect here.

use super::{
    Failed, Fault, Result,
    answers::{Done, done},
    ids::{self, shown},
    webhook::Server,
};
use crate::{
    app::App,
    core::{Context, Json},
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use commands::identity::{Error, Standing, StandingChange};
use domain::{
    ids::UserId,
    user::{Role, Status},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Most people in one call.
const MOST: usize = 1_000;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(sync)).tagged("Other servers")
}

/// Either `{userId, role, status}`, or the identity provider's own `{event, keys, payload: {role, status}}`.
#[derive(Deserialize, ToSchema)]
#[schema(as = RoleSync)]
struct Body {
    /// Who; also as `user_id`.
    #[serde(alias = "user_id", alias = "directusUserId")]
    #[serde(rename = "userId", default)]
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
    /// Who.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    key: Option<UserId>,
    /// Who, at most 1000.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    keys: Vec<UserId>,
    #[serde(default)]
    payload: Wanted,
    #[serde(flatten)]
    wanted: Wanted,
}

/// How somebody is to stand.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = WantedStanding)]
struct Wanted {
    /// `Administrator`, `Creator` or `Viewer`, or the id of a role that is configured (`ANNALS_RBAC_ROLES`).
    #[serde(default)]
    role: Option<String>,
    /// `active`; anything else suspends.
    #[serde(default)]
    status: Option<String>,
}

/// How those who were named stand now.
#[derive(Serialize, ToSchema)]
#[schema(as = RolesSynced)]
struct Synced {
    results: Vec<Outcome>,
}

/// How somebody stands now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RoleSynced)]
struct Outcome {
    user_id: String,
    previous_role: &'static str,
    role: &'static str,
    status: &'static str,
    changed: bool,
}

/// Takes over roles from the identity provider, from the next request on.
#[utoipa::path(
    post,
    path = "/api/rbac-sync",
    request_body = Body,
    responses(
        (status = 200, description = "They are in force.", body = Done<Synced>),
        (status = 500, description = "No secret is configured (`server_misconfigured`).", body = Failed),
    ),
    security(("secret" = [])),
)]
async fn sync(State(app): State<App>, _: Server, Json(body): Json<Body>) -> Result<Done<Synced>> {
    let standing = body.standing(&app.config.rbac_roles)?;
    if standing == Standing::default() {
        return Ok(done(Synced { results: vec![] }));
    }
    let users = body.users()?;
    let metadata = Context::current().metadata(UserId::system());
    let changed = app.identity.set_standing(&users, standing, &metadata).await;
    let (changes, position) = changed.map_err(|error| match error {
        Error::LastAdmin => {
            Fault::new(StatusCode::BAD_REQUEST, "last_admin", "The last administrator has to stay")
        }
        Error::UnknownUser => {
            Fault::new(StatusCode::NOT_FOUND, "not_found", "There is no such user")
        }
        other => Fault::Core(other.into()),
    })?;
    // In force from the next request on.
    app.caught_up("users", position).await;
    let results = changes.into_iter().map(outcome).collect();
    Ok(done(Synced { results }))
}

impl Body {
    /// How they are to stand; `ids` are the roles' at the identity provider.
    fn standing(&self, ids: &BTreeMap<Uuid, Role>) -> std::result::Result<Standing, Fault> {
        let role = self.wanted.role.as_deref().or(self.payload.role.as_deref());
        let by_id = |sent: &str| ids.get(&sent.trim().parse().ok()?).copied();
        let known = |sent: &str| {
            Role::named(sent).or_else(|| by_id(sent)).ok_or_else(|| {
                let known = "Administrator, Creator, Viewer, or an id in ANNALS_RBAC_ROLES";
                let message = format!("{sent:.60} is no role: {known}");
                Fault::new(StatusCode::BAD_REQUEST, "invalid_role", message)
            })
        };
        let role = role.map(known).transpose()?;
        let status = self.wanted.status.as_deref().or(self.payload.status.as_deref());
        let status = status.map(|status| match status {
            "active" => Status::Active,
            _ => Status::Suspended,
        });
        Ok(Standing { role, status })
    }

    fn users(self) -> std::result::Result<Vec<UserId>, Fault> {
        let mut users: Vec<UserId> = Vec::new();
        for user in self.user.into_iter().chain(self.key).chain(self.keys) {
            let user = ids::user(user);
            if !users.contains(&user) {
                users.push(user);
            }
            if users.len() > MOST {
                return Err(Fault::invalid(format!("No more than {MOST} users at once")));
            }
        }
        if users.is_empty() {
            return Err(Fault::invalid("userId (or keys) is required"));
        }
        Ok(users)
    }
}

fn outcome(change: StandingChange) -> Outcome {
    Outcome {
        user_id: shown(&change.user),
        previous_role: change.previous_role.as_str(),
        role: change.role.as_str(),
        status: change.status.as_str(),
        changed: change.changed,
    }
}
