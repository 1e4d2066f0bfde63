//! What resources say about themselves beyond `routes!`.

use utoipa::openapi::{Deprecated, PathItem, path::Operation};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// Routes that are documented where they are registered.
pub trait Documented<S> {
    /// Groups all operations that have no group yet.
    #[must_use]
    fn tagged(self, tag: &str) -> Self;

    /// The same handlers at another path, which counts as much as the one they name.
    #[must_use]
    fn also(self, path: &str, handlers: UtoipaMethodRouter<S>) -> Self;

    /// The same handlers at an older path, which nobody should begin to use.
    #[must_use]
    fn older(self, path: &str, handlers: UtoipaMethodRouter<S>) -> Self;
}

impl<S: Send + Sync + Clone + 'static> Documented<S> for OpenApiRouter<S> {
    fn tagged(mut self, tag: &str) -> Self {
        for item in self.get_openapi_mut().paths.paths.values_mut() {
            for (_, operation) in operations(item) {
                if operation.tags.as_ref().is_none_or(Vec::is_empty) {
                    operation.tags = Some(vec![tag.to_owned()]);
                }
            }
        }
        self
    }

    fn also(self, path: &str, handlers: UtoipaMethodRouter<S>) -> Self {
        self.routes(moved(path, handlers))
    }

    fn older(self, path: &str, mut handlers: UtoipaMethodRouter<S>) -> Self {
        for item in handlers.1.paths.values_mut() {
            for (_, operation) in operations(item) {
                operation.deprecated = Some(Deprecated::True);
            }
        }
        self.routes(moved(path, handlers))
    }
}

fn moved<S>(path: &str, handlers: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    let (schemas, mut paths, router) = handlers;
    let mut all = PathItem::default();
    for item in std::mem::take(&mut paths.paths).into_values() {
        all.merge_operations(item);
    }
    paths.paths.insert(path.to_owned(), all);
    (schemas, paths, router)
}

/// The operations of a path, with their methods in lower case.
pub(super) fn operations(
    item: &mut PathItem,
) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("options", &mut item.options),
        ("head", &mut item.head),
        ("patch", &mut item.patch),
        ("trace", &mut item.trace),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
