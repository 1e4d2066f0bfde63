//! People, as administrators see them, and what everybody keeps for themselves: `/api/user/*`.

use super::{
    Fault, Reply, Result,
    admin::Admin,
    auth::{SignedIn, role, unkept, worded},
    conversations::{in_range, iso},
    envelope::{Failed, Nothing, Replied, Told},
    text,
};
use crate::{
    app::App,
    core::{Json, Query},
    openapi::Documented,
};
use axum::{extract::State, middleware::map_response};
use commands::{
    effects::Sensitive,
    identity::{Registration, mint_user_id},
};
use domain::{
    ids::UserId,
    user::{EmailAddress, Role, Username},
    user_config::{Command, UserConfig},
};
use projections::{
    user_configs,
    users::{self, Person},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// People offered to choose from.
const OPTIONS: i64 = 1_000;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(options))
        .routes(routes!(list))
        .routes(routes!(add))
        .routes(routes!(delete))
        .routes(routes!(config, configure))
        .layer(map_response(unkept))
        .tagged("People")
}

/// Somebody to choose.
#[derive(Serialize, ToSchema)]
#[schema(as = UserOption)]
struct Choice {
    /// Their name.
    label: String,
    /// Their id.
    value: String,
}

/// Lists people to choose from: at most 1000.
#[utoipa::path(
    get,
    path = "/api/user/options",
    responses((status = 200, description = "The people.", body = Replied<Vec<Choice>>)),
)]
async fn options(State(app): State<App>, SignedIn(_): SignedIn) -> Result<Vec<Choice>> {
    app.settled("users").await?;
    let people = users::names(&app.db, OPTIONS).await?;
    let choices = people.into_iter().map(|(label, value)| Choice { label, value }).collect();
    Ok(Reply(text("获取用户列表成功", "Users retrieved"), choices))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Which page.
    #[serde(default = "first_page")]
    #[param(required = false, default = 1, minimum = 1, maximum = 2_147_483_647)]
    page: i64,
    /// How many at once.
    #[serde(default = "page_size")]
    #[param(required = false, default = 20, minimum = 1, maximum = 100)]
    page_size: i64,
}

fn first_page() -> i64 {
    1
}

fn page_size() -> i64 {
    20
}

/// A page of people.
#[derive(Serialize, ToSchema)]
struct People {
    items: Vec<Item>,
    /// How many there are in all.
    total: i64,
}

/// Somebody who has an account.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
struct Item {
    #[schema(value_type = String)]
    user_id: UserId,
    username: String,
    email: Option<String>,
    phonenum: Option<String>,
    /// `admin` or `user`.
    role: &'static str,
    /// Local time without zone.
    created_at: String,
}

/// Lists people, the newest first. For administrators.
#[utoipa::path(
    get,
    path = "/api/user/list",
    params(ListQuery),
    responses((status = 200, description = "A page of them; or code 403.", body = Told<People>)),
)]
async fn list(
    State(app): State<App>,
    Admin(_): Admin,
    Query(query): Query<ListQuery>,
) -> Result<People> {
    in_range("page", query.page, 1, i64::from(i32::MAX))?;
    in_range("page_size", query.page_size, 1, 100)?;
    app.settled("users").await?;
    let offset = (query.page - 1) * query.page_size;
    let (people, total) = users::page(&app.db, offset, query.page_size).await?;
    let items = people.into_iter().map(item).collect();
    Ok(Reply(text("获取用户列表成功", "Users retrieved"), People { items, total }))
}

fn item(person: Person) -> Item {
    Item {
        user_id: person.id,
        username: person.username,
        email: person.email,
        phonenum: person.phone,
        role: role(person.role),
        created_at: iso(person.created_at),
    }
}

/// Somebody who is to have an account.
#[derive(Deserialize, ToSchema)]
#[schema(as = AddUser)]
struct AddBody {
    username: String,
    /// 1 to 1024 bytes.
    #[schema(format = Password, min_length = 1)]
    password: String,
    #[serde(default)]
    #[schema(format = Email)]
    email: Option<String>,
    #[serde(default)]
    phonenum: Option<String>,
    /// `admin` or `user`, by default `user`.
    #[serde(default)]
    role: Option<String>,
}

/// A new account.
#[derive(Serialize, ToSchema)]
#[schema(as = AddedUser)]
struct Added {
    #[schema(value_type = String)]
    user_id: UserId,
}

