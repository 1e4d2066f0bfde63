//! Pages for browsers on a server without a web client: no script, nothing loaded from anywhere.

mod login;

use super::Text;
use crate::{
    app::App,
    core::{Context, Locale},
    openapi::Documented,
};
use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The table of contents; the dialect's prefix is the default base path.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(login::show, login::sign_in)).tagged("Pages")
}

/// The login page below the configured base path, where that is not the dialect's prefix.
pub fn elsewhere(app: &App) -> Router<App> {
    let path = format!("{}/login", app.config.web_base_path);
    OpenApiRouter::default().also(&path, routes!(login::show, login::sign_in)).into()
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f5f7;color:#1c1e21}\
main{max-width:22rem;margin:12vh auto;padding:2rem;background:#fff;border-radius:.75rem;\
box-shadow:0 1px 4px #0002}h1{font-size:1.25rem;margin:0 0 1rem}label{display:block;margin:.75rem 0}\
input{box-sizing:border-box;width:100%;padding:.5rem;font:inherit;border:1px solid #b6bac1;border-radius:.4rem}\
button,.button{display:block;box-sizing:border-box;width:100%;margin-top:.75rem;padding:.6rem;font:inherit;\
text-align:center;text-decoration:none;color:#fff;background:#2457d6;border:1px solid #2457d6;border-radius:.4rem}\
.plain{color:#1c1e21;background:#fff;border-color:#b6bac1}.error{color:#a4161a}";

/// Where the forms of a page may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    /// To this site only.
    Stay,
    /// By way of this site to a client's, and on from there to who knows where: browsers hold `form-action` against
    /// each redirect that follows.
    LeadAway,
}

/// A page in the language of the request.
pub fn page(status: StatusCode, title: &Text, body: &Markup, forms: Forms) -> Response {
    let lang = match Context::current().locale {
        Locale::Chinese => "zh-CN",
        Locale::English => "en",
    };
    let markup = html! {
        (DOCTYPE)
        html lang=(lang) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title.localized()) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (title.localized()) } (body) } }
        }
    };
    let mut response = (status, markup.into_string()).into_response();
    let policy = policy(forms);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::VARY, "Accept-Language, X-Sage-Locale, Cookie"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn policy(forms: Forms) -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let rest = "base-uri 'none'; frame-ancestors 'none'";
    let forms = match forms {
        Forms::Stay => "; form-action 'self'",
        Forms::LeadAway => "",
    };
    format!("default-src 'none'; style-src 'sha256-{style}'; {rest}{forms}")
}
