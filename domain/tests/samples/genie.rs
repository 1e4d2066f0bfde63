//! What creators have: connections.

use super::{NODE, RUN, SECRET, object, stored, time};
use crate::Stored;
use annals_domain::{
    connection::{self, Connection, Denial},
    genie_chat::{self, GenieChat},
    ids::{ConnectionId, SecretId},
    invite::{self, Invite},
    item::{self, Item},
    job::{self, Job, Operation},
    name::{self, Connections, Name},
    onboarding::{self, Onboarding, Station},
    run::{ChatTurn, Event as RunEvent, Request, Settings, Surface},
};
use anyhow::Result;
use serde_json::json;
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
    all.extend(stored!(Invite, invite::Event;
        InviteCreated => [
            invite::Event::InviteCreated { expires_at: Some(time("2027-01-01T00:00:00Z")?) },
            invite::Event::InviteCreated { expires_at: None },
        ],
        InviteClaimed => [invite::Event::InviteClaimed { user: "ann".into() }],
        InviteReleased => [invite::Event::InviteReleased { user: "ann".into() }],
        InviteDisabled => [invite::Event::InviteDisabled {}],
    ));
    let reached = |state| onboarding::Event::OnboardingStateChanged { state };
    all.extend(stored!(Onboarding, onboarding::Event;
        OnboardingStateChanged => [
            reached(Station::ExtensionInstall),
            reached(Station::DataCollection),
            reached(Station::Processing),
            reached(Station::Complete),
        ],
    ));
    all.extend(jobs()?);
    all.extend(chats()?);
    Ok(all)
}

fn chats() -> Result<Vec<Stored>> {
    use genie_chat::Event as Of;
    let (owner, session_id) = ("ann".into(), "s-1".to_owned());
    let mut all = stored!(GenieChat, genie_chat::Event;
        MessageReceived => [Of::MessageReceived { owner, session_id, run: RUN }],
        GateBlocked => [Of::GateBlocked { run: RUN, state: Station::Processing }],
    );
    let fields = || object(json!({"name": "sea", "tags": ["a"]}));
    all.extend(stored!(Item, item::Event;
        ItemWritten => [item::Event::ItemWritten {
            owner: "ann".into(), collection: "user_nodes".to_owned(), fields: fields(),
        }],
        ItemChanged => [item::Event::ItemChanged { fields: fields() }],
        ItemDeleted => [item::Event::ItemDeleted {}],
    ));
    Ok(all)
}

/// The request of a run of a chat.
pub fn request(turn: ChatTurn) -> RunEvent {
    RunEvent::RunRequested(Box::new(Request {
        owner: "ann".into(),
        conversation: super::CONVERSATION,
        session_id: "s-1".to_owned(),
        surface: Surface::Genie,
        node: NODE,
        agent_id: None,
        agent_name: "Genie".to_owned(),
        parent: None,
        messages: vec![],
        settings: Settings { chat: Some(Box::new(turn)), ..Settings::default() },
    }))
}

fn jobs() -> Result<Vec<Stored>> {
    use job::Event as Of;
    let whole = job::Request {
        owner: "ann".into(),
        operation: Operation::ResizeImage,
        input_file: Some("0192f1e0-c0de-7abc-8def-0123456789ab".to_owned()),
        input_url: Some("https://example.org/cat.png".to_owned()),
        params: object(json!({"width": 100})),
        profile: Some("p-1".to_owned()),
        priority: 10,
    };
    let plain = job::Request {
        input_file: None,
        input_url: None,
        params: object(json!({})),
        profile: None,
        ..whole.clone()
    };
    Ok(stored!(Job, job::Event;
        JobEnqueued => [Of::JobEnqueued(Box::new(whole)), Of::JobEnqueued(Box::new(plain))],
        JobStarted => [Of::JobStarted { node: NODE, attempt: 1 }],
        JobAttemptFailed => [Of::JobAttemptFailed {
            error: "away".to_owned(),
            retry_at: time("2026-11-21T12:02:00Z")?,
        }],
        JobCompleted => [Of::JobCompleted { result: object(json!({"size": 7})) }],
        JobFailed => [Of::JobFailed { error: "no".to_owned() }],
        JobRefunded => [Of::JobRefunded {}],
        JobRetried => [Of::JobRetried { priority: 5 }],
    ))
}
