//! People, as administrators see them, and what everybody keeps for themselves: `/api/user/*`.

use super::{
    Fault, Reply, Result,
    admin::Admin,
    auth::{SignedIn, role, unkept, worded},
    conversations::{in_range, iso},
    text,
};
use crate::{
    app::App,
    core::{Json, Query},
};
use axum::{
    Router,
    extract::State,
    middleware::map_response,
    routing::{get, post},
};
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
use serde_json::{Map, Value, json};

/// People offered to choose from.
const OPTIONS: i64 = 1_000;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/user/options", get(options))
        .route("/api/user/list", get(list))
        .route("/api/user/add", post(add))
        .route("/api/user/delete", post(delete))
        .route("/api/user/config", get(config).post(configure))
        .layer(map_response(unkept))
}

#[derive(Serialize)]
struct Choice {
    label: String,
    value: String,
}

async fn options(State(app): State<App>, SignedIn(_): SignedIn) -> Result<Vec<Choice>> {
    app.settled("users").await?;
    let people = users::names(&app.db, OPTIONS).await?;
    let choices = people.into_iter().map(|(label, value)| Choice { label, value }).collect();
    Ok(Reply(text("获取用户列表成功", "Users retrieved"), choices))
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default = "first_page")]
    page: i64,
    #[serde(default = "page_size")]
    page_size: i64,
}

fn first_page() -> i64 {
    1
}

fn page_size() -> i64 {
    20
}

#[derive(Serialize)]
struct People {
    items: Vec<Item>,
    total: i64,
}

#[derive(Serialize)]
struct Item {
    user_id: UserId,
    username: String,
    email: Option<String>,
    phonenum: Option<String>,
    role: &'static str,
    created_at: String,
}

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

#[derive(Deserialize)]
struct AddBody {
    username: String,
    password: String,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phonenum: Option<String>,
    #[serde(default)]
    role: Option<String>,
}

#[derive(Serialize)]
struct Added {
    user_id: UserId,
}

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

#[derive(Deserialize)]
struct DeleteBody {
    user_id: UserId,
}

async fn delete(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(body): Json<DeleteBody>,
) -> Result<Value> {
    let deleted = app.identity.delete(&body.user_id, &caller.metadata()).await.map_err(worded)?;
    app.caught_up("users", deleted).await;
    Ok(Reply(text("用户删除成功", "User deleted"), json!({})))
}

#[derive(Serialize)]
struct Config {
    config: Map<String, Value>,
}

async fn config(State(app): State<App>, SignedIn(caller): SignedIn) -> Result<Config> {
    app.settled("user_configs").await?;
    let config = user_configs::of(&app.db, &caller.user).await?;
    Ok(Reply(text("获取配置成功", "Configuration retrieved"), Config { config }))
}

#[derive(Deserialize)]
struct ConfigBody {
    config: Map<String, Value>,
}

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
