//! What creators have: connections.

use super::{NODE, RUN, SECRET, object, stored, time};
use crate::Stored;
use annals_domain::{
    connection::{self, Connection, Denial},
    genie_chat::{self, GenieChat},
    ids::{ConnectionId, JobId, PostId, SecretId, UploadId},
    invite::{self, Invite},
    item::{self, Item},
    job::{self, Job, Operation},
    name::{self, Connections, Name},
    onboarding::{self, Onboarding, Station},
    operation,
    post::{self, Post},
    post_queue::{self, PostQueue},
    run::{ChatTurn, Event as RunEvent, Request, Settings, Surface},
    skill_day, skill_edges,
};
use anyhow::Result;
use serde_json::json;
use uuid::Uuid;

const CONNECTION: ConnectionId = ConnectionId(Uuid::from_u128(6));
const OTHER: SecretId = SecretId(Uuid::from_u128(7));

pub fn all() -> Result<Vec<Stored>> {
    use connection::Event as Of;
    use operation::Event as Done;
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
            Of::RevealRefused { reason: Denial::NothingStored },
        ],
        CredentialsShredded => [Of::CredentialsShredded { secret: SECRET }],
    );
    all.extend(stored!(Name<Connections>, name::Event;
        NameReserved => [name::Event::NameReserved { holder: CONNECTION }],
        NameReleased => [name::Event::NameReleased { holder: CONNECTION }],
    ));
    all.extend(stored!(Invite, invite::Event;
        InviteCreated => [
            invite::Event::InviteCreated {
                expires_at: Some(time("2027-01-01T00:00:00Z")?),
                max_uses: 1,
            },
            invite::Event::InviteCreated { expires_at: None, max_uses: 5 },
            invite::Event::InviteCreated { expires_at: None, max_uses: 1 },
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
        ExportUploaded => [onboarding::Event::ExportUploaded {
            job: JobId(Uuid::from_u128(11)),
            file: UploadId(Uuid::from_u128(12)),
        }],
    ));
    all.extend(jobs()?);
    all.extend(chats()?);
    all.extend(posts()?);
    all.extend(stored!(skill_day::SkillDay, skill_day::Event;
        SkillsActivated => [skill_day::Event::SkillsActivated {
            skills: vec!["trim-video".to_owned(), "join-clips".to_owned()],
        }],
    ));
    let (from, to) = ("join-clips".to_owned(), "trim-video".to_owned());
    all.extend(stored!(skill_edges::SkillEdges, skill_edges::Event;
        EdgeReinforced => [skill_edges::Event::EdgeReinforced { from, to, weight: 0.5 }],
        DayLearned => [skill_edges::Event::DayLearned { day: "2026-11-21".parse()? }],
    ));
    let operation = "users.set_tier".to_owned();
    all.extend(stored!(operation::Operation, operation::Event;
        OperationCalled => [
            Done::OperationCalled {
                operation: operation.clone(),
                params: object(json!({"tier": "pro"})),
                node: NODE,
            },
            Done::OperationCalled { operation, params: object(json!({})), node: NODE },
        ],
        OperationEnded => [
            Done::OperationEnded { error: None, result: object(json!({"events": 7})) },
            Done::OperationEnded { error: Some("away".to_owned()), result: object(json!({})) },
        ],
    ));
    Ok(all)
}

fn posts() -> Result<Vec<Stored>> {
    use post::Event as Of;
    let whole = post::Draft {
        owner: "ann".into(),
        platform: "reddit".to_owned(),
        text: "Hello".to_owned(),
        media: Some("m-1".to_owned()),
        clip_job: Some("j-1".to_owned()),
        platform_meta: object(json!({"subreddit": "rust", "title": "Hello"})),
    };
    let plain = post::Draft {
        media: None,
        clip_job: None,
        platform_meta: object(json!({})),
        ..whole.clone()
    };
    let mut all = stored!(Post, post::Event;
        PostDrafted => [Of::PostDrafted(Box::new(whole)), Of::PostDrafted(Box::new(plain))],
        PostScheduled => [Of::PostScheduled { at: time("2027-01-01T00:00:00Z")? }],
        PostPublishing => [Of::PostPublishing { job: JobId(Uuid::from_u128(8)) }],
        PostPublished => [
            Of::PostPublished { result: object(json!({"url": "https://example.org/1"})) },
            Of::PostPublished { result: object(json!({})) },
        ],
        PostFailed => [Of::PostFailed { error: "missed_window".to_owned() }],
        PostCancelled => [Of::PostCancelled {}],
    );
    let post = PostId(Uuid::from_u128(9));
    all.extend(stored!(PostQueue, post_queue::Event;
        PlaceTaken => [post_queue::Event::PlaceTaken { post, at: time("2026-11-21T12:02:00Z")? }],
        PlaceFreed => [post_queue::Event::PlaceFreed { post }],
    ));
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
        JobProgressed => [Of::JobProgressed { percent: 40 }],
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
