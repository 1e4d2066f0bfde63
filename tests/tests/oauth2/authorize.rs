use crate::world::{CALLBACK, VERIFIER, World, answered, but, location, query, said, wish};
use anyhow::{Context, Result};
use reqwest::{Method, Url, header::COOKIE};

#[tokio::test]
async fn a_browser_with_a_session_gets_a_code_on_both_paths() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    for base in ["/oauth2", "/api/oauth2", "/sage/oauth2"] {
        let path = format!("{base}/authorize?{}", query(&wish("spa"))?);
        let reply = world.get(&path).header(COOKIE, &cookie).send().await?;
        assert_eq!(reply.status(), 302, "{base}");
        assert_eq!(reply.headers()["cache-control"], "no-store");
        let answer = answered(&reply)?;
        assert_eq!(answer["tenant"], "1", "the client's own query stays");
        assert_eq!(answer["state"], "a b&c=é");
        assert_eq!(answer["iss"], world.issuer());
        assert!(answer["code"].len() >= 48);
    }
    let (kinds, text) = world.events().await?;
    assert_eq!(kinds, ["CodeIssued"; 3]);
    assert!(!text.contains(VERIFIER));
    world.stop().await
}

#[tokio::test]
async fn whoever_is_not_logged_in_goes_to_the_login_page_and_comes_back() -> Result<()> {
    let world = World::with(&[("ANNALS_WEB_BASE_PATH", "/chat")]).await?;
    let path = format!("/api/oauth2/authorize?{}", query(&wish("spa"))?);
    for cookie in ["", "sage_session=null"] {
        let reply = world.get(&path).header(COOKIE, cookie).send().await?;
        assert_eq!(reply.status(), 302);
        let location = location(&reply)?;
        let next = location.strip_prefix("/chat/login?next=").unwrap_or_default();
        assert!(!next.contains(['/', '?', '&', '=', '#', ':']), "{next}");
        let url = Url::parse(&format!("http://x.invalid{location}"))?;
        let pairs: Vec<_> = url.query_pairs().collect();
        assert_eq!((pairs.len(), &*pairs[0].1), (1, path.as_str()));
    }
    world.stop().await
}

#[tokio::test]
async fn prompts_are_heeded() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    let with = |client, prompt| {
        let mut wish = wish(client);
        wish.push(("prompt", prompt));
        wish
    };
    let error = async |cookie: &str, client, prompt| {
        let reply = world.authorize(cookie, &with(client, prompt)).await?;
        anyhow::Ok(answered(&reply)?.remove("error").unwrap_or_default())
    };
    assert_eq!(error("", "spa", "none").await?, "login_required");
    assert_eq!(error(&cookie, "asks", "none").await?, "consent_required");
    assert_eq!(error(&cookie, "spa", "none").await?, "", "a code");
    let again = world.authorize(&cookie, &with("spa", "login")).await?;
    let again = location(&again)?;
    assert!(again.starts_with("/sage/login?next=") && !again.contains("prompt"), "{again}");
    let page = world.authorize(&cookie, &with("spa", "consent")).await?;
    assert_eq!(page.status(), 200);
    // After a login that was asked for, the consent that was asked for, too; and no way round in circles.
    let there = world.authorize(&cookie, &with("spa", "login consent")).await?;
    let there = Url::parse(&format!("http://x.invalid{}", location(&there)?))?;
    let back = there.query_pairs().next().context("no next")?.1.into_owned();
    let page = world.get(&back).header(COOKIE, &cookie).send().await?;
    assert_eq!((page.status().as_u16(), back.ends_with("&prompt=consent")), (200, true), "{back}");
    let path = format!("/oauth2/authorize?%70rompt=select%5faccount&{}", query(&wish("spa"))?);
    let there = world.get(&path).header(COOKIE, &cookie).send().await?;
    assert!(!location(&there)?.contains("rompt"), "{}", location(&there)?);
    let both = world.authorize(&cookie, &with("spa", "none login")).await?;
    assert_eq!(both.status(), 400);
    world.stop().await
}

