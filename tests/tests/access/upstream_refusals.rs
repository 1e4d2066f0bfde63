use crate::{
    browser::{Browser, location},
    server::{Server, server},
    upstream::{log_in, start, to_the_provider, trusting, who},
};
use annals_tests::identity_provider::{Flaw, IdentityProvider};
use reqwest::Response;
use serde_json::{Value, json};

/// Status, code and message.
async fn told(answer: Response) -> (u16, u64, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["data"], json!(null));
    (status, body["code"].as_u64().unwrap(), body["message"].as_str().unwrap().to_owned())
}

async fn refused(server: &Server, browser: &mut Browser, url: &str) -> (u16, u64, String) {
    let told = told(browser.get(url).await).await;
    assert_eq!(browser.cookie("sage_session"), None);
    assert_eq!(server.count("UserRegistered").await, 1);
    told
}

#[tokio::test]
async fn an_id_token_has_to_be_right_in_every_respect() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    for flaw in [
        Flaw::Nonce,
        Flaw::Audience,
        Flaw::Issuer,
        Flaw::Expired,
        Flaw::Signature,
        Flaw::Unsigned,
        Flaw::Userinfo,
    ] {
        provider.flaw(flaw);
        let mut browser = Browser::new();
        let back = to_the_provider(&mut browser, &server, "").await;
        let (status, code, message) = refused(&server, &mut browser, &back).await;
        assert_eq!((status, code), (502, 502), "{flaw:?}");
        assert_eq!(message, "OAuth Provider 返回的身份信息无效", "{flaw:?}");
    }
    provider.flaw(Flaw::None);
    assert_eq!(log_in(&mut Browser::new(), &server, "").await, "/agent/chat");
}

#[tokio::test]
async fn changed_keys_are_fetched_once() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    log_in(&mut Browser::new(), &server, "").await;
    log_in(&mut Browser::new(), &server, "").await;
    assert_eq!(provider.key_fetches(), 1);
    provider.rotate().unwrap();
    log_in(&mut Browser::new(), &server, "").await;
    assert_eq!(provider.key_fetches(), 2);
}

#[tokio::test]
async fn a_callback_counts_once_and_only_for_the_browser_that_began() {
    const OVER: (u16, u64, &str) = (400, 400, "OAuth 登录状态已失效");
    let over = |told: (u16, u64, String)| assert_eq!((told.0, told.1, &*told.2), OVER);
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    let mut browser = Browser::new();
    let back = to_the_provider(&mut browser, &server, "").await;
    let wrong = back.replace("state=", "state=0");
    over(refused(&server, &mut browser, &wrong).await);
    // Another browser: somebody was sent an address that would log them in as somebody else.
    let mut victim = Browser::new();
    over(refused(&server, &mut victim, &back).await);
    to_the_provider(&mut victim, &server, "").await;
    over(refused(&server, &mut victim, &back).await);
    let mut again = browser.clone();
    assert_eq!(location(&browser.get(&back).await), "/agent/chat");
    over(told(again.get(&back).await).await);
    assert_eq!(again.cookie("sage_session"), None);
}

#[tokio::test]
async fn incomplete_and_declined_callbacks_say_so() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    let callback = format!("{}/api/auth/upstream/callback/corp", server.base);
    let mut browser = Browser::new();
    for (query, missing) in [("", 2), ("?code=x", 1), ("?state=x", 1)] {
        let answer = browser.get(&format!("{callback}{query}")).await;
        assert_eq!(answer.status().as_u16(), 422);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["detail"].as_array().unwrap().len(), missing);
        assert_eq!(body["detail"][0]["type"], "missing");
    }
    provider.flaw(Flaw::Denied);
    let back = to_the_provider(&mut browser, &server, "").await;
    let declined = refused(&server, &mut browser, &back).await;
    assert_eq!(declined, (400, 400, "OAuth 登录未完成: access_denied".to_owned()));
    // That was the end of this flow.
    let late = back.replace("error=access_denied", "code=x");
    assert_eq!(refused(&server, &mut browser, &late).await.0, 400);
    provider.flaw(Flaw::None);
    let back = to_the_provider(&mut browser, &server, "").await;
    let made_up = format!("{callback}?code=made-up&{}", back.split('&').next_back().unwrap());
    let told = refused(&server, &mut browser, &made_up).await;
    assert_eq!(told, (400, 400, "OAuth 授权码无效".to_owned()));
    // Somebody else's answer, by its own account (RFC 9207).
    let back = to_the_provider(&mut browser, &server, "").await;
    let foreign = format!("{back}&iss=https%3A%2F%2Fevil.example");
    assert_eq!(refused(&server, &mut browser, &foreign).await, told);
}

