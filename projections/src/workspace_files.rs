//! Read model: the files of workspaces, as they are listed.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded,
    agent::Agent,
    codec,
    workspace_file::{Event, FilePath, Workspace, WorkspaceFile},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool};

/// The projection.
pub struct WorkspaceFiles;

impl Projection for WorkspaceFiles {
    fn name(&self) -> &'static str {
        "workspace_files"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["workspace_files"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[WorkspaceFile::CATEGORY, Agent::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let id = recorded.stream.key();
            if recorded.stream.category() == Agent::CATEGORY {
                // An agent takes everybody's files of it with it: nobody can reach them any more.
                if recorded.kind.as_ref() == "AgentDeleted" {
                    let gone = sqlx::query("delete from workspace_files where agent = $1");
                    gone.bind(id).execute(db).await?;
                }
                return Ok(());
            }
            let statement = match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
                Event::FileWritten { workspace, path, blob, size, media_type } => sqlx::query(
                    "insert into workspace_files (file_id, owner, agent, path, blob, size,
                         media_type, modified_at, revision)
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                     on conflict (file_id) do update set blob = excluded.blob,
                         size = excluded.size, media_type = excluded.media_type,
                         modified_at = excluded.modified_at, revision = excluded.revision",
                )
                .bind(id)
                .bind(workspace.owner.0)
                .bind(workspace.agent.map(|agent| agent.0).unwrap_or_default())
                .bind(path.as_str().to_owned())
                .bind(blob.0)
                .bind(column(size))
                .bind(media_type)
                .bind(recorded.recorded_at)
                .bind(column(recorded.revision.0)),
                Event::FileDeleted {} => {
                    sqlx::query("delete from workspace_files where file_id = $1").bind(id)
                }
            };
            statement.execute(db).await?;
            Ok(())
        })
    }
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct File {
    /// Where in its workspace.
    pub path: String,
    /// SHA-256 of its bytes.
    pub blob: String,
    /// How many.
    pub size: i64,
    /// What it is; may be empty.
    pub media_type: String,
    /// When it was last written.
    pub modified_at: DateTime<Utc>,
}

/// Up to `limit` files of a workspace in the order of their paths; `folder` `None` for all of it.
///
/// # Errors
/// When the database does not answer.
pub async fn below(
    db: &PgPool,
    workspace: &Workspace,
    folder: Option<&FilePath>,
    limit: i64,
) -> sqlx::Result<Vec<File>> {
    // '0' is what follows '/'.
    let [from, to] = match folder {
        Some(folder) => [format!("{folder}/"), format!("{folder}0")],
        None => Default::default(),
    };
    sqlx::query_as(
        "select path, blob, size, media_type, modified_at from workspace_files
         where owner = $1 and agent = $2 and ($3 = '' or (path >= $3 and path < $4))
         order by path limit $5",
    )
    .bind(&workspace.owner.0)
    .bind(agent(workspace))
    .bind(from)
    .bind(to)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// How many files a workspace holds, and how many bytes.
///
/// # Errors
/// When the database does not answer.
pub async fn usage(db: &PgPool, workspace: &Workspace) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as(
        "select count(*), coalesce(sum(size), 0)::bigint from workspace_files
         where owner = $1 and agent = $2",
    )
    .bind(&workspace.owner.0)
    .bind(agent(workspace))
    .fetch_one(db)
    .await
}

fn agent(workspace: &Workspace) -> &str {
    workspace.agent.as_ref().map_or("", |agent| agent.as_str())
}
