//! Which passages count: those of the attempt that can be found, of documents that fit the filter.

use super::{filter::Compiled, lexical::Shelf};

/// Where a ranking looks.
#[derive(Debug)]
pub(super) struct Scope {
    /// The knowledge bases.
    pub shelves: Vec<String>,
    filter: Option<Compiled>,
    /// Whether there are passages that cannot be found. As a rule there are none, and nothing has to be asked of each.
    storing: bool,
}

impl Scope {
    pub fn new(shelves: &[Shelf], filter: Option<Compiled>) -> Self {
        let storing = shelves.iter().any(|shelf| shelf.storing);
        Self { shelves: shelves.iter().map(|shelf| shelf.id.clone()).collect(), filter, storing }
    }

    /// To be bound as keys of the filter.
    pub fn keys(&self) -> &[String] {
        self.filter.as_ref().map_or(&[], |filter| &filter.keys)
    }

    /// To be bound as values of the filter.
    pub fn values(&self) -> &[String] {
        self.filter.as_ref().map_or(&[], |filter| &filter.values)
    }

    /// A condition on `p`, in a statement that binds knowledge bases, keys and values as these parameters; empty when all
    /// passages of the knowledge bases count. Not a join: an index could not be walked in its order any more.
    pub fn sql(&self, [shelves, keys, values]: [usize; 3]) -> String {
        let fits = match &self.filter {
            Some(filter) => filter.sql(keys, values),
            None if self.storing => "true".to_owned(),
            None => return String::new(),
        };
        format!(
            "and coalesce((p.document, p.attempt) in (select s.document, s.attempt from passage_sources s
                where s.knowledge_base = any(${shelves}) and s.attempt is not null and {fits}), false)"
        )
    }
}
