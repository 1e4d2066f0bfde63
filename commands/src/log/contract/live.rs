//! Subscriptions and followers.

use super::{
    Backend, append, event, exact, opened, positions, revisions, some, soon, stream, take,
};
use crate::log::{Append, Delivery, EventLog, Filter};
use domain::{Expected, Position, Revision, StreamId};
use futures::{StreamExt, future::join_all, stream::BoxStream};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Writers of the load under which readers join.
const WRITERS: u64 = 8;
/// Appends of each of them.
const APPENDS: u64 = 400;
/// Readers that join, one after the other, while the load runs.
const READERS: u64 = 20;

/// Appends one event after the other to each of the streams.
fn load(log: &Arc<dyn EventLog>, streams: &[StreamId]) -> Vec<JoinHandle<()>> {
    let writer = |stream: &StreamId| {
        let (log, stream) = (log.clone(), stream.clone());
        tokio::spawn(async move {
            for k in 0..APPENDS {
                let expected = if k == 0 { Expected::NoStream } else { exact(k - 1) };
                log.append(some(&stream, expected, 1)).await.unwrap();
            }
        })
    };
    streams.iter().map(writer).collect()
}

/// A subscription, and how far it is.
struct Subscriber {
    deliveries: BoxStream<'static, Delivery>,
    /// Where the log ended before the law: positions count from here.
    begin: Position,
    at: Position,
}

impl Subscriber {
    /// Of what comes after this many events since the log ended at `begin`.
    fn new(log: &dyn EventLog, begin: Position, after: u64, filter: Filter) -> Self {
        let at = Position(begin.0 + after);
        Self { deliveries: log.subscribe(at, filter), begin, at }
    }

    /// Positions delivered until the subscription has come to `end`.
    async fn take_to(&mut self, end: u64) -> Vec<u64> {
        let mut seen = vec![];
        while self.at.0 < self.begin.0 + end {
            let delivery = soon(self.deliveries.next()).await.expect("the subscription has ended");
            assert!(delivery.position > self.at);
            assert!(delivery.events.iter().all(|event| event.position <= delivery.position));
            self.at = delivery.position;
            seen.extend(positions(&delivery.events, self.begin));
        }
        seen
    }
}

/// Subscribers join at all times of a load, from the beginning and from the head.
pub async fn a_subscription_joins_live_without_a_seam(backend: &dyn Backend) {
    let (log, begin) = opened(backend).await;
    append(&*log, &stream("thing"), 500).await;
    let end = 500 + WRITERS * APPENDS;
    let streams: Vec<_> = (0..WRITERS).map(|_| stream("load")).collect();
    let mut tasks = load(&log, &streams);
    let mut pace = Subscriber::new(&*log, begin, 0, Filter::all());
    for n in 0..READERS {
        let head = pace.take_to(n * end / READERS + 1).await.last().copied().unwrap_or(0);
        let after = if n % 2 == 0 { 0 } else { head };
        let mut subscription = Subscriber::new(&*log, begin, after, Filter::all());
        tasks.push(tokio::spawn(async move {
            let seen = subscription.take_to(end).await;
            assert_eq!(seen, (after + 1..=end).collect::<Vec<_>>());
        }));
    }
    for done in soon(join_all(tasks)).await {
        done.unwrap();
    }
}

/// Two nodes write; a subscriber of each sees everything in one order.
pub async fn a_subscription_sees_other_nodes(backend: &dyn Backend) {
    let (first, begin) = opened(backend).await;
    let nodes = [first, backend.open().await];
    let mut subscriptions =
        nodes.each_ref().map(|log| Subscriber::new(&**log, begin, 0, Filter::all()));
    let mut tasks = vec![];
    for log in &nodes {
        let streams: Vec<_> = (0..2).map(|_| stream("load")).collect();
        tasks.extend(load(log, &streams));
    }
    for subscription in &mut subscriptions {
        let seen = subscription.take_to(4 * APPENDS).await;
        assert_eq!(seen, (1..=4 * APPENDS).collect::<Vec<_>>());
    }
    for done in soon(join_all(tasks)).await {
        done.unwrap();
    }
}

