//! Access and refresh tokens: signed, short, and worth nothing without the login they name.

use super::error::Login;
use chrono::{DateTime, TimeDelta, Utc};
use commands::effects::{Sensitive, keys::Keys};
use domain::{
    ids::{LoginId, UserId},
    login::Audience,
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a client may read of itself in its access token. Nothing but `sid` and `exp` is believed when it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who.
    pub userid: UserId,
    /// The name to sign in with.
    pub username: String,
    /// The name to show.
    pub nickname: String,
    /// Where to call them; empty when unknown.
    pub phonenum: String,
    /// Where to reach them; empty when unknown.
    pub email: String,
    /// `admin` or `user`.
    pub role: String,
    /// Always empty.
    pub avatar: String,
    /// Always empty.
    pub avatar_url: String,
}

/// What an access token says on top of [`Claims`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The login.
    pub sid: LoginId,
    /// For which product it was opened.
    pub aud: Audience,
    /// When it ends, in seconds since the epoch.
    pub exp: i64,
}

#[derive(Serialize)]
struct Access<'a, C> {
    #[serde(flatten)]
    claims: &'a C,
    #[serde(flatten)]
    ticket: Ticket,
}

#[derive(Serialize)]
struct Refresh<'a> {
    uid: &'a UserId,
    nonce: &'a str,
    iat: i64,
    sid: LoginId,
    aud: Audience,
}

/// Makes and reads tokens.
pub struct Tokens {
    access: (EncodingKey, DecodingKey),
    refresh: EncodingKey,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens([redacted])")
    }
}

impl Tokens {
    /// With the keys of this installation.
    pub fn new(keys: &Keys) -> Self {
        let access = (EncodingKey::from_secret(keys.jwt()), DecodingKey::from_secret(keys.jwt()));
        Self { access, refresh: EncodingKey::from_secret(keys.refresh()) }
    }

    /// An access token.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn access(
        &self,
        claims: &impl Serialize,
        login: LoginId,
        audience: Audience,
        expires_at: DateTime<Utc>,
    ) -> Result<Sensitive, jsonwebtoken::errors::Error> {
        let ticket = Ticket { sid: login, aud: audience, exp: expires_at.timestamp() };
        encode(&Header::default(), &Access { claims, ticket }, &self.access.0).map(Sensitive::from)
    }

    /// A refresh token.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn refresh(
        &self,
        user: &UserId,
        login: LoginId,
        audience: Audience,
        now: DateTime<Utc>,
    ) -> Result<Sensitive, jsonwebtoken::errors::Error> {
        let nonce = Sensitive::random(4);
        let (nonce, iat) = (nonce.expose(), now.timestamp());
        let refresh = Refresh { uid: user, nonce, iat, sid: login, aud: audience };
        encode(&Header::default(), &refresh, &self.refresh).map(Sensitive::from)
    }

    /// The login that an access token stands for, at this time.
    ///
    /// # Errors
    /// [`Login::Expired`] or [`Login::Invalid`].
    pub fn read(&self, token: &str, now: DateTime<Utc>) -> Result<Ticket, Login> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[Audience::Sage.as_str(), Audience::Genie.as_str()]);
        // Checked below, with the time of the request and without leeway.
        rules.validate_exp = false;
        match decode::<Ticket>(token, &self.access.1, &rules) {
            Ok(token) if token.claims.exp > now.timestamp() => Ok(token.claims),
            Ok(_) => Err(Login::Expired),
            Err(error) => Err(match error.kind() {
                ErrorKind::ExpiredSignature => Login::Expired,
                _ => Login::Invalid,
            }),
        }
    }
}

/// How long an access token of the Sage clients lives.
pub const ACCESS_TOKEN_LIFE: TimeDelta = TimeDelta::hours(24);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use commands::effects::keys::MasterKey;
    use uuid::Uuid;

    fn tokens(first: char) -> Tokens {
        let key = format!("{first}AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        Tokens::new(&Keys::derive(&MasterKey::parse(&key[..44], "test").unwrap()))
    }

    fn claims() -> Claims {
        let text = |text: &str| text.to_owned();
        Claims {
            userid: "u1".into(),
            username: text("ann"),
            nickname: text("ann"),
            phonenum: text(""),
            email: text(""),
            role: text("user"),
            avatar: text(""),
            avatar_url: text(""),
        }
    }

    const LOGIN: LoginId = LoginId(Uuid::nil());

    #[test]
    fn a_token_names_its_login_until_it_expires() {
        let (tokens, now) = (tokens('A'), Utc::now());
        let ends = now + ACCESS_TOKEN_LIFE;
        let token = tokens.access(&claims(), LOGIN, Audience::Sage, ends).unwrap();
        let ticket = tokens.read(token.expose(), now).unwrap();
        assert_eq!((ticket.sid, ticket.aud), (LOGIN, Audience::Sage));
        assert_eq!(tokens.read(token.expose(), ends), Err(Login::Expired));
    }

    #[test]
    fn foreign_changed_and_refresh_tokens_are_not_access_tokens() {
        let (ours, now) = (tokens('A'), Utc::now());
        let ends = now + ACCESS_TOKEN_LIFE;
        let token = ours.access(&claims(), LOGIN, Audience::Sage, ends).unwrap();
        let refresh = ours.refresh(&"u1".into(), LOGIN, Audience::Sage, now).unwrap();
        let unsigned =
            "eyJhbGciOiJub25lIn0.eyJzaWQiOiIwIiwiYXVkIjoic2FnZSIsImV4cCI6OTk5OTk5OTk5OX0.";
        let changed = format!("{}x", token.expose());
        for text in [changed.as_str(), refresh.expose(), unsigned, "", "a.b.c"] {
            assert_eq!(ours.read(text, now), Err(Login::Invalid), "{text}");
        }
        assert_eq!(tokens('B').read(token.expose(), now), Err(Login::Invalid));
    }
}
