//! What annals knows: aggregates as pure deciders, and the vocabulary of the log.
//!
//! A command and the folded history of one stream go into [`Decider::decide`]; facts come out. Nothing here reads a
//! clock, draws randomness, awaits or performs I/O.

pub mod action;
pub mod admins;
pub mod agent;
pub mod agent_task;
pub mod app;
pub mod app_rating;
pub mod app_session;
pub mod billing;
pub mod categories;
pub mod codec;
pub mod connection;
pub mod conversation;
pub mod datasource;
pub mod decider;
pub mod document;
pub mod envelope;
pub mod fan;
pub mod flow;
pub mod genie_chat;
pub mod grant;
pub mod ids;
pub mod intake;
pub mod invite;
pub mod item;
pub mod job;
pub mod json;
pub mod knowledge_base;
pub mod llm_default;
pub mod llm_provider;
pub mod login;
pub mod mcp_server;
pub mod message;
pub mod name;
pub mod onboarding;
pub mod operation;
pub mod platforms;
pub mod post;
pub mod post_queue;
pub mod profile;
pub mod prompt_text;
pub mod quota;
pub mod run;
pub mod skill;
pub mod skill_day;
pub mod skill_edges;
pub mod skill_graph;
pub mod subscription_group;
pub mod system;
pub mod testing;
pub mod todo_list;
pub mod tool_call;
pub mod upload;
pub mod user;
pub mod user_config;
pub mod version;
pub mod workspace_file;

pub use decider::{Decider, Kind, Refusal};
pub use envelope::{
    Expected, Metadata, NewEvent, NotAStream, Position, Recorded, Revision, StreamId,
};
