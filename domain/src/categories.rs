//! The categories of this program's own streams.

/// Every category that has a decider here. What others append to these without asking it could be anything: they are kept to
/// those who come through the deciders.
pub const CATEGORIES: &[&str] = &[
    "admins",
    "agent",
    "agent_name",
    "agent_task",
    "conversation",
    "document",
    "email",
    "file",
    "grant",
    "knowledge_base",
    "llm_default",
    "llm_provider",
    "login",
    "mcp_server",
    "mcp_server_name",
    "quota",
    "run",
    "skill",
    "system",
    "todo",
    "tool_call",
    "upload",
    "upstream_identity",
    "user",
    "user_config",
    "username",
    "version",
];
