//! A consumer's call: options, then answers to what it is sent.

use super::{
    actor::{Call, Word},
    serving::Serving,
};
use crate::{
    content::{IdForm, parse_id},
    status,
    wire::{
        persistent_subscriptions::{
            ReadReq, ReadResp,
            read_req::{
                Ack, Content, Nack, Options,
                nack::Action,
                options::{StreamOption, uuid_option},
            },
            read_resp::{self, SubscriptionConfirmation},
        },
        shared::StreamIdentifier,
    },
};
use async_stream::try_stream;
use commands::pulse::{self, Raised};
use domain::subscription_group::{Group, Name, delivery::Verdict};
use futures::{StreamExt, future::Either, stream::BoxStream};
use std::net::SocketAddr;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use uuid::Uuid;

/// Messages a consumer may take at a time.
const MOST_ROOM: usize = 2_000;
/// Messages one request may answer.
const MOST_IDS: usize = 10_000;

/// Who calls, and where.
pub(crate) struct Peer {
    pub(crate) who: String,
    pub(crate) from: String,
    pub(crate) reached_at: SocketAddr,
}

/// What a call begins with.
pub(crate) struct Begin {
    pub(crate) stream: Option<StreamIdentifier>,
    pub(crate) group: String,
    room: usize,
    ids: IdForm,
}

impl Begin {
    /// The first request.
    pub(crate) async fn of(requests: &mut Streaming<ReadReq>) -> Result<Self, Status> {
        let first = requests.next().await.transpose()?.and_then(|request| request.content);
        let Some(Content::Options(options)) = first else {
            return Err(status::invalid("a consumer begins with options"));
        };
        let Options { stream_option, group_name, buffer_size, uuid_option } = options;
        let stream = match stream_option {
            Some(StreamOption::All(_)) => None,
            Some(StreamOption::StreamIdentifier(stream)) => Some(stream),
            None => return Err(status::invalid("neither a stream nor everything is named")),
        };
        let ids = match uuid_option.and_then(|option| option.content) {
            Some(uuid_option::Content::String(_)) => IdForm::Text,
            _ => IdForm::Structured,
        };
        let room = usize::try_from(buffer_size).unwrap_or_default().clamp(1, MOST_ROOM);
        Ok(Self { stream, group: group_name, room, ids })
    }
}

/// Joins the group; what the call is answered.
pub(crate) async fn consume(
    serving: &Serving,
    name: Name,
    group: &Group,
    begin: Begin,
    peer: Peer,
    mut requests: Streaming<ReadReq>,
) -> Result<BoxStream<'static, Result<ReadResp, Status>>, Status> {
    let Begin { room, ids, .. } = begin;
    let Peer { who, from, reached_at } = peer;
    let id = serving.next_call();
    let call = || {
        // Twice, because what times out is sent again before it is read.
        let (out, answers) = mpsc::channel(2 * room + 1);
        (Call { id, who: who.clone(), from: from.clone(), room, ids, out }, answers)
    };
    let (words, mut answers) = serving.join(&name, group, reached_at, call).await?;
    let present = Present { words, id, _counted: pulse::ESDB_CONSUMERS.raise() };
    Ok(try_stream! {
        let confirmed = SubscriptionConfirmation { subscription_id: name.to_string() };
        yield ReadResp { content: Some(read_resp::Content::SubscriptionConfirmation(confirmed)) };
        loop {
            let next = tokio::select! {
                answer = answers.recv() => Either::Left(answer),
                request = requests.next() => Either::Right(request),
            };
            match next {
                Either::Left(Some(answer)) => yield answer?,
                Either::Left(None) => Err(Status::aborted("Consumer too slow"))?,
                Either::Right(Some(request)) => present.say(request?, &name).await?,
                // Who will answer nothing more is sent nothing more.
                Either::Right(None) => break,
            }
        }
    }
    .boxed())
}

/// A consumer as long as its call lasts.
struct Present {
    words: mpsc::Sender<Word>,
    id: u64,
    _counted: Raised,
}

impl Present {
    async fn say(&self, request: ReadReq, name: &Name) -> Result<(), Status> {
        let word = match request.content {
            Some(Content::Ack(Ack { ids, .. })) => Word::Ack(parsed(&ids)?),
            Some(Content::Nack(Nack { ids, action, reason, .. })) => {
                let ids = parsed(&ids)?;
                match Action::try_from(action) {
                    Ok(Action::Park) => {
                        let reason = format!("Client explicitly NAK'ed message.\n{reason}");
                        Word::Nack(self.id, ids, Verdict::Park, reason)
                    }
                    Ok(Action::Skip) => Word::Nack(self.id, ids, Verdict::Skip, reason),
                    Ok(Action::Stop) => Word::Stop(self.id, ids),
                    Ok(Action::Retry | Action::Unknown) => {
                        Word::Nack(self.id, ids, Verdict::Retry, reason)
                    }
                    Err(_) => return Err(status::invalid("there is no such action")),
                }
            }
            Some(Content::Options(_)) | None => {
                return Err(status::invalid("after its options a consumer sends answers"));
            }
        };
        self.words.send(word).await.map_err(|_| status::group_dropped(name))
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let (words, id) = (self.words.clone(), self.id);
        // It may have to wait for room, and nobody waits here.
        tokio::spawn(async move {
            let _ended = words.send(Word::Leave(id)).await;
        });
    }
}

fn parsed(ids: &[crate::wire::shared::Uuid]) -> Result<Vec<Uuid>, Status> {
    if ids.len() > MOST_IDS {
        return Err(status::invalid(format!("more than {MOST_IDS} messages in one answer")));
    }
    ids.iter().map(parse_id).collect()
}
