//! What a group at work does, second by second.

use super::{
    delivery::{Delivery, Message, Progress, Verdict},
    settings::{Settings, Strategy},
};
use std::collections::BTreeSet;
use uuid::Uuid;

const NOW: u64 = 10_000;

fn id(place: u64) -> Uuid {
    Uuid::from_u128(place.into())
}

fn message(place: u64) -> Message<()> {
    Message { id: id(place), place, pin: place, retries: 0, parked: None, event: () }
}

fn settings() -> Settings {
    Settings { max_retries: 2, min_checkpoint: 1, max_checkpoint: 100, ..Settings::default() }
}

/// A group at place 0 that one consumer (1) with this much room has joined, and that has these messages.
fn group(settings: Settings, room: usize, places: &[u64]) -> Delivery<()> {
    let mut group = Delivery::new(settings, 0, BTreeSet::new());
    assert!(group.join(1, room));
    take(&mut group, places);
    group
}

fn take(group: &mut Delivery<()>, places: &[u64]) {
    let last = places.last().copied().unwrap_or_default();
    group.take(places.iter().map(|&place| message(place)), last, NOW);
}

/// Who gets which place, and as which try.
fn sent(group: &mut Delivery<()>, now: u64) -> Vec<(u64, u64, u32)> {
    let sent = group.dispatch(now).into_iter();
    sent.map(|(consumer, message)| (consumer, message.place, message.retries)).collect()
}

fn up_to(place: u64) -> Option<Progress> {
    Some(Progress { place: Some(place), replayed: BTreeSet::new() })
}

#[test]
fn nobody_gets_more_than_they_have_room_for() {
    let mut group = group(settings(), 2, &[1, 2, 3]);
    assert_eq!(sent(&mut group, NOW), [(1, 1, 0), (1, 2, 0)]);
    assert!(sent(&mut group, NOW).is_empty());
    group.ack(id(1), NOW);
    assert_eq!(sent(&mut group, NOW), [(1, 3, 0)]);
}

#[test]
fn there_may_be_an_end_to_consumers() {
    let mut group = group(Settings { max_consumers: 2, ..settings() }, 1, &[]);
    assert!(group.join(2, 1));
    assert!(!group.join(3, 1));
    group.leave(1);
    assert!(group.join(3, 1));
}

#[test]
fn what_nobody_answers_comes_again_then_is_set_aside() {
    let mut group = group(settings(), 5, &[1, 2]);
    assert_eq!(sent(&mut group, NOW), [(1, 1, 0), (1, 2, 0)]);
    group.tick(NOW + 29_999);
    assert!(sent(&mut group, NOW + 29_999).is_empty());
    group.tick(NOW + 30_000);
    assert_eq!(sent(&mut group, NOW + 30_000), [(1, 1, 1), (1, 2, 1)]);
    group.tick(NOW + 60_000);
    assert_eq!(sent(&mut group, NOW + 60_000), [(1, 1, 2), (1, 2, 2)]);
    group.tick(NOW + 90_000);
    assert!(sent(&mut group, NOW + 90_000).is_empty());
    let asides = group.asides(NOW + 90_000);
    let told: Vec<_> = asides.iter().map(|(message, why)| (message.place, &**why)).collect();
    assert_eq!(told, [(1, "Reached retry count of 2"), (2, "Reached retry count of 2")]);
}

#[test]
fn without_a_timeout_it_is_waited_for() {
    let mut group = group(Settings { message_timeout: 0, ..settings() }, 5, &[1]);
    sent(&mut group, NOW);
    group.tick(u64::MAX);
    assert!(sent(&mut group, NOW).is_empty());
    assert_eq!(group.wake(), None);
}

#[test]
fn a_late_answer_counts_until_it_is_sent_again_and_then_too() {
    let mut group = group(settings(), 5, &[1, 2]);
    sent(&mut group, NOW);
    group.tick(NOW + 30_000);
    group.ack(id(1), NOW + 30_001);
    assert_eq!(sent(&mut group, NOW + 30_002), [(1, 2, 1)]);
    group.ack(id(2), NOW + 30_003);
    assert_eq!(group.rest(), up_to(2));
}

#[test]
fn retries_come_before_what_is_new() {
    let mut group = group(settings(), 1, &[1, 2]);
    sent(&mut group, NOW);
    group.nack(1, id(1), Verdict::Retry, "", NOW);
    assert_eq!(sent(&mut group, NOW), [(1, 1, 1)]);
    group.nack(1, id(1), Verdict::Skip, "", NOW);
    assert_eq!(sent(&mut group, NOW), [(1, 2, 0)]);
    assert_eq!(group.rest(), up_to(1));
}

#[test]
fn who_leaves_leaves_their_messages_to_others_untried() {
    let mut group = group(settings(), 2, &[1, 2, 3]);
    sent(&mut group, NOW);
    assert!(group.join(2, 5));
    group.leave(1);
    assert_eq!(sent(&mut group, NOW), [(2, 1, 0), (2, 2, 0), (2, 3, 0)]);
    group.nack(1, id(1), Verdict::Skip, "", NOW);
    assert_eq!(group.rest(), None);
}

