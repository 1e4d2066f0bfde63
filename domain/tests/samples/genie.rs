//! What creators have: connections.

use super::{SECRET, stored};
use crate::Stored;
use annals_domain::{
    connection::{self, Connection, Denial},
    ids::{ConnectionId, SecretId},
    name::{self, Connections, Name},
};
use anyhow::Result;
use uuid::Uuid;

const CONNECTION: ConnectionId = ConnectionId(Uuid::from_u128(6));
const OTHER: SecretId = SecretId(Uuid::from_u128(7));

pub fn all() -> Result<Vec<Stored>> {
    use connection::Event as Of;
    let created = |username: Option<&str>| Of::ConnectionCreated {
        owner: "ann".into(),
        platform: "onlyfans".to_owned(),
        username: username.map(str::to_owned),
    };
    let mut all = stored!(Connection, connection::Event;
        ConnectionCreated => [created(Some("ann")), created(None)],
        ConnectionAbandoned => [Of::ConnectionAbandoned {}],
        ConnectionRenamed => [Of::ConnectionRenamed { username: "ann2".to_owned() }],
        CredentialsStored => [
            Of::CredentialsStored { secret: SECRET, replaced: Some(OTHER) },
            Of::CredentialsStored { secret: SECRET, replaced: None },
        ],
        CredentialsRevealed => [Of::CredentialsRevealed { server: true }],
        RevealRefused => [
            Of::RevealRefused { reason: Denial::NotOwner },
            Of::RevealRefused { reason: Denial::Impersonation },
        ],
        CredentialsShredded => [Of::CredentialsShredded { secret: SECRET }],
    );
    all.extend(stored!(Name<Connections>, name::Event;
        NameReserved => [name::Event::NameReserved { holder: CONNECTION }],
        NameReleased => [name::Event::NameReleased { holder: CONNECTION }],
    ));
    Ok(all)
}
