use crate::world::{Form, World, exchange, said};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

async fn post_tokens(world: &World, cookie: &str) -> Result<Value> {
    let code = world.code(cookie, "post").await?;
    let form = [exchange("post", &code), vec![("client_secret", "p")]].concat();
    Ok(world.token(&form).await?.1)
}

async fn told(
    world: &World,
    end: &str,
    client: &[(&str, &str)],
    token: &Value,
) -> Result<(u16, String)> {
    let form = [client, &[("token", token.as_str().unwrap_or_default())]].concat();
    let reply = world.request(Method::POST, &format!("/oauth2/{end}")).form(&form).send().await?;
    Ok((reply.status().as_u16(), reply.text().await?))
}

const POST: &[(&str, &str)] = &[("client_id", "post"), ("client_secret", "p")];
const SPA: &[(&str, &str)] = &[("client_id", "spa")];

#[tokio::test]
async fn revoking_either_token_ends_both_and_only_for_their_client() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    for name in ["access_token", "refresh_token"] {
        let tokens = world.tokens(&cookie, "spa").await?;
        assert_eq!(told(&world, "revoke", POST, &tokens[name]).await?.0, 200, "no token of theirs");
        assert_eq!(world.userinfo(&tokens).await?.0, 200);
        for _ in 0..2 {
            assert_eq!(told(&world, "revoke", SPA, &tokens[name]).await?, (200, String::new()));
        }
        assert_eq!(world.userinfo(&tokens).await?.0, 401);
        assert_eq!(world.refresh("spa", &tokens).await?.0, 400);
    }
    assert_eq!(told(&world, "revoke", SPA, &json!("nonsense")).await?.0, 200);
    assert_eq!(told(&world, "revoke", &[], &json!("nonsense")).await?.0, 401);
    world.stop().await
}

#[tokio::test]
async fn a_client_is_told_about_its_own_tokens() -> Result<()> {
    let world = World::start().await?;
    let (user, cookie) = world.person("ann").await?;
    let tokens = post_tokens(&world, &cookie).await?;
    let inspect = async |client: &[(&str, &str)], token: &Value| {
        let form = [client, &[("token", token.as_str().unwrap_or_default())]].concat();
        said(world.request(Method::POST, "/oauth2/introspect").form(&form).send().await?).await
    };
    let (status, body) = inspect(POST, &tokens["access_token"]).await?;
    assert_eq!((status, &body["active"], &body["sub"]), (200, &json!(true), &json!(user)));
    assert_eq!((&body["client_id"], &body["token_type"]), (&json!("post"), &json!("Bearer")));
    assert_eq!(body["exp"].as_i64().zip(body["iat"].as_i64()).map(|(a, b)| a - b), Some(3600));
    assert_eq!(inspect(POST, &tokens["refresh_token"]).await?.1["active"], true);
    let inactive = (200, json!({"active": false}));
    let foreign = world.tokens(&cookie, "spa").await?;
    assert_eq!(inspect(POST, &foreign["access_token"]).await?, inactive);
    assert_eq!(inspect(POST, &json!("nonsense")).await?, inactive);
    assert_eq!(inspect(SPA, &foreign["access_token"]).await?.0, 401);
    told(&world, "revoke", POST, &tokens["access_token"]).await?;
    assert_eq!(inspect(POST, &tokens["refresh_token"]).await?, inactive);
    world.stop().await
}
