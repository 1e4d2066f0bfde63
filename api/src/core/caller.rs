//! Who is calling.

use super::{Context, Error, error::Login, peer::Peer};
use crate::app::App;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use chrono::{DateTime, Utc};
use commands::{
    effects::{Sensitive, secret::same},
    identity::OpenedLogin,
};
use domain::{
    Metadata,
    ids::{LoginId, UserId},
    login::Audience,
    user::{Role, Status},
};
use projections::{
    logins::{self, Session},
    users::{self, Person},
};

/// Name of the cookie that holds a login.
pub const SESSION_COOKIE: &str = "sage_session";
/// Header with which a trusted proxy vouches for somebody.
pub const VOUCHED: &str = "x-sage-internal-userid";

/// An authenticated person, resolved anew on every request from what was sent and from the read models.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// The name to show.
    pub username: String,
    /// Whether the person administers this installation.
    pub admin: bool,
    /// What the person may do.
    pub role: Role,
    /// What is known of the person; `None` for those a trusted proxy vouches for.
    pub person: Option<Person>,
    /// The login; `None` for API tokens and trusted proxies.
    pub login: Option<LoginId>,
    /// For which product the login was opened.
    pub audience: Option<Audience>,
    /// The administrator who acts as this person.
    pub impersonator: Option<UserId>,
    /// When the access token ends, if it was one, in seconds since the epoch.
    pub token_expires: Option<i64>,
}

impl Caller {
    /// Metadata of events this caller causes by this request.
    pub fn metadata(&self) -> Metadata {
        let metadata = Context::current().metadata(self.user.clone());
        match &self.impersonator {
            None => metadata,
            Some(admin) => {
                Metadata { actor: admin.clone(), on_behalf_of: Some(self.user.clone()), ..metadata }
            }
        }
    }

    /// Whose things lists show: the caller's own, or everybody's to an administrator.
    pub fn scope(&self) -> Option<&UserId> {
        (!self.admin).then_some(&self.user)
    }

    /// As [`Caller::may_access`], for the text in a row.
    pub fn sees(&self, owner: &str) -> bool {
        self.admin || self.user.as_str() == owner
    }

    /// Whether the caller may see and change what `owner` owns.
    pub fn may_access(&self, owner: &UserId) -> bool {
        self.admin || self.user == *owner
    }