/// Nothing passes, and yet the subscriber learns how far the log has been looked at.
pub async fn a_filtered_subscription_tells_how_far_it_is(backend: &dyn Backend) {
    let (log, begin) = opened(backend).await;
    let all = stream("thing");
    append(&*log, &all, 10).await;
    let filter = Filter::categories(&["rare"]).kinds(&["Seen"]);
    let mut rare = Subscriber::new(&*log, begin, 0, filter);
    assert_eq!(rare.take_to(10).await, Vec::<u64>::new());
    append(&*log, &all, 1).await;
    let events = vec![event("Hidden", "{}"), event("Seen", "{}")];
    let stream = stream("rare");
    log.append(Append { stream, expected: Expected::NoStream, events }).await.unwrap();
    append(&*log, &all, 1).await;
    assert_eq!(rare.take_to(14).await, vec![13]);
}

/// Followers join at all times of a load, on the node that writes and on another.
pub async fn a_follower_joins_live_without_a_seam(backend: &dyn Backend) {
    let (first, begin) = opened(backend).await;
    let nodes = [first, backend.open().await];
    let streams: Vec<_> = (0..WRITERS).map(|_| stream("load")).collect();
    let mut tasks = load(&nodes[0], &streams);
    let mut pace = Subscriber::new(&*nodes[0], begin, 0, Filter::all());
    for n in 0..READERS {
        let at = pace.take_to(n * WRITERS * APPENDS / READERS + 1).await;
        let from = if n % 4 == 0 { 0 } else { at.last().map_or(0, |at| at / WRITERS) };
        let followed = streams[n as usize % streams.len()].clone();
        let mut following = nodes[n as usize % 2].follow(followed.clone(), Revision(from));
        tasks.push(tokio::spawn(async move {
            let seen = take(&mut following, (APPENDS - from) as usize).await;
            assert_eq!(revisions(&seen), (from..APPENDS).collect::<Vec<_>>());
            assert!(seen.iter().all(|event| event.stream == followed));
        }));
    }
    for done in soon(join_all(tasks)).await {
        done.unwrap();
    }
}

/// Three hundred followers, each of a stream of its own, some of streams that do not exist yet.
pub async fn followers_see_only_their_stream(backend: &dyn Backend) {
    let log = backend.open().await;
    let streams: Vec<_> = (0..300).map(|_| stream("thing")).collect();
    for stream in streams.iter().step_by(3) {
        append(&*log, stream, 2).await;
    }
    let follow = |(n, stream): (usize, &StreamId)| {
        let (stream, begun) = (stream.clone(), n % 3 == 0);
        let mut following = log.follow(stream.clone(), Revision(0));
        tokio::spawn(async move {
            let seen = take(&mut following, if begun { 5 } else { 3 }).await;
            assert_eq!(revisions(&seen), (0..seen.len() as u64).collect::<Vec<_>>());
            assert!(seen.iter().all(|event| event.stream == stream));
        })
    };
    let followers: Vec<_> = streams.iter().enumerate().map(follow).collect();
    for _ in 0..3 {
        soon(join_all(streams.iter().map(|stream| append(&*log, stream, 1)))).await;
    }
    for done in soon(join_all(followers)).await {
        done.unwrap();
    }
}

/// A subscriber and a follower that read nothing for a long time cost the writers nothing and miss nothing.
pub async fn a_slow_subscriber_holds_up_nobody(backend: &dyn Backend) {
    let (log, begin) = opened(backend).await;
    let stream = stream("thing");
    append(&*log, &stream, 1).await;
    let mut slow = Subscriber::new(&*log, begin, 0, Filter::all());
    let mut slow_follower = log.follow(stream.clone(), Revision(0));
    // Both are live, and then asleep.
    slow.take_to(1).await;
    take(&mut slow_follower, 1).await;
    let text = format!("\"{}\"", "x".repeat(64 << 10));
    let mut quick = Subscriber::new(&*log, begin, 1, Filter::all());
    for _ in 0..56 {
        let events = (0..10).map(|_| event("Happened", &text)).collect();
        let append = Append { stream: stream.clone(), expected: Expected::Any, events };
        soon(log.append(append)).await.unwrap();
    }
    assert_eq!(quick.take_to(561).await.len(), 560);
    assert_eq!(slow.take_to(561).await, (2..=561).collect::<Vec<_>>());
    let seen = take(&mut slow_follower, 560).await;
    assert_eq!(revisions(&seen), (1..=560).collect::<Vec<_>>());
}
