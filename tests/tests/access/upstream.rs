use crate::{
    browser::{Browser, location},
    server::{ADMIN_PASSWORD, Server, server, server_on},
};
use annals_tests::identity_provider::{Flaw, IdentityProvider};
use domain::user::Role;
use serde_json::{Value, json};

/// The settings of a node that trusts this provider.
pub fn trusting(provider: &IdentityProvider, more: Value) -> [(&'static str, String); 2] {
    let providers = json!([provider.configuration(more)]).to_string();
    [("ANNALS_AUTH_MODE", "oauth".to_owned()), ("ANNALS_AUTH_PROVIDERS", providers)]
}

pub async fn start(settings: &[(&'static str, String)]) -> Server {
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    server(&settings).await
}

/// Goes to the provider and comes back: the address that the provider sends the browser to.
pub async fn to_the_provider(browser: &mut Browser, server: &Server, query: &str) -> String {
    let start = format!("{}/api/auth/upstream/login/corp{query}", server.base);
    let there = location(&browser.get(&start).await);
    location(&browser.get(&there).await)
}

/// Logs in; where the browser is sent in the end.
pub async fn log_in(browser: &mut Browser, server: &Server, query: &str) -> String {
    let back = to_the_provider(browser, server, query).await;
    location(&browser.get(&back).await)
}

/// Who the browser is now.
pub async fn who(browser: &mut Browser, server: &Server) -> Value {
    let answer = browser.get(&format!("{}/api/auth/session", server.base)).await;
    let body: Value = answer.json().await.unwrap();
    body["data"]["user"].clone()
}

#[tokio::test]
async fn a_new_person_comes_in_and_comes_back() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    let list = server.get("/api/auth/providers", &[]).await;
    assert_eq!(list.told(), (200, 200, "获取认证 Providers 成功"));
    let corp = json!({
        "id": "corp", "type": "oidc", "name": "Corp", "button_text": "使用 Corp 登录",
        "description": "", "icon": "log-in",
    });
    assert_eq!(list.body["data"], json!([corp]));
    let mut browser = Browser::new();
    assert_eq!(log_in(&mut browser, &server, "?next=/a%3Fb=c").await, "/a?b=c");
    let ann = who(&mut browser, &server).await;
    assert_eq!((&ann["username"], &ann["role"]), (&json!("ann"), &json!("user")));
    assert_eq!(ann["email"], "ann@example.org");
    // The same person from another browser, by the older name and the default provider.
    let mut other = Browser::new();
    let there = location(&other.get(&format!("{}/api/user/oauth/login", server.base)).await);
    let back = location(&other.get(&there).await);
    let older = back.replace("/api/auth/upstream/callback/", "/api/user/oauth/callback/");
    assert_eq!(location(&other.get(&older).await), "/agent/chat");
    assert_eq!(who(&mut other, &server).await["userid"], ann["userid"]);
    assert_eq!(server.count("UserRegistered").await, 2);
    // Nobody can log in with a password they do not have.
    let cookie = format!("sage_session={}", other.cookie("sage_session").unwrap());
    let body = json!({"old_password": "", "new_password": "new"});
    let refused = server.post("/api/user/change-password", &[("cookie", &cookie)], body).await;
    assert_eq!(refused.told(), (500, 500, "旧密码错误"));
}

#[tokio::test]
async fn a_restart_between_there_and_back_changes_nothing() {
    let provider = IdentityProvider::start().await.unwrap();
    let settings = trusting(&provider, json!({}));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let first = server(&settings).await;
    let mut browser = Browser::new();
    let back = to_the_provider(&mut browser, &first, "").await;
    // The node goes on elsewhere, under the same name for browsers.
    let second = server_on(&first.node.database_url(), &settings).await;
    let back = back.replace(&first.base, &second.base);
    assert_eq!(location(&browser.get(&back).await), "/agent/chat");
    assert_eq!(who(&mut browser, &second).await["username"], "ann");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_logins_at_the_same_moment_make_one_person() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    let mut ready = Vec::new();
    for _ in 0..8 {
        let mut browser = Browser::new();
        let back = to_the_provider(&mut browser, &server, "").await;
        ready.push((browser, back));
    }
    let all = ready.into_iter().map(|(mut browser, back)| {
        let server = &server;
        async move {
            assert_eq!(location(&browser.get(&back).await), "/agent/chat");
            who(&mut browser, server).await["userid"].as_str().unwrap().to_owned()
        }
    });
    let mut people = futures::future::join_all(all).await;
    people.dedup();
    assert_eq!(people.len(), 1);
    assert_eq!(server.count("UserRegistered").await, 2);
}

#[tokio::test]
async fn a_taken_name_gets_an_ending_and_a_foreign_address_stays_foreign() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    let local = server.given_user("ann", Role::Creator).await;
    let mut browser = Browser::new();
    log_in(&mut browser, &server, "").await;
    let ann = who(&mut browser, &server).await;
    let name = ann["username"].as_str().unwrap();
    assert!(name.len() == 10 && name.starts_with("ann_"), "{name}");
    assert_ne!(ann["userid"], json!(local));
    assert_eq!(ann["email"], "");
}

#[tokio::test]
async fn a_verified_address_links_where_the_operator_says_so() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({"link_by_email": true}))).await;
    let local = server.given_user("ann", Role::Creator).await;
    let person = |sub: &str, verified: bool| {
        json!({"sub": sub, "preferred_username": "ann", "email": "Ann@Example.org",
            "email_verified": verified})
    };
    provider.person(person("stranger", false));
    let mut stranger = Browser::new();
    log_in(&mut stranger, &server, "").await;
    let found = who(&mut stranger, &server).await;
    assert_ne!(found["userid"], json!(local));
    assert_eq!(found["email"], "");

    provider.person(person("ann-1", true));
    let mut browser = Browser::new();
    log_in(&mut browser, &server, "").await;
    assert_eq!(who(&mut browser, &server).await["userid"], json!(local));
    // Once linked, the address no longer matters.
    provider.person(json!({"sub": "ann-1"}));
    let mut again = Browser::new();
    log_in(&mut again, &server, "").await;
    assert_eq!(who(&mut again, &server).await["userid"], json!(local));
}

