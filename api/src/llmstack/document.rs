//! The document of the LLMStack dialect.

use super::{
    envelope::{Detail, Message, Refusal},
    resources,
};
use crate::openapi::{Dialect, Failure, When, api_token, assemble, schemas};
use utoipa::openapi::{
    OpenApi,
    security::{ApiKey, ApiKeyValue, SecurityScheme},
};

/// The document.
pub fn document() -> OpenApi {
    assemble(resources().into_openapi(), dialect())
}

fn dialect() -> Dialect {
    let key = "The API token, for browsers, which cannot send a header along with a WebSocket.";
    let key = ApiKey::Query(ApiKeyValue::with_description("token", key));
    Dialect {
        title: "annals: LLMStack dialect",
        description: "The HTTP API of LLMStack: bare objects and lists, without a slash at the end of paths. Failures come in \
            three shapes: `detail` (no login, nothing there, a body that cannot be read), `errors` (what is wanted cannot be) \
            and `message` (a few operations); some have no body. Another's thing answers as one that does not exist. Times \
            are UTC with microseconds, which are left out when they are zero.",
        servers: &[("/", "Beside the other dialects."), ("/llmstack", "Alone.")],
        tags: TAGS,
        logins: vec![("token", api_token())],
        further_logins: vec![("key", SecurityScheme::ApiKey(key))],
        failures: FAILURES,
        shapes: [
            schemas::<Detail<'static>>(),
            schemas::<Message<'static>>(),
            schemas::<Refusal<'static>>(),
        ]
        .concat(),
    }
}

const TAGS: &[(&str, &str)] = &[
    ("Apps", "Apps as their owners write them, who may run them, and which processors there are."),
    ("Versions", "What apps said before."),
    ("Runs", "Answers of apps, whole, in pieces, or over a WebSocket."),
    ("Datasources", "What apps search."),
    ("Entries", "What is in datasources."),
    ("History", "The caller's own runs."),
    ("Jobs", "Runs at set times."),
    ("Profile", "Who the caller is."),
];

const FAILURES: &[Failure] = &[
    failed(400, "Invalid", "What was sent cannot be read, or cannot be.", "Refusal", When::Input),
    failed(403, "Forbidden", "No valid token.", "Detail", When::Login),
    failed(404, "NotFound", "It does not exist, or not for the caller.", "Detail", When::Thing),
    failed(408, "Late", "The form did not arrive in time.", "Detail", When::Body),
    failed(413, "TooLarge", "The body is too large.", "Detail", When::Body),
    failed(415, "MediaType", "The body has a type that is not taken here.", "Detail", When::Body),
    failed(500, "Internal", "Something failed.", "Detail", When::Always),
    failed(503, "Unavailable", "Temporarily unavailable; try again.", "Detail", When::Always),
];

const fn failed(
    status: u16,
    name: &'static str,
    description: &'static str,
    shape: &'static str,
    when: When,
) -> Failure {
    let content_type = "application/json";
    Failure { status, name, description, content_type, shape, when }
}
