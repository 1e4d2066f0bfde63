//! Many writers at once.

use super::{Backend, append, event, exact, opened, positions, revisions, some, soon, stream};
use crate::log::{Append, AppendError, Direction, EventLog, Filter};
use domain::{Expected, Position, Revision, StreamId};
use futures::future::join_all;
use std::{collections::HashMap, sync::Arc};

/// A hundred appends at once, every tenth of which cannot succeed.
pub async fn one_conflict_leaves_its_neighbours_alone(backend: &dyn Backend) {
    let (log, begin) = opened(backend).await;
    let used = event("Happened", "{}");
    let elsewhere = stream("thing");
    let first = Append { stream: elsewhere, expected: Expected::Any, events: vec![used.clone()] };
    log.append(first).await.unwrap();
    let appends = (0..100).map(|n| {
        let (log, stream, used) = (&log, stream("thing"), used.clone());
        async move {
            match n % 20 {
                9 => {
                    let answer = log.append(some(&stream, exact(7), 1)).await;
                    assert!(matches!(answer, Err(AppendError::WrongRevision { .. })), "{answer:?}");
                }
                19 => {
                    let events = vec![used];
                    let answer = log.append(Append { stream, expected: Expected::Any, events });
                    assert!(matches!(answer.await, Err(AppendError::IdTaken)));
                }
                _ => {
                    let answer = log.append(some(&stream, Expected::NoStream, 2)).await.unwrap();
                    assert_eq!(answer.revision, Revision(1));
                }
            }
        }
    });
    soon(join_all(appends)).await;
    assert_eq!(log.head().await.unwrap(), Position(begin.0 + 1 + 90 * 2));
}

/// Sixteen writers take turns on one stream, each with the revision it last saw.
pub async fn many_writers_share_a_stream(backend: &dyn Backend) {
    let log = backend.open().await;
    let stream = stream("thing");
    let writers = (0..16).map(|_| tokio::spawn(take_turns(log.clone(), stream.clone(), 20)));
    for answer in soon(join_all(writers)).await {
        answer.unwrap();
    }
    let all = log.read(&stream, Revision(0), Direction::Forward, 1_000).await.unwrap();
    assert_eq!(revisions(&all), (0..320).collect::<Vec<_>>());
}

/// Two nodes, writers on streams of their own and on shared ones, with and without expectations.
pub async fn two_nodes_share_a_log(backend: &dyn Backend) {
    let (first, begin) = opened(backend).await;
    let nodes = [first, backend.open().await];
    let (shared, contested) = (stream("thing"), stream("thing"));
    let mut writers = vec![];
    for n in 0..16 {
        let log = nodes[n % 2].clone();
        let (shared, contested) = (shared.clone(), contested.clone());
        writers.push(tokio::spawn(async move {
            let own = stream("thing");
            for k in 0..30 {
                let expected = if k == 0 { Expected::NoStream } else { exact(k - 1) };
                log.append(some(&own, expected, 1)).await.unwrap();
                append(&*log, &shared, 2).await;
            }
            take_turns(log, contested, 10).await;
        }));
    }
    for answer in soon(join_all(writers)).await {
        answer.unwrap();
    }
    let events = 16 * (30 + 60 + 10);
    for node in &nodes {
        assert_eq!(node.head().await.unwrap(), Position(begin.0 + events));
        let page = node.read_all(begin, 10_000, &Filter::all()).await.unwrap();
        assert_eq!(positions(&page.events, begin), (1..=events).collect::<Vec<_>>());
        let mut next: HashMap<&StreamId, u64> = HashMap::new();
        for event in &page.events {
            let next = next.entry(&event.stream).or_default();
            assert_eq!(event.revision.0, *next);
            *next += 1;
        }
        assert_eq!((next[&shared], next[&contested]), (960, 160));
    }
}

/// Appends `times` events, beginning anew whenever somebody was faster.
async fn take_turns(log: Arc<dyn EventLog>, stream: StreamId, times: usize) {
    let mut last = None;
    for _ in 0..times {
        loop {
            let expected = last.map_or(Expected::NoStream, Expected::Exact);
            match log.append(some(&stream, expected, 1)).await {
                Ok(appended) => {
                    last = Some(appended.revision);
                    break;
                }
                Err(AppendError::WrongRevision { actual, .. }) => last = actual,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
