//! The authorization endpoint: a browser comes with a client's wish and leaves with a code.

use super::{Failed, Refused, Result, consent, issuer::Issuer, params::Params};
use crate::{
    app::App,
    core::{Caller, Error},
};
use axum::{
    extract::{FromRequestParts, OriginalUri, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use commands::oauth2::{Agreement, challenge_of, clients::Client};
use domain::grant::Scope;

/// Bytes of the longest query: it has to survive the way over the login page.
const LONGEST: usize = 8_000;

/// Whether this path leads to the authorization endpoint, which sends the browser on to a client.
pub fn leads_there(path: &str) -> bool {
    path.split('?').next().unwrap_or_default().ends_with("/authorize")
}

/// What a client wants of the person at the browser.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "parameters are read as the RFC has them: none twice, none empty")]
struct Asked {
    /// Always `code`.
    response_type: String,
    client_id: String,
    /// One of the client's, as it is registered; by default the first of them.
    #[param(format = "uri")]
    redirect_uri: Option<String>,
    /// Words with spaces between; by default all that the client may have.
    scope: Option<String>,
    /// Goes back to the client as it is.
    state: Option<String>,
    /// Of the verifier that will come with the code (RFC 7636). Clients without a secret have to send one.
    code_challenge: Option<String>,
    /// `S256`; also `plain`, by default, for clients that may.
    code_challenge_method: Option<String>,
    /// `none`, or any of `login`, `consent` and `select_account` with spaces between.
    prompt: Option<String>,
}

/// Asks the person at the browser whether a client may know who they are.
///
/// All that is wrong with the request is told here, and nothing of that sent to the client.
#[utoipa::path(
    get,
    path = "/oauth2/authorize",
    params(Asked),
    responses(
        (status = 200, description = "A page that asks.", body = String, content_type = "text/html"),
        (status = 302, description = "To the client, with `code`, or `error`, `state` and `iss`; or to the login page.",
            headers(("Location" = String, description = "Where to go on."))),
        (status = 400, description = "The request is malformed.", body = Failed),
        (status = 401, description = "There is no such client.", body = Failed),
        (status = 403, description = "The client may not ask so.", body = Failed),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security((), ("session" = [])),
)]
pub async fn authorize(
    State(app): State<App>,
    Issuer(issuer): Issuer,
    Visitor(visitor): Visitor,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let query = uri.query().unwrap_or_default();
    let wish = Wish::of(&app, query)?;
    let back = |error| sent_back(&wish, issuer.as_str(), &[("error", error)], StatusCode::FOUND);
    let Some(caller) = visitor.filter(|_| !wish.prompts("login")) else {
        return if wish.prompts("none") {
            back("login_required")
        } else {
            to_login(&app, uri.path(), &wish, query)
        };
    };
    if wish.client.skip_consent && !wish.prompts("consent") {
        return allowed(&app, &caller, &wish, issuer.as_str(), StatusCode::FOUND).await;
    }
    if wish.prompts("none") {
        return back("consent_required");
    }
    Ok(consent::ask(&app, &caller, &wish, query))
}

/// Whoever is logged in, if anybody is; by session cookie, as any other way.
pub struct Visitor(pub Option<Caller>);

impl FromRequestParts<App> for Visitor {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        match Caller::from_request_parts(parts, app).await {
            Ok(caller) => Ok(Self(Some(caller))),
            Err(Error::Unauthenticated(_)) => Ok(Self(None)),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a client wants, checked.
pub struct Wish<'a> {
    pub client: &'a Client,
    pub scope: Scope,
    redirect_uri: String,
    redirect_named: bool,
    state: Option<String>,
    challenge: Option<String>,
    prompt: Vec<String>,
}

impl<'a> Wish<'a> {
    /// The wish in a query. The order of checks is the contract's, as is that all of them answer here: nothing is sent
    /// to a place that was not agreed on.
    pub fn of(app: &'a App, query: &str) -> Result<Self> {
        if query.len() > LONGEST {
            return Err(Refused::invalid("the query is too long"));
        }
        let params = Params::parse(query.as_bytes())?;
        if params.get("response_type") != Some("code") {
            return Err(Refused::bad("unsupported_response_type", "response_type has to be code"));
        }
        for (name, error) in
            [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")]
        {
            if params.get(name).is_some() {
                return Err(Refused::bad(error, "request objects are not supported"));
            }
        }
        if params.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(Refused::invalid("response_mode has to be query"));
        }
        let client = app.oauth2.clients.enabled(params.need("client_id")?);
        let client = client.ok_or_else(|| Refused::client("unknown client"))?;
        if !client.may_exchange || !client.may_ask {
            let why = "the client may not ask for codes";
            return Err(Refused::new(StatusCode::FORBIDDEN, "unauthorized_client", why));
        }
        let named = params.get("redirect_uri");
        let redirect_uri = match named {
            Some(uri) => client.redirect_uris.iter().find(|known| *known == uri),
            None => client.redirect_uris.first(),
        };
        let redirect_uri = redirect_uri.cloned();
        let redirect_uri =
            redirect_uri.ok_or_else(|| Refused::invalid("redirect_uri is not registered"))?;
        Ok(Self {
            client,
            redirect_uri,
            redirect_named: named.is_some(),
            scope: scope(client, &params)?,
            challenge: challenge(client, &params)?,
            prompt: prompt(&params)?,
            state: params.get("state").map(str::to_owned),
        })
    }

    fn prompts(&self, word: &str) -> bool {
        self.prompt.iter().any(|one| one == word)
    }
}

fn scope(client: &Client, params: &Params) -> Result<Scope> {
    let too_wide = || Refused::bad("invalid_scope", "the scope exceeds what the client may see");
    let Some(text) = params.get("scope") else { return Ok(client.scope.clone()) };
    let scope =
        Scope::parse(text).map_err(|error| Refused::bad("invalid_scope", error.to_string()))?;
    if scope.is_empty() {
        return Ok(client.scope.clone());
    }
    if client.scope.covers(&scope) { Ok(scope) } else { Err(too_wide()) }
}

fn challenge(client: &Client, params: &Params) -> Result<Option<String>> {
    let method = params.get("code_challenge_method");
    let Some(challenge) = params.get("code_challenge") else {
        if method.is_some() {
            return Err(Refused::invalid("code_challenge is missing"));
        }
        if client.secret.is_none() {
            return Err(Refused::invalid("public clients must use PKCE"));
        }
        return Ok(None);
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&challenge.len()) || !challenge.bytes().all(unreserved) {
        return Err(Refused::invalid("code_challenge has to be 43 to 128 unreserved characters"));
    }
    match method.unwrap_or("plain") {
        "S256" if challenge.len() == 43 => Ok(Some(challenge.to_owned())),
        "S256" => Err(Refused::invalid("code_challenge is no SHA-256 in base64url")),
        "plain" if client.plain_pkce => Ok(Some(challenge_of(challenge))),
        "plain" => Err(Refused::invalid("code_challenge_method has to be S256")),
        _ => Err(Refused::invalid("code_challenge_method is not supported")),
    }
}

fn prompt(params: &Params) -> Result<Vec<String>> {
    let words: Vec<_> = params.get("prompt").unwrap_or_default().split_whitespace().collect();
    if words.contains(&"none") && words.len() > 1 {
        return Err(Refused::invalid("prompt=none stands alone"));
    }
    // To choose another account is to log in again.
    let login = |word: &str| if word == "select_account" { "login" } else { word }.to_owned();
    Ok(words.into_iter().map(login).collect())
}

/// Sends the browser to the login page, and from there back here, without the wish to log in again.
fn to_login(app: &App, path: &str, wish: &Wish<'_>, query: &str) -> Result<Response> {
    let mut kept = form_urlencoded::Serializer::new(String::new());
    kept.extend_pairs(
        form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "prompt"),
    );
    let rest: Vec<_> = wish.prompt.iter().filter(|word| *word != "login").map(|w| &**w).collect();
    if !rest.is_empty() {
        kept.append_pair("prompt", &rest.join(" "));
    }
    let next = format!("{path}?{}", kept.finish());
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    see(&format!("{}/login?next={next}", app.config.web_base_path), StatusCode::FOUND)
}

/// A code for the client, on its way through the browser.
pub async fn allowed(
    app: &App,
    caller: &Caller,
    wish: &Wish<'_>,
    issuer: &str,
    status: StatusCode,
) -> Result<Response> {
    let agreement = Agreement {
        client: wish.client.id.clone(),
        user: caller.user.clone(),
        scope: wish.scope.clone(),
        redirect_uri: wish.redirect_uri.clone(),
        redirect_named: wish.redirect_named,
        challenge: wish.challenge.clone(),
    };
    let code = app.oauth2.issue(agreement, Utc::now(), &caller.metadata()).await?;
    sent_back(wish, issuer, &[("code", code.expose())], status)
}

/// Back to the client, with its `state` and with who answers (RFC 9207).
pub fn sent_back(
    wish: &Wish<'_>,
    issuer: &str,
    answer: &[(&str, &str)],
    status: StatusCode,
) -> Result<Response> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(answer);
    if let Some(state) = &wish.state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", issuer);
    let uri = &wish.redirect_uri;
    let joint = match uri.find('?') {
        None => "?",
        Some(_) if uri.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    see(&format!("{uri}{joint}{}", query.finish()), status)
}

fn see(location: &str, status: StatusCode) -> Result<Response> {
    let location = HeaderValue::from_str(location);
    let location = location.map_err(|error| Error::Internal(error.to_string()))?;
    // Neither the code nor the wish is to show in what the next page is told about this one.
    let quiet = HeaderValue::from_static("no-referrer");
    let headers = [(header::LOCATION, location), (header::REFERRER_POLICY, quiet)];
    Ok((status, headers).into_response())
}
