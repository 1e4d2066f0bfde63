//! Conditions on the metadata of documents.

/// A condition on the metadata of a document. Values are compared as numbers when both sides are numbers, else as
/// texts; a key that is missing matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Every one of these; true when there are none.
    All(Vec<Filter>),
    /// At least one of these; false when there are none.
    Any(Vec<Filter>),
    /// The value of a key.
    Test {
        /// The key.
        key: String,
        /// How it is compared.
        comparison: Comparison,
        /// With what.
        value: String,
    },
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// It is the same.
    Equal,
    /// It is greater.
    Greater,
    /// It is less.
    Less,
    /// It contains the text, in upper or lower case.
    Contains,
}
