use super::*;
use crate::testing::given;
use uuid::Uuid;

fn node(n: u128) -> NodeId {
    NodeId(Uuid::from_u128(n))
}

fn hash() -> BlobHash {
    BlobHash("ab".repeat(32))
}

fn uploaded() -> Event {
    Event::DocumentUploaded {
        knowledge_base: "kb".into(),
        owner: "ann".into(),
        task: "task".into(),
        name: "a.md".into(),
        blob: hash(),
        size: 3,
        media_type: "text/markdown".into(),
        metadata: Labels::default(),
        origin: Origin::File,
    }
}

fn upload(name: &str, blob: BlobHash) -> Command {
    Command::Upload {
        knowledge_base: "kb".into(),
        owner: "ann".into(),
        task: "task".into(),
        name: name.into(),
        blob,
        size: 3,
        media_type: "text/markdown".into(),
        metadata: Labels::default(),
        origin: Origin::File,
    }
}

fn started(attempt: u32, by: u128) -> Event {
    Event::IngestionStarted { attempt, node: node(by) }
}

fn begin(by: u128, instead_of: Option<u128>) -> Command {
    Command::Begin { node: node(by), instead_of: instead_of.map(node) }
}

fn passage() -> Passage {
    Passage { text: "abc".into(), start: 0, end: 3, ..Passage::default() }
}

fn store(attempt: u32, first: u32) -> Command {
    Command::Store { attempt, first, model: "m".into(), passages: vec![passage()] }
}

fn stored(attempt: u32, first: u32) -> Event {
    Event::PassagesStored { attempt, first, model: "m".into(), passages: vec![passage()] }
}

fn failed(attempt: u32, retry_in_ms: Option<u64>) -> Event {
    Event::IngestionFailed { attempt, reason: "away".into(), retry_in_ms }
}

fn fail(attempt: u32, retry_in_ms: Option<u64>) -> Command {
    Command::Fail { attempt, reason: "away".into(), retry_in_ms }
}

fn ingested(attempt: u32) -> Event {
    Event::DocumentIngested {
        attempt,
        text_bytes: 3,
        media_type: "text/plain".into(),
        text: Some(hash()),
    }
}

#[test]
fn a_file_is_uploaded_once_under_a_real_hash() {
    given::<Document>([]).when(upload("a.md", hash())).then([uploaded()]);
    given::<Document>([uploaded()]).when(upload("a.md", hash())).then_refused(Refusal::Exists);
    given::<Document>([])
        .when(upload("a.md", BlobHash("../../etc/passwd".into())))
        .then_refused(Refusal::BadBlob);
    given::<Document>([]).when(upload("", hash())).then_refused(Refusal::BadName);
}

#[test]
fn what_is_said_of_a_file_and_where_it_is_from_stay_with_it() {
    let with = |metadata: Labels, origin: Origin| {
        let Command::Upload { knowledge_base, owner, task, name, blob, size, media_type, .. } =
            upload("a.md", hash())
        else {
            unreachable!()
        };
        Command::Upload {
            knowledge_base,
            owner,
            task,
            name,
            blob,
            size,
            media_type,
            metadata,
            origin,
        }
    };
    let labels = |text: &str| Labels([("md_k".to_owned(), Label::Text(text.to_owned()))].into());
    let page = |url: String| Origin::Page { url };
    let Ok(events) = Document::default().decide(&with(labels("v"), page("https://a.b".into())))
    else {
        unreachable!()
    };
    let document = events.iter().fold(Document::default(), Document::evolve);
    assert_eq!(document.file.map(|file| file.origin), Some(page("https://a.b".into())));
    let refused = |command| given::<Document>([]).when(command);
    refused(with(labels("\0"), Origin::File)).then_refused(Refusal::BadMetadata);
    refused(with(labels(""), page("x".repeat(MAX_URL + 1)))).then_refused(Refusal::BadUrl);
}

#[test]
fn one_node_claims_it() {
    given::<Document>([uploaded()]).when(begin(1, None)).then([started(1, 1)]);
    given::<Document>([uploaded(), started(1, 1)])
        .when(begin(2, None))
        .then_refused(Refusal::Claimed(node(1)));
}

#[test]
fn a_dead_node_is_replaced_but_only_the_one_that_is_dead() {
    given::<Document>([uploaded(), started(1, 1)]).when(begin(2, Some(1))).then([started(2, 2)]);
    given::<Document>([uploaded(), started(1, 1), started(2, 2)])
        .when(begin(3, Some(1)))
        .then_refused(Refusal::Claimed(node(2)));
}

