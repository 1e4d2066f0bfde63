//! The write side: the log, the execution of commands, reactors and the effects they perform.

pub mod agents;
pub mod captions;
pub mod chat;
pub mod connections;
pub mod effects;
pub mod execute;
pub mod identity;
pub mod invites;
pub mod jobs;
pub mod links;
pub mod llm_providers;
pub mod log;
pub mod mcp;
pub mod names;
pub mod nodes;
pub mod oauth2;
pub mod publish;
pub mod pulse;
pub mod reactors;
pub mod skill_texts;
pub mod skills;
pub mod taxonomy;
pub mod usage;
pub mod versions;
pub mod workspaces;
