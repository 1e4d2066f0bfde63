//! Apps as people write them.

pub mod yaml;
