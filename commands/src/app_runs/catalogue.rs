//! The processors that run here, with what they take and give.

use serde_json::{Map, Value, json};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Whole,
    /// True or false.
    Flag,
    /// A list.
    List,
    /// An object.
    Object,
    /// Whatever JSON there is.
    Any,
}

/// A field's name and what it holds.
pub type Field = (&'static str, Kind);

/// A processor.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Who makes it.
    pub provider: &'static str,
    /// Which of theirs it is.
    pub slug: &'static str,
    /// For people.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// What it works on.
    pub input: &'static [Field],
    /// How it works.
    pub config: &'static [Field],
    /// What it gives.
    pub output: &'static [Field],
    /// How its output is usually shown.
    pub template: &'static str,
    /// What performs it.
    pub(super) work: Work,
}

/// What performs a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Echo,
    Llm,
    Chat,
    Complete,
    HttpApi,
    SimpleHttp,
    File,
    Url,
    Split,
    App,
    Search,
    TextChat,
}

impl Entry {
    /// `provider/slug`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.provider, self.slug)
    }

    /// A JSON schema of these fields.
    pub fn schema(&self, fields: &[Field]) -> Value {
        let properties: Map<String, Value> =
            fields.iter().map(|(name, kind)| ((*name).to_owned(), kind.schema())).collect();
        json!({"type": "object", "properties": properties})
    }
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Number => json!({"type": "number"}),
            Self::Whole => json!({"type": "integer"}),
            Self::Flag => json!({"type": "boolean"}),
            Self::List => json!({"type": "array", "items": {}}),
            Self::Object => json!({"type": "object"}),
            Self::Any => json!({}),
        }
    }
}

/// The processor of this provider and slug.
pub fn find(provider: &str, slug: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.provider == provider && entry.slug == slug)
}

use Kind::{Any, Flag, List, Number, Object, Text, Whole};

const CHAT_INPUT: &[Field] =
    &[("system_message", Text), ("messages", List), ("chat_history", List), ("functions", List)];
const CHAT_CONFIG: &[Field] = &[
    ("model", Text),
    ("max_tokens", Whole),
    ("temperature", Number),
    ("top_p", Number),
    ("presence_penalty", Number),
    ("frequency_penalty", Number),
    ("seed", Whole),
    ("retain_history", Flag),
    ("auto_prune_chat_history", Flag),
];

/// A chat processor: all of them speak the same protocol.
const fn chat(provider: &'static str, slug: &'static str, name: &'static str) -> Entry {
    Entry {
        provider,
        slug,
        name,
        description: "Answers messages with a chat model",
        input: CHAT_INPUT,
        config: CHAT_CONFIG,
        output: &[("choices", List)],
        template: "{{ choices[0].content }}",
        work: Work::Chat,
    }
}

/// A completion processor.
const fn completions(provider: &'static str) -> Entry {
    Entry {
        provider,
        slug: "completions",
        name: "Completions",
        description: "Continues a text",
        input: &[("prompt", Text)],
        config: CHAT_CONFIG,
        output: &[("choices", List), ("api_response", Object)],
        template: "{{ choices[0] }}",
        work: Work::Complete,
    }
}

/// A processor that makes text of something.
const fn extractor(
    slug: &'static str,
    name: &'static str,
    input: &'static [Field],
    work: Work,
) -> Entry {
    Entry {
        provider: "promptly",
        slug,
        name,
        description: "Extracts the text of a file or a page",
        input,
        config: &[("document_limit", Whole), ("text_chunk_size", Whole)],
        output: &[("text", Text), ("pages", List)],
        template: "{{ text }}",
        work,
    }
}