#[tokio::test]
async fn a_provider_that_is_down_or_another_is_a_bad_gateway() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    let mut browser = Browser::new();
    let login = format!("{}/api/auth/upstream/login", server.base);
    let bad = (502, 502, "OAuth Provider 暂不可用".to_owned());
    provider.flaw(Flaw::Document);
    assert_eq!(refused(&server, &mut browser, &login).await, bad);
    provider.flaw(Flaw::None);
    let back = to_the_provider(&mut browser, &server, "").await;
    drop(provider);
    assert_eq!(refused(&server, &mut browser, &back).await, bad);
    // What is known of it still shows the way there.
    assert_eq!(browser.get(&login).await.status().as_u16(), 302);
}

#[tokio::test]
async fn people_are_sent_back_to_this_host_only() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    let mut browser = Browser::new();
    let login = format!("{}/api/auth/upstream/login/corp", server.base);
    let host = server.base.strip_prefix("http://").unwrap();
    for bad in [
        "https://evil.example/api/auth/upstream/callback/corp".to_owned(),
        format!("http://evil@{host}/x"),
        "http://127.0.0.1:1/x".to_owned(),
        format!("ftp://{host}/x"),
        format!("http://{host}.evil.example/x"),
        "/x".to_owned(),
    ] {
        let url = format!("{login}?redirect_uri={}", bad.replace('/', "%2F"));
        let told = refused(&server, &mut browser, &url).await;
        assert_eq!(told, (400, 400, "OAuth 回调地址非法".to_owned()), "{bad}");
    }
    let own = format!("http://{host}/api/user/oauth/callback/corp");
    let back = to_the_provider(&mut browser, &server, &format!("?redirect_uri={own}")).await;
    assert!(back.starts_with(&own), "{back}");
    assert_eq!(location(&browser.get(&back).await), "/agent/chat");
    for next in ["//evil.example/agent/chat", "https://evil.example/agent/chat"] {
        assert_eq!(
            log_in(&mut Browser::new(), &server, &format!("?next={next}")).await,
            "/agent/chat"
        );
    }
}

#[tokio::test]
async fn behind_tls_the_cookies_are_secure_and_the_address_is_the_proxys() {
    let provider = IdentityProvider::start().await.unwrap();
    let [mode, providers] = trusting(&provider, json!({}));
    let proxies = ("ANNALS_TRUSTED_PROXIES", "127.0.0.1".to_owned());
    let server = start(&[mode, providers, proxies]).await;
    let answer = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let answer = answer.unwrap().get(format!("{}/api/auth/upstream/login", server.base));
    let answer = answer
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "chat.example.org")
        .send()
        .await
        .unwrap();
    let there = location(&answer);
    assert!(there.contains("redirect_uri=https%3A%2F%2Fchat.example.org%2Fapi%2Fauth"), "{there}");
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("; path=/; Max-Age=600; httponly; samesite=lax; secure"), "{cookie}");
}

#[tokio::test]
async fn without_providers_there_is_no_such_login() {
    for mode in ["native", "oauth"] {
        let server = server(&[("ANNALS_AUTH_MODE", mode)]).await;
        for path in ["/api/auth/upstream/login", "/api/user/oauth/login"] {
            let answer = server.get(path, &[]).await;
            assert_eq!(answer.told(), (200, 404, "未配置可用的 OAuth Provider"));
        }
        for path in ["login/corp", "callback/corp?code=a&state=b"] {
            let answer = server.get(&format!("/api/auth/upstream/{path}"), &[]).await;
            assert_eq!(answer.told(), (404, 404, "OAuth Provider 不存在"));
        }
        let list = server.get("/api/user/auth-providers", &[]).await;
        let native = json!([{
            "id": "native", "type": "native", "name": "账号密码", "icon": "key-round",
            "button_text": "使用账号密码登录", "description": "输入 Sage 内置账号和密码进入工作台",
        }]);
        assert_eq!(list.body["data"], if mode == "native" { native } else { json!([]) });
    }
}

#[tokio::test]
async fn a_session_shows_the_person_whatever_the_provider_said_later() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    let mut browser = Browser::new();
    log_in(&mut browser, &server, "").await;
    drop(provider);
    assert_eq!(who(&mut browser, &server).await["username"], "ann");
}
