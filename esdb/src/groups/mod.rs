//! The service `PersistentSubscriptions`: groups whose state is events. Operators set groups up and consume, administrators look at them.

mod actor;
mod consume;
mod info;
mod owners;
mod record;
mod serving;
mod settings;
mod shelf;
mod source;
#[cfg(test)]
mod tests;

use crate::{
    door::{Door, Knock, Right},
    names::text,
    read::Begin,
    status,
    streams::{Answers, until},
    wire::{
        persistent_subscriptions::{
            CreateReq, CreateResp, DeleteReq, DeleteResp, GetInfoReq, GetInfoResp, ListReq,
            ListResp, ReadReq, ReadResp, ReplayParkedReq, ReplayParkedResp, UpdateReq, UpdateResp,
            create_req, delete_req, get_info_req, list_req,
            persistent_subscriptions_server::PersistentSubscriptions, replay_parked_req,
            update_req,
        },
        shared::{Empty, StreamIdentifier},
    },
};
use actor::Word;
use commands::{
    execute::{Error, Loaded, execute},
    log::EventLog,
};
use consume::Peer;
use domain::{
    Metadata,
    admins::Everywhere,
    ids::UserId,
    subscription_group::{
        ALL, Command, Group, GroupId, Groups, Name, Refusal, parked,
        settings::{Settings, Start},
    },
};
pub use owners::{Alone, Claim, LEASE, Owners, Unknown};
pub(crate) use serving::Serving;
pub(crate) use shelf::{shelf, shelf_named};
use std::{net::SocketAddr, sync::Arc};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, async_trait};
use uuid::Uuid;

/// Longest name of a group, bytes.
const NAME: usize = 512;

/// The service over a log.
pub(crate) struct LogGroups {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) door: Arc<dyn Door>,
    pub(crate) draining: CancellationToken,
    pub(crate) serving: Arc<Serving>,
    /// Where this node listens.
    pub(crate) address: SocketAddr,
}

/// The name in a request; no stream is all of them.
fn name(stream: Option<StreamIdentifier>, group: String) -> Result<Name, Status> {
    let source = match stream {
        Some(stream) => text(Some(stream))?,
        None => ALL.to_owned(),
    };
    let fits = |name: &str| !name.is_empty() && name.len() <= NAME && !name.contains('\0');
    if !fits(&group) || !fits(&source) {
        return Err(status::invalid(format!("groups and streams have names of 1 to {NAME} bytes")));
    }
    Ok(Name { source, group })
}

/// The stream in an option that names one or everything.
macro_rules! stream {
    ($option:expr, $all:path, $stream:path) => {
        match $option {
            Some($all(_)) => None,
            Some($stream(stream)) => Some(stream),
            None => return Err(status::invalid("neither a stream nor everything is named")),
        }
    };
}

/// Where something begins, in the words of a request.
macro_rules! begin {
    ($option:expr, $kind:path, $at:ident $(. $field:ident)?) => {{
        use $kind as Kind;
        match $option {
            Some(Kind::$at(at)) => Begin::At(at $(. $field)?),
            Some(Kind::End(_)) => Begin::End,
            Some(Kind::Start(_)) | None => Begin::Start,
        }
    }};
}

/// Stream and begin as they were said before there were groups on everything; clients for Node still do.
macro_rules! old_form {
    ($options:ident, $settings:ident) => {{
        #[expect(deprecated, reason = "clients for Node send nothing else")]
        let (stream, revision) = ($options.stream_identifier, $settings.revision);
        let stream = stream.ok_or_else(|| status::invalid("no stream is named"))?;
        let begin = match revision {
            0 => Begin::Start,
            u64::MAX => Begin::End,
            at => Begin::At(at),
        };
        (stream, begin)
    }};
}

impl LogGroups {
    async fn groups(&self) -> Result<Groups, Status> {
        let loaded = Loaded::<Groups>::load(&*self.log, &Everywhere).await;
        loaded.map(|loaded| loaded.state().clone()).map_err(|failure| {
            tracing::warn!(%failure, "persistent subscriptions cannot be read");
            Status::unavailable("the log is unavailable")
        })
    }

    async fn group(&self, name: &Name) -> Result<Group, Status> {
        self.groups().await?.get(name).cloned().ok_or_else(|| status::no_group(name))
    }

