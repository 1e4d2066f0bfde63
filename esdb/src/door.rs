//! Who calls, and what they may do. The protocol knows no sessions: every call brings its credentials.

use crate::status;
use base64::{Engine, prelude::BASE64_STANDARD};
use commands::effects::Sensitive;
use domain::ids::UserId;
use futures::future::BoxFuture;
use std::net::IpAddr;
use tonic::{Request, Status};

/// What a caller brings.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A name and a password.
    Basic(String, Sensitive),
    /// A token.
    Bearer(Sensitive),
}

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read all there is.
    Read,
    /// Write what may be anybody's.
    Append,
}

/// Why a caller does not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The credentials prove nothing.
    Unknown,
    /// They prove somebody who may not.
    Forbidden,
    /// There were too many wrong ones.
    Throttled,
    /// It cannot be found out now.
    Unavailable,
}

/// Lets callers in.
pub trait Door: Send + Sync {
    /// Who brings these credentials, provided that they have this right.
    fn admit(
        &self,
        credentials: Credentials,
        from: Option<IpAddr>,
        right: Right,
    ) -> BoxFuture<'_, Result<UserId, Denied>>;
}

/// What a request says of who makes it.
pub(crate) struct Knock {
    credentials: Result<Credentials, Status>,
    from: Option<IpAddr>,
}

impl Knock {
    /// Of this request.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        let header = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let credentials = header.and_then(credentials).ok_or_else(|| match header {
            None => status::access_denied(),
            Some(_) => status::not_authenticated(),
        });
        Self { credentials, from: request.remote_addr().map(|address| address.ip()) }
    }

    /// Who it is, provided that they have this right.
    pub(crate) async fn enter(self, door: &dyn Door, right: Right) -> Result<UserId, Status> {
        door.admit(self.credentials?, self.from, right).await.map_err(|denied| match denied {
            Denied::Unknown => status::not_authenticated(),
            Denied::Forbidden => status::access_denied(),
            Denied::Throttled => {
                Status::resource_exhausted("too many wrong credentials, try later")
            }
            Denied::Unavailable => Status::unavailable("credentials cannot be checked now"),
        })
    }
}

fn credentials(header: &str) -> Option<Credentials> {
    let (scheme, rest) = header.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        let text = String::from_utf8(BASE64_STANDARD.decode(rest).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;
        Some(Credentials::Basic(name.to_owned(), Sensitive::from(password.to_owned())))
    } else if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
        Some(Credentials::Bearer(Sensitive::from(rest.to_owned())))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_and_bearer_are_known_in_any_case() {
        let found = credentials("bAsIc YWRtaW46cGE6c3M=");
        assert!(
            matches!(found, Some(Credentials::Basic(name, word)) if name == "admin" && word.expose() == "pa:ss")
        );
        assert!(
            matches!(credentials("Bearer abc"), Some(Credentials::Bearer(token)) if token.expose() == "abc")
        );
        for header in ["", "Basic", "Basic !", "Basic YWRtaW4=", "Token abc", "Bearer "] {
            assert!(credentials(header).is_none(), "{header}");
        }
    }
}
