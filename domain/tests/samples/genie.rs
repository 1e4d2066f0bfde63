//! What creators have: connections.

use super::{NODE, SECRET, object, stored, time};
use crate::Stored;
use annals_domain::{
    connection::{self, Connection, Denial},
    ids::{ConnectionId, JobId, SecretId, UploadId},
    invite::{self, Invite},
    job::{self, Job, Operation},
    name::{self, Connections, Name},
    onboarding::{self, Onboarding, Station},
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
        ExportUploaded => [onboarding::Event::ExportUploaded {
            job: JobId(Uuid::from_u128(11)),
            file: UploadId(Uuid::from_u128(12)),
        }],
    ));
    all.extend(jobs()?);
    Ok(all)
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
