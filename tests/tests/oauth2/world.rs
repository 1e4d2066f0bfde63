//! A node with clients, a browser without a mind of its own, and the words they exchange.

use annals_tests::app::{PASSWORD, TestApp};
use anyhow::{Context, Result, ensure};
use commands::log::Filter;
use domain::{Position, ids::UserId, user::Role};
use reqwest::{
    Client, Method, RequestBuilder, Response, Url,
    header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE},
    redirect::Policy,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const CALLBACK: &str = "https://app.example/cb?tenant=1";
/// What has to be percent-encoded in a Basic header.
pub const SECRET: &str = "s3cr:t/+ %&=é";

pub fn clients() -> Value {
    let redirects = [CALLBACK, "com.example.app:/cb"];
    let client = |id: &str, more: Value| {
        let mut client = json!({ "client_id": id, "name": id, "redirect_uris": redirects });
        for (key, value) in more.as_object().into_iter().flatten() {
            client[key] = value.clone();
        }
        client
    };
    let post = json!({"client_secret": "p", "token_endpoint_auth_method": "client_secret_post"});
    json!([
        client("web app", json!({ "client_secret": SECRET })),
        client("post", post),
        client("spa", json!({})),
        client("old", json!({ "allow_plain_pkce": true })),
        client("asks", json!({"skip_consent": false, "name": "<b>Asks</b>", "description": "d"})),
        client("narrow", json!({ "scope": "openid" })),
        client("once", json!({ "grant_types": ["authorization_code"] })),
        client("mute", json!({ "response_types": ["token"] })),
        client("off", json!({ "enabled": false })),
    ])
}

pub struct World {
    pub node: TestApp,
    pub http: Client,
}

impl World {
    pub async fn start() -> Result<Self> {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Result<Self> {
        let clients = clients().to_string();
        let mut all = vec![("ANNALS_OAUTH2_CLIENTS", clients.as_str())];
        all.extend(settings);
        Self::around(TestApp::start_with(&all).await?)
    }

    /// A node on this database.
    pub async fn on(database_url: &str) -> Result<Self> {
        let clients = clients().to_string();
        Self::around(TestApp::on(database_url, &[("ANNALS_OAUTH2_CLIENTS", &clients)]).await?)
    }

    fn around(node: TestApp) -> Result<Self> {
        let http = Client::builder().no_proxy().redirect(Policy::none()).build()?;
        Ok(Self { node, http })
    }

    pub async fn stop(self) -> Result<()> {
        self.node.stop().await
    }

    pub fn issuer(&self) -> String {
        format!("{}/oauth2", self.node.base_url)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.node.base_url))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// The session cookie of somebody who has just logged in.
    pub async fn cookie(&self, name: &str) -> Result<String> {
        let body = json!({ "username_or_email": name, "password": PASSWORD });
        let reply = self.request(Method::POST, "/api/auth/login").json(&body).send().await?;
        cookie(&reply, "sage_session").context("no session cookie")
    }

    /// Somebody new, with their session cookie.
    pub async fn person(&self, name: &str) -> Result<(UserId, String)> {
        let user = self.node.user(name, Role::Creator).await?.user;
        Ok((user, self.cookie(name).await?))
    }

    /// The authorization endpoint's answer to a browser with this cookie.
    pub async fn authorize(&self, cookie: &str, wish: &[(&str, &str)]) -> Result<Response> {
        let path = format!("/oauth2/authorize?{}", query(wish)?);
        Ok(self.get(&path).header(COOKIE, cookie).send().await?)
    }

    /// A code for this client, asked for as it should be.
    pub async fn code(&self, cookie: &str, client: &str) -> Result<String> {
        let reply = self.authorize(cookie, &wish(client)).await?;
        ensure!(reply.status() == 302, "{}: {}", reply.status(), reply.text().await?);
        answered(&reply)?.remove("code").context("no code")
    }

    /// The token endpoint's answer to a public client.
    pub async fn token(&self, form: &[(&str, &str)]) -> Result<(u16, Value)> {
        said(self.request(Method::POST, "/oauth2/token").form(form).send().await?).await
    }

