//! What no backend takes.

use super::{Append, AppendError, LARGEST_EVENT};
use std::collections::HashSet;

/// Events of one append.
const EVENTS: usize = 10_000;
/// Payload and metadata of one append, bytes.
const APPEND_BYTES: usize = 64 << 20;
/// Name of an event type, bytes.
const KIND_BYTES: usize = 256;

/// Refuses what can never be written.
pub(super) fn check(append: &Append) -> Result<(), AppendError> {
    let events = &append.events;
    if events.is_empty() {
        return Err(AppendError::Invalid("it holds no event"));
    }
    if events.len() > EVENTS {
        return Err(AppendError::Invalid("more than 10,000 events at once"));
    }
    let mut total = 0;
    for event in events {
        if event.kind.is_empty() || event.kind.len() > KIND_BYTES || event.kind.contains('\0') {
            return Err(AppendError::Invalid("an event type is empty, too long or holds NUL"));
        }
        let bytes = event.data.get().len() + event.metadata.get().len();
        if bytes > LARGEST_EVENT {
            return Err(AppendError::TooLarge { limit: LARGEST_EVENT });
        }
        total += bytes;
    }
    if total > APPEND_BYTES {
        return Err(AppendError::Invalid("more than 64 MiB at once"));
    }
    let mut ids = HashSet::with_capacity(if events.len() > 1 { events.len() } else { 0 });
    if events.len() > 1 && !events.iter().all(|event| ids.insert(event.id)) {
        return Err(AppendError::Invalid("an event id occurs twice"));
    }
    Ok(())
}
