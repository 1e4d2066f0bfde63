//! Uploads into knowledge bases, for all dialects.

use crate::{
    app::App,
    core::{Error, upload},
};
use commands::{
    datasources,
    effects::{
        blobs,
        extract::{Reading, reader},
    },
    execute::{self, Loaded},
    intake::{Due, Upload, settle},
};
use domain::{
    Metadata, Position,
    document::{Labels, Origin},
    ids::{DocumentId, KnowledgeBaseId, UserId},
    intake::{Command, Event, File, Intake, Refusal, Twins},
};
use projections::documents;
use std::time::Duration;
use uuid::Uuid;

/// How long forgetting a document is waited for.
const FORGETTING: Duration = Duration::from_secs(60);

/// Files for a knowledge base.
#[derive(Debug)]
pub struct Delivery {
    /// Where to.
    pub knowledge_base: KnowledgeBaseId,
    /// Who owns that.
    pub owner: UserId,
    /// The files; they are in the store.
    pub files: Vec<File>,
    /// What becomes of what is there already.
    pub twins: Twins,
}

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The domain said no.
    #[error(transparent)]
    Refused(Refusal),
    /// Not a table of questions and answers.
    #[error("{name:?}: {reason}")]
    NoQuestions {
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
    /// The machine failed.
    #[error(transparent)]
    Failed(Error),
}

impl<E: Into<Error>> From<E> for NotTaken {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Takes a delivery as a whole; the id of the upload. Its documents can be seen when this returns.
///
/// # Errors
/// [`NotTaken`]; then nothing was taken.
pub async fn accept(
    app: &App,
    delivery: Delivery,
    metadata: &Metadata,
) -> Result<String, NotTaken> {
    let Delivery { knowledge_base, owner, files, twins } = delivery;
    let task = Uuid::new_v4().simple().to_string();
    let mut intake = Loaded::<Intake>::load_ends(&*app.log, &knowledge_base).await?;
    let seen = intake.state().uploads.len();
    let present = match twins {
        Twins::Keep => vec![],
        Twins::Refuse | Twins::Replace => {
            app.settled("documents").await?;
            documents::present(&app.db, &knowledge_base, &files).await?
        }
    };
    let (by, id) = (owner.clone(), task.clone());
    let command = Command::Accept { owner: by, task: id, files, twins, present, seen };
    let news = intake.execute(&*app.log, &command, metadata).await;
    let news = news.map_err(|error| match error {
        execute::Error::Refused(refusal) => NotTaken::Refused(refusal),
        execute::Error::Failed(failure) => failure.into(),
    })?;
    let mut due = Vec::new();
    for Event::FilesAccepted { files, replaced, .. } in news.events {
        due.extend(replaced.into_iter().map(|document| Due::Delete { document, upload: None }));
        due.extend(files.into_iter().map(|file| {
            let (knowledge_base, owner) = (knowledge_base.clone(), owner.clone());
            Due::Upload(Upload { knowledge_base, owner, task: task.clone(), file })
        }));
    }
    let replaces = due.iter().any(|due| matches!(due, Due::Delete { .. }));
    let position = settle(&*app.log, due, metadata).await?.max(news.position);
    if replaces {
        forgotten(app, position).await;
    } else {
        app.caught_up("documents", position).await;
    }
    Ok(task)
}

/// Waits until these documents are read, or given up, and can be found; `false` when that takes longer than `within`. Counts
/// what happens after `after`.
pub async fn read(app: &App, after: Position, documents: &[DocumentId], within: Duration) -> bool {
    let end = datasources::ended(&*app.log, after, documents, within).await;
    for read_model in ["documents", "passages"] {
        app.caught_up(read_model, end).await;
    }
    end.is_some()
}

/// Waits until what is deleted at this position is found no more. To forget a large document takes its time, and whoever is
/// told that it is gone may look at once.
pub async fn forgotten(app: &App, position: Option<Position>) {
    app.caught_up("documents", position).await;
    let Some(position) = position else { return };
    if let Err(lagging) = app.projections.wait_for("passages", position, FORGETTING).await {
        tracing::warn!(%lagging, "what is deleted can still be found");
    }
}

/// Looks whether these files are tables of questions and answers.
///
/// # Errors
/// [`NotTaken::NoQuestions`] for the first that is none.
pub async fn check_questions(app: &App, files: &[upload::File]) -> Result<(), NotTaken> {
    for file in files {
        let bytes = app.library.blobs.read(&file.blob.hash, file.blob.size).await;
        let bytes = bytes.map_err(|error: blobs::Error| Error::Unavailable(error.to_string()))?;
        let (name, media_type) = (file.name.clone(), file.media_type.clone());
        let reading = Reading::Questions;
        let table = reader::File { name: name.clone(), media_type, reading, bytes };
        match app.library.reader.read(table).await {
            Ok(_) => {}
            Err(reader::Error::Unreadable(unreadable)) => {
                return Err(NotTaken::NoQuestions { name, reason: unreadable.to_string() });
            }
            Err(away) => return Err(Error::Unavailable(away.to_string()).into()),
        }
    }
    Ok(())
}

/// The document that a file becomes.
pub fn file(sent: upload::File) -> File {
    File {
        document: DocumentId(Uuid::new_v4().simple().to_string()),
        name: sent.name,
        blob: sent.blob.hash,
        size: sent.blob.size,
        media_type: sent.media_type.chars().filter(|c| *c != '\0').take(128).collect(),
        metadata: Labels::default(),
        origin: Origin::File,
    }
}
