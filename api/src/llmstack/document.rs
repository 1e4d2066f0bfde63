//! The document of the LLMStack dialect.

use super::resources;
use crate::openapi::{Dialect, api_token, assemble};
use utoipa::openapi::OpenApi;

/// The document.
pub fn document() -> OpenApi {
    assemble(resources().into_openapi(), dialect())
}

fn dialect() -> Dialect {
    Dialect {
        title: "annals: LLMStack dialect",
        description: "The HTTP API of LLMStack.",
        servers: &[("/", "Beside the other dialects."), ("/llmstack", "Alone.")],
        tags: &[],
        logins: vec![("token", api_token())],
        further_logins: vec![],
        failures: &[],
        shapes: vec![],
    }
}
