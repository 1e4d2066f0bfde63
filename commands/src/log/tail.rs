//! The live end of the log in memory.
