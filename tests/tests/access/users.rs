use crate::server::{ADMIN_PASSWORD, Answer, Server, server};
use domain::user::Role;
use serde_json::{Value, json};

async fn admin(server: &Server) -> String {
    server.bearer("admin", ADMIN_PASSWORD).await
}

async fn add(server: &Server, bearer: &str, body: Value) -> Answer {
    server.post("/api/user/add", &[("authorization", bearer)], body).await
}

#[tokio::test]
async fn an_administrator_adds_lists_and_deletes_people() {
    let server = server(&[]).await;
    let bearer = admin(&server).await;
    let header = ("authorization", bearer.as_str());
    let body = json!({"username": "ann", "password": "pw", "email": "Ann@Example.org"});
    let added = add(&server, &bearer, body).await;
    assert_eq!(added.told(), (200, 200, "用户添加成功"));
    let ann = added.body["data"]["user_id"].clone();
    add(&server, &bearer, json!({"username": "bob", "password": "pw", "role": "admin"})).await;

    let list = server.get("/api/user/list?page_size=2", &[header]).await;
    assert_eq!(list.told(), (200, 200, "获取用户列表成功"));
    let items = list.body["data"]["items"].as_array().unwrap();
    assert_eq!(list.body["data"]["total"], 3);
    assert_eq!(items.len(), 2);
    let (newest, second) = (&items[0], &items[1]);
    assert_eq!((&newest["username"], &newest["role"]), (&json!("bob"), &json!("admin")));
    assert_eq!((&newest["email"], &newest["phonenum"]), (&json!(null), &json!(null)));
    assert_eq!((&second["user_id"], &second["email"]), (&ann, &json!("ann@example.org")));
    assert_eq!(
        (&second["role"], second["created_at"].as_str().unwrap().len()),
        (&json!("user"), 26)
    );
    let last = server.get("/api/user/list?page=2&page_size=2", &[header]).await;
    assert_eq!(last.body["data"]["items"][0]["username"], "admin");

    let cookie = server.cookie("ann", "pw").await;
    let theirs = server.bearer("ann", "pw").await;
    let deleted = server.post("/api/user/delete", &[header], json!({"user_id": ann})).await;
    assert_eq!((deleted.told(), &deleted.body["data"]), ((200, 200, "用户删除成功"), &json!({})));
    for header in [("cookie", cookie.as_str()), ("authorization", theirs.as_str())] {
        assert_eq!(server.get("/api/auth/session", &[header]).await.status, 401);
    }
    assert_eq!(server.login("ann", "pw").await.told(), (500, 500, "用户名或密码错误"));
    let again = server.post("/api/user/delete", &[header], json!({"user_id": ann})).await;
    assert_eq!(again.told(), (500, 500, "用户不存在"));
    // The names are free.
    let body = json!({"username": "Ann", "password": "pw", "email": "ann@example.org"});
    let new = add(&server, &bearer, body).await;
    assert_eq!(new.status, 200);
    assert_ne!(new.body["data"]["user_id"], ann);
    assert_eq!(server.count("UserDeleted").await, 1);
}

#[tokio::test]
async fn administrators_are_not_deleted() {
    let server = server(&[]).await;
    let bearer = admin(&server).await;
    let header = ("authorization", bearer.as_str());
    let session = server.get("/api/auth/session", &[header]).await;
    let own = &session.body["data"]["user"]["userid"];
    let head = server.node.app.log.head().await.unwrap();
    for (user, message) in [(own, "无法删除管理员用户"), (&json!("nobody"), "用户不存在")]
    {
        let refused = server.post("/api/user/delete", &[header], json!({"user_id": user})).await;
        assert_eq!(refused.told(), (500, 500, message));
    }
    assert_eq!(server.node.app.log.head().await.unwrap(), head);
}

