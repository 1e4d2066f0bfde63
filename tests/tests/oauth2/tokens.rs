use crate::world::{Form, SECRET, VERIFIER, World, but, exchange, said, wish};
use annals_tests::{app::TestApp, database::Database};
use anyhow::{Context, Result};
use commands::{effects::Sensitive, identity::Standing};
use domain::{Metadata, user::Status};
use futures::future::try_join_all;
use reqwest::{Method, header::AUTHORIZATION};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn a_code_leads_to_tokens_and_they_to_the_person() -> Result<()> {
    let world = World::start().await?;
    let (user, cookie) = world.person("ann").await?;
    let code = world.code(&cookie, "spa").await?;
    let request = world.request(Method::POST, "/api/oauth2/token").form(&exchange("spa", &code));
    let reply = request.send().await?;
    assert_eq!(reply.headers()["cache-control"], "no-store");
    assert_eq!(reply.headers()["pragma"], "no-cache");
    let (status, tokens) = said(reply).await?;
    assert_eq!(status, 200);
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!(tokens["scope"], "openid profile email");
    assert_eq!(tokens.as_object().map(|fields| fields.len()), Some(5));
    for name in ["access_token", "refresh_token"] {
        assert!(tokens[name].as_str().unwrap_or_default().len() >= 48);
    }
    for (method, path) in
        [(Method::GET, "/oauth2/userinfo"), (Method::POST, "/api/oauth2/userinfo")]
    {
        let token = tokens["access_token"].as_str().unwrap_or_default();
        let (status, body) =
            said(world.request(method, path).bearer_auth(token).send().await?).await?;
        let expected = json!({"sub": user, "iss": world.issuer(), "preferred_username": "ann",
                              "role": "user", "name": "ann"});
        assert_eq!((status, body), (200, expected));
    }
    let (kinds, text) = world.events().await?;
    assert_eq!(kinds, ["CodeIssued", "CodeExchanged"]);
    for secret in [code.as_str(), tokens["access_token"].as_str().unwrap_or_default(), VERIFIER] {
        assert!(!text.contains(secret));
    }
    // Good for nothing else, and nothing else is good for this.
    let product = world
        .get("/api/auth/session")
        .bearer_auth(tokens["access_token"].as_str().unwrap_or_default());
    let (status, body) = said(product.send().await?).await?;
    assert_eq!((status, &body["message"]), (401, &json!("Token非法")));
    world.stop().await
}

#[tokio::test]
async fn the_scope_decides_what_is_told() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    let wish = but(&wish("spa"), "scope", Some("openid"));
    let reply = world.authorize(&cookie, &wish).await?;
    let code = crate::world::answered(&reply)?.remove("code").context("no code")?;
    let (_, tokens) = world.exchange("spa", &code).await?;
    assert_eq!(tokens["scope"], "openid");
    let (_, claims) = world.userinfo(&tokens).await?;
    assert!(claims.get("name").is_none() && claims.get("sub").is_some());
    world.stop().await
}

#[tokio::test]
async fn clients_prove_who_they_are_in_their_way() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    fn form<'a>(client: &'a str, code: &'a str) -> Vec<(&'a str, &'a str)> {
        but(&exchange(client, code), "client_id", None)
    }
    let send = async |form: &[(&str, &str)], basic: Option<(&str, &str)>| {
        let mut request = world.request(Method::POST, "/oauth2/token").form(form);
        if let Some((user, password)) = basic {
            request = request.basic_auth(user, Some(password));
        }
        said(request.send().await?).await
    };
    let encoded = "s3cr%3At%2F%2B+%25%26%3D%C3%A9";
    for secret in [encoded, SECRET] {
        let code = world.code(&cookie, "web app").await?;
        let user = if secret == SECRET { "web app" } else { "web+app" };
        let (status, body) = send(&form("web app", &code), Some((user, secret))).await?;
        assert_eq!(status, 200, "{body}");
    }
    let code = world.code(&cookie, "post").await?;
    let basic = send(&form("post", &code), Some(("post", "p"))).await?;
    assert_eq!((basic.0, &basic.1["error"]), (401, &json!("invalid_client")));
    let both = [exchange("post", &code), vec![("client_secret", "p")]].concat();
    assert_eq!(send(&both, Some(("post", "p"))).await?.0, 400, "two ways at once");
    let (status, body) = send(&both, None).await?;
    assert_eq!(status, 200, "another way does not burn the code: {body}");
    // A public client need not even say its name.
    let code = world.code(&cookie, "spa").await?;
    let (status, tokens) = send(&form("spa", &code), None).await?;
    assert_eq!(status, 200, "{tokens}");
    let code = world.code(&cookie, "post").await?;
    let reply = world.request(Method::POST, "/oauth2/token").form(&form("post", &code));
    let reply = reply.send().await?;
    assert_eq!(reply.headers()["www-authenticate"], r#"Basic realm="sage""#);
    let (status, body) = said(reply).await?;
    assert_eq!((status, &body["error"]), (401, &json!("invalid_client")));
    assert_eq!(body["error_description"], "missing client authentication");
    world.stop().await
}

