//! From what a provider says of somebody to who they are here.

use super::{Provider, UpstreamError};
use crate::identity::Upstream;
use domain::user::{EmailAddress, Role};
use serde_json::{Map, Value};

/// Bytes of a subject; longer ones are no names.
const LONGEST_SUBJECT: usize = 512;

/// Who these claims are about.
///
/// # Errors
/// [`UpstreamError::Unproven`] when they do not say.
pub fn who(provider: &Provider, claims: &Map<String, Value>) -> Result<Upstream, UpstreamError> {
    let names = &provider.claims;
    let subject =
        text(claims, &names.subject)
            .filter(|subject| subject.len() <= LONGEST_SUBJECT)
            .ok_or_else(|| UpstreamError::Unproven(format!("there is no {}", names.subject)))?;
    // Only a verified address says anything: others can be somebody else's.
    let email = verified(claims).then(|| text(claims, &names.email)).flatten();
    let email = email.and_then(|email| EmailAddress::parse(&email).ok());
    let username = text(claims, &names.username);
    let listed = email.as_ref().is_some_and(|email| {
        provider.admin_emails.contains(email.as_str())
            || username
                .as_ref()
                .is_some_and(|name| provider.admin_usernames.contains(&name.to_lowercase()))
    });
    let claimed = names.role.as_ref().and_then(|role| claims.get(role)).map(administers);
    let wish = username.or_else(|| email.as_ref().map(ToString::to_string));
    Ok(Upstream {
        provider: provider.id.clone(),
        subject,
        username: wish.or_else(|| text(claims, &names.name)).unwrap_or_default(),
        email,
        link_by_email: provider.link_by_email,
        default_role: provider.default_role,
        admin: if listed { Some(true) } else { claimed },
    })
}

/// A claim as text; plain OAuth providers number their people.
fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    match claims.get(name)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn verified(claims: &Map<String, Value>) -> bool {
    match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

/// One role, or a list of them.
fn administers(role: &Value) -> bool {
    let is_admin = |role: &Value| role.as_str().and_then(Role::named).is_some_and(Role::is_admin);
    match role {
        Value::Array(roles) => roles.iter().any(is_admin),
        role => is_admin(role),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn provider(more: Value) -> Provider {
        let mut json = json!({
            "id": "corp", "client_id": "c", "role_claim": "groups",
            "discovery_url": "https://id.example.org/.well-known/openid-configuration",
            "admin_emails": ["root@example.org"], "admin_usernames": ["boss"],
        });
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        super::super::parse(&json!([json]).to_string()).unwrap().remove(0)
    }

    fn read(claims: Value) -> Upstream {
        who(&provider(json!({})), claims.as_object().unwrap()).unwrap()
    }

    #[test]
    fn an_unverified_address_counts_for_nothing() {
        for verified in [json!(false), json!("false"), json!(null), json!(1)] {
            let found = read(json!({"sub": "1", "preferred_username": "boss",
                "email": "root@example.org", "email_verified": verified}));
            assert_eq!((found.email, found.admin), (None, None));
        }
        let found = read(json!({"sub": "1", "email": "Root@Example.org", "email_verified": true}));
        assert_eq!(found.email.unwrap().as_str(), "root@example.org");
        assert_eq!((found.admin, found.username.as_str()), (Some(true), "root@example.org"));
        let boss = json!({"sub": "1", "preferred_username": "Boss", "email": "b@example.org",
            "email_verified": "true"});
        assert_eq!(read(boss).admin, Some(true));
    }

    #[test]
    fn a_role_is_one_word_or_a_list() {
        for (role, admin) in [
            (json!("admin"), Some(true)),
            (json!(["staff", "Administrator"]), Some(true)),
            (json!("staff"), Some(false)),
            (json!([]), Some(false)),
        ] {
            assert_eq!(read(json!({"sub": "1", "groups": role})).admin, admin);
        }
        assert_eq!(read(json!({"sub": "1"})).admin, None);
    }

    #[test]
    fn whoever_has_no_subject_is_nobody() {
        let read = |claims: Value| who(&provider(json!({})), claims.as_object().unwrap());
        for subject in [json!(""), json!(null), json!({}), json!("x".repeat(513))] {
            assert!(read(json!({"sub": subject})).is_err());
        }
        let numbered = provider(json!({"subject_claim": "id", "username_claim": "login"}));
        let claims = json!({"id": 42, "login": "ann"});
        let found = who(&numbered, claims.as_object().unwrap()).unwrap();
        assert_eq!((found.subject.as_str(), found.username.as_str()), ("42", "ann"));
    }
}
