//! One authorization that a person gave a client: the code, and the tokens that come of it.
//!
//! Every event after the first says all that has changed since the first. First and last event are therefore the whole
//! state, and a family of tokens that was refreshed ten thousand times loads as fast as a new one.

mod scope;

pub use scope::Scope;

use crate::{
    Decider, Kind,
    ids::{ClientId, GrantId, UserId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What was agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Who may act.
    pub client: ClientId,
    /// For whom.
    pub user: UserId,
    /// How often the person's password had been set then; a later password ends the grant. `None` for people a trusted
    /// proxy vouches for, who have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// What the client may see.
    pub scope: Scope,
    /// Where the code was sent.
    pub redirect_uri: String,
    /// Whether the client named that place itself; then it has to name it again.
    pub redirect_named: bool,
    /// SHA-256 of the verifier that belongs to the code, base64url: what a challenge of the method `S256` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// SHA-256 of the code, hexadecimal.
    pub code: String,
    /// When the code can no longer be exchanged.
    pub expires_at: DateTime<Utc>,
}

/// Tokens as they are kept: digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// How many times tokens were issued; 1 for the code's.
    pub serial: u32,
    /// What the access token lets the client see.
    pub scope: Scope,
    /// When they were issued.
    pub issued_at: DateTime<Utc>,
    /// The access token.
    pub access: Token,
    /// The refresh token; `None` for clients that may not refresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Token>,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// SHA-256 of its text, hexadecimal.
    pub digest: String,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// What was wrong with the only attempt that a code has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// The client could not prove who it is.
    Unproven,
    /// Another client brought it.
    WrongClient,
    /// It was sent to another place, or the place was left out.
    WrongRedirect,
    /// No verifier came with it.
    VerifierMissing,
    /// Another verifier came with it.
    WrongVerifier,
    /// A verifier came with it that nobody had announced.
    VerifierUnasked,
    /// The person's account or password has changed since.
    PersonChanged,
}

/// Why tokens ended before their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// The client asked for it.
    ByClient,
    /// The code came a second time.
    CodeReplayed,
    /// A refresh token came a second time.
    RefreshReplayed,
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A client got a code.
    CodeIssued(Terms),
    /// The code was tried in vain and is worth nothing any more.
    CodeBurnt {
        /// What was wrong.
        flaw: Flaw,
    },
    /// The client has tokens.
    CodeExchanged(Tokens),
    /// The client has other tokens; the ones before no longer work.
    TokensRefreshed(Tokens),
    /// Neither code nor tokens work any more.
    GrantRevoked {
        /// Why.
        reason: Revocation,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Give a client a code.
    Issue(Box<Terms>),
    /// Take the code for tokens.
    Exchange(Exchange),
    /// A code came, but what came with it rules an exchange out: its digest, and what was wrong.
    Burn(String, Flaw),
    /// Take a refresh token for new tokens.
    Refresh(Refresh),
    /// End all tokens.
    Revoke,
}

/// A code, and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Digest of the code.
    pub code: String,
    /// Who brings it.
    pub client: ClientId,
    /// Where the client says the code was sent.
    pub redirect_uri: Option<String>,
    /// SHA-256 of the verifier, base64url.
    pub challenge: Option<String>,
    /// When.
    pub now: DateTime<Utc>,
    /// The access token that it would get.
    pub access: Token,
    /// The refresh token that it would get.
    pub refresh: Option<Token>,
}

/// A refresh token, and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresh {
    /// Digest of the token.
    pub token: String,
    /// With which issue it was given out; the caller has made sure that it was.
    pub serial: u32,
    /// Who brings it.
    pub client: ClientId,
    /// What the new access token shall show; `None` for all of the grant.
    pub scope: Option<Scope>,
    /// When.
    pub now: DateTime<Utc>,
    /// The access token that it would get.
    pub access: Token,
    /// The refresh token that it would get.
    pub next: Token,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such grant, or the code or token is none of it.
    #[error("unknown code or token")]
    Unknown,
    /// A grant of this id exists already.
    #[error("this grant was given before")]
    AlreadyIssued,
    /// The code or token is too old.
    #[error("the code or token has expired")]
    Expired,
    /// It was burnt or revoked.
    #[error("the code or token has been revoked")]
    Ended,
    /// It is another client's.
    #[error("the token was issued to another client")]
    WrongClient,
    /// More is asked for than was granted.
    #[error("the scope exceeds what was granted")]
    ScopeTooWide,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::AlreadyIssued | Self::Expired | Self::Ended => Kind::Conflict,
            Self::WrongClient => Kind::Forbidden,
            Self::ScopeTooWide => Kind::Invalid,
        }
    }
}

/// A grant's life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Grant {
    /// Never given.
    #[default]
    Absent,
    /// Given.
    Given(Box<Terms>, Stage),
}

/// How far a grant has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The code waits for its exchange.
    Code,
    /// These are the tokens that count.
    Tokens(Tokens),
    /// Burnt or revoked.
    Ended,
}