    /// The tokens that a public client gets for this code.
    pub async fn exchange(&self, client: &str, code: &str) -> Result<(u16, Value)> {
        self.token(&exchange(client, code)).await
    }

    /// Tokens for a public client, all the way.
    pub async fn tokens(&self, cookie: &str, client: &str) -> Result<Value> {
        let code = self.code(cookie, client).await?;
        let (status, tokens) = self.exchange(client, &code).await?;
        ensure!(status == 200, "{tokens}");
        Ok(tokens)
    }

    pub async fn refresh(&self, client: &str, token: &Value) -> Result<(u16, Value)> {
        self.token(&[
            ("grant_type", "refresh_token"),
            ("client_id", client),
            ("refresh_token", token["refresh_token"].as_str().unwrap_or_default()),
        ])
        .await
    }

    pub async fn userinfo(&self, tokens: &Value) -> Result<(u16, Value)> {
        let token = tokens["access_token"].as_str().unwrap_or_default();
        said(self.get("/oauth2/userinfo").bearer_auth(token).send().await?).await
    }

    /// The types of all events of grants, and their text.
    pub async fn events(&self) -> Result<(Vec<String>, String)> {
        let wanted = Filter::categories(&["grant"]);
        let page = self.node.app.log.read_all(Position(0), 10_000, &wanted).await?;
        let text: Vec<_> = page.events.iter().map(|event| event.data.get()).collect();
        Ok((page.events.iter().map(|event| event.kind.to_string()).collect(), text.join("\n")))
    }
}

pub fn wish(client: &str) -> Vec<(&str, &str)> {
    vec![
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email"),
        ("state", "a b&c=é"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

pub fn exchange<'a>(client: &'a str, code: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

/// The same parameters with another value for one of them; `None` leaves it out.
pub fn but<'a>(
    all: &[(&'a str, &'a str)],
    name: &'a str,
    value: Option<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    let rest = all.iter().copied().filter(|(other, _)| *other != name);
    rest.chain(value.map(|value| (name, value))).collect()
}

pub fn query(pairs: &[(&str, &str)]) -> Result<String> {
    let url = Url::parse_with_params("http://x.invalid/", pairs)?;
    Ok(url.query().unwrap_or_default().to_owned())
}

/// A form as the body of a request.
pub trait Form {
    fn form<K: AsRef<str>, V: AsRef<str>>(self, pairs: &[(K, V)]) -> Self;
}

impl Form for RequestBuilder {
    fn form<K: AsRef<str>, V: AsRef<str>>(self, pairs: &[(K, V)]) -> Self {
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (k.as_ref(), v.as_ref())).collect();
        let typed = self.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        typed.body(query(&pairs).unwrap_or_default())
    }
}

pub fn location(reply: &Response) -> Result<String> {
    Ok(reply.headers().get(LOCATION).context("no location")?.to_str()?.to_owned())
}

/// What a client is told in the query of its callback.
pub fn answered(reply: &Response) -> Result<BTreeMap<String, String>> {
    let location = location(reply)?;
    ensure!(location.starts_with(CALLBACK), "{location}");
    Ok(Url::parse(&location)?.query_pairs().into_owned().collect())
}

pub fn cookie(reply: &Response, name: &str) -> Option<String> {
    let all = reply.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.filter_map(|cookie| cookie.split(';').next());
    pairs.find(|pair| pair.starts_with(&format!("{name}="))).map(str::to_owned)
}

pub async fn said(reply: Response) -> Result<(u16, Value)> {
    let status = reply.status().as_u16();
    let text = reply.text().await?;
    Ok((status, serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))?))
}

/// The value of a hidden field.
pub fn field(page: &str, name: &str) -> Result<String> {
    let start = format!("name=\"{name}\" value=\"");
    let rest = page.split(&start).nth(1).with_context(|| format!("no {name} in {page}"))?;
    let value = rest.split('"').next().unwrap_or_default();
    Ok(value
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&"))
}