#[test]
fn a_message_is_settled_when_it_is_known_to_be_set_aside() {
    let mut group = group(settings(), 5, &[1]);
    sent(&mut group, NOW);
    group.nack(1, id(1), Verdict::Park, "no", NOW);
    assert_eq!(group.asides(NOW), [(message(1), "no".to_owned())]);
    assert!(group.asides(NOW + 5_000).is_empty());
    assert_eq!(group.rest(), None);
    group.aside(id(1), false, NOW);
    assert_eq!(group.wake(), Some(NOW + 1_000));
    assert!(group.asides(NOW + 999).is_empty());
    assert_eq!(group.asides(NOW + 1_000).len(), 1);
    group.aside(id(1), true, NOW);
    assert_eq!(group.rest(), up_to(1));
}

#[test]
fn a_checkpoint_is_below_everything_that_is_open() {
    let mut group = group(settings(), 5, &[2, 4, 9]);
    sent(&mut group, NOW);
    group.ack(id(4), NOW);
    assert_eq!(group.progress(NOW + 2_000), up_to(1));
    group.recorded(Progress { place: Some(1), replayed: BTreeSet::new() }, true, NOW);
    group.ack(id(2), NOW + 2_000);
    assert_eq!(group.progress(NOW + 3_999), None);
    assert_eq!(group.progress(NOW + 4_000), up_to(8));
    group.ack(id(9), NOW + 4_000);
    assert_eq!(group.rest(), up_to(9));
}

#[test]
fn checkpoints_are_neither_too_many_nor_too_few() {
    let few = Settings { min_checkpoint: 2, max_checkpoint: 3, ..settings() };
    let mut group = group(few, 9, &[1, 2, 3, 4, 5]);
    sent(&mut group, NOW);
    group.ack(id(1), NOW);
    assert_eq!(group.progress(NOW + 2_000), None);
    group.ack(id(2), NOW + 2_000);
    assert_eq!(group.progress(NOW + 3_999), None);
    assert_eq!(group.progress(NOW + 4_000), up_to(2));
    group.recorded(Progress { place: Some(2), replayed: BTreeSet::new() }, true, NOW);
    (3..=5).for_each(|place| group.ack(id(place), NOW + 4_001));
    assert_eq!(group.progress(NOW + 4_001), up_to(5));
    assert_eq!(group.progress(NOW + 4_001), None);
}

#[test]
fn what_could_not_be_recorded_is_tried_again_but_not_at_once() {
    let mut group = group(Settings { checkpoint_after: 1, ..settings() }, 9, &[1]);
    sent(&mut group, NOW);
    group.ack(id(1), NOW);
    let progress = group.progress(NOW + 1);
    assert_eq!(progress, up_to(1));
    progress.into_iter().for_each(|progress| group.recorded(progress, false, NOW + 1));
    assert_eq!(group.progress(NOW + 1_000), None);
    assert_eq!(group.progress(NOW + 1_001), up_to(1));
}

#[test]
fn a_long_way_without_messages_is_worth_a_checkpoint() {
    let mut group = group(settings(), 5, &[]);
    group.take([], 900, NOW);
    assert_eq!(group.progress(NOW + 2_000), None);
    group.take([], 1_100, NOW);
    assert_eq!(group.progress(NOW + 4_000), up_to(1_100));
}

#[test]
fn what_was_set_aside_is_delivered_again_and_settled_by_number() {
    let mut group = group(settings(), 5, &[7]);
    let again = Message { parked: Some(3), ..message(2) };
    group.replay([again]);
    assert_eq!(sent(&mut group, NOW), [(1, 2, 0), (1, 7, 0)]);
    group.ack(id(2), NOW);
    let progress = Progress { place: Some(6), replayed: BTreeSet::from([3]) };
    assert_eq!(group.progress(NOW + 2_000), Some(progress));
}

#[test]
fn what_is_set_aside_does_not_come_with_the_source() {
    let mut group = Delivery::new(settings(), 0, BTreeSet::from([1, 3]));
    group.join(1, 5);
    take(&mut group, &[1, 2, 3]);
    assert_eq!(sent(&mut group, NOW), [(1, 2, 0)]);
    group.ack(id(2), NOW);
    assert_eq!(group.rest(), up_to(3));
}

#[test]
fn pinned_messages_let_others_pass() {
    let mut group = group(Settings { strategy: Strategy::Pinned, ..settings() }, 1, &[]);
    assert!(group.join(2, 1));
    let with = |place, pin| Message { pin, ..message(place) };
    // As many pins as it takes to have some of both.
    group.take((1..=40).map(|place| with(place, place % 10)), 40, NOW);
    let first = group.dispatch(NOW);
    assert_eq!(first.len(), 2);
    assert!(first.iter().any(|(to, _)| *to == 1) && first.iter().any(|(to, _)| *to == 2));
    assert!(group.dispatch(NOW).is_empty());
}

#[test]
fn it_asks_for_more_as_long_as_there_is_room() {
    let mut group = group(Settings { history_buffer: 2, ..settings() }, 1, &[1]);
    assert!(group.wants_more());
    take(&mut group, &[2]);
    assert!(!group.wants_more());
    sent(&mut group, NOW);
    assert!(group.wants_more());
}
