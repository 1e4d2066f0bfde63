//! What people say of themselves, and the pictures they are shown with.

use crate::{
    effects::{blobs::Blob, media::PictureType},
    execute::{self, Failure},
    log::EventLog,
};
use domain::{
    Metadata, Position,
    ids::{UploadId, UserId},
    profile::{self, Profile},
    upload::{self, Upload},
};
use uuid::Uuid;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The picture cannot be kept.
    #[error(transparent)]
    Upload(upload::Refusal),
    /// Nobody can be shown with it.
    #[error(transparent)]
    Profile(profile::Refusal),
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<execute::Error<upload::Refusal>> for Error {
    fn from(error: execute::Error<upload::Refusal>) -> Self {
        match error {
            execute::Error::Refused(refusal) => Self::Upload(refusal),
            execute::Error::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<execute::Error<profile::Refusal>> for Error {
    fn from(error: execute::Error<profile::Refusal>) -> Self {
        match error {
            execute::Error::Refused(refusal) => Self::Profile(refusal),
            execute::Error::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// A picture somebody is shown with.
#[derive(Debug, Clone)]
pub struct Avatar {
    /// Its id.
    pub file: UploadId,
    /// What it is called, as a path.
    pub key: String,
    /// Position of the last news.
    pub position: Option<Position>,
}

/// Shows a person with a picture that is in the blob store; the link of the one before leads nowhere afterwards.
///
/// # Errors
/// [`Error`].
pub async fn set_avatar(
    log: &dyn EventLog,
    user: &UserId,
    picture: &Blob,
    kind: PictureType,
    metadata: &Metadata,
) -> Result<Avatar, Error> {
    let file = UploadId(Uuid::new_v4());
    let key = format!("avatars/avatar.{}", kind.extension);
    let keep = upload::Command::Keep {
        owner: user.clone(),
        key: key.clone(),
        blob: picture.hash.clone(),
        size: picture.size,
        media_type: kind.media_type.to_owned(),
    };
    let mut position = execute::execute::<Upload>(log, &file, &keep, metadata).await?.position;
    let set = profile::Command::SetAvatar(file);
    let set = execute::execute::<Profile>(log, user, &set, metadata).await?;
    position = position.max(set.position);
    for event in set.events {
        if let profile::Event::AvatarSet { replaced: Some(old), .. } = event {
            let remove = upload::Command::Remove;
            let removed = execute::execute::<Upload>(log, &old, &remove, metadata).await?;
            position = position.max(removed.position);
        }
    }
    Ok(Avatar { file, key, position })
}
