#![expect(clippy::unwrap_used, reason = "tests")]

mod tools;

use super::*;
use crate::{
    chat::{self, Ask, AskError},
    effects::{model::offline::Offline, tools::Toolbox},
    log::{
        Append, AppendError, Appended, Batch, Delivery, Direction, Page, ReadError,
        memory::MemoryLog,
    },
};
use domain::{
    Revision, StreamId,
    run::{Request, Surface},
};
use futures::stream::BoxStream;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const NODE: NodeId = NodeId(Uuid::from_u128(1));
const OTHER: NodeId = NodeId(Uuid::from_u128(2));

/// A log whose answers get lost: that many appends to runs are written and answered with a failure.
struct Lossy {
    log: MemoryLog,
    losses: AtomicUsize,
}

impl EventLog for Lossy {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            let of_run = append.stream.category() == "run";
            let answer = self.log.append(append).await?;
            let lose = |left: usize| left.checked_sub(1);
            if of_run && self.losses.fetch_update(SeqCst, SeqCst, lose).is_ok() {
                return Err(AppendError::Unavailable("no answer".into()));
            }
            Ok(answer)
        })
    }

    fn read<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        self.log.read(stream, from, direction, limit)
    }

    fn read_all<'a>(
        &'a self,
        after: Position,
        limit: usize,
        filter: &'a Filter,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        self.log.read_all(after, limit, filter)
    }

    fn subscribe(&self, after: Position, filter: Filter) -> BoxStream<'static, Delivery> {
        self.log.subscribe(after, filter)
    }

    fn follow(&self, stream: StreamId, from: Revision) -> BoxStream<'static, Batch> {
        self.log.follow(stream, from)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, ReadError>> {
        self.log.head()
    }
}

/// A read model that lists every run as an orphan of one node.
struct Listed {
    log: Arc<dyn EventLog>,
    under: NodeId,
}

impl Surroundings for Listed {
    fn history<'a>(
        &'a self,
        _: ConversationId,
        _: RunId,
        _: u32,
    ) -> BoxFuture<'a, Result<Vec<Message>, Unavailable>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn passages<'a>(
        &'a self,
        _: &'a UserId,
        _: &'a [KnowledgeBaseId],
        _: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Passage>, Unavailable>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn model<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<Choice, Unavailable>> {
        let (model, endpoint) = (Arc::new(Offline::default()), Endpoint::default());
        Box::pin(async { Ok(Choice { model, endpoint }) })
    }

    fn place<'a>(
        &'a self,
        request: &'a Request,
        run: RunId,
    ) -> BoxFuture<'a, Result<Place, Unavailable>> {
        let place = Place {
            owner: request.owner.clone(),
            admin: false,
            agent: None,
            conversation: Some(request.conversation),
            session_id: request.session_id.clone(),
            run: Some(run),
            knowledge_bases: vec![],
            skills: vec![],
        };
        Box::pin(async { Ok(place) })
    }

    fn remembered<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Vec<String>, Unavailable>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn team<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Vec<Delegate>, Unavailable>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn run_tools<'a>(
        &'a self,
        _: &'a Request,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn Tools>>, Unavailable>> {
        Box::pin(async { Ok(None) })
    }

    fn orphans(&self) -> BoxFuture<'_, Result<Vec<(RunId, NodeId)>, Unavailable>> {
        Box::pin(async {
            let page =
                self.log.read_all(Position::START, 1_000, &Filter::categories(&["run"])).await;
            let requests = page.unwrap().events.into_iter().filter(|e| &*e.kind == "RunRequested");
            Ok(requests.map(|event| (event.stream.key().parse().unwrap(), self.under)).collect())
        })
    }
}

fn reactor(log: &Arc<dyn EventLog>, under: NodeId) -> Arc<Reply> {
    let surroundings = Arc::new(Listed { log: log.clone(), under });
    Reply::new(log.clone(), NODE, surroundings, Arc::new(Toolbox::default()))
}

fn question(surface: Surface) -> Ask {
    let hello = Message {
        role: "user".to_owned(),
        content: Some("hello".into()),
        message_id: "q".to_owned(),
        ..Message::default()
    };
    Ask {
        owner: "alice".into(),
        session_id: "s".to_owned(),
        surface,
        replace: !surface.attached(),
        agent_id: None,
        agent_name: "a".to_owned(),
        messages: vec![hello],
        settings: Settings::default(),
    }
}

/// Kinds of all events of runs.
async fn kinds(log: &dyn EventLog) -> Vec<Box<str>> {
    let page = log.read_all(Position::START, 1_000, &Filter::categories(&["run"])).await.unwrap();
    page.events.iter().map(|event| event.kind.as_ref().into()).collect()
}

