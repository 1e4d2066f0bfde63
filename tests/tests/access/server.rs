//! A node of its own for each test, served on loopback.

use api::{compose::Node, config::Config, serve};
use commands::log::Filter;
use domain::{Position, user::Role};
use reqwest::{Client, Method, Response, header::SET_COOKIE};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};
use tokio::net::TcpListener;

pub const ADMIN_PASSWORD: &str = "the admin's password";
pub const SYNC_SECRET: &str = "between servers";

pub struct Server {
    pub node: Node,
    pub base: String,
    pub http: Client,
}

pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub cookie: Option<String>,
}

pub async fn server(settings: &[(&str, &str)]) -> Server {
    server_on(&database().await, settings).await
}

/// A node on this database, as after a restart.
pub async fn server_on(database: &str, settings: &[(&str, &str)]) -> Server {
    let data = std::env::temp_dir().join(format!("annals-access-{}", uuid::Uuid::now_v7()));
    let data = data.to_string_lossy().into_owned();
    let defaults = [
        ("DATABASE_URL", database),
        ("ANNALS_DATA", &data),
        ("ANNALS_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("ANNALS_ADMIN_PASSWORD", ADMIN_PASSWORD),
        ("ANNALS_ALLOW_REGISTRATION", "true"),
        ("ANNALS_RBAC_SYNC_SECRET", SYNC_SECRET),
    ];
    let pairs = defaults.iter().chain(settings).map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let node = Node::start(Config::from_values(pairs).unwrap()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = serve::router(node.app.clone());
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Server { node, base, http: Client::new() }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Empty but for a folder; what stays behind would only be clutter.
        let _ = std::fs::remove_dir_all(&self.node.app.config.data);
    }
}

impl Server {
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, None).await
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        self.send(Method::POST, path, headers, Some(body)).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub async fn login(&self, name: &str, password: &str) -> Answer {
        let body = json!({ "username_or_email": name, "password": password });
        self.post("/api/auth/login", &[], body).await
    }

    /// The access token of a fresh login.
    pub async fn bearer(&self, name: &str, password: &str) -> String {
        let answer = self.login(name, password).await;
        format!("Bearer {}", answer.body["data"]["access_token"].as_str().unwrap())
    }

    /// The cookie of a fresh login, as the browser sends it back.
    pub async fn cookie(&self, name: &str, password: &str) -> String {
        let set = self.login(name, password).await.cookie.unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    /// Somebody with the password `password`.
    pub async fn given_user(&self, name: &str, role: Role) -> String {
        use commands::identity::{Registration, mint_user_id};
        use domain::user::{EmailAddress, Username};
        let wanted = Registration {
            user: mint_user_id(),
            username: Username::parse(name, None).unwrap(),
            password: "password".to_owned().into(),
            email: Some(EmailAddress::parse(&format!("{name}@example.org")).unwrap()),
            phone: None,
            role,
        };
        let app = &self.node.app;
        let registered = app.identity.register(wanted, &system()).await.unwrap();
        app.caught_up("users", registered.position).await;
        registered.user.0
    }

    /// How many events of this type there are.
    pub async fn count(&self, kind: &str) -> usize {
        let filter = Filter::all().kinds(&[kind]);
        self.node.app.log.read_all(Position::START, 10_000, &filter).await.unwrap().events.len()
    }
}

impl Answer {
    async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let cookie = response.headers().get(SET_COOKIE);
        let cookie = cookie.map(|value| value.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        Self { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)), cookie }
    }

    /// Status, code and message of an envelope.
    pub fn told(&self) -> (u16, u64, &str) {
        let code = self.body["code"].as_u64().unwrap_or_default();
        (self.status, code, self.body["message"].as_str().unwrap_or_default())
    }
}

pub fn system() -> domain::Metadata {
    domain::Metadata::system(uuid::Uuid::now_v7())
}

pub async fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = embedded::testing::server_url().await.unwrap();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("access_{}_{number}", std::process::id());
    let mut db = PgConnection::connect(&server).await.unwrap();
    for statement in [format!("drop database if exists {name}"), format!("create database {name}")]
    {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut db).await.unwrap();
    }
    let (base, query) = server.split_once('?').unwrap_or((&server, ""));
    let host = base.rsplit_once('/').unwrap().0;
    format!("{host}/{name}?{query}")
}
