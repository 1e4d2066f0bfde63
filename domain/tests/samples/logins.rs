//! Logins, also of administrators who act as somebody else.

use super::{stored, time};
use crate::Stored;
use annals_domain::login::{self, Audience, CloseReason, Login};
use anyhow::Result;

pub fn all() -> Result<Vec<Stored>> {
    let digest = || "00ff".to_owned();
    let opened = |audience, impersonator: Option<&str>| -> Result<login::Event> {
        Ok(login::Event::LoginOpened {
            user: "ann".into(),
            audience,
            digest: digest(),
            generation: 1,
            expires_at: time("2026-02-03T04:05:06.789Z")?,
            impersonator: impersonator.map(Into::into),
            reason: impersonator.map(|_| "ticket 7".to_owned()),
        })
    };
    Ok(stored!(Login, login::Event;
        LoginOpened => [
            opened(Audience::Sage, None)?,
            opened(Audience::Genie, None)?,
            opened(Audience::Genie, Some("root"))?,
        ],
        LoginClosed => [
            login::Event::LoginClosed { reason: CloseReason::SignedOut },
            login::Event::LoginClosed { reason: CloseReason::Revoked },
            login::Event::LoginClosed { reason: CloseReason::Reused },
        ],
        LoginRenewed => [login::Event::LoginRenewed {
            digest: digest(),
            expires_at: time("2026-02-03T04:05:06.789Z")?,
        }],
    ))
}
