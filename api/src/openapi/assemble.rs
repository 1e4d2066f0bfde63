//! What all operations of a dialect have in common, added to what their handlers say.

use super::router::operations;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, ContentBuilder, InfoBuilder, License, OpenApi, Ref, RefOr, ResponseBuilder,
        ServerBuilder,
        path::{Operation, ParameterIn},
        schema::Schema,
        security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
        },
        tag::TagBuilder,
    },
};

/// What a dialect says once for all its operations.
pub struct Dialect {
    /// Its name, for people.
    pub title: &'static str,
    /// What it is, in Markdown.
    pub description: &'static str,
    /// Where its paths begin, and when to use which.
    pub servers: &'static [(&'static str, &'static str)],
    /// The groups of operations, in order, and what they are about.
    pub tags: &'static [(&'static str, &'static str)],
    /// The ways to prove who one is. Any one of them is enough, unless an operation says otherwise.
    pub logins: Vec<(&'static str, SecurityScheme)>,
    /// Ways that only operations which name them take.
    pub further_logins: Vec<(&'static str, SecurityScheme)>,
    /// How its operations fail.
    pub failures: &'static [Failure],
    /// The shapes of its failures, from [`schemas`].
    pub shapes: Vec<Shape>,
}

/// A schema by its name.
pub type Shape = (String, RefOr<Schema>);

/// An answer that many operations may give.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// What it is called in the document, such as `NotFound`.
    pub name: &'static str,
    /// When it happens, for people.
    pub description: &'static str,
    /// Content type of the answer.
    pub content_type: &'static str,
    /// Name of the shape of the answer.
    pub shape: &'static str,
    /// Which operations may answer so.
    pub when: When,
}

/// Operations of which something is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// All.
    Always,
    /// Those that need a login.
    Login,
    /// Those whose paths name a thing.
    Thing,
    /// Those that take parameters or a body.
    Input,
    /// Those that take a body.
    Body,
}

/// The type's schema and those it refers to.
pub fn schemas<T: ToSchema + PartialSchema>() -> Vec<Shape> {
    let mut shapes = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut shapes);
    shapes
}

/// A token in `Authorization`, after `Bearer`.
pub fn bearer(description: &str) -> SecurityScheme {
    let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    SecurityScheme::Http(http.description(Some(description)).build())
}

/// A name and a password in `Authorization`.
pub fn basic(description: &str) -> SecurityScheme {
    let http = HttpBuilder::new().scheme(HttpAuthScheme::Basic);
    SecurityScheme::Http(http.description(Some(description)).build())
}

/// A token that does not expire, in `Authorization`.
pub fn api_token() -> SecurityScheme {
    header("Authorization", "`Token` and an API token, as `annals user token` prints it.")
}

/// A value in a header.
pub fn header(name: &str, description: &str) -> SecurityScheme {
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, description)))
}

/// A value in a cookie.
pub fn cookie(name: &str, description: &str) -> SecurityScheme {
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(name, description)))
}

/// The document of these operations, in this dialect.
pub fn assemble(mut operations: OpenApi, dialect: Dialect) -> OpenApi {
    operations.info = InfoBuilder::new()
        .title(dialect.title)
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(dialect.description))
        .license(Some(license()))
        .build();
    let servers = dialect.servers.iter();
    let server = |(url, description): &(&str, &str)| {
        ServerBuilder::new().url(*url).description(Some(*description)).build()
    };
    operations.servers = Some(servers.map(server).collect());
    let tag = |(name, description): &(&str, &str)| {
        TagBuilder::new().name(*name).description(Some(*description)).build()
    };
    operations.tags = Some(dialect.tags.iter().map(tag).collect());
    let need = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
    operations.security = Some(dialect.logins.iter().map(|(name, _)| need(name)).collect());
    let components = operations.components.get_or_insert_with(Components::new);
    let logins = dialect.logins.into_iter().chain(dialect.further_logins);
    components
        .security_schemes
        .extend(logins.map(|(name, scheme)| (name.to_owned(), scheme.into())));
    components.schemas.extend(dialect.shapes);
    for failure in dialect.failures {
        components.responses.insert(failure.name.to_owned(), failure.response().into());
    }
    complete(operations, dialect.failures)
}

/// The document with names for all operations, and with what they have in common.
fn complete(mut document: OpenApi, failures: &[Failure]) -> OpenApi {
    for (path, mut item) in std::mem::take(&mut document.paths.paths) {
        // What the router takes to the end of the path is one parameter here.
        let path = path.replace("{*", "{");
        for (method, operation) in operations(&mut item) {
            operation.operation_id = Some(name(method, &path));
            // Tells of all its failures itself.
            if operation.responses.responses.contains_key("default") {
                continue;
            }
            let possible: Vec<_> = failures.iter().filter(|f| f.when.holds(operation)).collect();
            for failure in possible {
                let status = failure.status.to_string();
                let known = Ref::from_response_name(failure.name);
                operation.responses.responses.entry(status).or_insert(RefOr::Ref(known));
            }
        }
        match document.paths.paths.get_mut(&path) {
            Some(there) => there.merge_operations(item),
            None => {
                document.paths.paths.insert(path, item);
            }
        }
    }
    document
}

/// `get_v1_runs_by_id`: as unique as method and path are.
fn name(method: &str, path: &str) -> String {
    let mut name = method.to_owned();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        name.push('_');
        let parameter = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        name.push_str(if parameter.is_some() { "by_" } else { "" });
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        name.extend(parameter.unwrap_or(segment).chars().map(plain));
    }
    if path.ends_with('/') {
        name.push_str("_index");
    }
    name
}

fn license() -> License {
    let spdx = env!("CARGO_PKG_LICENSE");
    let mut license = License::new(spdx);
    license.identifier = Some(spdx.to_owned());
    license
}

impl Failure {
    fn response(&self) -> utoipa::openapi::Response {
        let shape = Ref::from_schema_name(self.shape);
        let content = ContentBuilder::new().schema(Some(shape)).build();
        ResponseBuilder::new()
            .description(self.description)
            .content(self.content_type, content)
            .build()
    }
}

impl When {
    fn holds(self, operation: &Operation) -> bool {
        let has = |place: fn(&ParameterIn) -> bool| {
            operation.parameters.iter().flatten().any(|parameter| match parameter {
                RefOr::T(parameter) => place(&parameter.parameter_in),
                RefOr::Ref(_) => false,
            })
        };
        match self {
            Self::Always => true,
            Self::Login => operation
                .security
                .as_ref()
                .is_none_or(|ways| ways.iter().any(|way| *way != SecurityRequirement::default())),
            Self::Thing => has(|place| matches!(place, ParameterIn::Path)),
            Self::Input => {
                operation.request_body.is_some() || has(|place| !matches!(place, ParameterIn::Path))
            }
            Self::Body => operation.request_body.is_some(),
        }
    }
}
