//! `promptly/text_chat`: answers questions from datasources, and remembers what was said.

use super::{
    super::steps::Task,
    Done, Report, excerpts, fields,
    talk::{self, News, message},
};
use crate::{
    datasources::Excerpt,
    effects::model::{Passage, Request},
};
use domain::ids::KnowledgeBaseId;
use serde_json::{Value, json};

/// Excerpts, unless the step says otherwise.
const LIMIT: usize = 5;
/// Messages that are remembered, unless the step says otherwise.
const HISTORY: usize = 20;
/// Bytes of context that a model is given at most.
const CONTEXT: usize = 96 << 10;

const PREFIX: &str = "You are a helpful chat assistant.";
const INSTRUCTIONS: &str = "Answer the user's question from the context below, and from nothing else. If the context does \
                            not hold the answer, say that you do not know. Never mention the context itself.";
const CITATIONS: &str = "Say for each statement which source it is from, by the source in the metadata of its part of the \
                         context.";

pub(super) async fn perform(task: Task) -> Done {
    let question = fields::some(&task.input, "question").ok_or("question is missing")?;
    let most = fields::count(&task.config, "chat_history_limit").unwrap_or(HISTORY);
    let history = talk::last(talk::history(task.memory.as_ref()), most);
    let names = excerpts::named(&task, &["datasource", "datasources"]);
    let filter = excerpts::filter(&task)?;
    // Those that are gone, or were never this app's, are passed over.
    let (known, _) = excerpts::known(&task, &names).await?;
    let query = query(&task, &history, &question);
    let limit = fields::count(&task.config, "k").unwrap_or(LIMIT);
    let found = excerpts::search(&task, &known, &query, filter.as_ref(), limit).await?;
    let scope = scope(&task, &known);
    let context = match found.is_empty() {
        false => context(&task, &found),
        true => remembered(task.memory.as_ref(), &scope),
    };
    let said = message("user", question);
    let mut messages = vec![message("system", text(&task, &PREFIXES, PREFIX))];
    messages.push(message("user", instructions(&task, &context)));
    messages.extend(history.iter().cloned());
    messages.push(said.clone());
    let parameters = talk::parameters(&task.config, &[("temperature", Some(0.7)), ("seed", None)]);
    let passages = found.iter().map(passage).collect();
    let request = Request { messages, parameters, passages, ..Request::default() };
    let hear = |news: News<'_>| match news {
        News::Text(text) => Some(json!({ "answer": text })),
        News::Calls(_) => None,
    };
    let model = fields::some(&task.config, "model");
    let spoken = talk::talk(&task, model.as_deref(), request, hear).await?;
    if !found.is_empty() {
        let citations: Vec<Value> = found.iter().map(citation).collect();
        task.say(json!({"answer": "", "citations": citations})).await;
    }
    let history = history.into_iter().chain([said, message("assistant", spoken.text)]).collect();
    let mut memory = talk::remember(talk::last(history, most));
    memory["context"] = context.into();
    memory["scope"] = scope;
    Ok(Report { memory: Some(memory), usage: vec![spoken.usage] })
}

/// The second is how the product's own documents misspell it.
const PREFIXES: [&str; 2] = ["system_message_prefix", "system_messsage_prefix"];

/// The first of these fields that says something, else what is usual.
fn text(task: &Task, names: &[&str], usual: &str) -> String {
    let said = names.iter().find_map(|name| fields::some(&task.config, name));
    said.unwrap_or_else(|| usual.to_owned())
}

/// What is looked for: the question, and as much of what was said before as the step wants.
fn query(task: &Task, history: &[Value], question: &str) -> String {
    let most = fields::count(&task.config, "chat_history_in_doc_search").unwrap_or(0);
    let before = talk::last(history.to_vec(), most);
    let before = before.iter().filter_map(|message| message["content"].as_str());
    let parts: Vec<&str> = [question].into_iter().chain(before).collect();
    parts.join("\n")
}

fn cites(task: &Task) -> bool {
    fields::flag(&task.config, "show_citations") == Some(true)
}

fn instructions(task: &Task, context: &str) -> String {
    let mut all = text(task, &["instructions"], INSTRUCTIONS);
    if cites(task) {
        all.push('\n');
        all.push_str(&text(task, &["citation_instructions"], CITATIONS));
    }
    let context = if context.is_empty() { "(nothing was found)" } else { context };
    format!("{all}\n\nContext:\n\n{context}")
}

/// One block for each excerpt, with what is known of it where the answer is to cite.
fn context(task: &Task, found: &[Excerpt]) -> String {
    let mut context = String::new();
    for excerpt in found {
        let mut block = format!("Content: {}", excerpt.text);
        if cites(task) {
            let metadata = Value::Object(excerpts::metadata(excerpt));
            block.push_str(&format!("\nMetadata: {metadata}"));
        }
        if !context.is_empty() && context.len() + block.len() > CONTEXT {
            break;
        }
        context.push_str(&block);
        context.push_str("\n-----\n");
    }
    context
}

/// Where a context may be used again: what was found under one filter is not shown under another.
fn scope(task: &Task, known: &[KnowledgeBaseId]) -> Value {
    json!({"datasources": known, "filters": excerpts::filter_texts(task)})
}

fn remembered(memory: Option<&Value>, scope: &Value) -> String {
    let same = memory.filter(|memory| memory["scope"] == *scope);
    same.and_then(|memory| memory["context"].as_str()).unwrap_or_default().to_owned()
}

fn citation(excerpt: &Excerpt) -> Value {
    let (certainty, distance) = excerpts::nearness(excerpt);
    let Excerpt { text, source, .. } = excerpt;
    json!({"text": text, "source": source, "certainty": certainty, "distance": distance})
}

/// For the model that quotes what was found.
fn passage(excerpt: &Excerpt) -> Passage {
    let (title, document) = (excerpt.source.clone(), excerpt.source.clone());
    Passage { title, text: excerpt.text.clone(), document }
}
