//! What is needed to let people in: tokens, throttles, codes, mail. One per server.

use super::{Error, throttle::Throttle, tokens::Tokens};
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
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Windows of time in which attempts are counted.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Keys remembered by each throttle; about 3 MB when full.
const CAPACITY: usize = 100_000;

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
            clients: Throttle::new(100, WINDOW, CAPACITY),
            shares: Throttle::new(60, WINDOW, CAPACITY),
        }
    }
}

/// Guards against guessing, by who is guessed at and from where. Good guesses are taken back, so that people who know
/// their password never meet a limit of their own making.
#[derive(Debug)]
pub struct Guesses {
    /// Somebody at one account: cannot lock out the account's owner, who sits elsewhere.
    pair: Throttle,
    /// Everybody at one account.
    account: Throttle,
    /// Somebody at all accounts.
    address: Throttle,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            pair: Throttle::new(10, WINDOW, CAPACITY),
            account: Throttle::new(200, WINDOW, CAPACITY),
            address: Throttle::new(100, WINDOW, CAPACITY),
        }
    }
}

impl Guesses {
    /// Counts a guess at `account` from `address`, before it is looked at.
    ///
    /// # Errors
    /// [`Error::Throttled`] when there were too many.
    pub fn attempt(&self, account: &str, address: Option<IpAddr>) -> Result<(), Error> {
        let account = account.trim().to_lowercase();
        self.address.attempt(address)?;
        self.pair.attempt((&account, address))?;
        self.account.attempt(&account)
    }

    /// Takes a good guess back.
    pub fn forgive(&self, account: &str, address: Option<IpAddr>) {
        let account = account.trim().to_lowercase();
        self.address.forgive(address);
        self.pair.forgive((&account, address));
        self.account.forgive(&account);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn ten_wrong_guesses_close_the_door_for_that_address_only() {
        let guesses = Guesses::default();
        for _ in 0..10 {
            assert!(guesses.attempt("ann", address(1)).is_ok());
        }
        assert!(guesses.attempt(" ANN", address(1)).is_err());
        assert!(guesses.attempt("ann", address(2)).is_ok());
        assert!(guesses.attempt("bob", address(1)).is_ok());
    }

    #[test]
    fn an_address_that_tries_everybody_is_stopped() {
        let guesses = Guesses::default();
        let stopped = (0..200).position(|n| guesses.attempt(&n.to_string(), address(1)).is_err());
        assert_eq!(stopped, Some(100));
    }

    #[test]
    fn whoever_knows_the_password_is_never_stopped() {
        let guesses = Guesses::default();
        for _ in 0..500 {
            assert!(guesses.attempt("ann", address(1)).is_ok());
            guesses.forgive("ann", address(1));
        }
    }
}
