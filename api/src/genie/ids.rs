//! Ids of people as this dialect writes them: UUIDs with dashes. Ours have none.

use domain::ids::UserId;
use uuid::Uuid;

/// With dashes, if the id is one of ours.
pub fn shown(user: &UserId) -> String {
    Uuid::try_parse(user.as_str()).map_or_else(|_| user.to_string(), |id| id.to_string())
}

/// As it is kept, however it is written.
pub fn user(sent: UserId) -> UserId {
    Uuid::try_parse(sent.as_str()).map_or(sent, |id| UserId(id.simple().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_our_own_get_dashes_and_lose_them_again() {
        let ours = UserId::from("0192f1e0c0de7abc8def0123456789ab");
        let written = shown(&ours);
        assert_eq!(written, "0192f1e0-c0de-7abc-8def-0123456789ab");
        assert_eq!(user(UserId(written)), ours);
        let vouched = UserId::from("ann@proxy");
        assert_eq!((shown(&vouched), user(vouched.clone())), (vouched.to_string(), vouched));
    }
}
