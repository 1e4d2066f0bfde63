//! A node of its own for each test, and what it answers to callers who say who they are in whatever way.

pub use annals_tests::app::PASSWORD as ADMIN_PASSWORD;
use annals_tests::app::TestApp;
use commands::log::Filter;
use domain::{Position, user::Role};
use reqwest::{Client, Method, Response, header::SET_COOKIE};
use serde_json::{Value, json};

pub const SYNC_SECRET: &str = "between servers";
const DEFAULTS: [(&str, &str); 2] =
    [("ANNALS_ALLOW_REGISTRATION", "true"), ("ANNALS_RBAC_SYNC_SECRET", SYNC_SECRET)];

pub struct Server {
    pub node: TestApp,
    pub base: String,
    pub http: Client,
}

pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub cookie: Option<String>,
}

pub async fn server(settings: &[(&str, &str)]) -> Server {
    let settings = [&DEFAULTS, settings].concat();
    Server::around(TestApp::start_with(&settings).await.unwrap())
}

/// A node on this database, as after a restart.
pub async fn server_on(database: &str, settings: &[(&str, &str)]) -> Server {
    let settings = [&DEFAULTS, settings].concat();
    Server::around(TestApp::on(database, &settings).await.unwrap())
}

impl Drop for Server {
    fn drop(&mut self) {
        // Empty but for a folder; what stays behind would only be clutter.
        let _ = std::fs::remove_dir_all(&self.node.app.config.data);
    }
}

impl Server {
    fn around(node: TestApp) -> Self {
        let http = Client::builder().no_proxy().build().unwrap();
        Self { base: node.base_url.clone(), node, http }
    }

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
