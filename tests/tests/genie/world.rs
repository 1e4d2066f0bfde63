use annals_tests::app::{PASSWORD, Person, TestApp};
use anyhow::{Context, Result, ensure};
use commands::log::Filter;
use domain::{Position, user::Role};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

pub const SECRET: (&str, &str) = ("x-rbac-sync-secret", "between servers");

/// A node and the people at it.
pub struct World {
    pub app: TestApp,
}

/// Status and body; `null` for a body that is no JSON.
pub async fn ask(request: RequestBuilder) -> Result<(u16, Value)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    Ok((status, serde_json::from_str(&response.text().await?).unwrap_or_default()))
}

/// The body of a request that has to succeed.
pub async fn good(request: RequestBuilder) -> Result<Value> {
    let (status, body) = ask(request).await?;
    ensure!((200..300).contains(&status), "{status}: {body}");
    Ok(body)
}

/// Status and code of a request that has to fail in the dialect's shape.
pub async fn refused(request: RequestBuilder) -> Result<(u16, String)> {
    let (status, body) = ask(request).await?;
    ensure!(status >= 400 && body["ok"] == false && body["success"] == false, "{status}: {body}");
    ensure!(body["message"].is_string(), "{body}");
    Ok((status, body["error"].as_str().context("a code")?.to_owned()))
}

impl World {
    pub async fn start() -> Result<Self> {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Result<Self> {
        let mut all = vec![("ANNALS_RBAC_SYNC_SECRET", SECRET.1)];
        all.extend(settings);
        Ok(Self { app: TestApp::start_with(&all).await? })
    }

    /// Somebody new, signed in as this API's clients do it.
    pub async fn person(&self, name: &str, role: Role) -> Result<Person> {
        let user = self.app.user(name, role).await?.user;
        let mut person = self.sign_in(name).await?;
        person.user = user;
        Ok(person)
    }

    pub async fn creator(&self, name: &str) -> Result<Person> {
        self.person(name, Role::Creator).await
    }

    pub async fn admin(&self) -> Result<Person> {
        self.sign_in("admin").await
    }

    async fn sign_in(&self, name: &str) -> Result<Person> {
        let data = self.tokens(name).await?;
        let token = data["access_token"].as_str().context("a token")?;
        Person::calling(&self.app.base_url, &format!("Bearer {token}"))
    }

    /// What a login answers.
    pub async fn tokens(&self, name: &str) -> Result<Value> {
        let body = json!({"email": name, "password": PASSWORD});
        let answer = good(self.app.nobody()?.post("/auth/login").json(&body)).await?;
        Ok(answer["data"].clone())
    }

    /// How many events of this type there are.
    pub async fn count(&self, kind: &str) -> Result<usize> {
        let filter = Filter::all().kinds(&[kind]);
        let log = &self.app.app.log;
        Ok(log.read_all(Position::START, 10_000, &filter).await?.events.len())
    }
}
