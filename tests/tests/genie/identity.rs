use crate::world::{World, ask, good, refused};
use annals_tests::app::Person;
use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{TimeDelta, Utc};
use domain::login::Audience;
use serde_json::{Value, json};

async fn refresh(world: &World, token: &Value) -> Result<(u16, Value)> {
    let request = world.app.nobody()?.post("/auth/refresh").json(&json!({"refresh_token": token}));
    ask(request).await
}

fn bearer(world: &World, data: &Value) -> Result<Person> {
    let token = data["access_token"].as_str().context("a token")?;
    Person::calling(&world.app.base_url, &format!("Bearer {token}"))
}

#[tokio::test]
async fn somebody_signs_in_and_is_known() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let me = good(ann.get("/users/me")).await?;
    let dashed = uuid::Uuid::parse_str(ann.user.as_str())?.to_string();
    assert_eq!((&me["data"]["id"], &me["data"]["role"]), (&json!(dashed), &json!("Creator")));
    for path in ["/genie/users/me", "/api/directus/users/me"] {
        assert_eq!(good(ann.get(path)).await?, me, "{path}");
    }
    assert_eq!(world.tokens("ann").await?["expires"], 900_000);
    world.app.stop().await
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same() -> Result<()> {
    let world = World::start().await?;
    world.creator("ann").await?;
    let nobody = world.app.nobody()?;
    let login = |body: Value| nobody.post("/auth/login").json(&body);
    let wrong = ask(login(json!({"email": "ann", "password": "guess"}))).await?;
    assert_eq!(ask(login(json!({"email": "bob", "password": "guess"}))).await?, wrong);
    assert_eq!((wrong.0, &wrong.1["error"]), (401, &json!("invalid_credentials")));
    for body in [json!({}), json!({"email": "ann"}), json!({"password": "x"}), json!([])] {
        assert_eq!(refused(login(body)).await?.0, 400);
    }
    world.app.stop().await
}

#[tokio::test]
async fn a_refresh_token_is_used_once_and_its_second_use_ends_all_of_the_login() -> Result<()> {
    let world = World::start().await?;
    world.creator("ann").await?;
    let first = world.tokens("ann").await?;
    let (status, second) = refresh(&world, &first["refresh_token"]).await?;
    let second = &second["data"];
    assert_eq!(status, 200);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!(ask(bearer(&world, second)?.get("/users/me")).await?.0, 200);
    assert_eq!(refresh(&world, &first["refresh_token"]).await?.0, 401);
    assert_eq!(refresh(&world, &second["refresh_token"]).await?.0, 401);
    assert_eq!(ask(bearer(&world, second)?.get("/users/me")).await?.0, 401);
    world.app.stop().await
}

#[tokio::test]
async fn signing_out_ends_the_login_and_only_that() -> Result<()> {
    let world = World::start().await?;
    world.creator("ann").await?;
    let (one, other) = (world.tokens("ann").await?, world.tokens("ann").await?);
    let nobody = world.app.nobody()?;
    let out = |token: &Value| nobody.post("/auth/logout").json(&json!({"refresh_token": token}));
    for _ in 0..2 {
        assert_eq!(ask(out(&one["refresh_token"])).await?.0, 204);
    }
    assert_eq!(ask(bearer(&world, &one)?.get("/users/me")).await?.0, 401);
    assert_eq!(refresh(&world, &one["refresh_token"]).await?.0, 401);
    assert_eq!(ask(bearer(&world, &other)?.get("/users/me")).await?.0, 200);
    assert_eq!(ask(bearer(&world, &other)?.post("/auth/logout")).await?.0, 204);
    assert_eq!(ask(bearer(&world, &other)?.get("/users/me")).await?.0, 401);
    assert_eq!(refused(out(&json!("guess"))).await?.0, 401);
    world.app.stop().await
}

#[tokio::test]
async fn a_refresh_token_is_no_session_cookie() -> Result<()> {
    let world = World::start().await?;
    world.creator("ann").await?;
    let token = world.tokens("ann").await?["refresh_token"].clone();
    let cookie = format!("sage_session={}", token.as_str().context("a token")?);
    let request = world.app.nobody()?.get("/users/me").header("cookie", cookie);
    assert_eq!(refused(request).await?.0, 401);
    world.app.stop().await
}

