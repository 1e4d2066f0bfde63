//! What can be told of a group.

use super::{LogGroups, actor::Consuming, record, source::Source};
use crate::{
    status,
    wire::persistent_subscriptions::{SubscriptionInfo, subscription_info::ConnectionInfo},
};
use commands::execute::{Failure, Loaded};
use domain::subscription_group::{
    ALL, Group, Name,
    parked::Parked,
    settings::{Settings, Start},
};
use std::time::Duration;
use tonic::Status;

/// Of the log, and of the consumers on this node.
pub(crate) async fn info(
    groups: &LogGroups,
    name: &Name,
    group: &Group,
) -> Result<SubscriptionInfo, Status> {
    let failed = |failure: Failure| status::group_failed(name, &failure);
    let log = &*groups.log;
    let source = Source::of(name, &group.settings)?;
    let end = source.end(log).await.map_err(|error| status::unreadable(&error))?;
    let recorded = record::checkpoint(log, group.id).await.map_err(failed)?;
    let parked = Loaded::<Parked>::load(log, &group.id).await.map_err(failed)?;
    let standing = groups.serving.standing(group.id).await;
    let reached = recorded.unwrap_or_else(|| source.after(group.start));
    let seen = standing.as_ref().map_or(reached, |standing| standing.counts.seen);
    let state = match &standing {
        Some(_) if seen >= end => "Live",
        Some(_) => "Behind",
        None => "NotReady",
    };
    let all = name.source == ALL;
    let place = |place: u64| match place {
        0 => String::new(),
        _ if all => format!("C:{place}/P:{place}"),
        // Links are numbered by position, events of a stream from 0.
        _ => source.number(place).to_string(),
    };
    let Settings { strategy, .. } = group.settings;
    let settings = &group.settings;
    let mut info = SubscriptionInfo {
        event_source: name.source.clone(),
        group_name: name.group.clone(),
        status: state.to_owned(),
        last_checkpointed_event_position: recorded.map(place).unwrap_or_default(),
        last_known_event_position: place(end),
        resolve_link_tos: settings.resolve_links,
        start_from: start(group.start, all),
        message_timeout_milliseconds: number(settings.message_timeout),
        extra_statistics: settings.extra_statistics,
        max_retry_count: number(settings.max_retries),
        live_buffer_size: number(settings.live_buffer),
        buffer_size: number(settings.history_buffer),
        read_batch_size: number(settings.read_batch),
        check_point_after_milliseconds: number(settings.checkpoint_after),
        min_check_point_count: number(settings.min_checkpoint),
        max_check_point_count: number(settings.max_checkpoint),
        named_consumer_strategy: strategy.name().to_owned(),
        max_subscriber_count: number(settings.max_consumers),
        parked_message_count: long(parked.state().waiting.len()),
        ..SubscriptionInfo::default()
    };
    if let Some(standing) = standing {
        let counts = standing.counts;
        info.total_items = counts.sent.cast_signed();
        info.average_per_second = per_second(counts.sent, standing.since);
        info.read_buffer_count = number(counts.ready);
        info.retry_buffer_count = number(counts.again);
        info.total_in_flight_messages = number(counts.flying);
        info.outstanding_messages_count = number(counts.flying);
        let consumers = standing.consumers.into_iter();
        info.connections = consumers.map(|consumer| connection(consumer, standing.since)).collect();
    }
    Ok(info)
}

fn connection(consumer: Consuming, since: Duration) -> ConnectionInfo {
    let Consuming { who, from, room, flying, sent } = consumer;
    ConnectionInfo {
        from,
        username: who,
        average_items_per_second: per_second(sent, since),
        total_items: sent.cast_signed(),
        available_slots: number(room.saturating_sub(flying)),
        in_flight_messages: number(flying),
        ..ConnectionInfo::default()
    }
}

fn start(start: Start, all: bool) -> String {
    let number = match start {
        Start::Beginning => "0".to_owned(),
        Start::At(at) => at.to_string(),
        Start::After(_) => "-1".to_owned(),
    };
    if all { format!("C:{number}/P:{number}") } else { number }
}

fn per_second(count: u64, since: Duration) -> i32 {
    number(count / since.as_secs().max(1))
}

fn number(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

fn long(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
