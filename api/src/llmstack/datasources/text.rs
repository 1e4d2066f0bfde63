//! `/api/datasource_entries/{entry}/text_content`: what was read of an entry.

use super::{entries::own_entry, settled, shown};
use crate::{
    app::App,
    core::Path,
    llmstack::{Holder, Reply, Result},
};
use axum::extract::State;
use projections::datasources::{self as read_model, Chunk};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Passages that are shown of an entry.
const SHOWN: i64 = 20;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(text_content))
}

/// What is found in an entry.
#[derive(Serialize, ToSchema)]
#[schema(as = EntryText)]
struct Content {
    /// How it begins: 20 passages at most.
    content: String,
    /// What is said of it, by its owner and by whoever read it.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// Gets the text that was read of an entry.
#[utoipa::path(
    get,
    path = "/api/datasource_entries/{entry}/text_content",
    params(("entry" = Uuid, Path, description = "The entry.")),
    responses((status = 200, description = "The text.", body = Content)),
)]
async fn text_content(
    State(app): State<App>,
    holder: Holder,
    Path(entry): Path<String>,
) -> Result<Content> {
    let (entry, _) = own_entry(&app, &holder, &entry).await?;
    settled(&app).await?;
    let content = joined(read_model::chunks(&app.db, &entry, SHOWN).await?);
    let said = read_model::metadata(&app.db, std::slice::from_ref(&entry)).await?;
    let said = said.iter().flat_map(|(_, labels)| &labels.0);
    let metadata: Map<String, Value> =
        said.map(|(key, label)| (key.clone(), shown::value(label))).collect();
    Ok(Reply::ok(Content { content, metadata }))
}

/// Passages one after the other: what two have in common is said once.
fn joined(chunks: Vec<Chunk>) -> String {
    let mut content = String::new();
    let mut end = 0;
    for Chunk { text, starts, ends } in chunks {
        let known = usize::try_from(end - starts).unwrap_or(0);
        if starts > end && !content.is_empty() {
            content.push('\n');
        }
        content.push_str(text.get(known..).unwrap_or_default());
        end = end.max(ends);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passages_have_in_common_is_said_once() {
        let chunk = |text: &str, starts| {
            let ends = starts + i64::try_from(text.len()).unwrap_or_default();
            Chunk { text: text.to_owned(), starts, ends }
        };
        assert_eq!(joined(vec![chunk("One two", 0), chunk("two three", 4)]), "One two three");
        assert_eq!(joined(vec![chunk("One", 2), chunk("two", 7)]), "One\ntwo");
        assert_eq!(joined(vec![]), "");
    }
}
