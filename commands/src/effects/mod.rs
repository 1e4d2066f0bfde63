//! The ports through which reactors act on the world, and their implementations.

pub mod model;
