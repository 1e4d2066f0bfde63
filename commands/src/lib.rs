//! The write side: the log, the execution of commands, reactors and the effects they perform.

pub mod execute;
pub mod log;
pub mod publish;
