//! Talks to providers: where they are, the way there, and what they say of who comes back.

use super::{ClientAuth, Endpoints, Provider};
use crate::effects::{
    Sensitive,
    fetch::{FetchError, Fetcher, Limits, Reach},
    flows::Proofs,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::BoxFuture;
use openidconnect::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    HttpRequest, HttpResponse, IssuerUrl, JsonWebKeySet, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, TokenResponse, TokenUrl,
    core::{
        CoreClient, CoreErrorResponseType, CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet,
        CoreJwsSigningAlgorithm as Alg, CoreProviderMetadata, CoreTokenResponse,
    },
    http,
    url::Url,
};
use reqwest::Request;
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Limits of one call.
const LIMITS: Limits = Limits { bytes: 1 << 20, time: Duration::from_secs(10) };
/// How long a provider's document and keys are used before they are looked at again.
const FRESH: Duration = Duration::from_secs(3600);
/// What ID tokens may be signed with: keys that only the provider has.
const ALGORITHMS: [Alg; 10] = [
    Alg::RsaSsaPkcs1V15Sha256,
    Alg::RsaSsaPkcs1V15Sha384,
    Alg::RsaSsaPkcs1V15Sha512,
    Alg::RsaSsaPssSha256,
    Alg::RsaSsaPssSha384,
    Alg::RsaSsaPssSha512,
    Alg::EcdsaP256Sha256,
    Alg::EcdsaP384Sha384,
    Alg::EcdsaP521Sha512,
    Alg::EdDsa,
];

/// Why somebody cannot come in through a provider. The texts are for the operator; none holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UpstreamError {
    /// It cannot be reached, or answers nonsense.
    #[error("the provider cannot be used: {0}")]
    Unusable(String),
    /// It does not know the code, or no longer.
    #[error("the provider does not accept the code")]
    CodeRefused,
    /// The browser came from another provider than the one it was sent to.
    #[error("the answer comes from another provider")]
    Foreign,
    /// What it says of the person proves nothing.
    #[error("the provider's answer proves nothing: {0}")]
    Unproven(String),
}

/// What a provider's document says, and its keys.
struct Known {
    issuer: IssuerUrl,
    authorize: Url,
    token: Url,
    userinfo: Option<Url>,

    keys: CoreJsonWebKeySet,
    fetched: Instant,
}

/// The providers' end of the line. What is learnt of them is remembered.
pub struct Upstreams {
    fetcher: Fetcher,
    known: Mutex<HashMap<String, Arc<Known>>>,
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstreams")
    }
}

impl Default for Upstreams {
    /// Providers are the operator's choice, so they may be anywhere.
    fn default() -> Self {
        Self { fetcher: Fetcher::undirected(Reach::Anywhere), known: Mutex::default() }
    }
}

/// What came back with the browser.
#[derive(Debug, Clone)]
pub struct Returned {
    /// The code.
    pub code: Sensitive,
    /// Who says to have sent it (RFC 9207).
    pub issuer: Option<String>,
    /// Where it was sent.
    pub redirect_uri: String,
}

