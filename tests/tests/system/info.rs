use crate::world::{actors, facts, refusal, told};
use annals_tests::app::TestApp;
use domain::user::Role;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_logged_in_learns_how_to() {
    let app = TestApp::start().await.unwrap();
    let nobody = app.nobody().unwrap();
    let expected = json!({
        "allow_registration": false,
        "auth_mode": "native",
        "auth_providers": [{
            "id": "native",
            "type": "native",
            "name": "账号密码",
            "button_text": "使用账号密码登录",
            "description": "输入 Sage 内置账号和密码进入工作台",
            "icon": "key-round",
        }],
        "default_auth_provider": "native",
        "has_local_auth": true,
        "has_oauth_auth": false,
        "oauth_enabled": false,
        "oauth_provider_name": null,
        "native_login_admin_only": false,
    });
    for path in ["/api/system/info", "/sage/api/system/info"] {
        let (status, body) = told(nobody.get(path)).await;
        assert_eq!((status, &body["code"], &body["data"]), (200, &json!(200), &expected));
        assert_eq!(body["message"], "获取系统信息成功");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_modes_say_so() {
    for (mode, local, admin_only) in [("trusted_proxy", true, true), ("oauth", false, false)] {
        let app = TestApp::start_with(&[("ANNALS_AUTH_MODE", mode)]).await.unwrap();
        let (_, body) = told(app.nobody().unwrap().get("/api/system/info")).await;
        let data = &body["data"];
        assert_eq!(data["auth_mode"], mode);
        assert_eq!(data["has_local_auth"], local, "{mode}");
        assert_eq!(data["native_login_admin_only"], admin_only, "{mode}");
        app.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_opens_registration() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Administrator).await.unwrap();
    let before = facts(&app, "system").await.len();
    let set = |allowed: Value| {
        ann.post("/api/system/update_settings").json(&json!({"allow_registration": allowed}))
    };
    let (status, body) = told(set(json!(true))).await;
    assert_eq!((status, &body["code"], &body["data"]), (200, &json!(200), &json!({})));
    assert_eq!(body["message"], "系统设置更新成功");
    let (_, info) = told(app.nobody().unwrap().get("/api/system/info")).await;
    assert_eq!(info["data"]["allow_registration"], true);
    assert_eq!(told(set(json!(true))).await.0, 200);
    let now = facts(&app, "system").await;
    assert_eq!(now[before..], ["RegistrationAllowed"], "said twice, it happened once");
    assert_eq!(actors(&app, "system").await.last(), Some(&ann.user.0));
    assert_eq!(told(set(json!("perhaps"))).await.0, 422);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_does() {
    let app = TestApp::start().await.unwrap();
    let bob = app.user("bob", Role::Creator).await.unwrap();
    let before = facts(&app, "system").await;
    let body = json!({"allow_registration": true});
    let path = "/api/system/update_settings";
    let denied = refusal(bob.post(path).json(&body)).await;
    assert_eq!(denied, (200, 403, "Permission denied".to_owned()));
    assert_eq!(refusal(bob.post(path).json(&json!({}))).await.1, 403, "whatever was sent");
    let unknown = refusal(app.nobody().unwrap().post(path).json(&body)).await;
    assert_eq!((unknown.0, unknown.1), (401, 401));
    assert_eq!(facts(&app, "system").await, before);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_it_lives() {
    let app = TestApp::start().await.unwrap();
    let nobody = app.nobody().unwrap();
    let (status, body) = told(nobody.get("/api/health")).await;
    let data = &body["data"];
    assert_eq!(
        (status, &data["status"], &data["service"]),
        (200, &json!("healthy"), &json!("SagePlatform"))
    );
    assert!(data["timestamp"].as_f64().unwrap() > 1.7e9);
    for path in ["/active", "/sage/active"] {
        let answer = nobody.get(path).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "\"Service is available.\"");
    }
    app.stop().await.unwrap();
}
