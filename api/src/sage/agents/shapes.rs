//! What models write about agents, as clients see it.
#![expect(dead_code, reason = "made elsewhere, from what a model wrote; here it is only told of")]

use std::collections::HashMap;
use utoipa::ToSchema;

/// An agent as a model imagines it.
#[derive(ToSchema)]
#[schema(as = AgentDraft, rename_all = "camelCase")]
pub(super) struct Draft {
    /// Empty: nothing is saved.
    id: String,
    name: String,
    description: String,
    system_prefix: String,
    deep_thinking: bool,
    multi_agent: bool,
    more_support: bool,
    max_loop_count: u32,
    llm_config: DraftModel,
    available_tools: Vec<String>,
    #[schema(value_type = Object)]
    system_context: (),
    /// Named lists of steps.
    available_workflows: HashMap<String, Vec<String>>,
    /// UTC with microseconds.
    export_time: String,
    version: String,
}

/// No model is proposed: all are empty.
#[derive(ToSchema)]
#[schema(as = AgentDraftModel, rename_all = "camelCase")]
struct DraftModel {
    model: String,
    max_tokens: String,
    temperature: String,
}

/// A better system prompt, or why there is none.
#[derive(ToSchema)]
#[schema(as = OptimizedPrompt)]
pub(super) struct Optimized {
    success: bool,
    /// Markdown.
    optimized_prompt: Option<String>,
    /// What the model thinks of the original.
    #[schema(value_type = Option<Object>)]
    analysis: Option<()>,
    /// The parts of the better one, by their names.
    #[schema(value_type = Option<Object>)]
    sections: Option<()>,
    /// Why there is none.
    error: Option<String>,
    /// The same for people, in their language.
    message: Option<String>,
    /// Local time, `2026-11-21 08:00:00`.
    timestamp: String,
    optimization_details: OptimizedDetails,
}

/// What became of how much.
#[derive(ToSchema)]
#[schema(as = OptimizedPromptDetails)]
struct OptimizedDetails {
    /// Characters.
    original_length: u64,
    /// Characters.
    optimized_length: u64,
    optimization_goal: Option<String>,
}
