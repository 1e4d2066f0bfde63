//! The built-in tools of this node.

use crate::{
    compose::Store,
    config::Config,
    library::{Library, index_name},
};
use commands::{
    effects::tools::{
        Tools,
        clock::Clock,
        files::Files,
        find::Find,
        knowledge::{Base, Excerpt, Knowledge, KnowledgeSearch, KnowledgeUnavailable},
        search::Search,
        shell::Shell,
        todo::Todo,
        web::Web,
    },
    workspaces::Workspaces,
};
use domain::ids::{KnowledgeBaseId, UserId};
use futures::future::BoxFuture;
use projections::{
    knowledge_bases::{self, Filter},
    retrieval::Hit,
};
use sqlx::PgPool;
use std::sync::Arc;

/// Knowledge bases of one person that tools look at.
const BASES: i64 = 1_000;

/// All of them.
pub fn builtin(
    config: &Config,
    store: &Store,
    workspaces: &Workspaces,
    library: &Library,
) -> Vec<Arc<dyn Tools>> {
    let shelves = Shelves { db: store.db.clone(), library: library.clone() };
    vec![
        Arc::new(Todo::new(store.log.clone())),
        Arc::new(Files::new(workspaces.clone())),
        Arc::new(Find::new(workspaces.clone())),
        Arc::new(Web::default()),
        Arc::new(Search::new(config.search.clone())),
        Arc::new(Knowledge::new(Arc::new(shelves))),
        Arc::new(Clock),
        Arc::new(Shell::new(workspaces.clone(), config.shell)),
    ]
}

/// Knowledge bases, backed by the read models.
struct Shelves {
    db: PgPool,
    library: Library,
}

fn unavailable(error: sqlx::Error) -> KnowledgeUnavailable {
    KnowledgeUnavailable(error.to_string().into())
}

impl KnowledgeSearch for Shelves {
    fn bases<'a>(
        &'a self,
        owner: &'a UserId,
        among: Option<&'a [KnowledgeBaseId]>,
    ) -> BoxFuture<'a, Result<Vec<Base>, KnowledgeUnavailable>> {
        Box::pin(async move {
            let own = Filter { owner: Some(owner), ..Filter::default() };
            let (rows, _) =
                knowledge_bases::listed(&self.db, own, BASES, 0).await.map_err(unavailable)?;
            let base = |row: knowledge_bases::Row| Base {
                index_name: index_name(&row.id),
                id: KnowledgeBaseId(row.id),
                name: row.name,
            };
            let meant = |base: &Base| among.is_none_or(|among| among.contains(&base.id));
            Ok(rows.into_iter().map(base).filter(meant).collect())
        })
    }

    fn search<'a>(
        &'a self,
        bases: &'a [KnowledgeBaseId],
        question: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Excerpt>, KnowledgeUnavailable>> {
        Box::pin(async move {
            let hits = self.library.retrieve(&self.db, bases, question, None, limit).await;
            let excerpt = |hit: Hit| Excerpt {
                kdb_id: hit.knowledge_base,
                doc_id: hit.document.0,
                title: hit.title,
                heading: hit.heading,
                content: hit.text,
                start: hit.start,
                end: hit.end,
                page: hit.page,
                score: hit.score,
            };
            Ok(hits.map_err(unavailable)?.into_iter().map(excerpt).collect())
        })
    }
}