#[tokio::test]
async fn whatever_goes_wrong_burns_the_code() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    let other = "x".repeat(43);
    type Change<'a> = (&'a str, Option<&'a str>, u16, &'a str);
    let changes: [Change; 5] = [
        ("code_verifier", Some(&other), 400, "invalid_grant"),
        ("code_verifier", None, 400, "invalid_request"),
        ("redirect_uri", Some("com.example.app:/cb"), 400, "invalid_grant"),
        ("redirect_uri", None, 400, "invalid_grant"),
        ("client_id", Some("old"), 400, "invalid_grant"),
    ];
    for (name, value, status, error) in changes {
        let code = world.code(&cookie, "spa").await?;
        let (seen, body) = world.token(&but(&exchange("spa", &code), name, value)).await?;
        assert_eq!((seen, &body["error"]), (status, &json!(error)), "{name} {value:?}");
        let (seen, body) = world.exchange("spa", &code).await?;
        assert_eq!((seen, &body["error"]), (400, &json!("invalid_grant")), "{name} {value:?}");
    }
    let code = world.code(&cookie, "post").await?;
    let mut form = exchange("post", &code);
    form.push(("client_secret", "wrong"));
    assert_eq!(world.token(&form).await?.0, 401);
    let (seen, body) = world.token(&but(&form, "client_secret", Some("p"))).await?;
    assert_eq!((seen, &body["error"]), (400, &json!("invalid_grant")));
    world.stop().await
}

#[tokio::test]
async fn a_code_that_comes_again_costs_its_tokens() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    let code = world.code(&cookie, "spa").await?;
    let (_, tokens) = world.exchange("spa", &code).await?;
    assert_eq!(world.userinfo(&tokens).await?.0, 200);
    assert_eq!(world.exchange("spa", &code).await?.1["error"], "invalid_grant");
    assert_eq!(world.userinfo(&tokens).await?.0, 401);
    assert_eq!(world.refresh("spa", &tokens).await?.1["error"], "invalid_grant");
    assert_eq!(world.events().await?.0, ["CodeIssued", "CodeExchanged", "GrantRevoked"]);
    world.stop().await
}

#[tokio::test]
async fn refreshing_rotates_and_reuse_ends_the_family() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    let first = world.tokens(&cookie, "spa").await?;
    let (status, second) = world.refresh("spa", &first).await?;
    assert_eq!(status, 200);
    assert_eq!(world.userinfo(&first).await?.0, 401, "the old access token is dead");
    assert_eq!(world.userinfo(&second).await?.0, 200);
    let (_, third) = world.refresh("spa", &second).await?;
    let (status, body) = world.refresh("spa", &first).await?;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    assert_eq!(body["error_description"], "refresh_token revoked");
    assert_eq!(world.userinfo(&third).await?.0, 401);
    assert_eq!(world.refresh("spa", &third).await?.0, 400);
    let once = world.tokens(&cookie, "once").await?;
    assert!(once.get("refresh_token").is_none());
    world.stop().await
}

