//! An OpenID provider that does what it is told: a real HTTP server, real keys, and a strict look at every request.

use anyhow::{Context, Result};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle};
use uuid::Uuid;

/// What the client is called here.
pub const CLIENT_ID: &str = "annals";
/// What proves it.
pub const CLIENT_SECRET: &str = "s3cret between servers";

/// Bytes of the modulus of a key, and where it begins in its PKCS #1 form.
const MODULUS: (usize, usize) = (256, 9);

/// What is to be wrong with the next answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    #[default]
    None,
    /// The ID token is for another login.
    Nonce,
    /// The ID token is for another client.
    Audience,
    /// Somebody else issued the ID token.
    Issuer,
    /// The ID token is an hour old.
    Expired,
    /// The ID token is signed with a key that is not published.
    Signature,
    /// The ID token is not signed at all.
    Unsigned,
    /// Userinfo is about somebody else.
    Userinfo,
    /// The document is about another issuer.
    Document,
    /// The person says no.
    Denied,
}

/// A running provider; it ends when this is dropped.
pub struct IdentityProvider {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: JoinHandle<()>,
}

struct Shared {
    issuer: String,
    key: KeyPair,
    kid: String,
    person: Map<String, Value>,
    flaw: Flaw,
    codes: HashMap<String, Granted>,
    tokens: HashMap<String, Map<String, Value>>,
    key_fetches: usize,
}

struct Granted {
    redirect_uri: String,
    challenge: String,
    nonce: String,
}

impl IdentityProvider {
    /// Starts one where `ann` is logged in, with a verified address.
    ///
    /// # Errors
    /// When no port or key can be had.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared {
            issuer: format!("http://{address}"),
            key: key()?,
            kid: "first".to_owned(),
            person: Map::new(),
            flaw: Flaw::None,
            codes: HashMap::new(),
            tokens: HashMap::new(),
            key_fetches: 0,
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/jwks", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(shared.clone());
        let serving = tokio::spawn(async move {
            // It never returns: accept errors are retried inside.
            let _ = axum::serve(listener, router).await;
        });
        let provider = Self { address, shared, serving };
        provider.person(json!({
            "sub": "ann-1", "preferred_username": "ann", "email": "ann@example.org",
            "email_verified": true,
        }));
        Ok(provider)
    }

    /// The address of this path here.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How a client is configured for it, with `more` over it.
    pub fn configuration(&self, more: Value) -> Value {
        let mut whole = json!({
            "id": "corp", "type": "oidc", "name": "Corp", "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "discovery_url": self.url("/.well-known/openid-configuration"),
        });
        if let (Some(whole), Value::Object(more)) = (whole.as_object_mut(), more) {
            whole.extend(more);
        }
        whole
    }

    /// Who is logged in from now on, by their claims.
    pub fn person(&self, claims: Value) {
        lock(&self.shared).person = claims.as_object().cloned().unwrap_or_default();
    }

    /// What is wrong from now on.
    pub fn flaw(&self, flaw: Flaw) {
        lock(&self.shared).flaw = flaw;
    }

    /// Signs with another key from now on.
    ///
    /// # Errors
    /// When no key can be had.
    pub fn rotate(&self) -> Result<()> {
        let (key, mut shared) = (key()?, lock(&self.shared));
        shared.key = key;
        shared.kid = Uuid::new_v4().to_string();
        Ok(())
    }

    /// How often somebody asked for its keys.
    pub fn key_fetches(&self) -> usize {
        lock(&self.shared).key_fetches
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn key() -> Result<KeyPair> {
    KeyPair::generate(KeySize::Rsa2048).ok().context("an RSA key")
}

type Provider = State<Arc<Mutex<Shared>>>;

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn document(State(shared): Provider) -> Json<Value> {
    let (issuer, flaw) = {
        let shared = lock(&shared);
        (shared.issuer.clone(), shared.flaw)
    };
    let claimed = if flaw == Flaw::Document { "http://evil.example" } else { &issuer };
    Json(json!({
        "issuer": claimed,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn keys(State(shared): Provider) -> Json<Value> {
    let mut shared = lock(&shared);
    shared.key_fetches += 1;
    let (length, start) = MODULUS;
    let modulus = &shared.key.public_key().as_ref()[start..start + length];
    let n = URL_SAFE_NO_PAD.encode(modulus);
    let key =
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": shared.kid, "n": n, "e": "AQAB"});
    Json(json!({"keys": [key]}))
}

/// Sends the browser back at once: the person has agreed long ago.
async fn authorize(
    State(shared): Provider,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut shared = lock(&shared);
    let asked = |name: &str| query.get(name).cloned().unwrap_or_default();
    let right = asked("response_type") == "code"
        && asked("client_id") == CLIENT_ID
        && asked("code_challenge_method") == "S256"
        && !asked("state").is_empty()
        && !asked("nonce").is_empty();
    if !right {
        return (StatusCode::BAD_REQUEST, "a wrong request").into_response();
    }
    let (redirect_uri, state) = (asked("redirect_uri"), asked("state"));
    if shared.flaw == Flaw::Denied {
        let back = format!("{redirect_uri}?error=access_denied&state={state}");
        return Redirect::to(&back).into_response();
    }
    let code = Uuid::new_v4().simple().to_string();
    let (challenge, nonce) = (asked("code_challenge"), asked("nonce"));
    let granted = Granted { redirect_uri: redirect_uri.clone(), challenge, nonce };
    shared.codes.insert(code.clone(), granted);
    Redirect::to(&format!("{redirect_uri}?code={code}&state={state}")).into_response()
}

async fn token(
    State(shared): Provider,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> std::result::Result<Json<Value>, (StatusCode, Json<Value>)> {
    let mut shared = lock(&shared);
    let refused = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({"error": error})));
    let sent = |name: &str| form.get(name).cloned().unwrap_or_default();
    let in_form = (sent("client_id"), sent("client_secret"));
    if basic(&headers).unwrap_or(in_form) != (CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned()) {
        return Err(refused("invalid_client"));
    }
    let granted = shared.codes.remove(&sent("code")).ok_or_else(|| refused("invalid_grant"))?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(sent("code_verifier").as_bytes()));
    if granted.redirect_uri != sent("redirect_uri") || granted.challenge != challenge {
        return Err(refused("invalid_grant"));
    }
    let id_token = id_token(&shared, &granted).ok_or_else(|| refused("server_error"))?;
    let access_token = Uuid::new_v4().simple().to_string();
    let person = shared.person.clone();
    shared.tokens.insert(access_token.clone(), person);
    Ok(Json(json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": 60,
        "id_token": id_token,
    })))
}

/// Name and secret of a client that proves itself in the header, each written as in a form.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    let (name, secret) = pair.split_once(':')?;
    Some((name.to_owned(), secret.replace('+', " ").replace("%20", " ")))
}

