//! The template language of apps: Liquid, with the aliases that definitions in the wild use.
//!
//! What is undefined is empty text, never an error. A template that cannot be parsed, or that takes too long or too much
//! room, is left as it was written. Nothing is escaped.

mod filters;
mod limits;
mod soft;
mod spelling;

use domain::app::names;
use liquid_core::{
    Language, ValueView,
    model::{Object, Value as Liquid},
    parser,
    runtime::{Renderable, RuntimeBuilder, Template},
};
use liquid_lib::stdlib;
use serde_json::{Map, Value};
use soft::{Lenient, Said, Soft};
use std::sync::LazyLock;

/// What templates may speak of.
#[derive(Debug, Clone, Default)]
pub struct Context(Object);

impl Context {
    /// A context of these variables.
    pub fn new(variables: &Map<String, Value>) -> Self {
        let mut context = Self::default();
        variables.iter().for_each(|(name, value)| context.set(name, value));
        context
    }

    /// Adds a variable.
    pub fn set(&mut self, name: &str, value: &Value) {
        self.0.insert(name.to_owned().into(), liquid(value));
    }
}

/// The text that a template makes of this context.
pub fn render(template: &str, context: &Context) -> String {
    let modern = names::modern(template);
    if !modern.contains("{{") && !modern.contains("{%") {
        return modern;
    }
    match attempt(&modern, context) {
        Ok(text) => text,
        Err(reason) => {
            tracing::info!(reason, "a template is left as it is");
            modern
        }
    }
}

/// This value with every string in it rendered.
pub fn hydrate(value: &Value, context: &Context) -> Value {
    match value {
        Value::String(template) => render(template, context).into(),
        Value::Array(items) => items.iter().map(|item| hydrate(item, context)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| (key.clone(), hydrate(field, context)));
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn attempt(template: &str, context: &Context) -> Result<String, String> {
    limits::check(template)?;
    let text = spelling::ours(template);
    let parsed = parser::parse(&text, &LANGUAGE).map_err(|error| error.to_string())?;
    let base = RuntimeBuilder::new().set_globals(&context.0).build();
    let mut written = limits::Written::default();
    let rendered = Template::new(parsed).render_to(&mut written, &Lenient(&base));
    rendered.map_err(|error| error.to_string())?;
    written.into_text()
}

/// The value as templates see it.
fn liquid(value: &Value) -> Liquid {
    match value {
        Value::Null => Liquid::Nil,
        Value::Bool(flag) => Liquid::scalar(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Liquid::scalar(whole),
            None => Liquid::scalar(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Liquid::scalar(text.clone()),
        Value::Array(items) => Liquid::Array(items.iter().map(liquid).collect()),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| (key.clone().into(), liquid(field)));
            Liquid::Object(fields.collect())
        }
    }
}

/// The value as JSON.
fn json(value: &dyn ValueView) -> Value {
    serde_json::to_value(value.to_value()).unwrap_or_default()
}

static LANGUAGE: LazyLock<Language> = LazyLock::new(language);

fn language() -> Language {
    let mut language = Language::empty();
    macro_rules! blocks { ($($block:ident)+) => {$(
        let block = stdlib::$block;
        let name = parser::BlockReflection::start_tag(&block).to_owned();
        language.blocks.register(name, Box::new(Soft(block)));
    )+} }
    macro_rules! tags { ($($tag:ident)+) => {$(
        let tag = stdlib::$tag;
        let name = parser::TagReflection::tag(&tag).to_owned();
        language.tags.register(name, Box::new(Soft(tag)));
    )+} }
    macro_rules! filters { ($($filter:ident)+) => {$( add(&mut language, stdlib::$filter); )+} }
    blocks!(RawBlock IfBlock UnlessBlock IfChangedBlock ForBlock TableRowBlock CommentBlock CaptureBlock CaseBlock);
    tags!(AssignTag BreakTag ContinueTag CycleTag IncrementTag DecrementTag);
    for name in [spelling::SAY, "echo"] {
        language.tags.register(name.to_owned(), Box::new(Said));
    }
    filters!(
        Abs Append AtLeast AtMost Capitalize Ceil Compact Concat Date Default DividedBy Downcase Escape
        EscapeOnce First Floor Join Last Lstrip Map Minus Modulo NewlineToBr Plus Prepend Remove RemoveFirst
        Replace ReplaceFirst Reverse Round Rstrip Size Slice Sort SortNatural Split Strip StripHtml
        StripNewlines Times Truncate TruncateWords Uniq Upcase UrlDecode UrlEncode Where
    );
    filters::register(&mut language);
    language
}

fn add(language: &mut Language, filter: impl parser::ParseFilter + Clone + 'static) {
    let name = filter.reflection().name().to_owned();
    language.filters.register(name, Box::new(filter));
}

#[cfg(test)]
mod tests;
