//! Events in, rows out.

use annals_tests::database::Database;
use anyhow::Result;
use chrono::{DateTime, Utc};
use domain::{
    Metadata, Position, Recorded, Revision, codec,
    document::BlobHash,
    ids::ConversationId,
    todo_list::{self, Item, Status},
    workspace_file::{self, FileId, FilePath, Workspace},
};
use projections::{
    Projection, todo_items,
    todo_items::TodoItems,
    workspace_files::{self, WorkspaceFiles},
};
use serde::Serialize;
use serde_json::value::to_raw_value;
use sqlx::PgPool;
use uuid::Uuid;

struct Scenario {
    database: Database,
    db: PgPool,
    position: u64,
}

impl Scenario {
    async fn begin() -> Result<Self> {
        let database = Database::create().await?;
        let db = PgPool::connect(&database.url()).await?;
        migrations::MIGRATOR.run(&db).await?;
        Ok(Self { database, db, position: 0 })
    }

    async fn end(self) -> Result<()> {
        self.db.close().await;
        self.database.remove().await
    }

    async fn given<E: Serialize>(
        &mut self,
        projection: &dyn Projection,
        stream: &str,
        event: &E,
    ) -> Result<()> {
        let (kind, data) = codec::encode(event)?;
        self.position += 1;
        let recorded = Recorded {
            id: Uuid::now_v7(),
            stream: stream.parse()?,
            revision: Revision(self.position),
            position: Position(self.position),
            kind,
            data,
            metadata: to_raw_value(&Metadata::system(Uuid::from_u128(1)))?,
            recorded_at: at(self.position),
        };
        let mut db = self.db.begin().await?;
        projection.apply(&mut db, &recorded).await?;
        Ok(db.commit().await?)
    }
}

fn at(position: u64) -> DateTime<Utc> {
    DateTime::from_timestamp(i64::try_from(position).unwrap(), 0).unwrap()
}

fn workspace(agent: Option<&str>) -> Workspace {
    Workspace { owner: "ann".into(), agent: agent.map(Into::into) }
}

async fn written(scene: &mut Scenario, at: &Workspace, path: &str, size: u64) -> Result<String> {
    let path = FilePath::parse(path)?;
    let stream = format!("file-{}", FileId::of(at, &path));
    let event = workspace_file::Event::FileWritten {
        workspace: at.clone(),
        path,
        blob: BlobHash("ab".repeat(32)),
        size,
        media_type: "text/plain".to_owned(),
    };
    scene.given(&WorkspaceFiles, &stream, &event).await?;
    Ok(stream)
}

#[tokio::test]
async fn a_listing_has_the_last_of_each_file() -> Result<()> {
    let mut scene = Scenario::begin().await?;
    let (own, other) = (workspace(None), workspace(Some("agent_1")));
    for path in ["b/x", "b0", "b", "b/y/z"] {
        written(&mut scene, &own, path, 1).await?;
    }
    let stream = written(&mut scene, &own, "a", 2).await?;
    written(&mut scene, &own, "a", 3).await?;
    written(&mut scene, &other, "c", 4).await?;
    let all = workspace_files::below(&scene.db, &own, None, 100).await?;
    let paths: Vec<_> = all.iter().map(|file| (file.path.as_str(), file.size)).collect();
    assert_eq!(paths, [("a", 3), ("b", 1), ("b/x", 1), ("b/y/z", 1), ("b0", 1)]);
    assert_eq!(all[0].modified_at, at(6));
    let folder = FilePath::parse("b")?;
    let below = workspace_files::below(&scene.db, &own, Some(&folder), 100).await?;
    assert_eq!(below.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["b/x", "b/y/z"]);
    assert_eq!(workspace_files::below(&scene.db, &own, Some(&folder), 1).await?.len(), 1);
    assert_eq!(workspace_files::usage(&scene.db, &own).await?, (5, 7));
    scene.given(&WorkspaceFiles, &stream, &workspace_file::Event::FileDeleted {}).await?;
    assert_eq!(workspace_files::usage(&scene.db, &own).await?, (4, 4));
    assert_eq!(workspace_files::usage(&scene.db, &other).await?, (1, 4));
    scene.end().await
}

#[tokio::test]
async fn a_list_stays_in_its_order() -> Result<()> {
    let mut scene = Scenario::begin().await?;
    let conversation = ConversationId(Uuid::from_u128(7));
    let stream = format!("todo-{conversation}");
    let item = |id: &str, status| Item {
        id: id.to_owned(),
        content: "count".to_owned(),
        status,
        conclusion: None,
    };
    for id in ["z", "a"] {
        let event = todo_list::Event::TaskPlanned { item: item(id, Status::Pending) };
        scene.given(&TodoItems, &stream, &event).await?;
    }
    let done = Item { conclusion: Some("42".to_owned()), ..item("z", Status::Completed) };
    scene.given(&TodoItems, &stream, &todo_list::Event::TaskRevised { item: done }).await?;
    let rows = todo_items::of(&scene.db, conversation).await?;
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.item_id.as_str(), row.status.as_str(), row.conclusion.as_deref()))
        .collect();
    assert_eq!(shown, [("z", "completed", Some("42")), ("a", "pending", None)]);
    assert_eq!((rows[0].created_at, rows[0].updated_at), (at(1), at(3)));
    assert!(todo_items::of(&scene.db, ConversationId(Uuid::from_u128(8))).await?.is_empty());
    scene.end().await
}
