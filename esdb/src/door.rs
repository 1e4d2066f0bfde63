//! Who calls, and what they may do. The protocol knows no sessions: every call brings its credentials.

use crate::status;
use base64::{Engine, prelude::BASE64_STANDARD};
use commands::effects::Sensitive;
use domain::ids::UserId;
use futures::future::BoxFuture;
use std::{net::IpAddr, sync::Arc, time::Duration};
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

    /// How often somebody who stays is looked at again.
    fn look_again(&self) -> Duration {
        Duration::from_secs(5)
    }
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

    /// Who it is, provided that they have this right, and what it takes to look again.
    pub(crate) async fn stay(
        self,
        door: &Arc<dyn Door>,
        right: Right,
    ) -> Result<(UserId, Stay), Status> {
        let (credentials, from) = (self.credentials.clone()?, self.from);
        let user = self.enter(&**door, right).await?;
        Ok((user, Stay { door: door.clone(), credentials, from, right }))
    }

    /// Who it is, provided that they have this right.
    pub(crate) async fn enter(self, door: &dyn Door, right: Right) -> Result<UserId, Status> {
        door.admit(self.credentials?, self.from, right).await.map_err(told)
    }
}

/// Somebody who stays for longer than an answer: their right is looked at again and again.
pub(crate) struct Stay {
    door: Arc<dyn Door>,
    credentials: Credentials,
    from: Option<IpAddr>,
    right: Right,
}

impl Stay {
    /// Waits until they may not stay any more; why. That it cannot be found out for a while is no reason.
    pub(crate) async fn over(self) -> Status {
        let Self { door, credentials, from, right } = self;
        loop {
            tokio::time::sleep(door.look_again()).await;
            match door.admit(credentials.clone(), from, right).await {
                Ok(_) | Err(Denied::Unavailable) => {}
                Err(denied) => return told(denied),
            }
        }
    }
}

fn told(denied: Denied) -> Status {
    match denied {
        Denied::Unknown => status::not_authenticated(),
        Denied::Forbidden => status::access_denied(),
        Denied::Throttled => Status::resource_exhausted("too many wrong credentials, try later"),
        Denied::Unavailable => Status::unavailable("credentials cannot be checked now"),
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
    use futures::FutureExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Lets in twice, then cannot say, then does not.
    struct Tired(AtomicUsize);

    impl Door for Tired {
        fn admit(
            &self,
            _: Credentials,
            _: Option<IpAddr>,
            _: Right,
        ) -> BoxFuture<'_, Result<UserId, Denied>> {
            let admitted = match self.0.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Ok("op".into()),
                2 => Err(Denied::Unavailable),
                _ => Err(Denied::Forbidden),
            };
            std::future::ready(admitted).boxed()
        }

        fn look_again(&self) -> Duration {
            Duration::from_millis(1)
        }
    }

    #[tokio::test]
    async fn who_loses_the_right_may_not_stay() {
        let mut request = Request::new(());
        request.metadata_mut().insert("authorization", "Bearer abc".parse().expect("a header"));
        let tired = Arc::new(Tired(AtomicUsize::new(0)));
        let door: Arc<dyn Door> = tired.clone();
        let stayed = Knock::of(&request).stay(&door, Right::Read).await;
        let (_, stay) = stayed.unwrap_or_else(|status| panic!("{status}"));
        assert_eq!(stay.over().await.code(), tonic::Code::PermissionDenied);
        assert_eq!(tired.0.load(Ordering::Relaxed), 4);
    }

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
