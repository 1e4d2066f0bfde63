//! Settings of groups on the wire and in events.

use crate::{
    filter, status,
    wire::{
        persistent_subscriptions::{create_req, update_req},
        streams::read_req::options::{FilterOptions, filter_options},
    },
};
use domain::subscription_group::settings::{Filter, Settings, Strategy};
use tonic::Status;

/// Ticks of a millisecond.
const TICKS: i64 = 10_000;
/// Longest wait for an answer or a checkpoint, milliseconds.
const LONGEST: i64 = 24 * 3_600_000;
/// Largest buffer, messages.
const BUFFER: i32 = 10_000;

/// What both requests say.
pub(crate) struct Wire {
    resolve_links: bool,
    extra_statistics: bool,
    max_retry_count: i32,
    message_timeout: i64,
    checkpoint_after: i64,
    min_checkpoint_count: i32,
    max_checkpoint_count: i32,
    max_subscriber_count: i32,
    live_buffer_size: i32,
    read_batch_size: i32,
    history_buffer_size: i32,
    strategy: String,
}

impl Wire {
    /// As events keep it.
    pub(crate) fn settings(self, filter: Option<Filter>) -> Result<Settings, Status> {
        let count = |name: &str, count: i32| {
            u32::try_from(count).map_err(|_| status::invalid(format!("{name} is negative")))
        };
        let wait = |name: &str, millis: i64| {
            let millis = Some(millis).filter(|millis| (0..=LONGEST).contains(millis));
            millis
                .and_then(|millis| u32::try_from(millis).ok())
                .ok_or_else(|| status::invalid(format!("{name} is from 0 to {LONGEST} ms")))
        };
        let buffer = |name: &str, size: i32| match size {
            1..=BUFFER => Ok(size.unsigned_abs()),
            _ => Err(status::invalid(format!("{name} is from 1 to {BUFFER}"))),
        };
        let strategy = Strategy::named(&self.strategy).ok_or_else(|| {
            status::invalid(format!("there is no consumer strategy {:.80}", self.strategy))
        })?;
        if self.min_checkpoint_count > self.max_checkpoint_count {
            return Err(status::invalid("min_checkpoint_count is above max_checkpoint_count"));
        }
        Ok(Settings {
            resolve_links: self.resolve_links,
            extra_statistics: self.extra_statistics,
            max_retries: count("max_retry_count", self.max_retry_count)?,
            message_timeout: wait("message_timeout", self.message_timeout)?,
            checkpoint_after: wait("checkpoint_after", self.checkpoint_after)?,
            min_checkpoint: count("min_checkpoint_count", self.min_checkpoint_count)?,
            max_checkpoint: count("max_checkpoint_count", self.max_checkpoint_count)?,
            max_consumers: count("max_subscriber_count", self.max_subscriber_count)?,
            live_buffer: buffer("live_buffer_size", self.live_buffer_size)?,
            read_batch: buffer("read_batch_size", self.read_batch_size)?,
            history_buffer: buffer("history_buffer_size", self.history_buffer_size)?,
            strategy,
            filter,
        })
    }
}

fn numbered(number: i32) -> String {
    let strategy = match number {
        0 => Strategy::DispatchToSingle,
        2 => Strategy::Pinned,
        _ => Strategy::RoundRobin,
    };
    strategy.name().to_owned()
}

/// The messages that create and that change a group have the same fields, except for how they name the strategy.
macro_rules! wire {
    ($request:ident, $strategy:expr) => {
        impl From<$request::Settings> for Wire {
            fn from(wire: $request::Settings) -> Self {
                use $request::settings::{CheckpointAfter, MessageTimeout};
                let strategy: fn(&$request::Settings) -> String = $strategy;
                Self {
                    strategy: strategy(&wire),
                    resolve_links: wire.resolve_links,
                    extra_statistics: wire.extra_statistics,
                    max_retry_count: wire.max_retry_count,
                    message_timeout: match wire.message_timeout {
                        Some(MessageTimeout::MessageTimeoutTicks(ticks)) => ticks / TICKS,
                        Some(MessageTimeout::MessageTimeoutMs(millis)) => millis.into(),
                        None => 0,
                    },
                    checkpoint_after: match wire.checkpoint_after {
                        Some(CheckpointAfter::CheckpointAfterTicks(ticks)) => ticks / TICKS,
                        Some(CheckpointAfter::CheckpointAfterMs(millis)) => millis.into(),
                        None => 0,
                    },
                    min_checkpoint_count: wire.min_checkpoint_count,
                    max_checkpoint_count: wire.max_checkpoint_count,
                    max_subscriber_count: wire.max_subscriber_count,
                    live_buffer_size: wire.live_buffer_size,
                    read_batch_size: wire.read_batch_size,
                    history_buffer_size: wire.history_buffer_size,
                }
            }
        }
    };
}

wire!(create_req, |wire| {
    #[expect(deprecated, reason = "older clients send the number only")]
    let number = wire.named_consumer_strategy;
    match wire.consumer_strategy.as_str() {
        "" => numbered(number),
        name => name.to_owned(),
    }
});
wire!(update_req, |wire| numbered(wire.named_consumer_strategy));

/// The filter in these options, as events keep it; `None` when everything passes.
pub(crate) fn filter(
    wire: create_req::all_options::FilterOptions,
) -> Result<Option<Filter>, Status> {
    use create_req::all_options::filter_options::Filter as Wire;
    let (on_type, expression) = match wire.filter {
        Some(Wire::EventType(expression)) => (true, expression),
        Some(Wire::StreamIdentifier(expression)) => (false, expression),
        None => return Ok(None),
    };
    let filter = Filter { on_type, regex: expression.regex, prefixes: expression.prefix };
    // What cannot be understood is refused now.
    understood(&filter)?;
    Ok(Some(filter))
}

/// The filter of the events, ready for use.
pub(crate) fn understood(stored: &Filter) -> Result<Option<filter::Filter>, Status> {
    let Filter { on_type, regex, prefixes } = stored.clone();
    let expression = filter_options::Expression { regex, prefix: prefixes };
    let filter = Some(match on_type {
        true => filter_options::Filter::EventType(expression),
        false => filter_options::Filter::StreamIdentifier(expression),
    });
    filter::Filter::of(FilterOptions { filter, window: None, checkpoint_interval_multiplier: 1 })
}
