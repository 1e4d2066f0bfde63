//! The document of the GenieHelper dialect.

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
        title: "annals: GenieHelper dialect",
        description: "The HTTP API of GenieHelper.",
        servers: &[("/", "Beside the other dialects."), ("/genie", "Alone.")],
        tags: &[],
        logins: vec![
            ("bearer", bearer("The access token that a login answers.")),
            ("session", cookie(SESSION_COOKIE, "The cookie of a login in a browser.")),
            ("token", api_token()),
        ],
        further_logins: vec![],
        failures: &[],
        shapes: vec![],
    }
}
