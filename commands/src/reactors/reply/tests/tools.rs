//! Runs whose model calls tools.

use super::*;
use crate::effects::{
    model::{Delta, Deltas, ModelError, Request as Asked},
    tools::{Call, Outcome, Source, Tool, ToolsUnavailable},
};
use futures::stream;
use serde_json::{Value, json};
use std::sync::atomic::AtomicBool;

/// A model that asks for so many calls of `work` at once, and answers when it has their results.
struct Asking(usize);

impl Model for Asking {
    fn stream(&self, request: Asked) -> BoxFuture<'static, Result<Deltas, ModelError>> {
        let answered = request.messages.iter().any(|message| message["role"] == "tool");
        let call = |n: usize| json!({"index": n, "id": format!("c{n}"), "function": {"name": "work", "arguments": "{}"}});
        let said = match answered {
            true => Delta::Text("done".to_owned()),
            false => Delta::ToolCalls((0..self.0).map(call).collect()),
        };
        let deltas: Deltas = stream::iter([Ok(said), Ok(Delta::Finished(None))]).boxed();
        Box::pin(async { Ok(deltas) })
    }

    fn name(&self) -> &str {
        "asking"
    }
}

/// A tool that notes how often it is called and how often at once, and hangs while it is told to.
struct Work {
    log: Arc<dyn EventLog>,
    idempotent: bool,
    hang: AtomicBool,
    calls: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    begun: tokio::sync::Notify,
}

impl Tools for Work {
    fn list<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        let tool = Tool {
            name: "work".to_owned(),
            description: String::new(),
            parameters: json!({}),
            source: Source::BuiltIn,
            idempotent: self.idempotent,
            deadline: None,
        };
        Box::pin(async move { Ok(vec![tool]) })
    }

    fn call<'a>(&'a self, _: &'a Place, _: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            let calls = self.calls.fetch_add(1, SeqCst) + 1;
            let started = kinds(&*self.log).await;
            let started = started.iter().filter(|kind| &***kind == "ToolStarted").count();
            self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
            self.begun.notify_one();
            if self.hang.load(SeqCst) {
                std::future::pending::<()>().await;
            }
            tokio::task::yield_now().await;
            self.now.fetch_sub(1, SeqCst);
            Some(match started < calls {
                true => Outcome::error("called before the log knew of it"),
                false => Outcome::success("worked"),
            })
        })
    }
}

/// A world in which that model is asked.
struct Around(Listed, usize);

impl Surroundings for Around {
    fn history<'a>(
        &'a self,
        conversation: ConversationId,
        run: RunId,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Message>, Unavailable>> {
        self.0.history(conversation, run, limit)
    }

    fn passages<'a>(
        &'a self,
        owner: &'a UserId,
        bases: &'a [KnowledgeBaseId],
        query: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Passage>, Unavailable>> {
        self.0.passages(owner, bases, query)
    }

    fn model<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<Choice, Unavailable>> {
        let choice = Choice { model: Arc::new(Asking(self.1)), endpoint: Endpoint::default() };
        Box::pin(async { Ok(choice) })
    }

    fn place<'a>(
        &'a self,
        request: &'a Request,
        run: RunId,
    ) -> BoxFuture<'a, Result<Place, Unavailable>> {
        self.0.place(request, run)
    }

    fn remembered<'a>(
        &'a self,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Vec<String>, Unavailable>> {
        self.0.remembered(request)
    }

    fn team<'a>(
        &'a self,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Vec<Delegate>, Unavailable>> {
        self.0.team(request)
    }

    fn run_tools<'a>(
        &'a self,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn Tools>>, Unavailable>> {
        self.0.run_tools(request)
    }

    fn orphans(&self) -> BoxFuture<'_, Result<Vec<(RunId, NodeId)>, Unavailable>> {
        self.0.orphans()
    }
}

fn work(log: &Arc<dyn EventLog>, idempotent: bool, hang: bool) -> Arc<Work> {
    Arc::new(Work {
        log: log.clone(),
        idempotent,
        hang: hang.into(),
        calls: AtomicUsize::new(0),
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        begun: tokio::sync::Notify::new(),
    })
}

fn worker(log: &Arc<dyn EventLog>, node: NodeId, calls: usize, tool: &Arc<Work>) -> Arc<Reply> {
    let listed = Listed { log: log.clone(), under: NODE };
    Reply::new(log.clone(), node, Arc::new(Around(listed, calls)), tool.clone())
}

async fn asked(log: &Arc<dyn EventLog>, reply: &Arc<Reply>) {
    let mut ask = question(Surface::SageWebStream);
    ask.settings.tools = vec!["work".to_owned()];
    let metadata = Metadata::system(Uuid::nil());
    chat::ask(&**log, reply, NODE, ask, &metadata).await.unwrap();
}

/// (status, content) of all results.
async fn results(log: &dyn EventLog) -> Vec<(Value, String)> {
    let page = log.read_all(Position::START, 1_000, &Filter::categories(&["run"])).await.unwrap();
    let events = page.events.iter().map(|event| crate::execute::unpack::<Run>(event).unwrap());
    let results = events.filter_map(|event| match event {
        Event::ToolFinished { message, .. } => {
            Some((message.metadata["tool_execution_status"].clone(), message.text()))
        }
        _ => None,
    });
    results.collect()
}

#[tokio::test]
async fn calls_are_made_at_once_but_not_all_and_never_before_the_log_knows() {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let tool = work(&log, false, false);
    let reply = worker(&log, NODE, 30, &tool);
    asked(&log, &reply).await;
    ended(&*log).await;
    assert_eq!(results(&*log).await, vec![(json!("success"), "worked".to_owned()); 30]);
    let most = tool.most.load(SeqCst);
    assert!((2..=8).contains(&most), "{most} at once");
}

/// A node goes down while a call hangs; what the next one makes of it, and how often the tool was called.
async fn handed_over(idempotent: bool) -> ((Value, String), usize) {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let tool = work(&log, idempotent, true);
    let first = worker(&log, NODE, 1, &tool);
    asked(&log, &first).await;
    tool.begun.notified().await;
    first.drain(Duration::from_secs(10)).await;
    assert!(results(&*log).await.is_empty(), "a call that is handed over has no result yet");
    tool.hang.store(false, SeqCst);
    worker(&log, OTHER, 1, &tool).take_over_orphans().await.unwrap();
    ended(&*log).await;
    let [result] = &results(&*log).await[..] else { panic!("one result") };
    (result.clone(), tool.calls.load(SeqCst))
}

#[tokio::test]
async fn a_call_in_flight_is_made_again_if_its_tool_allows_that() {
    assert_eq!(handed_over(true).await, ((json!("success"), "worked".to_owned()), 2));
}

#[tokio::test]
async fn a_call_in_flight_is_interrupted_otherwise() {
    let ((status, reason), calls) = handed_over(false).await;
    assert_eq!((status, calls), (json!("error"), 1));
    assert!(reason.starts_with("interrupted"), "{reason}");
}
