//! Takes in what somebody exported elsewhere: who they are, who their fans are, what is to be known of them. Taking in the same again adds nothing,
//! so an import that was interrupted begins anew.

mod export;
mod nodes;
#[cfg(test)]
mod tests;

pub use export::{ARCHIVE, Export, Unusable, check, read};

use crate::{
    effects::blobs::Blobs,
    execute::{self, Loaded},
    fans::{self, Fans, Record},
    genie_chat::Shelf,
    log::EventLog,
    reactors::queue::Failed,
};
use chrono::{DateTime, Utc};
use domain::{
    Metadata,
    ids::{JobId, UploadId, UserId},
    job::Known,
    onboarding::{self, Onboarding},
    profile::{self, Profile},
    upload::Upload,
    user::User,
};
use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Fans that are taken in at once.
const AT_ONCE: usize = 8;
/// Reasons that are told why something was left out.
const REASONS: usize = 20;

/// Takes in exports.
pub struct OnboardingImport {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The files.
    pub blobs: Blobs,
    /// Where fans go.
    pub fans: Fans,
    /// What is known of people already.
    pub shelf: Arc<dyn Shelf>,
}

impl OnboardingImport {
    /// Takes in the export of a job, and moves its owner on. `progress` hears how much is done, of a hundred.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn perform(
        &self,
        id: JobId,
        job: &Known,
        progress: &(dyn Fn(f64) + Send + Sync),
    ) -> Result<Map<String, Value>, Failed> {
        let owner = &job.request.owner;
        let account = Loaded::<User>::load(&*self.log, owner).await.map_err(for_now)?;
        if account.state().account().is_none() {
            return Err(Failed::for_good("the account is gone"));
        }
        let archive = self.archive(owner, job.request.input_file.as_deref()).await?;
        self.move_on(owner, onboarding::Command::Resume(id), id).await?;
        let read = tokio::task::spawn_blocking(move || read(&archive)).await;
        let export = read.map_err(|_| Failed::for_good("the archive cannot be read"))?;
        let export = export.map_err(|unusable| Failed::for_good(unusable.to_string()))?;
        let mut left_out = export.left_out;
        let persona = !export.persona.is_empty();
        if persona {
            left_out.extend(self.describe(owner, export.persona, id).await?);
        }
        let nodes = export.nodes.len();
        left_out.extend(self.remember(owner, export.nodes, id).await?);
        let fans = export.fans.len();
        let now = Utc::now();
        let known = export.fans.into_iter().map(|record| self.fan(owner, record, now, id));
        let mut known = stream::iter(known).buffer_unordered(AT_ONCE);
        let (mut done, all) = (0_u32, f64::from(u32::try_from(fans).unwrap_or(u32::MAX)));
        while let Some(outcome) = known.next().await {
            left_out.extend(outcome?);
            done += 1;
            progress(f64::from(done) * 100.0 / all);
        }
        drop(known);
        self.move_on(owner, onboarding::Command::Finish { job: id, imported: true }, id).await?;
        let skipped = left_out.len();
        left_out.truncate(REASONS);
        let result = json!({
            "fans": fans, "nodes": nodes, "persona": persona, "files": export.files, "skipped": skipped,
            "skipped_reasons": left_out,
        });
        Ok(result.as_object().cloned().unwrap_or_default())
    }

    /// Lets the owner of a job that failed for good send another export.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn give_up(&self, id: JobId, job: &Known) -> Result<(), Failed> {
        let failed = onboarding::Command::Finish { job: id, imported: false };
        self.move_on(&job.request.owner, failed, id).await
    }

    async fn archive(&self, owner: &UserId, file: Option<&str>) -> Result<bytes::Bytes, Failed> {
        let unknown = || Failed::for_good("there is no such file");
        let id: UploadId = file.and_then(|file| file.parse().ok()).ok_or_else(unknown)?;
        let loaded = Loaded::<Upload>::load(&*self.log, &id).await.map_err(for_now)?;
        match loaded.state() {
            Upload::Kept { owner: whose, blob } if whose == owner => {
                self.blobs.read(blob, ARCHIVE).await.map_err(for_now)
            }
            _ => Err(unknown()),
        }
    }

    async fn move_on(
        &self,
        owner: &UserId,
        command: onboarding::Command,
        job: JobId,
    ) -> Result<(), Failed> {
        let metadata = Metadata::system(job.0);
        let moved = execute::execute::<Onboarding>(&*self.log, owner, &command, &metadata).await;
        moved.map(drop).map_err(for_now)
    }

    /// Keeps what people say of themselves; what does not fit is left out.
    async fn describe(
        &self,
        owner: &UserId,
        wishes: Vec<profile::Wish>,
        job: JobId,
    ) -> Result<Vec<String>, Failed> {
        let mut left_out = Vec::new();
        for wish in wishes {
            let (command, metadata) =
                (profile::Command::Change(vec![wish]), Metadata::system(job.0));
            match execute::execute::<Profile>(&*self.log, owner, &command, &metadata).await {
                Ok(_) => {}
                Err(execute::Error::Refused(refusal)) => left_out.push(refusal.to_string()),
                Err(execute::Error::Failed(failure)) => return Err(for_now(failure)),
            }
        }
        Ok(left_out)
    }

    /// Keeps a fan; why not, if they are left out.
    async fn fan(
        &self,
        owner: &UserId,
        record: Record,
        now: DateTime<Utc>,
        job: JobId,
    ) -> Result<Option<String>, Failed> {
        let known = match record.read() {
            Ok(known) => fans::Known { id: None, ..known },
            Err(unreadable) => return Ok(Some(unreadable.to_string())),
        };
        match self.fans.upsert(owner, known, now, &Metadata::system(job.0)).await {
            Ok(_) => Ok(None),
            Err(fans::Error::Failed(failure)) => Err(for_now(failure)),
            Err(refused) => Ok(Some(refused.to_string())),
        }
    }
}

fn for_now(error: impl std::fmt::Display) -> Failed {
    Failed::for_now(error.to_string())
}
