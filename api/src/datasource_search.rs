//! The search in datasources for the steps of apps, backed by the read models.

use crate::library::{Library, Wish};
use commands::{
    app_runs::Workshop,
    datasources::{DatasourceSearch, Excerpt, Question, SearchUnavailable},
    effects::{fetch::Reach, vault::Vault},
};
use domain::{
    document::{Label, Labels},
    ids::{KnowledgeBaseId, UserId},
};
use futures::future::BoxFuture;
use projections::{datasources, retrieval::Hit};
use sqlx::PgPool;
use std::{collections::HashMap, sync::Arc};

/// What the steps of apps work with.
pub fn workshop(reach: Reach, library: &Library, db: &PgPool, vault: &Vault) -> Workshop {
    let shelves = Shelves { db: db.clone(), library: library.clone() };
    Workshop::new(reach, library.reader.clone(), vault.clone(), Arc::new(shelves))
}

/// See the module.
struct Shelves {
    db: PgPool,
    library: Library,
}

fn unavailable(error: sqlx::Error) -> SearchUnavailable {
    SearchUnavailable(error.to_string().into())
}

impl DatasourceSearch for Shelves {
    fn known<'a>(
        &'a self,
        owner: &'a UserId,
        among: &'a [KnowledgeBaseId],
    ) -> BoxFuture<'a, Result<Vec<KnowledgeBaseId>, SearchUnavailable>> {
        Box::pin(async move {
            let own = datasources::searchable(&self.db, owner, among).await.map_err(unavailable)?;
            Ok(among.iter().filter(|id| own.contains(id)).cloned().collect())
        })
    }

    fn search<'a>(
        &'a self,
        datasources: &'a [KnowledgeBaseId],
        question: Question<'a>,
    ) -> BoxFuture<'a, Result<Vec<Excerpt>, SearchUnavailable>> {
        Box::pin(async move {
            let Question { text, filter, ratio, limit } = question;
            let wish = Wish { knowledge_bases: datasources, text, filter, ratio, top_k: limit };
            let hits = self.library.answer(&self.db, wish).await.map_err(unavailable)?;
            let documents: Vec<_> = hits.iter().map(|hit| hit.document.clone()).collect();
            let said = datasources::metadata(&self.db, &documents).await.map_err(unavailable)?;
            let said: HashMap<_, _> = said.into_iter().collect();
            let excerpt = |hit: Hit| excerpt(said.get(&hit.document).cloned(), hit);
            Ok(hits.into_iter().map(excerpt).collect())
        })
    }
}

fn excerpt(metadata: Option<Labels>, hit: Hit) -> Excerpt {
    let metadata = metadata.unwrap_or_default();
    let source = match metadata.0.get("source") {
        Some(Label::Text(source)) => source.clone(),
        Some(Label::Flag(_) | Label::Number(_)) | None => hit.title,
    };
    let similarity = hit.semantic.map(|leg| leg.score);
    Excerpt { text: hit.text, source, page: hit.page, score: hit.score, similarity, metadata }
}
