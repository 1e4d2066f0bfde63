//! OpenAPI 3.1 documents of everything that is served, one for each dialect, made from the routers and handlers themselves.

mod assemble;
mod pages;
mod router;
mod share;

use crate::{
    app::App,
    core::{
        Error, Path,
        ranged::{Wanted, wanted},
    },
    genie, llmstack, sage, v1,
};
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use assemble::{
    Dialect, Failure, When, api_token, assemble, basic, bearer, cookie, header, schemas,
};
pub use router::Documented;

/// Which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, ToSchema)]
#[schema(as = DocumentName)]
pub enum Name {
    /// The Sage dialect.
    #[serde(rename = "sage.json")]
    Sage,
    /// The LLMStack dialect.
    #[serde(rename = "llmstack.json")]
    Llmstack,
    /// The GenieHelper dialect.
    #[serde(rename = "genie.json")]
    Genie,
    /// The native API, and what operators need.
    #[serde(rename = "v1.json")]
    V1,
}

impl Name {
    /// All documents, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::V1, Self::Sage, Self::Llmstack, Self::Genie];

    /// The document, put together anew.
    ///
    /// # Errors
    /// Does not happen: everything in it has a form in JSON.
    pub fn document(self) -> serde_json::Result<Value> {
        let told = match self {
            Self::Sage => sage::document(),
            Self::Llmstack => llmstack::document(),
            Self::Genie => genie::document(),
            Self::V1 => v1::document(),
        };
        serde_json::to_value(told).map(share::shared)
    }

    /// The document as JSON text, for people to read.
    ///
    /// # Errors
    /// As [`Name::document`].
    pub fn json(self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&self.document()?)
    }
}

/// The routes: the documents, and pages to read them in.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show)).merge(pages::routes()).tagged("Documentation")
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct Wish {
    /// Which document.
    #[param(inline)]
    document: Name,
}

/// Gets the OpenAPI 3.1 document of a dialect.
#[utoipa::path(
    get,
    path = "/openapi/{document}",
    params(Wish),
    responses(
        (status = 200, description = "The document.", body = Value),
        (status = 304, description = "As `If-None-Match` has it."),
    ),
    security(()),
)]
async fn show(
    method: Method,
    headers: HeaderMap,
    Path(Wish { document }): Path<Wish>,
) -> Result<Response, Error> {
    static MADE: LazyLock<[(Name, Option<Made>); 4]> =
        LazyLock::new(|| Name::ALL.map(|name| (name, Made::of(name).ok())));
    let made = MADE.iter().find(|(name, _)| *name == document);
    let made = made.and_then(|(_, made)| made.as_ref()).ok_or(Error::NotFound)?;
    let described = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, made.tag.clone()),
    ];
    let tag = made.tag.to_str().unwrap_or_default();
    match wanted(&method, &headers, tag, made.json.len() as u64) {
        Wanted::NotModified => Ok((StatusCode::NOT_MODIFIED, described).into_response()),
        _ => Ok((described, made.json.clone()).into_response()),
    }
}

/// A document as it goes out.
struct Made {
    json: Bytes,
    tag: HeaderValue,
}

impl Made {
    fn of(name: Name) -> anyhow::Result<Self> {
        let json = serde_json::to_vec(&name.document()?)?;
        let digest: Box<[u8]> = Sha256::digest(&json)[..16].into();
        let tag: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let tag = HeaderValue::try_from(format!("\"{tag}\""))?;
        Ok(Self { json: json.into(), tag })
    }
}