#[tokio::test]
async fn only_administrators() {
    let server = server(&[]).await;
    let ann = server.given_user("ann", Role::Creator).await;
    let bearer = server.bearer("ann", "password").await;
    let header = ("authorization", bearer.as_str());
    let new = json!({"username": "eve", "password": "pw"});
    let head = server.node.app.log.head().await.unwrap();
    for answer in [
        server.get("/api/user/list", &[header]).await,
        server.post("/api/user/add", &[header], new.clone()).await,
        server.post("/api/user/delete", &[header], json!({"user_id": ann})).await,
    ] {
        assert_eq!(answer.told(), (200, 403, "权限不足"));
        assert_eq!(answer.body["data"], json!(null));
    }
    for answer in [
        server.get("/api/user/list", &[]).await,
        server.post("/api/user/add", &[], new).await,
        server.post("/api/user/delete", &[], json!({"user_id": ann})).await,
    ] {
        assert_eq!(answer.told(), (401, 401, "未授权"));
    }
    assert_eq!(server.node.app.log.head().await.unwrap(), head);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let server = server(&[]).await;
    server.given_user("ann", Role::Creator).await;
    let bearer = admin(&server).await;
    let head = server.node.app.log.head().await.unwrap();
    for (body, told) in [
        (json!({"username": "ANN", "password": "x"}), (500, 500, "用户名已存在")),
        (
            json!({"username": "b", "password": "x", "email": "ANN@example.org"}),
            (500, 500, "邮箱已存在"),
        ),
        (json!({"username": "b", "password": "x", "email": "b"}), (500, 500, "邮箱格式不正确")),
        (json!({"username": " ", "password": "x"}), (400, 400, "用户名格式不正确")),
        (
            json!({"username": "b", "password": "x", "role": "root"}),
            (400, 400, "角色须为 admin 或 user"),
        ),
        (json!({"username": "b", "password": ""}), (400, 400, "密码长度须为 1 到 1024 字节")),
    ] {
        assert_eq!(add(&server, &bearer, body.clone()).await.told(), told, "{body}");
    }
    assert_eq!(add(&server, &bearer, json!({"username": "b"})).await.status, 422);
    for query in ["page=0", "page_size=0", "page_size=101", "page=x", "page=99999999999"] {
        let header = ("authorization", bearer.as_str());
        let list = server.get(&format!("/api/user/list?{query}"), &[header]).await;
        assert_eq!(list.status, 422, "{query}");
    }
    assert_eq!(server.node.app.log.head().await.unwrap(), head);
}

#[tokio::test]
async fn everybody_who_is_logged_in_may_choose_from_all() {
    let server = server(&[]).await;
    let ann = server.given_user("ann", Role::Creator).await;
    let bearer = server.bearer("ann", "password").await;
    let options = server.get("/api/user/options", &[("authorization", &bearer)]).await;
    let choices = options.body["data"].as_array().unwrap();
    assert_eq!(choices.len(), 2);
    assert_eq!(choices[1], json!({"label": "ann", "value": ann}));
    assert_eq!(server.get("/api/user/options", &[]).await.told(), (401, 401, "未登录"));
}

#[tokio::test]
async fn a_configuration_is_merged_key_by_key() {
    let proxies = [("ANNALS_TRUSTED_PROXIES", "127.0.0.1")];
    let server = server(&proxies).await;
    server.given_user("ann", Role::Creator).await;
    let bearer = server.bearer("ann", "password").await;
    // Also people whom a proxy vouches for have one, each their own.
    for header in [("authorization", bearer.as_str()), ("x-sage-internal-userid", "carol")] {
        let get = async || server.get("/api/user/config", &[header]).await;
        let set = async |config: Value| {
            server.post("/api/user/config", &[header], json!({ "config": config })).await
        };
        assert_eq!(get().await.told(), (200, 200, "获取配置成功"));
        assert_eq!(get().await.body["data"], json!({"config": {}}));
        let first = json!({"theme": "dark", "pane": {"left": 1}});
        assert_eq!(set(first.clone()).await.told(), (200, 200, "更新配置成功"));
        // Told as it is kept: no column holds NUL.
        let merged = json!({"theme": "dark", "pane": {"right": 2}, "\u{fffd}n": [1.5, null]});
        let answer = set(json!({"pane": {"right": 2}, "\u{0}n": [1.5, null]})).await;
        assert_eq!(answer.body["data"], json!({ "config": merged }));
        let kept = get().await.body["data"]["config"].clone();
        assert_eq!(kept, merged);
        let large = set(json!({"x": "y".repeat(70_000)})).await;
        assert_eq!(large.told(), (400, 400, "配置过大"));
        assert_eq!(set(json!(7)).await.status, 422);
        assert_eq!(get().await.body["data"]["config"], kept);
    }
    assert_eq!(server.count("UserConfigured").await, 4);
    assert_eq!(server.get("/api/user/config", &[]).await.told(), (401, 401, "未登录"));
    let anonymous = server.post("/api/user/config", &[], json!({"config": {}})).await;
    assert_eq!(anonymous.told(), (401, 401, "未登录"));
}