/// §16.1
#[tokio::test]
async fn no_route_answers_without_a_good_token() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let signed = ann.authorization.strip_prefix("Bearer ").context("a bearer token")?;
    let (head, rest) = signed.split_once('.').context("a header")?;
    let (payload, signature) = rest.split_once('.').context("a payload")?;
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    assert_eq!(ask(ann.get("/api/fans")).await?.0, 200, "the token itself is good");
    // The same login, and only one thing about the token is wrong.
    let none = |alg: &str| URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT"}).to_string());
    let expired = ending_in(&world, &claims, -1)?;
    let fresh = Person::calling(&world.app.base_url, &ending_in(&world, &claims, 60)?)?;
    assert_eq!(ask(fresh.get("/api/fans")).await?.0, 200, "only its end is wrong with the other");
    claims["role"] = json!("Administrator");
    let forged = URL_SAFE_NO_PAD.encode(claims.to_string());
    let (other, _) = signature.split_at(signature.len() - 4);
    for (authorization, told) in [
        (String::new(), "Missing authorization token"),
        ("Bearer x".to_owned(), "Invalid or expired token"),
        (format!("Bearer {}.{payload}.", none("none")), "Invalid or expired token"),
        (format!("Bearer {}.{payload}.{signature}", none("none")), "Invalid or expired token"),
        (format!("Bearer {}.{payload}.{signature}", none("HS512")), "Invalid or expired token"),
        (format!("Bearer {head}.{forged}.{signature}"), "Invalid or expired token"),
        (format!("Bearer {head}.{payload}.{other}AAAA"), "Invalid or expired token"),
        (expired, "Invalid or expired token"),
    ] {
        let authorization = authorization.as_str();
        let stranger = Person::calling(&world.app.base_url, authorization)?;
        for (method, path) in GUARDED {
            let request = stranger.request(method.parse()?, path).json(&json!({}));
            let found = refused(request).await.with_context(|| format!("{method} {path}"))?;
            assert_eq!(found, (401, told.to_owned()), "{method} {path}");
        }
    }
    world.app.stop().await
}

/// A token of the same login that ends so many seconds from now.
fn ending_in(world: &World, claims: &Value, seconds: i64) -> Result<String> {
    let login = serde_json::from_value(claims["sid"].clone())?;
    let ends = Utc::now() + TimeDelta::seconds(seconds);
    let nothing = json!({});
    let token = world.app.app.access.tokens.access(&nothing, login, Audience::Genie, ends)?;
    Ok(format!("Bearer {}", token.expose()))
}

const GUARDED: &[(&str, &str)] = &[
    ("GET", "/users/me"),
    ("GET", "/api/usage"),
    ("POST", "/api/usage/increment"),
    ("POST", "/api/impersonate"),
    ("POST", "/api/goose"),
    ("GET", "/api/onboarding"),
    ("PATCH", "/api/onboarding"),
    ("POST", "/api/admin/invite/new"),
    ("GET", "/api/queue/stats"),
    ("POST", "/api/queue/media"),
    ("POST", "/api/queue/retry/9b2f4b1e-0000-4000-8000-000000000000"),
    ("POST", "/api/queue/taxonomy/invalidate"),
    ("GET", "/api/queue/jobs/9b2f4b1e-0000-4000-8000-000000000000"),
    ("POST", "/api/captions/generate"),
    ("POST", "/api/credentials/store"),
    ("POST", "/api/credentials/reveal"),
    ("POST", "/api/credentials/create-profile"),
    ("POST", "/api/credentials/update-profile-creds"),
    ("DELETE", "/api/credentials/9b2f4b1e-0000-4000-8000-000000000000"),
    ("DELETE", "/api/impersonate"),
    ("POST", "/api/onboarding/zip-upload"),
    ("GET", "/api/onboarding/state"),
    ("GET", "/api/skills?limit=1"),
    ("POST", "/api/skills/activate"),
    ("POST", "/api/skills/search"),
    ("GET", "/api/skills/x/related"),
    ("GET", "/api/fans"),
    ("POST", "/api/fans"),
    ("GET", "/api/fans/9b2f4b1e-0000-4000-8000-000000000000"),
    ("POST", "/api/fans/9b2f4b1e-0000-4000-8000-000000000000/memories"),
    ("POST", "/api/posts/schedule"),
    ("GET", "/api/posts"),
    ("DELETE", "/api/posts/9b2f4b1e-0000-4000-8000-000000000000"),
    ("GET", "/api/user-proxy"),
    ("PATCH", "/api/user-proxy"),
    ("GET", "/api/user-proxy/files/9b2f4b1e-0000-4000-8000-000000000000"),
];