impl Grant {
    /// What was agreed on; `None` when nothing was.
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            Self::Given(terms, _) => Some(terms),
            Self::Absent => None,
        }
    }

    /// The terms and tokens for an access token with this digest, if it counts at `now`.
    pub fn access(&self, digest: &str, now: DateTime<Utc>) -> Option<(&Terms, &Tokens)> {
        let Self::Given(terms, Stage::Tokens(tokens)) = self else { return None };
        let counts = tokens.access.digest == digest && now < tokens.access.expires_at;
        counts.then_some((terms, tokens))
    }

    /// The terms and tokens for a refresh token with this digest, if it counts at `now`.
    pub fn refresh(&self, digest: &str, now: DateTime<Utc>) -> Option<(&Terms, &Tokens)> {
        let Self::Given(terms, Stage::Tokens(tokens)) = self else { return None };
        let refresh = tokens.refresh.as_ref()?;
        (refresh.digest == digest && now < refresh.expires_at).then_some((terms, tokens))
    }
}

impl Terms {
    fn flaw(&self, exchange: &Exchange) -> Option<Flaw> {
        let redirected = match &exchange.redirect_uri {
            Some(named) => *named == self.redirect_uri,
            None => !self.redirect_named,
        };
        if exchange.client != self.client {
            return Some(Flaw::WrongClient);
        }
        if !redirected {
            return Some(Flaw::WrongRedirect);
        }
        match (&self.challenge, &exchange.challenge) {
            (None, None) => None,
            (Some(_), None) => Some(Flaw::VerifierMissing),
            (None, Some(_)) => Some(Flaw::VerifierUnasked),
            (Some(announced), Some(proven)) => (announced != proven).then_some(Flaw::WrongVerifier),
        }
    }

    fn exchange(&self, exchange: &Exchange) -> Result<Event, Refusal> {
        if exchange.now >= self.expires_at {
            return Err(Refusal::Expired);
        }
        Ok(match self.flaw(exchange) {
            Some(flaw) => Event::CodeBurnt { flaw },
            None => Event::CodeExchanged(Tokens {
                serial: 1,
                scope: self.scope.clone(),
                issued_at: exchange.now,
                access: exchange.access.clone(),
                refresh: exchange.refresh.clone(),
            }),
        })
    }

    fn refresh(&self, tokens: &Tokens, refresh: &Refresh) -> Result<Event, Refusal> {
        if refresh.serial < tokens.serial {
            return Ok(Event::GrantRevoked { reason: Revocation::RefreshReplayed });
        }
        let current = tokens.refresh.as_ref().filter(|current| current.digest == refresh.token);
        let Some(current) = current else { return Err(Refusal::Unknown) };
        if refresh.client != self.client {
            return Err(Refusal::WrongClient);
        }
        if refresh.now >= current.expires_at {
            return Err(Refusal::Expired);
        }
        let scope = refresh.scope.as_ref().unwrap_or(&self.scope);
        if !self.scope.covers(scope) {
            return Err(Refusal::ScopeTooWide);
        }
        Ok(Event::TokensRefreshed(Tokens {
            serial: tokens.serial + 1,
            scope: scope.clone(),
            issued_at: refresh.now,
            access: refresh.access.clone(),
            refresh: Some(refresh.next.clone()),
        }))
    }
}

impl Decider for Grant {
    const CATEGORY: &'static str = "grant";
    type Id = GrantId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let (terms, stage) = match (self, command) {
            (Self::Absent, Command::Issue(terms)) => {
                return Ok(vec![Event::CodeIssued((**terms).clone())]);
            }
            (Self::Given(..), Command::Issue(_)) => return Err(Refusal::AlreadyIssued),
            (Self::Absent, _) => return Err(Refusal::Unknown),
            (Self::Given(terms, stage), _) => (terms, stage),
        };
        let replayed = || vec![Event::GrantRevoked { reason: Revocation::CodeReplayed }];
        match (stage, command) {
            (_, Command::Issue(_)) => Err(Refusal::AlreadyIssued),
            (_, Command::Exchange(Exchange { code, .. }) | Command::Burn(code, _))
                if *code != terms.code =>
            {
                Err(Refusal::Unknown)
            }
            (Stage::Ended, Command::Revoke) => Ok(vec![]),
            (Stage::Ended, _) => Err(Refusal::Ended),
            (Stage::Code, Command::Exchange(exchange)) => Ok(vec![terms.exchange(exchange)?]),
            (Stage::Code, Command::Burn(_, flaw)) => Ok(vec![Event::CodeBurnt { flaw: *flaw }]),
            (Stage::Code, Command::Refresh(_)) => Err(Refusal::Unknown),
            (Stage::Tokens(_), Command::Exchange(_) | Command::Burn(..)) => Ok(replayed()),
            (Stage::Tokens(tokens), Command::Refresh(refresh)) => {
                Ok(vec![terms.refresh(tokens, refresh)?])
            }
            (Stage::Code | Stage::Tokens(_), Command::Revoke) => {
                Ok(vec![Event::GrantRevoked { reason: Revocation::ByClient }])
            }
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::CodeIssued(terms)) => Self::Given(Box::new(terms.clone()), Stage::Code),
            (Self::Given(terms, _), Event::CodeExchanged(tokens)) => {
                Self::Given(terms, Stage::Tokens(tokens.clone()))
            }
            (Self::Given(terms, _), Event::TokensRefreshed(tokens)) => {
                Self::Given(terms, Stage::Tokens(tokens.clone()))
            }
            (Self::Given(terms, _), Event::CodeBurnt { .. } | Event::GrantRevoked { .. }) => {
                Self::Given(terms, Stage::Ended)
            }
            (Self::Absent, _) => Self::Absent,
        }
    }
}

#[cfg(test)]
mod tests;
