//! Pages of streams and of the whole log.

use super::{Backend, append, event, opened, positions, revisions, stream};
use crate::log::{Append, Direction, Filter};
use domain::{Expected, Position, Revision};

/// Forward and backward, from the ends, the middle and beyond.
pub async fn streams_read_both_ways(backend: &dyn Backend) {
    use Direction::{Backward, Forward};
    let log = backend.open().await;
    let stream = stream("thing");
    for _ in 0..10 {
        append(&*log, &stream, 1).await;
        append(&*log, &super::stream("other"), 1).await;
    }
    for (from, direction, limit, expected) in [
        (0, Forward, 100, vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (0, Forward, 3, vec![0, 1, 2]),
        (4, Forward, 2, vec![4, 5]),
        (9, Forward, 5, vec![9]),
        (10, Forward, 5, vec![]),
        (u64::MAX, Forward, 5, vec![]),
        (0, Forward, 0, vec![]),
        (u64::MAX, Backward, 3, vec![9, 8, 7]),
        (9, Backward, 100, vec![9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (4, Backward, 2, vec![4, 3]),
        (0, Backward, 5, vec![0]),
    ] {
        let read = log.read(&stream, Revision(from), direction, limit).await.unwrap();
        assert_eq!(revisions(&read), expected, "{direction:?} from {from}");
        let some = log.read_some(&stream, Revision(from), direction, limit).await.unwrap();
        assert_eq!(revisions(&some), expected, "{direction:?} from {from}: they weigh little");
    }
    let unknown = log.read(&super::stream("thing"), Revision(0), Forward, 10).await.unwrap();
    assert!(unknown.is_empty());
}

/// Page by page, each beginning where the one before ended.
pub async fn the_whole_log_reads_in_pages(backend: &dyn Backend) {
    let (log, begin) = opened(backend).await;
    let empty = log.read_all(begin, 10, &Filter::all()).await.unwrap();
    assert_eq!((empty.events.len(), empty.scanned), (0, begin));
    for _ in 0..25 {
        append(&*log, &stream("thing"), 1).await;
    }
    let (mut seen, mut after) = (vec![], begin);
    loop {
        let page = log.read_all(after, 10, &Filter::all()).await.unwrap();
        if page.events.is_empty() {
            assert_eq!(page.scanned, after);
            break;
        }
        seen.extend(positions(&page.events, begin));
        after = page.scanned;
    }
    assert_eq!(seen, (1..=25).collect::<Vec<_>>());
    assert_eq!(log.head().await.unwrap(), after);
    let far = Position(after.0 + 1_000);
    let beyond = log.read_all(far, 10, &Filter::all()).await.unwrap();
    assert_eq!((beyond.events.len(), beyond.scanned), (0, far));
}

/// A page looks at no more than its limit, and says how far it has looked.
pub async fn filters_move_on_over_what_they_hide(backend: &dyn Backend) {
    let (log, begin) = opened(backend).await;
    for n in 0..30 {
        let (category, kind) = if n % 10 == 9 { ("rare", "Seen") } else { ("common", "Hidden") };
        let events = vec![event(kind, "{}"), event("Ended", "{}")];
        let stream = stream(category);
        log.append(Append { stream, expected: Expected::Any, events }).await.unwrap();
    }
    for (filter, expected) in [
        (Filter::categories(&["rare"]), vec![19, 20, 39, 40, 59, 60]),
        (Filter::categories(&["rare", "common"]).kinds(&["Seen"]), vec![19, 39, 59]),
        (Filter::all().kinds(&["Seen", "Nothing"]), vec![19, 39, 59]),
        (Filter::categories(&["common"]).kinds(&["Seen"]), vec![]),
        (Filter::categories(&["rar"]), vec![]),
    ] {
        let (mut seen, mut after, mut pages) = (vec![], begin, 0);
        while after.0 < begin.0 + 60 {
            let page = log.read_all(after, 7, &filter).await.unwrap();
            assert!(page.scanned > after && page.scanned.0 <= after.0 + 7, "{page:?}");
            seen.extend(positions(&page.events, begin));
            after = page.scanned;
            pages += 1;
        }
        assert_eq!((seen, pages), (expected, 9), "{filter:?}");
        let end = log.read_all(after, 7, &filter).await.unwrap();
        assert_eq!((end.events.len(), end.scanned), (0, after));
    }
}
