use crate::server::{ADMIN_PASSWORD, server};
use domain::user::Role;
use serde_json::json;

const PROXY: (&str, &str) = ("x-sage-internal-userid", "carol");

#[tokio::test]
async fn with_upstream_login_only_passwords_and_registration_are_off() {
    let server = server(&[("ANNALS_AUTH_MODE", "oauth")]).await;
    let login = server.login("admin", ADMIN_PASSWORD).await;
    assert_eq!(login.told(), (200, 400, "当前服务未启用本地账号密码登录"));
    let body = json!({ "email": "ann@example.org" });
    let code = server.post("/api/auth/register/send-code", &[], body).await;
    assert_eq!(code.told(), (200, 400, "当前服务未启用本地账号注册"));
}

#[tokio::test]
async fn behind_a_trusted_proxy_only_administrators_use_passwords() {
    let proxies =
        [("ANNALS_AUTH_MODE", "trusted_proxy"), ("ANNALS_TRUSTED_PROXIES", "127.0.0.0/8")];
    let server = server(&proxies).await;
    server.given_user("ann", Role::Creator).await;
    let refused = server.login("ann", "password").await;
    assert_eq!(refused.told(), (200, 403, "当前服务仅允许管理员通过账号密码登录"));
    assert_eq!(server.login("ann", "wrong").await.told(), (500, 500, "用户名或密码错误"));
    assert_eq!(server.login("admin", ADMIN_PASSWORD).await.status, 200);

    let vouched = server.get("/api/auth/session", &[PROXY]).await;
    let user = &vouched.body["data"]["user"];
    let expected = json!({
        "userid": "carol", "username": "carol", "nickname": "carol", "role": "user",
    });
    assert_eq!((vouched.status, user), (200, &expected));
    for name in ["", " ", "system", "default_user"] {
        let refused = server.get("/api/auth/session", &[(PROXY.0, name)]).await;
        assert_eq!(refused.status, 401, "{name:?}");
    }
    let body = json!({ "old_password": "a", "new_password": "b" });
    let password = server.post("/api/user/change-password", &[PROXY], body).await;
    assert_eq!(password.told(), (500, 500, "用户不存在"));
}

#[tokio::test]
async fn nobody_vouches_for_themselves() {
    let server = server(&[("ANNALS_TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    let forged = [PROXY, ("x-forwarded-for", "10.0.0.1")];
    let answer = server.get("/api/auth/session", &forged).await;
    assert_eq!(answer.told(), (401, 401, "未登录"));
}
