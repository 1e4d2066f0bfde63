use crate::world::{Form, World, said};
use anyhow::Result;
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::json;

#[tokio::test]
async fn failures_are_shaped_as_the_rfcs_have_it() -> Result<()> {
    let world = World::start().await?;
    let form = "application/x-www-form-urlencoded";
    let large = format!("x={}", "y".repeat(70_000));
    let cases: [(&str, &str, &str, u16, &str); 9] = [
        ("token", form, "", 400, "invalid_request"),
        ("token", form, "grant_type=authorization_code", 401, "invalid_client"),
        ("token", form, "grant_type=password&client_id=spa", 400, "unsupported_grant_type"),
        ("token", form, "grant_type=refresh_token&client_id=spa", 400, "invalid_request"),
        ("token", form, "grant_type=a&grant_type=b", 400, "invalid_request"),
        ("token", form, "grant_type=%ff", 400, "invalid_request"),
        ("token", "application/json", "{}", 400, "invalid_request"),
        ("token", form, &large, 413, "invalid_request"),
        ("revoke", form, "client_id=spa", 400, "invalid_request"),
    ];
    for base in ["/oauth2", "/api/oauth2"] {
        for (end, kind, body, status, error) in &cases {
            let request = world.request(Method::POST, &format!("{base}/{end}"));
            let request = request.header(CONTENT_TYPE, *kind).body((*body).to_owned());
            let reply = request.send().await?;
            assert_eq!(reply.headers()["cache-control"], "no-store", "{base}/{end}");
            let short = &body[..body.len().min(60)];
            let (seen, body) = said(reply).await?;
            assert_eq!((seen, &body["error"]), (*status, &json!(error)), "{base}/{end} {short}");
        }
        for (method, end, allow) in [
            (Method::GET, "token", "POST"),
            (Method::DELETE, "userinfo", "GET,HEAD,POST"),
            (Method::PUT, "metadata", "GET,HEAD"),
            (Method::GET, "introspect", "POST"),
        ] {
            let reply = world.request(method, &format!("{base}/{end}")).send().await?;
            assert_eq!((reply.status().as_u16(), reply.headers()["allow"].to_str()?), (405, allow));
            assert_eq!(said(reply).await?.1["error"], "invalid_request");
        }
        let (status, body) = said(world.get(&format!("{base}/nothing")).send().await?).await?;
        assert_eq!((status, &body["error"]), (404, &json!("invalid_request")));
    }
    world.stop().await
}

#[tokio::test]
async fn userinfo_wants_a_token_that_counts() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    let tokens = world.tokens(&cookie, "spa").await?;
    let bare = world.get("/oauth2/userinfo").send().await?;
    assert_eq!(bare.headers()["www-authenticate"], r#"Bearer realm="sage""#);
    assert_eq!(
        said(bare).await?,
        (
            401,
            json!({"error": "invalid_token",
        "error_description": "missing bearer token"})
        )
    );
    let genuine = tokens["access_token"].as_str().unwrap_or_default();
    let refresh = tokens["refresh_token"].as_str().unwrap_or_default();
    let mut changed = genuine.to_owned();
    changed.replace_range(50..51, if &genuine[50..51] == "0" { "1" } else { "0" });
    for token in ["nonsense", refresh, changed.as_str(), &genuine[1..]] {
        let reply = world.get("/oauth2/userinfo").bearer_auth(token).send().await?;
        let challenge = reply.headers()["www-authenticate"].to_str()?.to_owned();
        assert!(challenge.starts_with(r#"Bearer realm="sage", error="invalid_token""#));
        assert_eq!(said(reply).await?.1["error"], "invalid_token");
    }
    // The session is no token.
    let (status, _) =
        said(world.get("/oauth2/userinfo").header("cookie", &cookie).send().await?).await?;
    assert_eq!(status, 401);
    world.stop().await
}

#[tokio::test]
async fn clients_that_guess_secrets_are_slowed_down() -> Result<()> {
    let world = World::start().await?;
    let guess = async || {
        let form = [("grant_type", "refresh_token"), ("client_id", "post"), ("client_secret", "x")];
        let reply = world.request(Method::POST, "/oauth2/token").form(&form).send().await?;
        let wait = reply.headers().contains_key("retry-after");
        anyhow::Ok((reply.status().as_u16(), wait))
    };
    for _ in 0..100 {
        assert_eq!(guess().await?, (401, false));
    }
    assert_eq!(guess().await?, (429, true));
    world.stop().await
}
