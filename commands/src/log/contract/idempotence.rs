//! The same event ids again.

use super::{Backend, append, event, exact, opened, some, soon, stream};
use crate::log::{Append, AppendError, Direction};
use domain::{Expected, Revision};
use futures::future::join_all;

/// Whatever the expected revision, however far the stream has moved on, through whichever door.
pub async fn the_same_append_again_answers_as_the_first_time(backend: &dyn Backend) {
    let (log, other) = (backend.open().await, backend.open().await);
    let stream = stream("thing");
    append(&*log, &stream, 2).await;
    let first = some(&stream, exact(1), 3);
    let answer = log.append(first.clone()).await.unwrap();
    assert_eq!(answer.revision, Revision(4));
    append(&*log, &stream, 7).await;
    for expected in [exact(1), exact(11), exact(99), Expected::Any, Expected::NoStream] {
        for log in [&log, &other] {
            let again = Append { expected, ..first.clone() };
            assert_eq!(log.append(again).await.unwrap(), answer, "{expected:?}");
        }
    }
    // A part of it, in its order, was made too.
    let part = Append { events: first.events[..2].to_vec(), ..first.clone() };
    assert_eq!(other.append(part).await.unwrap().revision, Revision(3));
    let all = log.read(&stream, Revision(0), Direction::Forward, 100).await.unwrap();
    assert_eq!(all.len(), 12);
}

/// Known and unknown ids together, known ids in another order, known ids elsewhere.
pub async fn half_known_appends_are_refused(backend: &dyn Backend) {
    let ((log, begin), other) = (opened(backend).await, backend.open().await);
    let (here, there) = (stream("thing"), stream("thing"));
    let first = some(&here, Expected::NoStream, 3);
    log.append(first.clone()).await.unwrap();
    let [a, b, c] = [0, 1, 2].map(|n| first.events[n].clone());
    let new = || event("Happened", "{}");
    for (stream, events) in [
        (&here, vec![a.clone(), b.clone(), c.clone(), new()]),
        (&here, vec![new(), a.clone()]),
        (&here, vec![b.clone(), a.clone()]),
        (&here, vec![a.clone(), c.clone()]),
        (&there, vec![a.clone(), b.clone(), c.clone()]),
        (&there, vec![new(), c]),
    ] {
        for expected in [Expected::Any, Expected::NoStream, exact(2)] {
            for log in [&log, &other] {
                let append = Append { stream: stream.clone(), expected, events: events.clone() };
                let answer = log.append(append).await;
                assert!(matches!(answer, Err(AppendError::IdTaken)), "{expected:?}: {answer:?}");
            }
        }
    }
    assert_eq!(log.head().await.unwrap().0, begin.0 + 3);
}

/// The same append from twenty tasks at once, among others.
pub async fn equal_appends_in_flight_are_written_once(backend: &dyn Backend) {
    let (log, other) = (backend.open().await, backend.open().await);
    for expected in [Expected::Any, Expected::NoStream] {
        let stream = stream("thing");
        let same = some(&stream, expected, 2);
        let appends = (0..20).map(|n| {
            let log = if n % 2 == 0 { &log } else { &other };
            let (same, neighbour) = (same.clone(), super::stream("neighbour"));
            async move {
                append(&**log, &neighbour, 1).await;
                log.append(same).await.unwrap()
            }
        });
        let answers = soon(join_all(appends)).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        let all = log.read(&stream, Revision(0), Direction::Forward, 100).await.unwrap();
        assert_eq!(all.len(), 2);
    }
}