async fn ended(log: &dyn EventLog) {
    let mut news =
        log.subscribe(Position::START, Filter::categories(&["run"]).kinds(&["RunEnded"]));
    let end =
        async { while news.next().await.is_some_and(|delivery| delivery.events.is_empty()) {} };
    tokio::time::timeout(Duration::from_secs(10), end).await.unwrap();
}

#[tokio::test]
async fn a_request_that_was_written_without_our_learning_of_it_comes_to_its_end() {
    let lossy = Lossy { log: MemoryLog::new(), losses: AtomicUsize::new(1) };
    let log: Arc<dyn EventLog> = Arc::new(lossy);
    let reply = reactor(&log, NODE);
    let metadata = Metadata::system(Uuid::nil());
    let asked = chat::ask(&*log, &reply, NODE, question(Surface::SageWebStream), &metadata).await;
    assert!(matches!(asked, Err(AskError::Failed(_))));
    assert_eq!(reply.performing(), 0);
    reply.take_over_orphans().await.unwrap();
    ended(&*log).await;
    assert_eq!(kinds(&*log).await.iter().filter(|kind| &***kind == "RunEnded").count(), 1);
}

#[tokio::test]
async fn a_run_that_is_performed_here_is_not_taken_over() {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let reply = reactor(&log, NODE);
    let metadata = Metadata::system(Uuid::nil());
    chat::ask(&*log, &reply, NODE, question(Surface::SageWebStream), &metadata).await.unwrap();
    reply.take_over_orphans().await.unwrap();
    ended(&*log).await;
    reply.take_over_orphans().await.unwrap();
    assert!(!kinds(&*log).await.iter().any(|kind| &**kind == "RunClaimed"));
}

#[tokio::test]
async fn a_run_that_somebody_else_has_claimed_meanwhile_is_left_to_them() {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let run = RunId(Uuid::from_u128(3));
    let Ask { owner, session_id, surface, agent_name, messages, settings, .. } =
        question(Surface::SageWebStream);
    let conversation = ConversationId::of(&owner, &session_id);
    let request = Request {
        owner,
        conversation,
        session_id,
        surface,
        node: NodeId(Uuid::from_u128(4)),
        agent_id: None,
        agent_name,
        messages,
        settings,
        parent: None,
    };
    let metadata = Metadata::system(Uuid::nil());
    let commands = [
        domain::run::Command::Request(Box::new(request)),
        domain::run::Command::TakeOver { node: OTHER, attempt: 1, lines: 0, closing: None },
    ];
    for command in &commands {
        crate::execute::execute::<Run>(&*log, &run, command, &metadata).await.unwrap();
    }
    // The list still has it under the node that asked.
    reactor(&log, NodeId(Uuid::from_u128(4))).take_over_orphans().await.unwrap();
    assert_eq!(kinds(&*log).await.len(), 2, "stolen from a node that is alive");
}

#[tokio::test]
async fn a_run_that_works_for_nobody_is_not_performed() {
    use domain::run::{Command, Outcome, Parent, Step};
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let metadata = Metadata::system(Uuid::nil());
    let Ask { owner, session_id, surface, agent_name, messages, settings, .. } =
        question(Surface::SageWebStream);
    let parent = RunId(Uuid::from_u128(3));
    let request = Request {
        conversation: ConversationId::of(&owner, &session_id),
        owner,
        session_id,
        surface,
        node: OTHER,
        agent_id: None,
        agent_name,
        messages,
        settings,
        parent: None,
    };
    let works_for = Some(Parent { run: parent, call: "c".to_owned(), depth: 1 });
    let working = Request { parent: works_for, ..request.clone() };
    let line = domain::message::Line(serde_json::value::RawValue::NULL.to_owned());
    let end = Step::End { outcome: Outcome::Completed, index: 0, line, error: None };
    let over = Command::Advance { node: OTHER, steps: vec![end] };
    let commands = [
        (parent, Command::Request(Box::new(request))),
        (parent, over),
        (parent.delegated("c", 0), Command::Request(Box::new(working))),
    ];
    for (run, command) in &commands {
        crate::execute::execute::<Run>(&*log, run, command, &metadata).await.unwrap();
    }
    reactor(&log, OTHER).take_over_orphans().await.unwrap();
    let mut news = log.follow(StreamId::of::<Run>(&parent.delegated("c", 0)), Revision(0));
    let mut found = Vec::new();
    while !found.contains(&"RunEnded".to_owned()) {
        let batch = tokio::time::timeout(Duration::from_secs(10), news.next()).await.unwrap();
        found.extend(batch.unwrap().iter().map(|event| event.kind.to_string()));
    }
    assert_eq!(found, ["RunRequested", "RunClaimed", "RunEnded"]);
}
