//! The values an account is made of.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a person may do; one set of roles for all dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Everything.
    Administrator,
    /// Their own work.
    Creator,
    /// Read, and keep their own profile.
    Viewer,
    /// Read the log and append to it over the EventStoreDB protocol; else what a viewer may.
    Operator,
}

impl Role {
    /// The full name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "Administrator",
            Self::Creator => "Creator",
            Self::Viewer => "Viewer",
            Self::Operator => "Operator",
        }
    }

    /// The role of this name, in the words of any dialect, upper or lower case.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim().to_lowercase().as_str() {
            "administrator" | "admin" => Some(Self::Administrator),
            "creator" | "user" => Some(Self::Creator),
            "viewer" => Some(Self::Viewer),
            "operator" => Some(Self::Operator),
            _ => None,
        }
    }

    /// Whether the role lets somebody change more than their own profile.
    pub fn may_write(self) -> bool {
        matches!(self, Self::Administrator | Self::Creator)
    }

    /// Whether the role administers.
    pub fn is_admin(self) -> bool {
        self == Self::Administrator
    }
}

/// Whether an account works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does.
    Active,
    /// It does not: nobody can act through it.
    Suspended,
}

impl Status {
    /// The name in events and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// A name to sign in with: 1 to 64 characters as typed, no control characters, no blanks around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Username(String);

/// Not a possible user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a user name has 1 to 64 characters, none of them a control character or @")]
pub struct NotAName;

impl Username {
    /// The name in this text. A name that looks like an address is possible for the owner of that address only:
    /// anybody else's would shadow theirs when they sign in with it.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str, email: Option<&EmailAddress>) -> Result<Self, NotAName> {
        let name = text.trim();
        let own = email.is_some_and(|email| email.as_str() == name.to_lowercase());
        if name.is_empty()
            || name.chars().count() > 64
            || name.chars().any(char::is_control)
            || (name.contains('@') && !own)
        {
            return Err(NotAName);
        }
        Ok(Self(name.to_owned()))
    }

    /// As it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which names are compared for uniqueness.
    pub fn normalised(text: &str) -> String {
        text.trim().to_lowercase()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An e-mail address, lower case, at most 254 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// Not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct NotAnAddress;

impl EmailAddress {
    /// The address in this text: something, one `@`, and a domain with a dot inside, no blanks.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        let text = text.trim().to_lowercase();
        let inside = |domain: &str| {
            domain.split_once('.').is_some_and(|(host, rest)| {
                !host.is_empty() && !rest.is_empty() && !rest.ends_with('.')
            })
        };
        let possible = text.len() <= 254
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
            && text.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty() && !domain.contains('@') && inside(domain)
            });
        if possible { Ok(Self(text)) } else { Err(NotAnAddress) }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_known_in_the_words_of_every_dialect() {
        for (name, role) in [
            ("Administrator", Role::Administrator),
            ("admin", Role::Administrator),
            ("User", Role::Creator),
            ("creator", Role::Creator),
            ("VIEWER", Role::Viewer),
            ("operator", Role::Operator),
        ] {
            assert_eq!(Role::named(name), Some(role));
        }
        assert_eq!(Role::named("root"), None);
    }

    #[test]
    fn addresses_are_recognised_and_lowered() {
        let parsed = EmailAddress::parse(" Ann@Example.ORG ");
        assert_eq!(parsed.as_ref().map(EmailAddress::as_str), Ok("ann@example.org"));
        for text in ["", "ann", "@x.y", "ann@", "ann@x", "ann@x.", "a b@x.y", "a@b@x.y", "a@.y"] {
            assert_eq!(EmailAddress::parse(text), Err(NotAnAddress), "{text:?}");
        }
    }

    #[test]
    fn a_name_like_an_address_belongs_to_its_owner_only() {
        let ann = EmailAddress::parse("ann@example.org").ok();
        assert!(Username::parse("Ann@example.org", ann.as_ref()).is_ok());
        assert_eq!(Username::parse("bob@example.org", ann.as_ref()), Err(NotAName));
        assert_eq!(Username::parse("ann@example.org", None), Err(NotAName));
    }

    #[test]
    fn names_are_one_to_sixty_four_visible_characters() {
        assert!(Username::parse(&"名".repeat(64), None).is_ok());
        for text in ["", "  ", "a\nb", &"x".repeat(65)] {
            assert_eq!(Username::parse(text, None), Err(NotAName), "{text:?}");
        }
    }
}
