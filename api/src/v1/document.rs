//! The document of the native API and of what operators need.

use super::{problem::Details, resources};
use crate::{
    console,
    core::caller::SESSION_COOKIE,
    metrics,
    openapi::{self, Dialect, Failure, When, api_token, assemble, bearer, cookie, schemas},
    probes,
};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// The document.
pub fn document() -> OpenApi {
    let all = OpenApiRouter::default()
        .nest("/v1", resources())
        .merge(probes::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
        .merge(console::routes());
    assemble(all.into_openapi(), dialect())
}

fn dialect() -> Dialect {
    Dialect {
        title: "annals: native API and operations",
        description: "What happened, every run of every dialect, and what operators need. Failures below `/v1` are \
            problem details (RFC 9457). Another's thing answers as one that does not exist.",
        servers: &[("/", "Here.")],
        tags: &[
            ("Events", "The log: everything that happened."),
            ("Runs", "Answers of agents, in whatever dialect they were asked for."),
            ("Knowledge", "What the search knows of documents."),
            ("Usage", "What runs cost, and what subscriptions allow."),
            ("System", "How the installation is doing, for administrators."),
            ("Operations", "For probes and monitoring."),
            ("Console", "An application for people, over the same API."),
            ("Documentation", "These documents, and pages to read them in."),
        ],
        logins: vec![
            ("bearer", bearer("An access token from the login of any dialect.")),
            ("session", cookie(SESSION_COOKIE, "The cookie of a login in a browser.")),
            ("token", api_token()),
        ],
        further_logins: vec![],
        failures: FAILURES,
        shapes: schemas::<Details<'static>>(),
    }
}

const FAILURES: &[Failure] = &[
    problem(401, "Unauthenticated", "No valid login.", When::Login),
    problem(403, "Forbidden", "The login may not do this.", When::Login),
    problem(404, "NotFound", "It does not exist, or not for the caller.", When::Thing),
    problem(422, "Invalid", "The input is malformed; `errors` says where.", When::Input),
    problem(503, "Unavailable", "Try again; see the header `Retry-After`.", When::Login),
    problem(500, "Internal", "Something failed; `request_id` leads to it.", When::Login),
];

const fn problem(
    status: u16,
    name: &'static str,
    description: &'static str,
    when: When,
) -> Failure {
    let (content_type, shape) = ("application/problem+json", "ProblemDetails");
    Failure { status, name, description, content_type, shape, when }
}
