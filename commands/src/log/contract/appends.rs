//! What an append checks and keeps.

use super::{Backend, append, event, exact, opened, positions, revisions, some, stream};
use crate::log::{Append, AppendError, Direction, EventLog, Filter};
use chrono::Utc;
use domain::{Expected, Revision, StreamId};

async fn length(log: &dyn EventLog, stream: &StreamId) -> usize {
    log.read(stream, Revision(0), Direction::Forward, 1_000).await.unwrap().len()
}

/// `Any`, `NoStream` and `Exact`, each against an empty stream, a fitting one and another.
pub async fn every_expected_revision_meets_every_state(backend: &dyn Backend) {
    let log = backend.open().await;
    for (expected, length_before, fits) in [
        (Expected::Any, 0, true),
        (Expected::Any, 1, true),
        (Expected::Any, 3, true),
        (Expected::NoStream, 0, true),
        (Expected::NoStream, 1, false),
        (Expected::NoStream, 3, false),
        (exact(0), 0, false),
        (exact(0), 1, true),
        (exact(0), 3, false),
        (exact(2), 1, false),
        (exact(2), 3, true),
        (exact(u64::MAX), 3, false),
    ] {
        let stream = stream("thing");
        if length_before > 0 {
            append(&*log, &stream, length_before).await;
        }
        let answer = log.append(some(&stream, expected, 2)).await;
        if fits {
            let last = answer.unwrap().revision.0;
            assert_eq!(last, length_before as u64 + 1, "{expected:?} on {length_before}");
        } else {
            match answer {
                Err(AppendError::WrongRevision { stream: named, actual }) => {
                    assert_eq!(named, stream);
                    assert_eq!(actual, (length_before as u64).checked_sub(1).map(Revision));
                }
                other => panic!("{expected:?} on {length_before} events: {other:?}"),
            }
        }
    }
}

/// Neither an event nor a position is used up.
pub async fn a_refused_append_writes_nothing(backend: &dyn Backend) {
    let log = backend.open().await;
    let stream = stream("thing");
    let before = append(&*log, &stream, 1).await;
    for _ in 0..3 {
        log.append(some(&stream, Expected::NoStream, 5)).await.unwrap_err();
    }
    let after = append(&*log, &stream, 1).await;
    assert_eq!(after.position.0, before.position.0 + 1);
    assert_eq!(length(&*log, &stream).await, 2);
    assert_eq!(log.head().await.unwrap(), after.position);
}

/// Without events, with an id twice, with types that are no names, too large.
pub async fn impossible_appends_are_refused(backend: &dyn Backend) {
    let (log, begin) = opened(backend).await;
    let stream = stream("thing");
    let twice = event("Happened", "{}");
    for events in [
        vec![],
        vec![twice.clone(), twice],
        vec![event("", "{}")],
        vec![event("a\0b", "{}")],
        vec![event(&"x".repeat(257), "{}")],
    ] {
        let append = Append { stream: stream.clone(), expected: Expected::Any, events };
        let answer = log.append(append).await;
        assert!(matches!(answer, Err(AppendError::Invalid(_))), "{answer:?}");
    }
    let events = vec![event("Happened", &format!("\"{}\"", "x".repeat(16 << 20)))];
    let answer = log.append(Append { stream, expected: Expected::Any, events }).await;
    assert!(matches!(answer, Err(AppendError::TooLarge { .. })), "{answer:?}");
    assert_eq!(log.head().await.unwrap(), begin);
}

/// Spaces, order of keys, duplicates, escapes and numbers stay as they were written.
pub async fn payloads_come_back_byte_for_byte(backend: &dyn Backend) {
    let log = backend.open().await;
    let texts = [
        "{}",
        "null",
        r#"{ "b" : 1 , "a" : [ ] , "b" : 2 }"#,
        r#"{"nul":"\u0000","lone":"\ud800","pair":"\ud83d\ude00","slash":"\/"}"#,
        r#"{"text":"Zoë 你好 🦀 \"quoted\" \\ \n end"}"#,
        "{\"line\u{2028}separator\":\"\u{feff}\u{10ffff}\u{7f}\"}",
        r#"{"big":123456789012345678901234567890.000100e-999}"#,
        " \n\t[1,2]\r\n ",
    ];
    let stream: StreamId = "thing-Ünï cødé/🦀 {},\"\\'".parse().unwrap();
    let mut events: Vec<_> = texts.iter().map(|text| event("Größe", text)).collect();
    events[1].metadata = events[3].data.clone();
    let sent = events.clone();
    let expected = Expected::NoStream;
    log.append(Append { stream: stream.clone(), expected, events }).await.unwrap();
    // Through another door, so that it has been to the store and back.
    let read = backend.open().await.read(&stream, Revision(0), Direction::Forward, 100).await;
    for (read, sent) in read.unwrap().iter().zip(&sent) {
        assert_eq!(read.data.get(), sent.data.get());
        assert_eq!(read.metadata.get(), sent.metadata.get());
        assert_eq!((&read.stream, &read.kind, read.id), (&stream, &sent.kind, sent.id));
    }
    assert_eq!(length(&*log, &stream).await, texts.len());
}

/// One event of 1 MiB, and ten of them at once.
pub async fn a_megabyte_fits(backend: &dyn Backend) {
    let (log, begin) = opened(backend).await;
    let stream = stream("thing");
    let text = format!(r#"{{"text":"{}"}}"#, "0123456789abcdef".repeat(1 << 16));
    for (count, last) in [(1, 0), (10, 10)] {
        let events = (0..count).map(|_| event("Happened", &text)).collect();
        let append = Append { stream: stream.clone(), expected: Expected::Any, events };
        assert_eq!(log.append(append).await.unwrap().revision, Revision(last));
    }
    let page = backend.open().await.read_all(begin, 100, &Filter::all()).await.unwrap();
    assert_eq!(page.events.iter().filter(|event| event.data.get() == text).count(), 11);
    let read = log.read(&stream, Revision(0), Direction::Forward, 100).await.unwrap();
    assert_eq!(revisions(&read), (0..=10).collect::<Vec<_>>());
}

/// Stream, revision, position and a time that does not run backwards.
pub async fn events_carry_where_and_when(backend: &dyn Backend) {
    let (log, end) = opened(backend).await;
    let begin = Utc::now() - chrono::TimeDelta::milliseconds(1);
    let (one, two) = (stream("thing"), stream("other"));
    for _ in 0..5 {
        append(&*log, &one, 2).await;
        append(&*log, &two, 1).await;
    }
    let page = log.read_all(end, 100, &Filter::all()).await.unwrap();
    assert_eq!(positions(&page.events, end), (1..=15).collect::<Vec<_>>());
    assert!(page.events.iter().all(|event| event.recorded_at >= begin));
    assert!(page.events.is_sorted_by_key(|event| event.recorded_at));
    let of = |stream| page.events.iter().filter(|event| event.stream == stream).cloned().collect();
    let (ones, twos): (Vec<_>, Vec<_>) = (of(one), of(two));
    assert_eq!(revisions(&ones), (0..10).collect::<Vec<_>>());
    assert_eq!(revisions(&twos), (0..5).collect::<Vec<_>>());
}