impl Upstreams {
    /// Where to send a browser that wants to log in.
    ///
    /// # Errors
    /// [`UpstreamError::Unusable`].
    pub async fn authorize_url(
        &self,
        provider: &Provider,
        redirect_uri: &str,
        proofs: &Proofs,
    ) -> Result<Url, UpstreamError> {
        let mut url = match &provider.endpoints {
            Endpoints::Listed { authorize, .. } => authorize.clone(),
            Endpoints::Discovered(document) => self.known(document).await?.authorize.clone(),
        };
        let verifier = PkceCodeVerifier::new(proofs.verifier.expose().to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &provider.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &provider.scope)
            .append_pair("state", proofs.state.expose())
            .append_pair("nonce", proofs.nonce.expose())
            .append_pair("code_challenge", challenge.as_str())
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// What the provider says of whoever came back with this code: the claims of the ID token, which has to be right in
    /// every respect, and over them those of the userinfo endpoint.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn claims(
        &self,
        provider: &Provider,
        returned: &Returned,
        proofs: &Proofs,
    ) -> Result<Map<String, Value>, UpstreamError> {
        match &provider.endpoints {
            Endpoints::Listed { token, userinfo, .. } => {
                let tokens = self.exchange(provider, token, returned, proofs).await?;
                self.userinfo(userinfo, tokens.access_token().secret()).await
            }
            Endpoints::Discovered(document) => {
                let known = self.known(document).await?;
                let elsewhere = |issuer: &String| *issuer != **known.issuer;
                if returned.issuer.as_ref().is_some_and(elsewhere) {
                    return Err(UpstreamError::Foreign);
                }
                let tokens = self.exchange(provider, &known.token, returned, proofs).await?;
                let missing = || UpstreamError::Unproven("there is no ID token".to_owned());
                let id_token = tokens.id_token().ok_or_else(missing)?;
                let mut claims =
                    self.verified(provider, document, &known, id_token, proofs).await?;
                if let Some(url) = &known.userinfo {
                    let more = self.userinfo(url, tokens.access_token().secret()).await?;
                    if more.get("sub") != claims.get("sub") {
                        let text = "userinfo is about somebody else than the ID token";
                        return Err(UpstreamError::Unproven(text.to_owned()));
                    }
                    claims.extend(more);
                }
                Ok(claims)
            }
        }
    }