/// All of them.
pub static ALL: &[Entry] = &[
    Entry {
        provider: "promptly",
        slug: "llm",
        name: "LLM",
        description: "Asks a language model",
        input: &[("input_message", Text)],
        config: &[
            ("system_message", Text),
            ("provider_config", Object),
            ("max_tokens", Whole),
            ("temperature", Number),
            ("seed", Whole),
            ("retain_history", Flag),
            ("max_history", Whole),
        ],
        output: &[("output_str", Text), ("text", Text), ("objref", Text)],
        template: "{{ text }}",
        work: Work::Llm,
    },
    Entry {
        provider: "promptly",
        slug: "echo",
        name: "Echo",
        description: "Says what it is told",
        input: &[("input_str", Text), ("stream", Flag)],
        config: &[],
        output: &[("output_str", Text)],
        template: "{{ output_str }}",
        work: Work::Echo,
    },
    Entry {
        provider: "promptly",
        slug: "http_api_processor",
        name: "HTTP API",
        description: "Calls an API",
        input: &[("input_data", Text)],
        config: &[
            ("url", Text),
            ("path", Text),
            ("method", Text),
            ("content_type", Text),
            ("parameters", List),
            ("request_body", Object),
            ("allow_redirects", Flag),
            ("timeout", Number),
        ],
        output: &[
            ("code", Whole),
            ("headers", Object),
            ("text", Text),
            ("content_json", Any),
            ("is_ok", Flag),
            ("url", Text),
            ("encoding", Text),
            ("cookies", Object),
            ("elapsed", Number),
        ],
        template: "{{ text }}",
        work: Work::HttpApi,
    },
    Entry {
        provider: "promptly",
        slug: "simple_http",
        name: "HTTP request",
        description: "Makes an HTTP request",
        input: &[("url", Text), ("body", Text), ("query_params", Text)],
        config: &[
            ("method", Text),
            ("query_params", List),
            ("headers", List),
            ("cookies", List),
            ("body", Text),
            ("connect_timeout", Number),
            ("read_timeout", Number),
            ("user_agent", Text),
        ],
        output: &[
            ("response", Text),
            ("response_json", Any),
            ("response_objref", Text),
            ("headers", Object),
            ("code", Whole),
            ("size", Whole),
            ("time", Number),
        ],
        template: "{{ response }}",
        work: Work::SimpleHttp,
    },
    Entry {
        provider: "promptly",
        slug: "splitter",
        name: "Splitter",
        description: "Splits a text into parts",
        input: &[("content", Text), ("content_uri", Text)],
        config: &[("merge_strategy", Object), ("output_schema", Object)],
        output: &[("outputs", List), ("outputs_text", Text)],
        template: "{{ outputs_text }}",
        work: Work::Split,
    },
    Entry {
        provider: "promptly",
        slug: "promptly_app",
        name: "App",
        description: "Runs another app",
        input: &[("input", Object)],
        config: &[("promptly_app", Text)],
        output: &[("text", Text), ("objref", Text), ("processing", Flag)],
        template: "{{ text }}",
        work: Work::App,
    },
    Entry {
        provider: "promptly",
        slug: "datasource_search",
        name: "Datasource search",
        description: "Finds what datasources say about a query",
        input: &[("query", Text)],
        config: &[
            ("datasources", List),
            ("document_limit", Whole),
            ("search_filters", Text),
            ("hybrid_semantic_search_ratio", Number),
        ],
        output: &[("answers", List), ("answers_text", Text)],
        template: "{{ answers_text }}",
        work: Work::Search,
    },
    Entry {
        provider: "promptly",
        slug: "text_chat",
        name: "Text chat",
        description: "Answers questions from datasources",
        input: &[("question", Text), ("search_filters", Text)],
        config: &[
            ("model", Text),
            ("datasource", List),
            ("system_message_prefix", Text),
            ("instructions", Text),
            ("show_citations", Flag),
            ("citation_instructions", Text),
            ("k", Whole),
            ("chat_history_limit", Whole),
            ("temperature", Number),
            ("chat_history_in_doc_search", Whole),
            ("hybrid_semantic_search_ratio", Number),
            ("seed", Whole),
        ],
        output: &[("answer", Text), ("citations", List)],
        template: "{{ answer }}",
        work: Work::TextChat,
    },
    extractor(
        "data_uri_text_extract",
        "File text",
        &[("file", Text), ("file_data", Text), ("query", Text)],
        Work::File,
    ),
    extractor(
        "document_reader",
        "Document reader",
        &[("input", Text), ("query", Text)],
        Work::File,
    ),
    extractor("http_uri_text_extract", "Page text", &[("url", Text), ("query", Text)], Work::Url),
    chat("openai", "chatgpt", "ChatGPT"),
    chat("azure", "chatgpt", "Azure ChatGPT"),
    chat("mistral", "chat_completions", "Mistral"),
    chat("meta", "chat_completions", "Llama"),
    chat("localai", "chat", "LocalAI chat"),
    completions("openai"),
    completions("localai"),
];
