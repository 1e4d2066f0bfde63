//! The document of the GenieHelper dialect.

use super::{Failed, resources, skills};
use crate::{
    core::caller::SESSION_COOKIE,
    openapi::{Dialect, Failure, When, api_token, assemble, bearer, cookie, header, schemas},
};
use utoipa::openapi::OpenApi;

/// The document.
pub fn document() -> OpenApi {
    let all = resources().merge(skills::list_routes()).merge(skills::one_routes());
    assemble(all.into_openapi(), dialect())
}

fn dialect() -> Dialect {
    Dialect {
        title: "annals: GenieHelper dialect",
        description: "The HTTP API of GenieHelper: bare objects, and one shape of failures. Another's thing answers as \
            one that does not exist. Times are UTC with milliseconds.",
        servers: &[("/", "Beside the other dialects."), ("/genie", "Alone.")],
        tags: TAGS,
        logins: vec![
            ("bearer", bearer("The `access_token` that `POST /auth/login` answers.")),
            ("session", cookie(SESSION_COOKIE, "The cookie of a login in a browser.")),
            ("token", api_token()),
        ],
        further_logins: vec![(
            "secret",
            header(
                "X-RBAC-Sync-Secret",
                "What servers of one operator share (`ANNALS_RBAC_SYNC_SECRET`).",
            ),
        )],
        failures: FAILURES,
        shapes: schemas::<Failed<'static>>(),
    }
}

const TAGS: &[(&str, &str)] = &[
    ("Logins", "Logging in, and acting as somebody else."),
    ("People", "Registering."),
    ("Invitations", "Who may register."),
    ("Profile", "What people say of themselves."),
    ("Onboarding", "The way in."),
    ("Assistant", "Chats with the assistant."),
    ("Skills", "What the assistant knows how to do."),
    ("Captions", "Texts for posts."),
    ("Posts", "Posts that wait for their time."),
    ("Fans", "Whom creators know."),
    ("Items", "What people keep in collections."),
    ("Credentials", "What people log in with at platforms."),
    ("Jobs", "Work that takes longer."),
    ("Usage", "What subscriptions allow."),
    ("Administration", "What administrators do."),
    ("Other servers", "What other servers of the same operator call."),
];

const FAILURES: &[Failure] = &[
    failed(400, "Invalid", "The input is malformed, or what is wanted cannot be now.", When::Input),
    failed(400, "InvalidPath", "The path is malformed.", When::Thing),
    failed(401, "Unauthenticated", "No valid login.", When::Login),
    failed(403, "Forbidden", "The login may not do this.", When::Login),
    failed(404, "NotFound", "It does not exist, or not for the caller.", When::Thing),
    failed(
        404,
        "Unknown",
        "What the body names does not exist, or not for the caller.",
        When::Body,
    ),
    failed(413, "TooLarge", "The body is too large.", When::Body),
    failed(415, "MediaType", "The body has a type that is not taken here.", When::Body),
    failed(429, "Throttled", "Too many requests; see the header `Retry-After`.", When::Always),
    failed(500, "Internal", "Something failed; `request_id` leads to it in the log.", When::Always),
    failed(503, "Unavailable", "Temporarily unavailable; try again.", When::Always),
];

const fn failed(status: u16, name: &'static str, description: &'static str, when: When) -> Failure {
    let (content_type, shape) = ("application/json", "Failed");
    Failure { status, name, description, content_type, shape, when }
}