    async fn exchange(
        &self,
        provider: &Provider,
        token: &Url,
        returned: &Returned,
        proofs: &Proofs,
    ) -> Result<CoreTokenResponse, UpstreamError> {
        let redirect = RedirectUrl::new(returned.redirect_uri.clone()).map_err(unusable)?;
        // Keys and issuer are looked at later, with the ID token.
        let client = CoreClient::new(
            ClientId::new(provider.client_id.clone()),
            IssuerUrl::from_url(token.clone()),
            JsonWebKeySet::default(),
        );
        let client = match (&provider.client_secret, provider.client_auth) {
            (Some(secret), ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost) => {
                client.set_client_secret(ClientSecret::new(secret.expose().to_owned()))
            }
            _ => client,
        };
        let client = client
            .set_auth_type(match provider.client_auth {
                ClientAuth::ClientSecretBasic => AuthType::BasicAuth,
                ClientAuth::ClientSecretPost | ClientAuth::None => AuthType::RequestBody,
            })
            .set_redirect_uri(redirect)
            .set_token_uri(TokenUrl::from_url(token.clone()));
        let answer = client
            .exchange_code(AuthorizationCode::new(returned.code.expose().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(proofs.verifier.expose().to_owned()))
            .request_async(self)
            .await;
        answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(said)
                if *said.error() == CoreErrorResponseType::InvalidGrant =>
            {
                UpstreamError::CodeRefused
            }
            RequestTokenError::Request(error) => unusable(error),
            RequestTokenError::ServerResponse(said) => {
                UpstreamError::Unusable(format!("the token endpoint said {}", said.error()))
            }
            other => unusable(other),
        })
    }

    /// The claims of an ID token whose signature, issuer, audience, time and nonce are right. Keys may have been changed
    /// since they were fetched, so a signature is looked at twice.
    async fn verified(
        &self,
        provider: &Provider,
        document: &Url,
        known: &Known,
        token: &CoreIdToken,
        proofs: &Proofs,
    ) -> Result<Map<String, Value>, UpstreamError> {
        let nonce = Nonce::new(proofs.nonce.expose().to_owned());
        let verify = |keys: &CoreJsonWebKeySet| {
            let client = ClientId::new(provider.client_id.clone());
            let verifier =
                CoreIdTokenVerifier::new_public_client(client, known.issuer.clone(), keys.clone())
                    .set_allowed_algs(ALGORITHMS);
            token.claims(&verifier, &nonce).map(|_| ())
        };
        let mut verdict = verify(&known.keys);
        if let Err(ClaimsVerificationError::SignatureVerification(_)) = verdict {
            let fresh = self.learn(document).await?;
            verdict = verify(&fresh.keys);
        }
        verdict.map_err(|error| UpstreamError::Unproven(error.to_string()))?;
        let text = token.to_string();
        let payload = text.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims = payload.and_then(|json| serde_json::from_slice(&json).ok());
        claims.ok_or_else(|| UpstreamError::Unproven("the ID token cannot be read".to_owned()))
    }

    async fn userinfo(&self, url: &Url, token: &str) -> Result<Map<String, Value>, UpstreamError> {
        let request = http::Request::get(url.as_str())
            .header(http::header::AUTHORIZATION, format!("Bearer {token}"))
            .header(http::header::ACCEPT, "application/json")
            .body(Vec::new());
        self.json(request.map_err(unusable)?).await
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        request: HttpRequest,
    ) -> Result<T, UpstreamError> {
        let path = request.uri().path().to_owned();
        let answer = self.call(request).await.map_err(unusable)?;
        if answer.status() != http::StatusCode::OK {
            return Err(UpstreamError::Unusable(format!("{path} answers {}", answer.status())));
        }
        let parsed = serde_json::from_slice(answer.body());
        parsed.map_err(|_| UpstreamError::Unusable(format!("{path} answers something else")))
    }

    /// What the document of this URL says; an old answer is better than none.
    async fn known(&self, document: &Url) -> Result<Arc<Known>, UpstreamError> {
        let remembered = self.remembered(document);
        match remembered {
            Some(known) if known.fetched.elapsed() < FRESH => Ok(known),
            Some(old) => Ok(self.learn(document).await.unwrap_or(old)),
            None => self.learn(document).await,
        }
    }

    fn remembered(&self, document: &Url) -> Option<Arc<Known>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(document.as_str()).cloned()
    }

    async fn learn(&self, document: &Url) -> Result<Arc<Known>, UpstreamError> {
        let said: CoreProviderMetadata = self.json(get(document)?).await?;
        let whole = |text: &str| text.trim_end_matches('/').to_owned();
        let suffix = "/.well-known/openid-configuration";
        if let Some(issuer) = document.as_str().strip_suffix(suffix)
            && whole(issuer) != whole(said.issuer())
        {
            let text = format!("{document} is about another issuer, {}", **said.issuer());
            return Err(UpstreamError::Unusable(text));
        }
        let token = said.token_endpoint().ok_or_else(|| {
            UpstreamError::Unusable(format!("{document} names no token endpoint"))
        })?;
        let keys_at = said.jwks_uri().url().clone();
        let known = Arc::new(Known {
            issuer: said.issuer().clone(),
            authorize: said.authorization_endpoint().url().clone(),
            token: token.url().clone(),
            userinfo: said.userinfo_endpoint().map(|url| url.url().clone()),
            keys: self.json(get(&keys_at)?).await?,

            fetched: Instant::now(),
        });
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(document.to_string(), known.clone());
        Ok(known)
    }
}

impl<'c> AsyncHttpClient<'c> for Upstreams {
    type Error = FetchError;
    type Future = BoxFuture<'c, Result<HttpResponse, FetchError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let broken = || FetchError::Unreachable("the request cannot be made".into());
        Box::pin(async move {
            let request = Request::try_from(request).map_err(|_| broken())?;
            let fetched = self.fetcher.send(request, LIMITS).await?;
            let mut answer = http::Response::builder().status(fetched.status);
            if let Some(content_type) = fetched.content_type {
                answer = answer.header(http::header::CONTENT_TYPE, content_type);
            }
            answer.body(fetched.body.to_vec()).map_err(|_| broken())
        })
    }
}

fn get(url: &Url) -> Result<HttpRequest, UpstreamError> {
    let request = http::Request::get(url.as_str()).header(http::header::ACCEPT, "application/json");
    request.body(Vec::new()).map_err(unusable)
}

fn unusable(error: impl fmt::Display) -> UpstreamError {
    UpstreamError::Unusable(error.to_string())
}
