use crate::server::{ADMIN_PASSWORD, server};
use domain::user::Role;
use serde_json::json;

#[tokio::test]
async fn the_administrator_logs_in_and_is_known_by_token_and_by_cookie() {
    let server = server(&[]).await;
    let answer = server.login("admin", ADMIN_PASSWORD).await;
    assert_eq!(answer.told(), (200, 200, "登录成功"));
    assert_eq!(answer.body["data"]["expires_in"], 86_400);
    assert!(answer.body["data"]["refresh_token"].as_str().unwrap().split('.').count() == 3);
    let keys: Vec<_> = answer.body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["code", "data", "message", "timestamp"]);
    let cookie = answer.cookie.unwrap();
    assert!(cookie.starts_with("sage_session="));
    assert!(cookie.ends_with("; path=/; Max-Age=1209600; httponly; samesite=lax"), "{cookie}");

    let cookie = cookie.split(';').next().unwrap();
    let bearer = format!("Bearer {}", answer.body["data"]["access_token"].as_str().unwrap());
    for (name, value) in [("cookie", cookie), ("authorization", bearer.as_str())] {
        let session = server.get("/api/auth/session", &[(name, value)]).await;
        let data = &session.body["data"];
        assert_eq!((session.status, &data["user"]["username"]), (200, &json!("admin")), "{name}");
        assert_eq!(data["user"]["role"], "admin");
        assert_eq!((&data["has_provider"], &data["has_agent"]), (&json!(false), &json!(false)));
        assert_eq!(data["user"].get("exp").is_some(), name == "authorization");
    }
    // A bad token beside a good cookie does no harm.
    let both = [("cookie", cookie), ("authorization", "Bearer nonsense")];
    assert_eq!(server.get("/api/user/check_login", &both).await.status, 200);
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_told_so_in_their_language() {
    let server = server(&[]).await;
    let answer = server.get("/api/auth/session", &[]).await;
    assert_eq!(answer.told(), (401, 401, "未登录"));
    assert_eq!(answer.body["data"], json!(null));
    let english = server.get("/api/auth/session", &[("accept-language", "en-GB")]).await;
    assert_eq!(english.told().2, "Not signed in");
    let locale = [("accept-language", "zh-CN"), ("x-sage-locale", "en")];
    assert_eq!(server.get("/api/auth/session", &locale).await.told().2, "Not signed in");
    let bad = server.get("/api/auth/session", &[("authorization", "Bearer a.b.c")]).await;
    assert_eq!(bad.told(), (401, 401, "Token非法"));
    let logout = server.post("/api/auth/logout", &[], json!({})).await;
    assert_eq!(logout.told(), (401, 401, "未授权"));
    let unknown_cookie = [("cookie", "sage_session=null")];
    assert_eq!(server.get("/api/auth/session", &unknown_cookie).await.told().2, "未登录");
}

#[tokio::test]
async fn wrong_passwords_and_unknown_names_are_the_same() {
    let server = server(&[]).await;
    for (name, password) in [("admin", "wrong"), ("nobody", ADMIN_PASSWORD)] {
        let answer = server.login(name, password).await;
        assert_eq!(answer.told(), (500, 500, "用户名或密码错误"));
        assert!(answer.cookie.is_none());
    }
    let missing = server.post("/api/auth/login", &[], json!({ "password": "x" })).await;
    assert_eq!(missing.status, 422);
    assert_eq!(missing.body["detail"][0]["loc"], json!(["body", "username_or_email"]));
}

#[tokio::test]
async fn after_logout_neither_token_nor_cookie_works() {
    let server = server(&[]).await;
    let bearer = server.bearer("admin", ADMIN_PASSWORD).await;
    let cookie = server.cookie("admin", ADMIN_PASSWORD).await;
    let other = server.cookie("admin", ADMIN_PASSWORD).await;
    let both = [("authorization", bearer.as_str()), ("cookie", cookie.as_str())];
    let answer = server.post("/api/user/logout", &both, json!(null)).await;
    assert_eq!(answer.told(), (200, 200, "退出成功"));
    assert_eq!(answer.body["data"], json!({}));
    assert!(answer.cookie.unwrap().starts_with("sage_session=null; path=/; expires=Thu, 01 Jan"));
    for header in both {
        let gone = server.get("/api/auth/session", &[header]).await;
        assert_eq!(gone.told(), (401, 401, "登录过期"));
    }
    assert_eq!(server.get("/api/auth/session", &[("cookie", &other)]).await.status, 200);
}

#[tokio::test]
async fn a_new_password_ends_the_other_logins_at_once() {
    let server = server(&[]).await;
    server.given_user("ann", Role::Creator).await;
    let here = server.cookie("ann", "password").await;
    let elsewhere = server.bearer("ann@example.org", "password").await;
    let change = async |old: &str, new: &str| {
        let body = json!({ "old_password": old, "new_password": new });
        server.post("/api/user/change-password", &[("cookie", &here)], body).await
    };
    assert_eq!(change("wrong", "new").await.told(), (500, 500, "旧密码错误"));
    assert_eq!(change("password", "").await.status, 400);
    let changed = change("password", "new").await;
    assert_eq!((changed.told(), &changed.body["data"]), ((200, 200, "密码修改成功"), &json!({})));
    assert_eq!(server.get("/api/auth/session", &[("cookie", &here)]).await.status, 200);
    let ended = server.get("/api/auth/session", &[("authorization", &elsewhere)]).await;
    assert_eq!(ended.told(), (401, 401, "登录过期"));
    assert_eq!(server.login("ann", "password").await.status, 500);
    assert_eq!(server.login("ann", "new").await.status, 200);
    let anonymous = json!({ "old_password": "a", "new_password": "b" });
    let refused = server.post("/api/user/change-password", &[], anonymous).await;
    assert_eq!(refused.told(), (401, 401, "未登录"));
}

#[tokio::test]
async fn where_everybody_speaks_tls_cookies_are_secure_and_nothing_is_kept_on_the_way() {
    let public = [("ANNALS_PUBLIC_URL", "https://chat.example.org")];
    for (settings, secure) in [(&public[..], true), (&[], false)] {
        let server = server(settings).await;
        let login = server.login("admin", ADMIN_PASSWORD).await;
        assert_eq!(login.cookie.unwrap().ends_with("; secure"), secure);
        let page = server.http.get(format!("{}/sage/login", server.base)).send().await.unwrap();
        let form = page.headers()["set-cookie"].to_str().unwrap();
        assert_eq!(form.ends_with("; secure"), secure, "{form}");
        for path in ["/api/auth/session", "/api/auth/providers", "/api/user/list"] {
            let answer = server.http.get(format!("{}{path}", server.base)).send().await.unwrap();
            assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
        }
    }
}
