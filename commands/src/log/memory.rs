//! The log in memory, for tests.
