//! Why there are no tokens.

use crate::{
    execute::{self, Failure},
    identity,
};
use domain::grant::{Flaw, Refusal};

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Code or refresh token are worth nothing (any more).
    #[error("{0}")]
    Worthless(&'static str),
    /// The code needs a verifier, and is burnt.
    #[error("code_verifier is missing")]
    VerifierMissing,
    /// More is asked for than was granted.
    #[error("the scope exceeds what was granted")]
    ScopeTooWide,
    /// What is known of people cannot be read.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A result of this module.
pub type Result<T> = std::result::Result<T, Error>;

pub(super) const UNKNOWN: Error = Error::Worthless("unknown code or token");

pub(super) fn refused(error: execute::Error<Refusal>) -> Error {
    match error {
        execute::Error::Failed(failure) => failure.into(),
        execute::Error::Refused(refusal) => match refusal {
            Refusal::ScopeTooWide => Error::ScopeTooWide,
            Refusal::Unknown | Refusal::AlreadyIssued => UNKNOWN,
            Refusal::Expired => Error::Worthless("the code or token has expired"),
            Refusal::Ended => Error::Worthless("the code or token has been revoked"),
            Refusal::WrongClient => Error::Worthless("the token was issued to another client"),
        },
    }
}

pub(super) fn said_of(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Unproven => "the client could not prove who it is",
        Flaw::WrongClient => "the code was issued to another client",
        Flaw::WrongRedirect => "redirect_uri is not the one the code was sent to",
        Flaw::VerifierMissing => "code_verifier is missing",
        Flaw::WrongVerifier => "code_verifier does not fit the code_challenge",
        Flaw::VerifierUnasked => "the code was asked for without code_challenge",
        Flaw::PersonChanged => "the account or its password has changed",
    }
}
