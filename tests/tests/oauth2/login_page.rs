use crate::world::{Form, World, cookie, field, location, query, wish};
use annals_tests::app::PASSWORD;
use anyhow::{Context, Result};
use domain::user::Role;
use reqwest::{Method, Response, header::COOKIE};

struct Page {
    path: String,
    text: String,
    cookie: String,
}

async fn open(world: &World, path: &str) -> Result<Page> {
    let reply = world.get(path).send().await?;
    assert_eq!(reply.status(), 200, "{path}");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(reply.headers()[name], value);
    }
    let policy = reply.headers()["content-security-policy"].to_str()?;
    assert!(policy.contains("default-src 'none'") && !policy.contains("script"), "{policy}");
    let kept = cookie(&reply, "sage_login_form").context("no form cookie")?;
    Ok(Page { path: path.to_owned(), text: reply.text().await?, cookie: kept })
}

impl Page {
    async fn send(&self, world: &World, name: &str, password: &str) -> Result<Response> {
        let (next, proof) = (field(&self.text, "next")?, field(&self.text, "proof")?);
        let form = [("username", name), ("password", password), ("next", &next), ("proof", &proof)];
        let request = world.request(Method::POST, &self.path).header(COOKIE, &self.cookie);
        Ok(request.form(&form).send().await?)
    }
}

#[tokio::test]
async fn a_browser_signs_in_and_goes_on_to_the_client() -> Result<()> {
    let world = World::start().await?;
    world.node.user("ann", Role::Creator).await?;
    let authorize = format!("/oauth2/authorize?{}", query(&wish("spa"))?);
    let sent = location(&world.get(&authorize).send().await?)?;
    let page = open(&world, &sent).await?;
    let wrong = page.send(&world, "ann", "wrong").await?;
    assert_eq!(wrong.status(), 401);
    assert!(cookie(&wrong, "sage_session").is_none());
    let wrong = wrong.text().await?;
    assert!(wrong.contains("用户名或密码错误") && wrong.contains(r#"value="ann""#), "{wrong}");
    assert!(!wrong.contains("\"wrong\""));
    let right = page.send(&world, "ann", PASSWORD).await?;
    assert_eq!((right.status().as_u16(), location(&right)?), (303, authorize.clone()));
    let session = cookie(&right, "sage_session").context("no session")?;
    let reply = world.get(&authorize).header(COOKIE, &session).send().await?;
    assert!(crate::world::answered(&reply)?.contains_key("code"));
    let known = world.get("/sage/login").header(COOKIE, &session).header("accept-language", "en");
    let known = known.send().await?.text().await?;
    assert!(known.contains("Signed in as") && known.contains("ann"), "{known}");
    world.stop().await
}

#[tokio::test]
async fn only_somebody_who_was_shown_the_page_signs_in() -> Result<()> {
    let world = World::start().await?;
    world.node.user("ann", Role::Creator).await?;
    let page = open(&world, "/sage/login").await?;
    let other = open(&world, "/sage/login").await?;
    for cookie in ["", other.cookie.as_str()] {
        let forged =
            Page { cookie: cookie.to_owned(), path: page.path.clone(), text: page.text.clone() };
        let reply = forged.send(&world, "ann", PASSWORD).await?;
        assert_eq!(reply.status(), 403);
        assert!(crate::world::cookie(&reply, "sage_session").is_none());
    }
    assert_eq!(page.send(&world, "ann", PASSWORD).await?.status(), 303);
    world.stop().await
}

#[tokio::test]
async fn next_never_leaves_the_site() -> Result<()> {
    let world = World::start().await?;
    world.node.user("ann", Role::Creator).await?;
    for wish in [
        "//evil.example",
        r"/\evil.example",
        "https://evil.example/",
        "/\t/evil.example",
        "javascript:alert(1)",
    ] {
        let page = open(&world, &format!("/sage/login?{}", query(&[("next", wish)])?)).await?;
        let reply = page.send(&world, "ann", PASSWORD).await?;
        let location = location(&reply)?;
        assert!(location.starts_with('/') && !location.starts_with("//"), "{wish}: {location}");
        assert!(!location.contains("evil"), "{wish}: {location}");
    }
    let page = open(&world, "/sage/login?next=/a%22%3E%3Cb%3E").await?;
    assert!(!page.text.contains("<b>"));
    world.stop().await
}

#[tokio::test]
async fn the_page_is_below_every_base_path_and_respects_the_mode() -> Result<()> {
    for base in ["/chat/ui", "/"] {
        let world = World::with(&[("ANNALS_WEB_BASE_PATH", base)]).await?;
        open(&world, &format!("{}/login", base.trim_end_matches('/'))).await?;
        world.stop().await?;
    }
    let world = World::with(&[("ANNALS_AUTH_MODE", "trusted_proxy")]).await?;
    world.node.user("ann", Role::Creator).await?;
    let page = open(&world, "/sage/login").await?;
    let reply = page.send(&world, "ann", PASSWORD).await?;
    assert_eq!(reply.status(), 403);
    assert!(reply.text().await?.contains("当前服务仅允许管理员通过账号密码登录"));
    assert_eq!(page.send(&world, "admin", PASSWORD).await?.status(), 303);
    world.stop().await?;

    let providers = r#"[{"id":"corp","type":"oidc","button_text":"Corp","client_id":"x","client_secret":"y","discovery_url":"https://idp.example/.well-known/openid-configuration"}]"#;
    let settings = [("ANNALS_AUTH_MODE", "oauth"), ("ANNALS_AUTH_PROVIDERS", providers)];
    let world = World::with(&settings).await?;
    let page = open(&world, "/sage/login?next=/a%3Fb=c").await?;
    assert!(!page.text.contains("password"), "{}", page.text);
    assert!(
        page.text.contains(r#"href="/api/auth/upstream/login/corp?next=%2Fa%3Fb%3Dc""#),
        "{}",
        page.text
    );
    let form = [("username", "admin"), ("password", PASSWORD), ("proof", "")];
    let reply = world.request(Method::POST, "/sage/login").form(&form).send().await?;
    assert_eq!(reply.status(), 403);
    world.stop().await
}