    fn of(person: Person) -> Self {
        Self {
            user: person.id.clone(),
            username: person.username.clone(),
            admin: person.role.is_admin(),
            role: person.role,
            person: Some(person),
            login: None,
            audience: None,
            impersonator: None,
            token_expires: None,
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        // The first thing wrong is told only when nothing else proves who it is.
        let mut failure = Login::Missing;
        for way in [Way::Bearer, Way::Cookie, Way::Proxy, Way::ApiToken] {
            let found = match way {
                Way::Bearer => by_bearer(app, &parts.headers).await?,
                Way::Cookie => by_cookie(app, &parts.headers).await?,
                Way::Proxy => by_proxy(app, parts).await?,
                Way::ApiToken => by_api_token(app, &parts.headers).await?,
            };
            match found {
                Ok(caller) => {
                    // Asked for twice in one request, it is the same person.
                    let _known = Context::current().caller.set(caller.user.clone());
                    return Ok(caller);
                }
                Err(wrong) if failure == Login::Missing => failure = wrong,
                Err(_) => {}
            }
        }
        Err(Error::Unauthenticated(failure))
    }
}

/// The ways to prove who one is, in the order in which they count.
enum Way {
    Bearer,
    Cookie,
    Proxy,
    ApiToken,
}

/// A caller, or why there is none.
pub type Found = Result<Result<Caller, Login>, Error>;

async fn by_bearer(app: &App, headers: &HeaderMap) -> Found {
    let Some(token) = authorization(headers, "bearer") else { return Ok(Err(Login::Missing)) };
    let ticket = match app.access.tokens.read(token, Utc::now()) {
        Ok(ticket) => ticket,
        Err(login) => return Ok(Err(login)),
    };
    let Some(session) = logins::session(&app.db, ticket.sid).await? else {
        return Ok(Err(Login::Invalid));
    };
    if let Some(admin) = &session.impersonator {
        // Whoever administers no longer acts as nobody any more.
        let admin = users::by_id(&app.db, admin).await?;
        if !admin.is_some_and(|admin| admin.role.is_admin() && admin.status == Status::Active) {
            return Ok(Err(Login::Invalid));
        }
    }
    let caller = admit(session, Utc::now());
    Ok(caller.map(|caller| Caller { token_expires: Some(ticket.exp), ..caller }))
}

/// The caller of the session cookie.
///
/// # Errors
/// When the database does not answer; the inner error says what is wrong with the cookie.
pub async fn by_cookie(app: &App, headers: &HeaderMap) -> Found {
    let value = cookie_value(headers, SESSION_COOKIE);
    let Some((login, secret)) = value.and_then(OpenedLogin::parse_cookie) else {
        return Ok(Err(Login::Missing));
    };
    let session = logins::session(&app.db, login).await?;
    Ok(match session {
        // Other products keep their secret elsewhere, and replace it.
        Some(session)
            if session.audience == Audience::Sage && same(&session.digest, &secret.digest()) =>
        {
            admit(session, Utc::now())
        }
        // A cookie that names nothing is as good as none: the browser keeps it for days after a reinstallation.
        _ => Err(Login::Missing),
    })
}

async fn by_proxy(app: &App, parts: &Parts) -> Found {
    let vouched = parts.headers.get(VOUCHED);
    let name = vouched.and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).map(str::trim);
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(Err(Login::Missing)) };
    if !Peer::of(parts, app).proxied {
        return Ok(Err(Login::Missing));
    }
    let user = UserId(name.to_owned());
    let reserved = user == UserId::system() || user == UserId::anonymous();
    if reserved || name.len() > 128 || name.chars().any(char::is_control) {
        return Ok(Err(Login::Invalid));
    }
    let known = users::by_id(&app.db, &user).await?;
    if known.is_some_and(|person| person.status != Status::Active) {
        return Ok(Err(Login::Inactive));
    }
    // A proxy vouches for people, never for administrators.
    Ok(Ok(Caller {
        username: name.to_owned(),
        user,
        admin: false,
        role: Role::Creator,
        person: None,
        login: None,
        audience: None,
        impersonator: None,
        token_expires: None,
    }))
}

/// The caller of the API token in the `Authorization` header.
///
/// # Errors
/// When the database does not answer; the inner error says what is wrong with the token.
pub async fn by_api_token(app: &App, headers: &HeaderMap) -> Found {
    let Some(token) = authorization(headers, "token") else { return Ok(Err(Login::Missing)) };
    let digest = Sensitive::from(token.to_owned()).digest();
    Ok(match users::by_api_token(&app.db, &digest).await? {
        Some(person) if person.status == Status::Active => Ok(Caller::of(person)),
        Some(_) => Err(Login::Inactive),
        None => Err(Login::Invalid),
    })
}

fn admit(session: Session, now: DateTime<Utc>) -> Result<Caller, Login> {
    if session.person.status != Status::Active {
        return Err(Login::Inactive);
    }
    if !session.open || session.expires_at <= now {
        return Err(Login::Expired);
    }
    let (login, audience) = (Some(session.login), Some(session.audience));
    let impersonator = session.impersonator;
    Ok(Caller { login, audience, impersonator, ..Caller::of(session.person) })
}

fn authorization<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.trim().split_once(' ')?;
    let rest = rest.trim();
    (scheme.eq_ignore_ascii_case(wanted) && !rest.is_empty()).then_some(rest)
}

/// The value of the cookie of this name.
pub fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.find_map(|cookies| cookie(cookies, name))
}

fn cookie<'a>(cookies: &'a str, wanted: &str) -> Option<&'a str> {
    let pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value.trim_matches('"')).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn schemes_are_known_in_any_case() {
        let value = HeaderValue::from_static("bEaReR  abc ");
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        assert_eq!(authorization(&headers, "bearer"), Some("abc"));
        assert_eq!(authorization(&headers, "token"), None);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let cookies = "a=1; sage_session=\"x.y\"; sage_session2=z";
        assert_eq!(cookie(cookies, SESSION_COOKIE), Some("x.y"));
        assert_eq!(cookie("sage_sessionx=1", SESSION_COOKIE), None);
    }
}
