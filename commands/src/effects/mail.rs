//! Mail, behind a port.

pub mod smtp;

use super::Sensitive;
use domain::user::EmailAddress;
use futures::future::{BoxFuture, ready};
use std::time::Duration;

/// A mail to one person.
#[derive(Debug, Clone)]
pub enum Mail {
    /// The code that proves an address.
    VerificationCode {
        /// Whose address.
        to: EmailAddress,
        /// Six digits.
        code: Sensitive,
        /// How long it can be used.
        valid_for: Duration,
    },
}

/// The mail was not taken.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the mail could not be sent: {0}")]
pub struct MailError(pub String);

/// Takes mails on their way.
pub trait Mailer: Send + Sync {
    /// Sends one; answers when the next machine has taken it.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>>;
}

/// Writes mails into the server's log, for installations without a mail server: whoever reads it hands on the code,
/// which works once and for a few minutes.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogMailer;

impl Mailer for LogMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        match mail {
            Mail::VerificationCode { to, code, valid_for } => tracing::info!(
                to = to.as_str(),
                code = code.expose(),
                valid_for_seconds = valid_for.as_secs(),
                "mail: verification code (no mail server is configured, ANNALS_SMTP_URL)"
            ),
        }
        Box::pin(ready(Ok(())))
    }
}
