//! The document of the Sage dialect.

use super::{
    chat::Line,
    envelope::{Failed, Rejected},
    resources,
};
use crate::{
    core::caller::SESSION_COOKIE,
    openapi::{Dialect, Failure, When, api_token, assemble, basic, bearer, cookie, schemas},
};
use utoipa::openapi::OpenApi;

/// The document.
pub fn document() -> OpenApi {
    assemble(resources().into_openapi(), dialect())
}

fn dialect() -> Dialect {
    Dialect {
        title: "annals: Sage dialect",
        description: "The HTTP API of Sage: one envelope around everything, `{code, message, data, timestamp}`. \
            `code` is 200 when it worked. Otherwise it mostly equals the HTTP status, and that is 500 for most of what \
            cannot be done, whoever's mistake it is; some operations answer HTTP 200 with another `code`. Input \
            that cannot be read answers 422 without envelope. Messages are Chinese, or English to those who prefer \
            it by `Accept-Language` or `X-Sage-Locale`. Another's thing answers as one that does not exist. Times \
            without zone are the server's local time.",
        servers: &[("/", "Beside the other dialects."), ("/sage", "Alone.")],
        tags: TAGS,
        logins: vec![
            ("bearer", bearer("The access token that a login answers.")),
            ("session", cookie(SESSION_COOKIE, "The cookie that a login sets.")),
            ("token", api_token()),
        ],
        further_logins: vec![
            ("client", basic("A client of the authorization server: its id and secret.")),
            ("access_token", bearer("The access token of a client of the authorization server.")),
        ],
        failures: FAILURES,
        shapes: [schemas::<Failed<'static>>(), schemas::<Rejected<'static>>(), schemas::<Line>()]
            .concat(),
    }
}

const TAGS: &[(&str, &str)] = &[
    ("Logins", "Registering, logging in and out."),
    ("People", "Whom administrators know, and what everybody keeps for themselves."),
    ("OAuth2", "The authorization server, in the shapes of its RFCs and without envelope."),
    ("Sessions", "Following, listing and stopping what goes on."),
    ("Chat", "Messages in, streams of lines out."),
    ("Conversations", "What was said."),
    ("Agents", "Who answers, and with whom they are shared."),
    ("Workspaces", "Files of an agent's work; everybody has their own."),
    ("Skills", "What agents know how to do."),
    ("MCP servers", "Where further tools come from."),
    ("Model providers", "Which models answer, and with whose keys."),
    ("Knowledge bases", "Documents to search."),
    ("Tools", "What agents can do."),
    ("Files", "Uploads with links."),
    ("System", "The installation, and whether it is well."),
    ("Versions", "Versions of the desktop client."),
    ("Tracing", "The gate before the tracing UI."),
    ("Pages", "For browsers."),
];

const FAILURES: &[Failure] = &[
    failed(401, "Unauthenticated", "No valid login.", When::Login),
    failed(404, "NotFound", "The path is malformed.", When::Thing),
    failed(413, "TooLarge", "The body is too large.", When::Body),
    failed(415, "MediaType", "The body has a type that is not taken here.", When::Body),
    Failure {
        shape: "Rejected",
        ..failed(422, "Invalid", "`detail` says what is wrong.", When::Input)
    },
    failed(
        500,
        "Refused",
        "It cannot be done, or something failed; `message` says which.",
        When::Always,
    ),
    failed(503, "Unavailable", "Temporarily unavailable; try again.", When::Always),
];

const fn failed(status: u16, name: &'static str, description: &'static str, when: When) -> Failure {
    let (content_type, shape) = ("application/json", "Failed");
    Failure { status, name, description, content_type, shape, when }
}
