//! given events / when asked / then rows, on a database of its own.

use chrono::{TimeDelta, Utc};
use domain::{
    Metadata, Position, Recorded, Revision, codec,
    document::{self, BlobHash, Passage},
    ids::NodeId,
    knowledge_base,
};
use projections::{
    Projection, documents::Documents, knowledge_bases::KnowledgeBases, meanings::Meanings,
    passages::Passages,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use std::collections::HashMap;
use uuid::Uuid;

pub struct Scenario {
    pub db: PgPool,
    position: u64,
    revisions: HashMap<String, u64>,
}

impl Scenario {
    pub async fn new() -> Self {
        Self { db: database().await, position: 0, revisions: HashMap::new() }
    }

    /// Folds one event into all four read models.
    pub async fn given<E: Serialize>(&mut self, stream: &str, event: &E) {
        let (kind, data) = codec::encode(event).unwrap();
        self.position += 1;
        let revision = self.revisions.entry(stream.to_owned()).or_insert(0);
        let metadata: Box<RawValue> = to_raw_value(&Metadata::system(Uuid::from_u128(1))).unwrap();
        let recorded = Recorded {
            id: Uuid::now_v7(),
            stream: stream.parse().unwrap(),
            revision: Revision(*revision),
            position: Position(self.position),
            kind,
            data,
            metadata,
            recorded_at: Utc::now() - TimeDelta::seconds(60),
        };
        *revision += 1;
        let all: [&dyn Projection; 4] = [&KnowledgeBases, &Documents, &Passages, &Meanings];
        for projection in all {
            if projection.categories().contains(&recorded.stream.category()) {
                let mut db = self.db.begin().await.unwrap();
                projection.apply(&mut db, &recorded).await.unwrap();
                db.commit().await.unwrap();
            }
        }
    }

    pub async fn given_shelf(&mut self, id: &str, owner: &str) {
        let created = knowledge_base::Event::KnowledgeBaseCreated {
            owner: owner.into(),
            name: format!("Shelf {id}"),
            kind: "rag".into(),
            intro: String::new(),
            language: "en".into(),
            datasource: None,
        };
        self.given(&format!("knowledge_base-{id}"), &created).await;
    }

    pub async fn given_upload(&mut self, id: &str, shelf: &str, name: &str) {
        self.given_described(id, shelf, name, document::Labels::default()).await;
    }

    /// A file about which something is said.
    pub async fn given_described(
        &mut self,
        id: &str,
        shelf: &str,
        name: &str,
        metadata: document::Labels,
    ) {
        let uploaded = document::Event::DocumentUploaded {
            knowledge_base: shelf.into(),
            owner: "ann".into(),
            task: "task".into(),
            name: name.into(),
            blob: BlobHash("ab".repeat(32)),
            size: 3,
            media_type: "text/plain".into(),
            metadata,
            origin: document::Origin::File,
        };
        self.given(&format!("document-{id}"), &uploaded).await;
    }

    pub async fn given_start(&mut self, id: &str, attempt: u32) {
        let node = NodeId(Uuid::from_u128(1));
        let started = document::Event::IngestionStarted { attempt, node };
        self.given(&format!("document-{id}"), &started).await;
    }

    /// Passages that stand one after the other in the document's text, one byte between two.
    pub async fn given_passages(&mut self, id: &str, attempt: u32, texts: &[&str]) {
        self.given_passages_of("m", id, attempt, texts).await;
    }

    /// As [`Scenario::given_passages`], with vectors of this model.
    pub async fn given_passages_of(&mut self, model: &str, id: &str, attempt: u32, texts: &[&str]) {
        let mut at = 0;
        let passages = texts.iter().map(|text| {
            let (start, end) = (at, at + text.len() as u64);
            at = end + 1;
            Passage { text: (*text).to_owned(), start, end, ..Passage::default() }
        });
        let passages = passages.collect();
        let stored =
            document::Event::PassagesStored { attempt, first: 0, model: model.into(), passages };
        self.given(&format!("document-{id}"), &stored).await;
    }

    pub async fn given_end(&mut self, id: &str, attempt: u32) {
        let media_type = "text/plain".into();
        let text = Some(BlobHash("cd".repeat(32)));
        let ingested =
            document::Event::DocumentIngested { attempt, text_bytes: 9, media_type, text };
        self.given(&format!("document-{id}"), &ingested).await;
    }

    /// A document from upload to success.
    pub async fn given_document(&mut self, id: &str, shelf: &str, texts: &[&str]) {
        self.given_upload(id, shelf, &format!("{id}.txt")).await;
        self.given_start(id, 1).await;
        self.given_passages(id, 1, texts).await;
        self.given_end(id, 1).await;
    }

    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.db).await.unwrap()
    }
}

/// An empty database of its own, migrated.
async fn database() -> PgPool {
    let pool = PgPool::connect(&database_url().await).await.unwrap();
    migrations::MIGRATOR.run(&pool).await.unwrap();
    pool
}

/// An empty database of its own.
pub async fn database_url() -> String {
    let server = embedded::testing::server_url().await.unwrap();
    let name = format!("knowledge_{}", Uuid::new_v4().simple());
    let mut db = PgConnection::connect(&server).await.unwrap();
    let create = format!("create database {name}");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut db).await.unwrap();
    let (base, query) = server.split_once('?').unwrap_or((&server, ""));
    let host = base.rsplit_once('/').unwrap().0;
    format!("{host}/{name}?{query}")
}