    async fn command(&self, by: UserId, name: &Name, command: Command) -> Result<(), Status> {
        let metadata = by_hand(by);
        match execute::<Groups>(&*self.log, &Everywhere, &command, &metadata).await {
            Ok(_) => Ok(()),
            Err(Error::Refused(Refusal::Exists)) => Err(status::group_exists(name)),
            Err(Error::Refused(Refusal::Unknown)) => Err(status::no_group(name)),
            Err(Error::Refused(refused @ Refusal::TooMany)) => {
                Err(Status::resource_exhausted(refused.to_string()))
            }
            Err(Error::Failed(failure)) => Err(status::group_failed(name, &failure)),
        }
    }

    async fn start(&self, begin: Begin, name: &Name, settings: &Settings) -> Result<Start, Status> {
        match begin {
            Begin::Start => Ok(Start::Beginning),
            Begin::At(at) => Ok(Start::At(at)),
            Begin::End => source::at_end(&*self.log, name, settings).await,
        }
    }
}

fn by_hand(by: UserId) -> Metadata {
    Metadata { actor: by, ..Metadata::system(Uuid::now_v7()) }
}

#[async_trait]
impl PersistentSubscriptions for LogGroups {
    type ReadStream = Answers<ReadResp>;

    async fn create(&self, request: Request<CreateReq>) -> Result<Response<CreateResp>, Status> {
        use create_req::{
            all_options::{AllOption, FilterOption},
            options::StreamOption,
            stream_options::RevisionOption,
        };
        let by = Knock::of(&request).enter(&*self.door, Right::Append).await?;
        let options = request.into_inner().options;
        let options = options.ok_or_else(|| status::invalid("a group has options"))?;
        let settings = options.settings.ok_or_else(|| status::invalid("a group has settings"))?;
        let (stream, begin, filter) = match options.stream_option {
            Some(StreamOption::Stream(of)) => {
                let begin = begin!(of.revision_option, RevisionOption, Revision);
                let stream = of.stream_identifier;
                let stream = stream.ok_or_else(|| status::invalid("no stream is named"))?;
                (Some(stream), begin, None)
            }
            Some(StreamOption::All(of)) => {
                let filter = match of.filter_option {
                    Some(FilterOption::Filter(filter)) => settings::filter(filter)?,
                    _ => None,
                };
                let begin = begin!(of.all_option, AllOption, Position.commit_position);
                (None, begin, filter)
            }
            None => {
                let (stream, begin) = old_form!(options, settings);
                (Some(stream), begin, None)
            }
        };
        let name = name(stream, options.group_name)?;
        let settings = settings::Wire::from(settings).settings(filter)?;
        let start = self.start(begin, &name, &settings).await?;
        let id = GroupId(Uuid::now_v7());
        let command = Command::Create { id, name: name.clone(), settings, start };
        self.command(by, &name, command).await?;
        Ok(Response::new(CreateResp {}))
    }

    async fn update(&self, request: Request<UpdateReq>) -> Result<Response<UpdateResp>, Status> {
        use update_req::{
            all_options::AllOption, options::StreamOption, stream_options::RevisionOption,
        };
        let by = Knock::of(&request).enter(&*self.door, Right::Append).await?;
        let options = request.into_inner().options;
        let options = options.ok_or_else(|| status::invalid("a group has options"))?;
        let settings = options.settings.ok_or_else(|| status::invalid("a group has settings"))?;
        let (stream, begin) = match options.stream_option {
            Some(StreamOption::Stream(of)) => {
                let begin = begin!(of.revision_option, RevisionOption, Revision);
                let stream = of.stream_identifier;
                (Some(stream.ok_or_else(|| status::invalid("no stream is named"))?), begin)
            }
            Some(StreamOption::All(of)) => {
                (None, begin!(of.all_option, AllOption, Position.commit_position))
            }
            None => {
                let (stream, begin) = old_form!(options, settings);
                (Some(stream), begin)
            }
        };
        let name = name(stream, options.group_name)?;
        let settings = settings::Wire::from(settings).settings(None)?;
        let group = self.group(&name).await?;
        let start = self.start(begin, &name, &settings).await?;
        let command = Command::Change { name: name.clone(), settings, start };
        self.command(by, &name, command).await?;
        self.serving.tell(group.id, Word::News).await;
        Ok(Response::new(UpdateResp {}))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        use delete_req::options::StreamOption;
        let by = Knock::of(&request).enter(&*self.door, Right::Append).await?;
        let options = request.into_inner().options.unwrap_or_default();
        let stream =
            stream!(options.stream_option, StreamOption::All, StreamOption::StreamIdentifier);
        let name = name(stream, options.group_name)?;
        let group = self.group(&name).await?;
        self.command(by, &name, Command::Delete(name.clone())).await?;
        self.serving.tell(group.id, Word::News).await;
        Ok(Response::new(DeleteResp {}))
    }

