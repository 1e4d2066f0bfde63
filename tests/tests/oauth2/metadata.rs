use crate::world::{World, said, wish};
use anyhow::Result;
use serde_json::json;

#[tokio::test]
async fn the_same_metadata_is_at_every_path_and_names_this_server() -> Result<()> {
    let world = World::start().await?;
    let issuer = world.issuer();
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/oauth2",
        "/oauth2/metadata",
        "/api/oauth2/metadata",
        "/sage/oauth2/metadata",
    ] {
        let (status, body) = said(world.get(path).send().await?).await?;
        assert_eq!((status, &body["issuer"]), (200, &json!(issuer)), "{path}");
        for (name, end) in [
            ("authorization_endpoint", "authorize"),
            ("token_endpoint", "token"),
            ("userinfo_endpoint", "userinfo"),
            ("revocation_endpoint", "revoke"),
            ("introspection_endpoint", "introspect"),
        ] {
            assert_eq!(body[name], format!("{issuer}/{end}"), "{path}");
        }
        assert_eq!(body["grant_types_supported"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(body["response_types_supported"], json!(["code"]));
        assert_eq!(body["scopes_supported"], json!(["openid", "profile", "email"]));
        let methods = json!(["client_secret_basic", "client_secret_post", "none"]);
        assert_eq!(body["token_endpoint_auth_methods_supported"], methods);
        assert_eq!(body["code_challenge_methods_supported"], json!(["plain", "S256"]));
        assert_eq!(body["authorization_response_iss_parameter_supported"], true);
    }
    let other = world.get("/.well-known/oauth-authorization-server/other").send().await?;
    assert_eq!(other.status(), 404);
    world.stop().await
}

#[tokio::test]
async fn a_configured_issuer_is_served_where_it_says_it_is() -> Result<()> {
    for (issuer, base) in [("https://a.example/id/", "/id"), ("https://a.example", "")] {
        let world = World::with(&[("ANNALS_OAUTH2_ISSUER", issuer)]).await?;
        let issuer = issuer.trim_end_matches('/');
        let path = format!("/.well-known/oauth-authorization-server{base}");
        let (status, body) = said(world.get(&path).send().await?).await?;
        assert_eq!((status, &body["issuer"]), (200, &json!(issuer)));
        assert_eq!(body["token_endpoint"], format!("{issuer}/token"));
        for (end, status) in [("authorize", 400), ("userinfo", 401), ("token", 405)] {
            let reply = world.get(&format!("{base}/{end}")).send().await?;
            assert_eq!(reply.status(), status, "{base}/{end}");
        }
        let (_, cookie) = world.person("ann").await?;
        let reply = world.authorize(&cookie, &wish("spa")).await?;
        assert_eq!(crate::world::answered(&reply)?["iss"], issuer);
        world.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn only_trusted_proxies_say_how_this_server_is_called() -> Result<()> {
    let forwarded = |world: &World| {
        let request = world.get("/oauth2/metadata").header("x-forwarded-proto", "https");
        request.header("x-forwarded-host", "forged.example, id.example")
    };
    let world = World::start().await?;
    let (_, body) = said(forwarded(&world).send().await?).await?;
    assert_eq!(body["issuer"], world.issuer());
    let bad = world.get("/oauth2/metadata").header("host", "a.example/x").send().await?;
    assert_eq!(bad.status(), 400);
    world.stop().await?;

    let world = World::with(&[("ANNALS_TRUSTED_PROXIES", "127.0.0.1")]).await?;
    let (_, body) = said(forwarded(&world).send().await?).await?;
    assert_eq!(body["issuer"], "https://id.example/oauth2");
    world.stop().await
}
