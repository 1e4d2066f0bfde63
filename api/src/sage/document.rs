//! The document of the Sage dialect.

use super::resources;
use crate::{
    core::caller::SESSION_COOKIE,
    openapi::{Dialect, api_token, assemble, bearer, cookie},
};
use utoipa::openapi::OpenApi;

/// The document.
pub fn document() -> OpenApi {
    assemble(resources().into_openapi(), dialect())
}

fn dialect() -> Dialect {
    Dialect {
        title: "annals: Sage dialect",
        description: "The HTTP API of Sage.",
        servers: &[("/", "Beside the other dialects."), ("/sage", "Alone.")],
        tags: &[],
        logins: vec![
            ("bearer", bearer("The access token that a login answers.")),
            ("session", cookie(SESSION_COOKIE, "The cookie that a login sets.")),
            ("token", api_token()),
        ],
        further_logins: vec![],
        failures: &[],
        shapes: vec![],
    }
}
