//! The service `Streams`.

use crate::{
    append, batch,
    content::IdForm,
    door::{Door, Knock, Right, Stay},
    filter::Filter,
    follow,
    groups::shelf,
    names::{Closed, Source},
    read::{self, Begin, View, Wish},
    status,
    wire::streams::{
        AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq,
        ReadResp, TombstoneReq, TombstoneResp,
        read_req::{
            Options,
            options::{
                CountOption, FilterOption, ReadDirection, StreamOption, all_options::AllOption,
                stream_options::RevisionOption, uuid_option,
            },
        },
        streams_server::Streams,
    },
};
use async_stream::stream;
use commands::{
    log::{Direction, EventLog},
    pulse,
};
use futures::{FutureExt, StreamExt, stream::BoxStream};
use std::{pin::pin, sync::Arc};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, async_trait};

/// The service over a log.
pub(crate) struct LogStreams {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) door: Arc<dyn Door>,
    pub(crate) closed: Closed,
    /// Cancelled when the server goes down.
    pub(crate) draining: CancellationToken,
}

/// What a call is answered.
pub(crate) type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[async_trait]
impl Streams for LogStreams {
    type ReadStream = Answers<ReadResp>;
    type BatchAppendStream = Answers<BatchAppendResp>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        let (_, stay) = Knock::of(&request).stay(&self.door, Right::Read).await?;
        let options = request.into_inner().options;
        let options = options.ok_or_else(|| status::invalid("a read has options"))?;
        let answers = answers(self.log.clone(), options)?;
        Ok(Response::new(until(&self.draining, stay, answers)))
    }

    async fn append(
        &self,
        request: Request<Streaming<AppendReq>>,
    ) -> Result<Response<AppendResp>, Status> {
        let by = Knock::of(&request).enter(&*self.door, Right::Append).await?;
        append::append(&*self.log, &by, self.closed, request.into_inner()).await.map(Response::new)
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        let (by, stay) = Knock::of(&request).stay(&self.door, Right::Append).await?;
        let (log, chunks) = (self.log.clone(), request.into_inner());
        let answers = batch::answers(log, by, self.closed, chunks);
        Ok(Response::new(until(&self.draining, stay, answers.boxed())))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        Knock::of(&request).enter(&*self.door, Right::Append).await?;
        Err(status::not_permitted())
    }

    async fn tombstone(
        &self,
        request: Request<TombstoneReq>,
    ) -> Result<Response<TombstoneResp>, Status> {
        Knock::of(&request).enter(&*self.door, Right::Append).await?;
        Err(status::not_permitted())
    }
}

/// These answers, or an error when the server goes down or the caller may not stay before they end.
pub(crate) fn until<T: Send + 'static>(
    draining: &CancellationToken,
    stay: Stay,
    mut answers: Answers<T>,
) -> Answers<T> {
    let draining = draining.clone();
    let answers = stream! {
        let mut over = pin!(stay.over());
        loop {
            let answer = tokio::select! {
                biased;
                () = draining.cancelled() => Some(Err(status::going_down())),
                why = &mut over => Some(Err(why)),
                answer = answers.next() => answer,
            };
            let Some(answer) = answer else { break };
            let last = answer.is_err();
            yield answer;
            if last {
                break;
            }
        }
    };
    answers.boxed()
}

/// A subscription, which counts as long as it is read.
fn counted(answers: Answers<ReadResp>) -> Answers<ReadResp> {
    let open = pulse::ESDB_CATCH_UP.raise();
    answers.map(move |answer| (&open, answer).1).boxed()
}

fn answers(log: Arc<dyn EventLog>, options: Options) -> Result<Answers<ReadResp>, Status> {
    let direction = match ReadDirection::try_from(options.read_direction) {
        Ok(ReadDirection::Forwards) => Direction::Forward,
        Ok(ReadDirection::Backwards) => Direction::Backward,
        Err(_) => return Err(status::invalid("no such direction")),
    };
    let (count, subscribes) = match options.count_option {
        Some(CountOption::Count(count)) => (count, false),
        Some(CountOption::Subscription(_)) => (u64::MAX, true),
        None => return Err(status::invalid("a read has a count or is a subscription")),
    };
    if subscribes && direction == Direction::Backward {
        return Err(status::invalid("subscriptions go forward"));
    }
    let ids = match options.uuid_option.and_then(|option| option.content) {
        Some(uuid_option::Content::String(_)) => IdForm::Text,
        _ => IdForm::Structured,
    };
    let filter = match options.filter_option {
        Some(FilterOption::Filter(filter)) => Filter::of(filter)?,
        _ => None,
    };
    let bounds = options.control_option.is_some_and(|control| control.compatibility >= 1);
    let wish = |from| Wish { from, direction, count, ids, resolve: options.resolve_links, bounds };
    match options.stream_option {
        Some(StreamOption::Stream(of)) => {
            if filter.is_some() {
                return Err(status::invalid("one stream is read without a filter"));
            }
            let from = match of.revision_option {
                Some(RevisionOption::Revision(at)) => Begin::At(at),
                Some(RevisionOption::End(_)) => Begin::End,
                Some(RevisionOption::Start(_)) | None => Begin::Start,
            };
            let source = Source::of(of.stream_identifier.clone())?;
            if subscribes {
                if let Source::Shelf(_) = source {
                    let why = "what a persistent subscription has set aside is read, not followed";
                    return Err(Status::unimplemented(why));
                }
                return Ok(counted(follow::source(log, source, wish(from))));
            }
            Ok(match (View::links(&source), source) {
                (Some(view), _) => read::all(log, view, wish(from)).boxed(),
                (None, Source::Stream(name)) => read::stream(log, name, wish(from)).boxed(),
                (None, Source::Shelf(group)) => shelf(log, group, wish(from)).boxed(),
                (None, _) => {
                    let name = of.stream_identifier.map(|id| id.stream_name).unwrap_or_default();
                    let answer = read::not_found(&String::from_utf8_lossy(&name));
                    async { Ok(answer) }.into_stream().boxed()
                }
            })
        }
        Some(StreamOption::All(of)) => {
            let from = match of.all_option {
                Some(AllOption::Position(at)) => Begin::At(at.commit_position),
                Some(AllOption::End(_)) => Begin::End,
                Some(AllOption::Start(_)) | None => Begin::Start,
            };
            let view = View::Events(filter);
            Ok(match subscribes {
                true => counted(follow::all(log, view, wish(from)).boxed()),
                false => read::all(log, view, wish(from)).boxed(),
            })
        }
        None => Err(status::invalid("a read names a stream or the whole log")),
    }
}
