//! All tools of an installation, from several sources.

use super::{Call, Outcome, Place, Tool, Tools, ToolsUnavailable};
use futures::{FutureExt, future::BoxFuture};
use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc};

/// Sources in the order of their precedence: a name that two of them know belongs to the first.
#[derive(Clone, Default)]
pub struct Toolbox(Vec<Arc<dyn Tools>>);

impl Toolbox {
    /// A toolbox of these sources.
    pub fn new(sources: Vec<Arc<dyn Tools>>) -> Self {
        Self(sources)
    }

    /// The same with further sources, behind those that are in it.
    #[must_use]
    pub fn with(mut self, more: Vec<Arc<dyn Tools>>) -> Self {
        self.0.extend(more);
        self
    }
}

impl Tools for Toolbox {
    fn list<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        Box::pin(async move {
            let mut tools: Vec<Tool> = Vec::new();
            let mut known = HashSet::new();
            for source in &self.0 {
                let more = source.list(place).await?;
                tools.extend(more.into_iter().filter(|tool| known.insert(tool.name.clone())));
            }
            Ok(tools)
        })
    }

    fn call<'a>(&'a self, place: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            for source in &self.0 {
                // A tool that panics has failed; whoever called it goes on.
                match AssertUnwindSafe(source.call(place, call)).catch_unwind().await {
                    Ok(None) => {}
                    Ok(Some(outcome)) => return Some(outcome),
                    Err(_) => return Some(Outcome::error("the tool broke")),
                }
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Source, *};
    use domain::ids::UserId;
    use serde_json::{Map, json};

    /// A source that knows one tool and answers with a text of its own.
    struct One(&'static str, &'static str);

    impl Tools for One {
        fn list<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
            let tool = Tool {
                name: self.0.to_owned(),
                description: self.1.to_owned(),
                parameters: json!({"type": "object"}),
                source: Source::BuiltIn,
                idempotent: true,
                deadline: None,
            };
            Box::pin(async move { Ok(vec![tool]) })
        }

        fn call<'a>(&'a self, _: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
            Box::pin(async move { (call.name == self.0).then(|| Outcome::success(self.1)) })
        }
    }

    /// A source whose every tool breaks.
    struct Broken;

    impl Tools for Broken {
        fn list<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
            Box::pin(async { Ok(vec![]) })
        }

        fn call<'a>(&'a self, _: &'a Place, _: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
            Box::pin(async { panic!("as asked") })
        }
    }

    fn place() -> Place {
        Place::outside(UserId::from("alice"), false)
    }

    #[tokio::test]
    async fn a_name_belongs_to_the_first_source_that_knows_it() -> Result<(), ToolsUnavailable> {
        let toolbox = Toolbox::new(vec![
            Arc::new(One("a", "first")),
            Arc::new(One("a", "second")),
            Arc::new(One("b", "third")),
        ]);
        let listed = toolbox.list(&place()).await?;
        let listed: Vec<_> = listed.iter().map(|tool| &*tool.description).collect();
        assert_eq!(listed, ["first", "third"]);
        let call =
            |name: &str| Call { id: "1".to_owned(), name: name.to_owned(), arguments: Map::new() };
        assert_eq!(toolbox.call(&place(), &call("a")).await, Some(Outcome::success("first")));
        assert_eq!(toolbox.call(&place(), &call("c")).await, None);
        Ok(())
    }

    #[tokio::test]
    async fn a_tool_that_panics_has_failed() {
        let toolbox = Toolbox::new(vec![Arc::new(Broken)]);
        let call = Call { id: "1".to_owned(), name: "a".to_owned(), arguments: Map::new() };
        let outcome = toolbox.call(&place(), &call).await;
        assert_eq!(outcome, Some(Outcome::error("the tool broke")));
    }
}