#[test]
fn who_lost_the_claim_stores_nothing() {
    let history = [uploaded(), started(1, 1), stored(1, 0), started(2, 2)];
    for late in [store(1, 1), fail(1, None)] {
        given::<Document>(history.clone()).when(late).then_refused(Refusal::Superseded);
    }
    given::<Document>(history).when(store(2, 0)).then([stored(2, 0)]);
}

#[test]
fn passages_come_in_order_and_once() {
    let history = || given::<Document>([uploaded(), started(1, 1), stored(1, 0)]);
    history().when(store(1, 0)).then_refused(Refusal::Superseded);
    history().when(store(1, 2)).then_refused(Refusal::Superseded);
    history().when(store(1, 1)).then([stored(1, 1)]);
}

#[test]
fn a_passing_cause_is_tried_three_times() {
    let mut history = vec![uploaded()];
    for attempt in 1..MAX_FAILURES {
        history.push(started(attempt, 1));
        given::<Document>(history.clone())
            .when(fail(attempt, Some(5)))
            .then([failed(attempt, Some(5))]);
        history.push(failed(attempt, Some(5)));
    }
    history.push(started(MAX_FAILURES, 1));
    given::<Document>(history).when(fail(MAX_FAILURES, Some(5))).then([failed(MAX_FAILURES, None)]);
}

#[test]
fn a_bad_document_is_given_up_at_once() {
    let history = [uploaded(), started(1, 1), failed(1, None)];
    given::<Document>(history).when(begin(1, None)).then_refused(Refusal::Settled);
}

#[test]
fn a_document_that_takes_every_node_down_is_given_up() {
    let mut history = vec![uploaded()];
    history.extend((1..=MAX_ATTEMPTS).map(|n| started(n, u128::from(n))));
    given::<Document>(history).when(begin(99, Some(u128::from(MAX_ATTEMPTS)))).then([
        Event::IngestionFailed {
            attempt: MAX_ATTEMPTS,
            reason: "reading it was interrupted 6 times".into(),
            retry_in_ms: None,
        },
    ]);
}

#[test]
fn what_is_finished_stays_finished() {
    let history = || given::<Document>([uploaded(), started(1, 1), stored(1, 0), ingested(1)]);
    history().when(begin(2, Some(1))).then_refused(Refusal::Settled);
    history().when(store(1, 1)).then_refused(Refusal::Superseded);
}

#[test]
fn deletion_ends_everything_and_needs_the_owner() {
    let by = |person: &str| Command::Delete { by: Authority::Person(person.into()) };
    given::<Document>([uploaded()]).when(by("bob")).then_refused(Refusal::Unknown);
    given::<Document>([uploaded(), started(1, 1)])
        .when(by("ann"))
        .then([Event::DocumentDeleted {}]);
    let gone = [uploaded(), started(1, 1), Event::DocumentDeleted {}];
    given::<Document>(gone.clone()).when(store(1, 0)).then_refused(Refusal::Unknown);
    given::<Document>(gone.clone()).when(begin(2, None)).then_refused(Refusal::Unknown);
    given::<Document>(gone).when(by("ann")).then_refused(Refusal::Unknown);
}

#[test]
fn reading_again_forgives_what_was() {
    let by = |person: &str| Command::Reread { by: Authority::Person(person.into()) };
    let history = |more: &[Event]| given::<Document>([&[uploaded()], more].concat());
    let ingested = [started(1, 1), stored(1, 0), ingested(1)];
    history(&ingested).when(by("ann")).then([Event::RereadRequested {}]);
    history(&ingested).when(by("bob")).then_refused(Refusal::Unknown);
    history(&[]).when(by("ann")).then_nothing();
    history(&[started(1, 1)]).when(by("ann")).then_nothing();
    history(&[started(1, 1), failed(1, Some(5))]).when(by("ann")).then([Event::RereadRequested {}]);

    let again = [started(1, 1), failed(1, None), Event::RereadRequested {}];
    history(&again).when(begin(2, None)).then([started(2, 2)]);
    let mut often: Vec<Event> = (1..=MAX_ATTEMPTS).map(|n| started(n, 1)).collect();
    often.extend([failed(MAX_ATTEMPTS, None), Event::RereadRequested {}]);
    history(&often).when(begin(2, None)).then([started(MAX_ATTEMPTS + 1, 2)]);
    often.push(started(MAX_ATTEMPTS + 1, 2));
    let last = MAX_ATTEMPTS + 1;
    history(&often).when(fail(last, Some(5))).then([failed(last, Some(5))]);
}
