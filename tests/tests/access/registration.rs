use crate::server::{ADMIN_PASSWORD, Server, server};
use chrono::Utc;
use commands::effects::codes::Codes;
use domain::user::EmailAddress;
use serde_json::{Value, json};

async fn code(server: &Server, address: &str) -> String {
    let app = &server.node.app;
    let codes = Codes::new(app.db.clone(), app.identity.keys().clone());
    let address = EmailAddress::parse(address).unwrap();
    codes.issue(&address, Utc::now()).await.unwrap().expose().to_owned()
}

fn ann(code: &str) -> Value {
    json!({
        "username": "ann", "password": "password", "email": "Ann@Example.org",
        "phonenum": "13800000000", "verification_code": code,
    })
}

#[tokio::test]
async fn a_person_with_the_code_registers_and_logs_in() {
    let server = server(&[]).await;
    let code = code(&server, "ann@example.org").await;
    let answer = server.post("/api/auth/register", &[], ann(&code)).await;
    assert_eq!(answer.told(), (200, 200, "注册成功"));
    let id = answer.body["data"]["user_id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert!(answer.cookie.is_none());
    let cookie = server.cookie("ANN@example.org", "password").await;
    let session = server.get("/api/auth/session", &[("cookie", &cookie)]).await;
    let user = &session.body["data"]["user"];
    assert_eq!((&user["userid"], &user["role"]), (&json!(id), &json!("user")));
    assert_eq!(
        (&user["email"], &user["phonenum"]),
        (&json!("ann@example.org"), &json!("13800000000"))
    );
    // The code is used up.
    let mut again = ann(&code);
    again["username"] = json!("ann2");
    again["email"] = json!("ann2@example.org");
    let refused = server.post("/api/user/register", &[], again).await;
    assert_eq!(refused.told(), (500, 500, "验证码错误"));
    assert_eq!(server.count("UserRegistered").await, 2);
}

#[tokio::test]
async fn registrations_are_refused_in_the_documented_order_and_words() {
    let server = server(&[]).await;
    let first = code(&server, "ann@example.org").await;
    server.post("/api/auth/register", &[], ann(&first)).await;
    let refused = async |change: Value| {
        let mut body = ann("000000");
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        server.post("/api/auth/register", &[], body).await
    };
    let told = [
        (json!({ "email": "" }), (400, 400, "注册必须填写邮箱")),
        (json!({ "email": "x@" }), (500, 500, "邮箱格式不正确")),
        (json!({ "username": "ANN" }), (500, 500, "用户名已存在")),
        (json!({ "username": "bob" }), (500, 500, "邮箱已存在")),
        (json!({ "username": "bob", "email": "bob@x.org" }), (500, 500, "验证码错误")),
        (json!({ "username": "eve@x.org", "email": "bob@x.org" }), (400, 400, "用户名格式不正确")),
    ];
    for (change, expected) in told {
        let answer = refused(change.clone()).await;
        assert_eq!(answer.told(), expected, "{change}");
        assert_eq!(answer.body["data"], json!(null));
    }
    let mut incomplete = ann("1");
    incomplete.as_object_mut().unwrap().remove("verification_code");
    assert_eq!(server.post("/api/auth/register", &[], incomplete).await.status, 422);
}

#[tokio::test]
async fn a_code_is_sent_twice_a_minute_at_most_and_never_told() {
    let server = server(&[]).await;
    let send = async |email: &str| {
        server.post("/api/auth/register/send-code", &[], json!({ "email": email })).await
    };
    let sent = send("ann@example.org").await;
    assert_eq!(sent.told(), (200, 200, "验证码发送成功"));
    assert_eq!(sent.body["data"], json!({ "expires_in": 300, "retry_after": 30 }));
    let again = send("ann@example.org").await;
    let (status, code, message) = again.told();
    assert_eq!((status, code), (500, 500));
    assert!(
        message.starts_with("验证码发送过于频繁，请 ") && message.ends_with(" 秒后重试"),
        "{message}"
    );
    assert_eq!(send("").await.told(), (400, 400, "请输入邮箱地址"));
    assert_eq!(send("ann").await.told(), (500, 500, "邮箱格式不正确"));
}

#[tokio::test]
async fn registration_is_closed_unless_the_system_allows_it() {
    let server = server(&[("ANNALS_ALLOW_REGISTRATION", "")]).await;
    for path in ["/api/auth/register/send-code", "/api/user/register/send-code"] {
        let refused = server.post(path, &[], json!({ "email": "ann@example.org" })).await;
        assert_eq!(refused.told(), (500, 500, "系统不允许自注册"));
    }
    let refused = server.post("/api/auth/register", &[], ann("1")).await;
    assert_eq!(refused.told(), (500, 500, "系统不允许自注册"));
    assert_eq!(server.login("admin", ADMIN_PASSWORD).await.status, 200);
}
