//! One test suite for every backend of the log.
