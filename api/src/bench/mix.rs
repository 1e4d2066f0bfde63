//! What a log holds after a while of use.

use super::{
    corpus::{self, Scatter},
    written::{Finished, append},
};
use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use commands::{
    effects::embedder::{self, Embedder, VectorMemo},
    log::EventLog,
};
use domain::{
    document::{self, BlobHash, Document, Passage},
    ids::{DocumentId, KnowledgeBaseId, NodeId, RunId, UserId},
    knowledge_base::{self, KnowledgeBase},
    quota::{self, Action, Quota},
    user::{self, Role, User, Username},
};
use std::sync::Arc;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Lines of a run, each in an event of its own.
const LINES: u64 = 30;
/// Conversations of a person.
const CONVERSATIONS: u64 = 5;
/// Charges of a person.
const CHARGES: u64 = 10;
/// One person in so many has a document.
const READERS: u64 = 4;
/// Passages of a document.
const PASSAGES: u32 = 8;
/// Words of a passage.
const WORDS: usize = 120;
/// People whose events are on their way at once.
const AT_ONCE: usize = 32;

/// Where it is written.
#[derive(Clone)]
pub(super) struct Pens {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Makes vectors.
    pub embedder: Arc<dyn Embedder>,
    /// Keeps them.
    pub memo: Arc<dyn VectorMemo>,
}

/// Writes the events of as many people as it takes for `events`, and says how many that were.
pub(super) async fn write(pens: &Pens, events: u64) -> Result<u64> {
    let (mut written, mut number, mut people) = (0, 0, JoinSet::new());
    loop {
        while people.len() < AT_ONCE && written < events {
            people.spawn(person(pens.clone(), number));
            number += 1;
        }
        match people.join_next().await {
            Some(count) => written += count??,
            None => return Ok(written),
        }
    }
}

/// Registers, asks, is charged, and one in some uploads a document.
async fn person(pens: Pens, number: u64) -> Result<u64> {
    let log = &*pens.log;
    let id = UserId(Uuid::now_v7().simple().to_string());
    let registered = user::Event::UserRegistered {
        username: Username::parse(&format!("person{number}"), None)?,
        email: None,
        phone: None,
        role: Role::Creator,
    };
    let mut written = append::<User>(log, &id, [registered].into_iter()).await?;
    for conversation in 0..CONVERSATIONS {
        let run = RunId(Uuid::now_v7());
        let session = format!("session-{number}-{conversation}");
        let finished = Finished { owner: id.clone(), session, run, lines: LINES, per_event: 1 };
        written += finished.write(log).await?;
    }
    written += append::<Quota>(log, &id, (0..CHARGES).map(charge)).await?;
    if number.is_multiple_of(READERS) {
        let base = shelf(log, &id).await?;
        written +=
            1 + upload(&pens, &id, &base, Upload { number, passages: PASSAGES, words: WORDS })
                .await?;
    }
    Ok(written)
}

fn charge(number: u64) -> quota::Event {
    let beginning = DateTime::<Utc>::UNIX_EPOCH;
    quota::Event::UsageCharged {
        action: Action::PostCreations,
        amount: 1,
        billing_cycle_start: beginning,
        charged_at: beginning + TimeDelta::seconds(i64::try_from(number).unwrap_or(0)),
        reference: None,
    }
}

/// A new knowledge base in English.
pub(super) async fn shelf(log: &dyn EventLog, owner: &UserId) -> Result<KnowledgeBaseId> {
    shelf_in(log, owner, "en").await
}

/// A new knowledge base.
pub(crate) async fn shelf_in(
    log: &dyn EventLog,
    owner: &UserId,
    language: &str,
) -> Result<KnowledgeBaseId> {
    let id = KnowledgeBaseId(Uuid::now_v7().simple().to_string());
    let created = knowledge_base::Event::KnowledgeBaseCreated {
        owner: owner.clone(),
        name: "Notes".to_owned(),
        kind: "document".to_owned(),
        intro: String::new(),
        language: language.to_owned(),
        datasource: None,
    };
    append::<KnowledgeBase>(log, &id, [created].into_iter()).await?;
    Ok(id)
}

/// A document to be made up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upload {
    /// Which one: decides what it says.
    pub number: u64,
    /// How many passages.
    pub passages: u32,
    /// Words of each.
    pub words: usize,
}

/// A document that was ingested, its vectors remembered; how many events that took.
pub(super) async fn upload(
    pens: &Pens,
    owner: &UserId,
    base: &KnowledgeBaseId,
    upload: Upload,
) -> Result<u64> {
    let mut scatter = Scatter(upload.number);
    let mut end = 0;
    let passages: Vec<Passage> = (0..u64::from(upload.passages))
        .map(|passage| {
            // A document stays with its topic for some passages, then goes on to another one.
            let topic = corpus::topic(upload.number.wrapping_mul(31) + passage / 4);
            let text = corpus::text(&mut scatter, topic, upload.words);
            // Passages that do not touch are hits of their own.
            let start = end + 2;
            end = start + text.len() as u64;
            Passage { text, start, end, ..Passage::default() }
        })
        .collect();
    let indexed: Vec<String> = passages.iter().map(Passage::indexed).collect();
    embedder::ensure(&*pens.embedder, &*pens.memo, &indexed).await?;
    let id = DocumentId(Uuid::now_v7().simple().to_string());
    let name = format!("notes {}.md", upload.number);
    let filed = Filed { owner, base, name: &name, model: pens.embedder.model() };
    ingested(&*pens.log, &id, filed, passages).await
}

/// Where a document belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filed<'a> {
    /// Whose it is.
    pub owner: &'a UserId,
    /// On which shelf.
    pub base: &'a KnowledgeBaseId,
    /// Its name.
    pub name: &'a str,
    /// The model of its vectors.
    pub model: &'a str,
}

/// The events of a document that was ingested; how many that were.
pub(crate) async fn ingested(
    log: &dyn EventLog,
    id: &DocumentId,
    filed: Filed<'_>,
    passages: Vec<Passage>,
) -> Result<u64> {
    let size = passages.last().map_or(0, |passage| passage.end);
    let media_type = "text/markdown".to_owned();
    let events = [
        document::Event::DocumentUploaded {
            knowledge_base: filed.base.clone(),
            owner: filed.owner.clone(),
            task: Uuid::nil().simple().to_string(),
            name: filed.name.to_owned(),
            blob: BlobHash("0".repeat(64)),
            size,
            media_type: media_type.clone(),
            metadata: document::Labels::default(),
            origin: document::Origin::File,
        },
        document::Event::IngestionStarted { attempt: 1, node: NodeId(Uuid::nil()) },
        document::Event::PassagesStored {
            attempt: 1,
            first: 0,
            model: filed.model.to_owned(),
            passages,
        },
        document::Event::DocumentIngested { attempt: 1, text_bytes: size, media_type, text: None },
    ];
    append::<Document>(log, id, events.into_iter()).await
}
