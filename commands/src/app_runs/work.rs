//! What processors do.

mod app;
mod datasource_search;
mod echo;
mod excerpts;
pub(super) mod fields;
mod http;
mod http_api;
mod llm;
mod openai;
mod simple_http;
pub(super) mod spare;
pub(super) mod talk;
mod text_chat;
mod texts;

use super::{catalogue::Work, steps::Task};
use domain::run::TurnUsage;
use serde_json::Value;

/// What a step leaves behind besides what it said.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What it will remember in this session; `None` leaves what it remembers.
    pub memory: Option<Value>,
    /// What its models cost.
    pub usage: Vec<TurnUsage>,
}

/// What came of it; or why it failed, in words for whoever runs the app.
pub(super) type Done = Result<Report, String>;

/// Does the work of a processor.
pub(super) async fn perform(work: Work, task: Task) -> Done {
    match work {
        Work::Echo => echo::perform(task).await,
        Work::Llm => llm::perform(task).await,
        Work::Chat => openai::chat(task).await,
        Work::Complete => openai::complete(task).await,
        Work::HttpApi => http_api::perform(task).await,
        Work::SimpleHttp => simple_http::perform(task).await,
        Work::File => texts::file(task).await,
        Work::Url => texts::url(task).await,
        Work::Split => texts::split(task).await,
        Work::App => app::perform(task).await,
        Work::Search => datasource_search::perform(task).await,
        Work::TextChat => text_chat::perform(task).await,
    }
}

/// Whether doing it twice is as good as doing it once.
pub(super) fn is_repeatable(work: Work) -> bool {
    match work {
        Work::Echo
        | Work::Llm
        | Work::Chat
        | Work::Complete
        | Work::File
        | Work::Url
        | Work::Split
        | Work::Search
        | Work::TextChat => true,
        Work::HttpApi | Work::SimpleHttp | Work::App => false,
    }
}
