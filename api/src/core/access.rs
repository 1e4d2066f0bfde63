//! What is needed to let people in: tokens, throttles, codes, mail. One per server.

use super::{Error, guesses::Guesses, throttle::Throttle, tokens::Tokens};
use commands::{
    effects::{
        codes::{CodeError, Codes},
        flows::Flows,
        keys::Keys,
        mail::{LogMailer, Mailer, smtp::SmtpMailer},
        passwords::PasswordError,
        upstream::Upstreams,
        vault::VaultError,
    },
    identity,
};
use domain::Kind;
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};

/// Windows of time in which attempts are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Keys remembered by each throttle; about 3 MB when full.
pub(super) const CAPACITY: usize = 100_000;

/// What lets people in.
pub struct Access {
    /// Makes and reads tokens.
    pub tokens: Tokens,
    /// Codes that prove addresses.
    pub codes: Codes,
    /// Takes mails on their way.
    pub mailer: Arc<dyn Mailer>,
    /// The upstream providers' end of the line.
    pub upstreams: Upstreams,
    /// Logins on their way through them.
    pub flows: Flows,
    /// Such logins begun, by address.
    pub entries: Throttle,
    /// Attempts to guess something: passwords, secrets.
    pub guesses: Guesses,
    /// Registrations and codes asked for, by address.
    pub registrations: Throttle,
    /// Registrations with an invitation, by address.
    pub sign_ups: Throttle,
    /// Codes of invitations that are none, from anywhere.
    pub wrong_invites: Throttle,
    /// OAuth2 clients that could not prove who they are, by address.
    pub clients: Throttle,
    /// Session ids of shared conversations tried, by address.
    pub shares: Throttle,
}

impl Access {
    /// With the keys and codes of this installation; without a mail server, mails only show in the log.
    pub fn new(db: PgPool, keys: &Arc<Keys>, mail: Option<SmtpMailer>) -> Self {
        let mailer: Arc<dyn Mailer> = match mail {
            Some(smtp) => Arc::new(smtp),
            None => Arc::new(LogMailer),
        };
        Self {
            tokens: Tokens::new(keys),
            codes: Codes::new(db.clone(), keys.clone()),
            upstreams: Upstreams::default(),
            flows: Flows::new(db, keys.clone()),
            entries: Throttle::new(600, WINDOW, CAPACITY),
            mailer,
            guesses: Guesses::default(),
            registrations: Throttle::new(60, WINDOW, CAPACITY),
            sign_ups: Throttle::new(10, WINDOW, CAPACITY),
            wrong_invites: Throttle::new(1_000, WINDOW, 1),
            clients: Throttle::new(100, WINDOW, CAPACITY),
            shares: Throttle::new(60, WINDOW, CAPACITY),
        }
    }
}

impl From<identity::Error> for Error {
    fn from(error: identity::Error) -> Self {
        use identity::Error as E;
        let refused = |kind, error: E| Self::Refused { kind, message: error.to_string() };
        match error {
            E::UnknownUser => Self::NotFound,
            E::BadCredentials | E::WrongOldPassword | E::Suspended => {
                refused(Kind::Forbidden, error)
            }
            E::UsernameTaken
            | E::EmailTaken
            | E::LastAdmin
            | E::Administers
            | E::TooManyApiTokens => refused(Kind::Conflict, error),
            E::Password(PasswordError::Length) => refused(Kind::Invalid, error),
            E::Password(PasswordError::Busy) => Self::Unavailable(error.to_string()),
            E::Password(PasswordError::Broken) => Self::Internal(error.to_string()),
            E::Vault(VaultError::Database(error)) => error.into(),
            E::Vault(VaultError::Destroyed) => refused(Kind::Conflict, error),
            E::Vault(VaultError::Damaged) => Self::Internal(error.to_string()),
            E::Failed(failure) => failure.into(),
        }
    }
}

impl From<CodeError> for Error {
    fn from(error: CodeError) -> Self {
        match error {
            CodeError::TooSoon(retry_after) => Self::Throttled { retry_after },
            CodeError::Database(error) => error.into(),
        }
    }
}