#[tokio::test]
async fn roles_come_from_the_provider() {
    let provider = IdentityProvider::start().await.unwrap();
    let more = json!({"role_claim": "groups", "admin_emails": ["boss@example.org"]});
    let server = start(&trusting(&provider, more)).await;
    let role = async |claims: Value| {
        provider.person(claims);
        let mut browser = Browser::new();
        log_in(&mut browser, &server, "").await;
        let cookie = format!("sage_session={}", browser.cookie("sage_session").unwrap());
        let list = server.get("/api/user/list", &[("cookie", &cookie)]).await;
        let role = who(&mut browser, &server).await["role"].as_str().unwrap().to_owned();
        (role, list.body["code"].as_u64().unwrap())
    };
    let (admin, user) = (("admin".to_owned(), 200), ("user".to_owned(), 403));
    let ann =
        |groups: Value| json!({"sub": "ann-1", "preferred_username": "ann", "groups": groups});
    assert_eq!(role(ann(json!(["staff"]))).await, user);
    assert_eq!(role(ann(json!(["staff", "admin"]))).await, admin);
    assert_eq!(role(ann(json!(["staff"]))).await, user);
    let boss = |verified: bool| {
        json!({"sub": format!("boss-{verified}"), "email": "boss@example.org",
            "email_verified": verified})
    };
    assert_eq!(role(boss(false)).await, user);
    assert_eq!(role(boss(true)).await, admin);
    // Passwords are off for everybody, administrators included.
    assert_eq!(server.login("admin", ADMIN_PASSWORD).await.told().1, 400);
}

#[tokio::test]
async fn whoever_was_deleted_starts_anew() {
    let provider = IdentityProvider::start().await.unwrap();
    let server = start(&trusting(&provider, json!({}))).await;
    let mut browser = Browser::new();
    log_in(&mut browser, &server, "").await;
    let first = who(&mut browser, &server).await["userid"].as_str().unwrap().to_owned();
    let app = &server.node.app;
    let deleted = app.identity.delete(&first.as_str().into(), &crate::server::system()).await;
    app.caught_up("users", deleted.unwrap()).await;
    assert_eq!(who(&mut browser, &server).await, json!(null));
    log_in(&mut browser, &server, "").await;
    let second = who(&mut browser, &server).await;
    assert_eq!(second["username"], "ann");
    assert_ne!(second["userid"], json!(first));
}

#[tokio::test]
async fn a_plain_oauth_provider_says_who_it_is_at_its_userinfo_endpoint() {
    let provider = IdentityProvider::start().await.unwrap();
    provider.flaw(Flaw::Signature);
    let more = json!({
        "discovery_url": null, "subject_claim": "id", "username_claim": "login",
        "authorize_url": provider.url("/authorize"), "token_url": provider.url("/token"),
        "userinfo_url": provider.url("/userinfo"),
    });
    let server = start(&trusting(&provider, more)).await;
    provider.person(json!({"sub": "x", "id": 42, "login": "octo"}));
    let mut browser = Browser::new();
    log_in(&mut browser, &server, "").await;
    assert_eq!(who(&mut browser, &server).await["username"], "octo");
}

#[tokio::test]
async fn a_client_may_prove_itself_in_the_header() {
    let provider = IdentityProvider::start().await.unwrap();
    let more = json!({"token_endpoint_auth_method": "client_secret_basic"});
    let server = start(&trusting(&provider, more)).await;
    assert_eq!(log_in(&mut Browser::new(), &server, "").await, "/agent/chat");
}
