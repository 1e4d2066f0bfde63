//! Samples of grants.

use super::{stored, time};
use crate::Stored;
use annals_domain::grant::{self, Flaw, Grant, Revocation, Scope, Terms, Token, Tokens};
use anyhow::Result;

fn token(digest: &str) -> Result<Token> {
    let expires_at = time("2026-02-03T05:05:06.789Z")?;
    Ok(Token { digest: digest.to_owned(), expires_at })
}

fn tokens(refresh: Option<Token>) -> Result<Tokens> {
    Ok(Tokens {
        serial: 2,
        scope: Scope::parse("openid email")?,
        issued_at: time("2026-02-03T04:05:06.789Z")?,
        access: token("00ff")?,
        refresh,
    })
}

pub fn all() -> Result<Vec<Stored>> {
    use grant::Event;
    let terms = Terms {
        client: "app".into(),
        user: "ann".into(),
        generation: Some(1),
        scope: Scope::parse("openid profile email")?,
        redirect_uri: "https://app.example.org/callback".to_owned(),
        redirect_named: true,
        challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned()),
        code: "00ff".to_owned(),
        expires_at: time("2026-02-03T04:10:06.789Z")?,
    };
    let bare = Terms { generation: None, challenge: None, redirect_named: false, ..terms.clone() };
    let burnt = |flaw| Event::CodeBurnt { flaw };
    let revoked = |reason| Event::GrantRevoked { reason };
    Ok(stored!(Grant, grant::Event;
        CodeIssued => [Event::CodeIssued(terms), Event::CodeIssued(bare)],
        CodeBurnt => [
            burnt(Flaw::Unproven),
            burnt(Flaw::WrongClient),
            burnt(Flaw::WrongRedirect),
            burnt(Flaw::VerifierMissing),
            burnt(Flaw::WrongVerifier),
            burnt(Flaw::VerifierUnasked),
            burnt(Flaw::PersonChanged),
        ],
        CodeExchanged => [
            Event::CodeExchanged(tokens(Some(token("ff00")?))?),
            Event::CodeExchanged(tokens(None)?),
        ],
        TokensRefreshed => [Event::TokensRefreshed(tokens(Some(token("ff00")?))?)],
        GrantRevoked => [
            revoked(Revocation::ByClient),
            revoked(Revocation::CodeReplayed),
            revoked(Revocation::RefreshReplayed),
        ],
    ))
}