    async fn read(
        &self,
        request: Request<Streaming<ReadReq>>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        // Whoever consumes records what they have done.
        let right = Right::Append;
        let (by, stay) = Knock::of(&request).stay(&self.door, right).await?;
        let from = request.remote_addr().map(|address| address.to_string());
        let peer = Peer {
            who: by.to_string(),
            from: from.unwrap_or_default(),
            reached_at: request.local_addr().unwrap_or(self.address),
        };
        let mut requests = request.into_inner();
        let begin = consume::Begin::of(&mut requests).await?;
        let name = name(begin.stream.clone(), begin.group.clone())?;
        let group = self.group(&name).await?;
        let answers = consume::consume(&self.serving, name, &group, begin, peer, requests).await?;
        Ok(Response::new(until(&self.draining, stay, answers)))
    }

    async fn get_info(
        &self,
        request: Request<GetInfoReq>,
    ) -> Result<Response<GetInfoResp>, Status> {
        use get_info_req::options::StreamOption;
        Knock::of(&request).enter(&*self.door, Right::Read).await?;
        let options = request.into_inner().options.unwrap_or_default();
        let stream =
            stream!(options.stream_option, StreamOption::All, StreamOption::StreamIdentifier);
        let name = name(stream, options.group_name)?;
        let group = self.group(&name).await?;
        let subscription_info = Some(info::info(self, &name, &group).await?);
        Ok(Response::new(GetInfoResp { subscription_info }))
    }

    async fn replay_parked(
        &self,
        request: Request<ReplayParkedReq>,
    ) -> Result<Response<ReplayParkedResp>, Status> {
        use replay_parked_req::options::{StopAtOption, StreamOption};
        let by = Knock::of(&request).enter(&*self.door, Right::Append).await?;
        let options = request.into_inner().options.unwrap_or_default();
        let stream =
            stream!(options.stream_option, StreamOption::All, StreamOption::StreamIdentifier);
        let before = match options.stop_at_option {
            Some(StopAtOption::StopAt(number)) => {
                let number = u64::try_from(number);
                Some(number.map_err(|_| status::invalid("nothing stops before it begins"))?)
            }
            Some(StopAtOption::NoLimit(_)) | None => None,
        };
        let name = name(stream, options.group_name)?;
        let group = self.group(&name).await?;
        let command = parked::Command::Replay { before };
        execute::<parked::Parked>(&*self.log, &group.id, &command, &by_hand(by)).await.map_err(
            |error| match error {
                Error::Refused(full) => Status::resource_exhausted(full.to_string()),
                Error::Failed(failure) => status::group_failed(&name, &failure),
            },
        )?;
        self.serving.tell(group.id, Word::News).await;
        Ok(Response::new(ReplayParkedResp {}))
    }

    async fn list(&self, request: Request<ListReq>) -> Result<Response<ListResp>, Status> {
        use list_req::{options::ListOption, stream_option::StreamOption};
        Knock::of(&request).enter(&*self.door, Right::Read).await?;
        let source = match request.into_inner().options.and_then(|options| options.list_option) {
            Some(ListOption::ListForStream(of)) => match of.stream_option {
                Some(StreamOption::Stream(stream)) => Some(text(Some(stream))?),
                Some(StreamOption::All(_)) => Some(ALL.to_owned()),
                None => return Err(status::invalid("neither a stream nor everything is named")),
            },
            Some(ListOption::ListAllSubscriptions(_)) | None => None,
        };
        let groups = self.groups().await?;
        let mut subscriptions = Vec::new();
        for (name, group) in groups.iter() {
            if source.as_ref().is_none_or(|source| *source == name.source) {
                subscriptions.push(info::info(self, name, group).await?);
            }
        }
        match source {
            Some(source) if subscriptions.is_empty() => {
                Err(status::no_group(&Name { source, group: String::new() }))
            }
            _ => Ok(Response::new(ListResp { subscriptions })),
        }
    }

    async fn restart_subsystem(&self, request: Request<Empty>) -> Result<Response<Empty>, Status> {
        Knock::of(&request).enter(&*self.door, Right::Append).await?;
        self.serving.restart().await;
        Ok(Response::new(Empty {}))
    }
}