/// Adds somebody. For administrators.
#[utoipa::path(
    post,
    path = "/api/user/add",
    request_body = AddBody,
    responses(
        (status = 200, description = "They have an account; or code 403.", body = Told<Added>),
        (status = 400, description = "Name, password, phone number or role are not possible.", body = Failed),
    ),
)]
async fn add(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(body): Json<AddBody>,
) -> Result<Added> {
    let wanted = Registration {
        user: mint_user_id(),
        password: Sensitive::from(body.password),
        role: match filled(body.role) {
            Some(name) => Role::named(&name).ok_or_else(|| {
                Fault::Raised(400, text("角色须为 admin 或 user", "A role is admin or user"))
            })?,
            None => Role::Creator,
        },
        ..details(&body.username, body.email, body.phonenum)?
    };
    let added = app.identity.register(wanted, &caller.metadata()).await.map_err(worded)?;
    app.caught_up("users", added.position).await;
    Ok(Reply(text("用户添加成功", "User added"), Added { user_id: added.user }))
}

/// What people type about themselves, checked; id, password and role are for the caller to fill in.
pub(super) fn details(
    username: &str,
    email: Option<String>,
    phone: Option<String>,
) -> std::result::Result<Registration, Fault> {
    let email = match filled(email) {
        Some(email) => Some(EmailAddress::parse(&email).map_err(|_| malformed_email())?),
        None => None,
    };
    let username = Username::parse(username, email.as_ref()).map_err(|_| {
        Fault::Raised(400, text("用户名格式不正确", "The username is not possible"))
    })?;
    let phone = filled(phone).map(|phone| phone.trim().to_owned());
    let bad = |phone: &String| phone.chars().count() > 32 || phone.chars().any(char::is_control);
    if phone.as_ref().is_some_and(bad) {
        let message = text("手机号格式不正确", "The phone number is not possible");
        return Err(Fault::Raised(400, message));
    }
    Ok(Registration {
        user: mint_user_id(),
        username,
        password: Sensitive::from(String::new()),
        email,
        phone,
        role: Role::Creator,
    })
}

pub(super) fn malformed_email() -> Fault {
    Fault::raised(text("邮箱格式不正确", "The email address is not possible"))
}

fn filled(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.trim().is_empty())
}

/// Who is to go.
#[derive(Deserialize, ToSchema)]
#[schema(as = DeleteUser)]
struct DeleteBody {
    #[schema(value_type = String)]
    user_id: UserId,
}

/// Deletes somebody who does not administer. For administrators.
#[utoipa::path(
    post,
    path = "/api/user/delete",
    request_body = DeleteBody,
    responses((status = 200, description = "They are gone; or code 403.", body = Told<Nothing>)),
)]
async fn delete(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(body): Json<DeleteBody>,
) -> Result<Nothing> {
    let deleted = app.identity.delete(&body.user_id, &caller.metadata()).await.map_err(worded)?;
    app.caught_up("users", deleted).await;
    Ok(Reply(text("用户删除成功", "User deleted"), Nothing {}))
}

/// What somebody keeps for themselves.
#[derive(Serialize, ToSchema)]
#[schema(as = UserConfig)]
struct Config {
    config: Map<String, Value>,
}

/// Gets what the caller keeps for themselves.
#[utoipa::path(
    get,
    path = "/api/user/config",
    responses((status = 200, description = "All of it.", body = Replied<Config>)),
)]
async fn config(State(app): State<App>, SignedIn(caller): SignedIn) -> Result<Config> {
    app.settled("user_configs").await?;
    let config = user_configs::of(&app.db, &caller.user).await?;
    Ok(Reply(text("获取配置成功", "Configuration retrieved"), Config { config }))
}

/// What is to be kept.
#[derive(Deserialize, ToSchema)]
#[schema(as = ConfigureUser)]
struct ConfigBody {
    config: Map<String, Value>,
}

/// Changes what the caller keeps for themselves.
///
/// Keys that are named get their new values as they are, others stay.
#[utoipa::path(
    post,
    path = "/api/user/config",
    request_body = ConfigBody,
    responses(
        (status = 200, description = "All of it, as it is now.", body = Replied<Config>),
        (status = 400, description = "It would be too large.", body = Failed),
    ),
)]
async fn configure(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Json(body): Json<ConfigBody>,
) -> Result<Config> {
    let command = Command::Merge(body.config);
    let merged = app.execute::<UserConfig>(&caller.user, &command, &caller.metadata()).await;
    let merged = merged.map_err(|error| match error {
        commands::execute::Error::Refused(too_large) => {
            Fault::Raised(400, text("配置过大", too_large.to_string()))
        }
        failed => Fault::Core(failed.into()),
    })?;
    // As it will be read from now on: the tables hold no NUL.
    app.caught_up("user_configs", merged.position).await;
    let config = user_configs::of(&app.db, &caller.user).await?;
    Ok(Reply(text("更新配置成功", "Configuration updated"), Config { config }))
}