#[tokio::test]
async fn wrong_wishes_are_answered_here_and_leave_nothing() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    let spa = wish("spa");
    let plain = but(&spa, "code_challenge_method", None);
    let cases = [
        (but(&spa, "response_type", Some("token")), 400, "unsupported_response_type"),
        (but(&spa, "response_type", None), 400, "unsupported_response_type"),
        (but(&spa, "client_id", None), 400, "invalid_request"),
        (but(&spa, "client_id", Some("nobody")), 401, "invalid_client"),
        (but(&spa, "client_id", Some("off")), 401, "invalid_client"),
        (but(&spa, "client_id", Some("mute")), 403, "unauthorized_client"),
        (but(&spa, "redirect_uri", Some("https://app.example/cb")), 400, "invalid_request"),
        (but(&spa, "redirect_uri", Some("https://evil.example")), 400, "invalid_request"),
        (but(&spa, "client_id", Some("narrow")), 400, "invalid_scope"),
        (but(&spa, "scope", Some("admin")), 400, "invalid_scope"),
        (but(&spa, "scope", Some("a\"b")), 400, "invalid_scope"),
        (but(&spa, "code_challenge_method", Some("S512")), 400, "invalid_request"),
        (but(&spa, "code_challenge_method", Some("plain")), 400, "invalid_request"),
        (plain.clone(), 400, "invalid_request"),
        (but(&plain, "code_challenge", None), 400, "invalid_request"),
        (but(&spa, "code_challenge", Some("short")), 400, "invalid_request"),
        (but(&spa, "response_mode", Some("fragment")), 400, "invalid_request"),
        (but(&spa, "request", Some("e30")), 400, "request_not_supported"),
        ([spa.clone(), vec![("state", "two")]].concat(), 400, "invalid_request"),
    ];
    for (wish, status, error) in cases {
        let reply = world.authorize(&cookie, &wish).await?;
        assert!(reply.headers().get("location").is_none(), "{wish:?}");
        let (seen, body) = said(reply).await?;
        assert_eq!((seen, body["error"].as_str()), (status, Some(error)), "{wish:?}");
        assert!(body["error_description"].is_string());
    }
    let long = "x".repeat(9_000);
    let reply = world.authorize(&cookie, &but(&spa, "state", Some(&long))).await?;
    assert_eq!(reply.status(), 400);
    let post = world.request(Method::POST, "/oauth2/authorize").send().await?;
    assert_eq!((post.status().as_u16(), &post.headers()["allow"]), (405, &"GET,HEAD".parse()?));
    assert_eq!(said(post).await?.1["error"], "invalid_request");
    assert!(world.events().await?.0.is_empty());
    world.stop().await
}

#[tokio::test]
async fn what_is_left_out_has_a_default() -> Result<()> {
    let world = World::start().await?;
    let (_, cookie) = world.person("ann").await?;
    let bare = [("response_type", "code"), ("client_id", "web app")];
    let reply = world.authorize(&cookie, &bare).await?;
    assert!(location(&reply)?.starts_with(&format!("{CALLBACK}&code=")));
    assert!(!answered(&reply)?.contains_key("state"));
    let old = but(&wish("old"), "code_challenge_method", None);
    assert_eq!(
        world.authorize(&cookie, &but(&old, "code_challenge", Some(VERIFIER))).await?.status(),
        302
    );
    let app = but(&wish("spa"), "redirect_uri", Some("com.example.app:/cb"));
    let reply = world.authorize(&cookie, &app).await?;
    assert!(location(&reply)?.starts_with("com.example.app:/cb?code="));
    world.stop().await
}

#[tokio::test]
async fn a_trusted_proxy_vouches_for_somebody_without_account() -> Result<()> {
    let settings = [("ANNALS_AUTH_MODE", "trusted_proxy"), ("ANNALS_TRUSTED_PROXIES", "127.0.0.1")];
    let world = World::with(&settings).await?;
    let path = format!("/oauth2/authorize?{}", query(&wish("spa"))?);
    let reply = world.get(&path).header("x-sage-internal-userid", "eve").send().await?;
    let (status, tokens) = world.exchange("spa", &answered(&reply)?["code"]).await?;
    assert_eq!(status, 200, "{tokens}");
    let (status, claims) = world.userinfo(&tokens).await?;
    assert_eq!((status, &claims["sub"], &claims["role"]), (200, &"eve".into(), &"user".into()));
    world.stop().await
}
