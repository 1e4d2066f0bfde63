//! What tools and routes need to know of workspaces and conversations, backed by the read models.

use crate::app::PATIENCE;
use commands::{
    log::EventLog,
    workspaces::{FileIndex, Listed, Unavailable, Usage},
};
use domain::{
    document::BlobHash,
    workspace_file::{Content, FilePath, Workspace},
};
use futures::future::BoxFuture;
use projections::{Projections, workspace_files};
use sqlx::PgPool;
use std::sync::Arc;

/// See the module.
pub struct Files {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The read models' tables.
    pub db: PgPool,
    /// The read models' tasks.
    pub projections: Projections,
}

impl Files {
    async fn settled(&self) -> Result<(), Unavailable> {
        let head = self.log.head().await.map_err(unavailable)?;
        let settled = self.projections.wait_for("workspace_files", head, PATIENCE).await;
        // An old list would let somebody overwrite or miss what is there.
        settled.map_err(unavailable)
    }
}

fn unavailable(error: impl std::fmt::Display) -> Unavailable {
    Unavailable(error.to_string().into())
}

impl FileIndex for Files {
    fn below<'a>(
        &'a self,
        workspace: &'a Workspace,
        folder: Option<&'a FilePath>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, Unavailable>> {
        Box::pin(async move {
            self.settled().await?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = workspace_files::below(&self.db, workspace, folder, limit).await;
            // A path that was taken once is one; should the rules change, the rest is still listed.
            Ok(found.map_err(unavailable)?.into_iter().filter_map(listed).collect())
        })
    }

    fn usage<'a>(&'a self, workspace: &'a Workspace) -> BoxFuture<'a, Result<Usage, Unavailable>> {
        Box::pin(async move {
            self.settled().await?;
            let usage = workspace_files::usage(&self.db, workspace).await;
            let (files, bytes) = usage.map_err(unavailable)?;
            Ok(Usage { files: counted(files), bytes: counted(bytes) })
        })
    }
}

fn listed(file: workspace_files::File) -> Option<Listed> {
    let blob = BlobHash(file.blob);
    let content = Content { blob, size: counted(file.size), media_type: file.media_type };
    let path = FilePath::parse(&file.path).ok()?;
    Some(Listed { path, content, modified_at: file.modified_at })
}

fn counted(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