fn id_token(shared: &Shared, granted: &Granted) -> Option<String> {
    let (flaw, now) = (shared.flaw, chrono::Utc::now().timestamp());
    let or = |wrong: Flaw, bad: &str, good: &str| {
        if flaw == wrong { bad.to_owned() } else { good.to_owned() }
    };
    let age = if flaw == Flaw::Expired { 3_600 } else { 0 };
    let claims = json!({
        "iss": or(Flaw::Issuer, "http://evil.example", &shared.issuer),
        "aud": or(Flaw::Audience, "somebody else", CLIENT_ID),
        "nonce": or(Flaw::Nonce, "another one", &granted.nonce),
        "sub": shared.person.get("sub")?,
        "iat": now - age, "exp": now - age + 60,
    });
    let alg = or(Flaw::Unsigned, "none", "RS256");
    let head = json!({"alg": alg, "typ": "JWT", "kid": shared.kid});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&head), part(&claims));
    if flaw == Flaw::Unsigned {
        return Some(format!("{signed}."));
    }
    let other = (flaw == Flaw::Signature).then(key).transpose().ok()?;
    let key = other.as_ref().unwrap_or(&shared.key);
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

async fn userinfo(State(shared): Provider, headers: HeaderMap) -> Response {
    let shared = lock(&shared);
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = sent.and_then(|value| value.strip_prefix("Bearer "));
    let Some(mut claims) = token.and_then(|token| shared.tokens.get(token)).cloned() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    if shared.flaw == Flaw::Userinfo {
        claims.insert("sub".to_owned(), json!("somebody else"));
    }
    Json(claims).into_response()
}