#[tokio::test]
async fn a_refresh_may_narrow_but_not_widen() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    let tokens = world.tokens(&cookie, "spa").await?;
    let form = |tokens: &Value, scope: &'static str| {
        let token = tokens["refresh_token"].as_str().unwrap_or_default().to_owned();
        [
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", "spa".to_owned()),
            ("refresh_token", token),
            ("scope", scope.to_owned()),
        ]
    };
    let send = async |form: [(&str, String); 4]| {
        said(world.request(Method::POST, "/oauth2/token").form(&form).send().await?).await
    };
    let (status, body) = send(form(&tokens, "openid admin")).await?;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_scope")));
    let (status, narrow) = send(form(&tokens, "openid")).await?;
    assert_eq!((status, &narrow["scope"]), (200, &json!("openid")), "the token still worked");
    assert!(world.userinfo(&narrow).await?.1.get("name").is_none());
    let (_, all) = world.refresh("spa", &narrow).await?;
    assert_eq!(all["scope"], "openid profile email");
    let foreign = world.refresh("old", &all).await?;
    assert_eq!((foreign.0, &foreign.1["error"]), (400, &json!("invalid_grant")));
    world.stop().await
}

#[tokio::test]
async fn of_many_at_once_one_wins() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    let code = world.code(&cookie, "spa").await?;
    let all = try_join_all((0..12).map(|_| world.exchange("spa", &code))).await?;
    assert_eq!(all.iter().filter(|(status, _)| *status == 200).count(), 1);
    assert!(all.iter().all(|(status, _)| [200, 400].contains(status)));
    let tokens = world.tokens(&cookie, "spa").await?;
    let all = try_join_all((0..12).map(|_| world.refresh("spa", &tokens))).await?;
    assert_eq!(all.iter().filter(|(status, _)| *status == 200).count(), 1);
    assert!(all.iter().all(|(status, _)| [200, 400].contains(status)));
    world.stop().await
}

#[tokio::test]
async fn a_restart_and_another_node_lose_nothing() -> Result<()> {
    let database = Database::create().await?;
    let first = World::on(&database.url()).await?;
    let (_, cookie) = first.person("ann").await?;
    let (waiting, spent) = (first.code(&cookie, "spa").await?, first.code(&cookie, "spa").await?);
    let (_, tokens) = first.exchange("spa", &spent).await?;
    let second = World::on(&database.url()).await?;
    assert_eq!(second.userinfo(&tokens).await?.0, 200);
    let (status, newer) = second.refresh("spa", &tokens).await?;
    assert_eq!(status, 200);
    assert_eq!(first.userinfo(&tokens).await?.0, 401, "known here at once");
    first.stop().await?;
    second.stop().await?;

    let third = World::on(&database.url()).await?;
    assert_eq!(third.exchange("spa", &waiting).await?.0, 200);
    assert_eq!(third.userinfo(&newer).await?.0, 200);
    assert_eq!(third.exchange("spa", &spent).await?.0, 400);
    assert_eq!(third.userinfo(&newer).await?.0, 401);
    third.stop().await?;
    // The operator took the client away.
    let fourth = World::on(&database.url()).await?;
    let tokens = fourth.tokens(&fourth.cookie("ann").await?, "spa").await?;
    fourth.stop().await?;
    let bare = TestApp::on(&database.url(), &[]).await?;
    let token = tokens["access_token"].as_str().unwrap_or_default();
    let reply =
        bare.nobody()?.get("/oauth2/userinfo").header(AUTHORIZATION, format!("Bearer {token}"));
    assert_eq!(reply.send().await?.status(), 401);
    bare.stop().await?;
    database.remove().await
}

#[tokio::test]
async fn tokens_end_with_the_person_and_with_the_password() -> Result<()> {
    let world = World::start().await?;
    let metadata = Metadata::system(Uuid::now_v7());
    let identity = &world.node.app.identity;
    for how in ["suspended", "password", "deleted"] {
        let (user, cookie) = world.person(how).await?;
        let tokens = world.tokens(&cookie, "spa").await?;
        let code = world.code(&cookie, "spa").await?;
        match how {
            "suspended" => {
                let standing = Standing { role: None, status: Some(Status::Suspended) };
                identity.set_standing(&[user], standing, &metadata).await?;
            }
            "password" => {
                let new = Sensitive::from("another".to_owned());
                identity.reset_password(&user, &new, &metadata).await?;
            }
            _ => {
                identity.delete(&user, &metadata).await?;
            }
        }
        assert_eq!(world.userinfo(&tokens).await?.0, 401, "{how}");
        assert_eq!(world.refresh("spa", &tokens).await?.0, 400, "{how}");
        assert_eq!(world.exchange("spa", &code).await?.0, 400, "{how}");
    }
    world.stop().await
}
