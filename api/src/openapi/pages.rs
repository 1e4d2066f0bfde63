//! Pages to read the documents in. Everything they load comes from this program, so they work without a network.

use crate::{
    app::App,
    core::{Error, Path},
};
use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use std::sync::{Arc, LazyLock};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::Config;

/// The library sets styles on elements, and has pictures in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
const INDEX: &str = include_str!("index.html");
const START: &str = include_str!("start.js");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(begin)).routes(routes!(index)).routes(routes!(file))
}

/// Leads to the documentation.
#[utoipa::path(
    get,
    path = "/docs",
    responses((status = 308, description = "To `/docs/`.")),
    security(()),
)]
async fn begin() -> Redirect {
    Redirect::permanent("/docs/")
}

/// Shows all documents as a page.
#[utoipa::path(
    get,
    path = "/docs/",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")),
    security(()),
)]
async fn index() -> Response {
    shown(Html(INDEX).into_response())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct Wish {
    /// Its name, as the page has it.
    file: String,
}

/// Gets a script, a style sheet or a picture of the page.
#[utoipa::path(
    get,
    path = "/docs/{file}",
    params(Wish),
    responses((status = 200, description = "The file.", body = String, content_type = "*/*")),
    security(()),
)]
async fn file(Path(Wish { file }): Path<Wish>) -> Result<Response, Error> {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::default()));
    let javascript = HeaderValue::from_static("text/javascript; charset=utf-8");
    match file.as_str() {
        "start.js" => Ok(shown(([(header::CONTENT_TYPE, javascript)], START).into_response())),
        // The library's own page, and what belongs to it, would come without our policy.
        "index.html" | "swagger-initializer.js" => Err(Error::NotFound),
        name => {
            let found = utoipa_swagger_ui::serve(name, CONFIG.clone());
            let found = found.map_err(|error| Error::Internal(error.to_string()))?;
            let found = found.ok_or(Error::NotFound)?;
            let kind = HeaderValue::try_from(found.content_type)
                .unwrap_or(HeaderValue::from_static("application/octet-stream"));
            let mut response = found.bytes.into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            if found.gzpipped {
                let gzip = HeaderValue::from_static("gzip");
                response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
            }
            Ok(shown(response))
        }
    }
}

fn shown(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ] as [(HeaderName, &str); 4]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
