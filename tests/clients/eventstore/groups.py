"""Persistent subscriptions of EventStoreDB's and KurrentDB's Python clients against annals: `groups.py esdbclient|kurrentdbclient`; see `run`."""

import json
import os
import subprocess
import uuid

from world import client, error, eventually, kill_and_start_again, package, refused, step

NotFound, AlreadyExists, Full = error("NotFound"), error("AlreadyExists"), error("MaximumSubscriptionsReached")
ANY = package.StreamState.ANY
SOON = {"checkpoint_after": 0.2, "min_checkpoint_count": 1, "max_checkpoint_count": 1, "message_timeout": 30}


def append(kinds: list) -> None:
    events = [package.NewEvent(type=kind, data=b'{"a": 1}') for kind in kinds]
    db.append_to_stream(stream, current_version=ANY, events=events)


def take(subscription, count: int) -> list:
    return [next(subscription) for _ in range(count)]


def kinds(events: list) -> list:
    return [event.type for event in events]


def info():
    return db.get_subscription_info(group, stream)


def read(buffer: int = 50):
    return db.read_subscription_to_stream(group, stream, event_buffer_size=buffer, max_ack_delay=0.05)


db = client(os.environ["OPERATOR"])
stream, group = f"group-{uuid.uuid4()}", f"workers-{uuid.uuid4()}"
append(["A", "B", "C", "D", "E", "F"])

step("create a group once")
refused(NotFound, info)
refused(NotFound, lambda: next(read()))
db.create_subscription_to_stream(group, stream, max_retry_count=2, max_subscriber_count=2, **SOON)
refused(AlreadyExists, lambda: db.create_subscription_to_stream(group, stream))
found = info()
assert (found.event_source, found.group_name, found.start_from) == (stream, group, "0"), found
assert (found.max_retry_count, found.max_subscriber_count, found.message_timeout) == (2, 2, 30.0), found
assert found.last_known_event_position == "5" and found.last_checkpointed_event_position == "", found

step("consume: acknowledge, retry, skip, park")
subscription = read()
first = take(subscription, 6)
assert kinds(first) == list("ABCDEF") and [e.retry_count for e in first] == [0] * 6, first
subscription.ack(first[0])
subscription.nack(first[1], "retry")
again = next(subscription)
assert (again.type, again.retry_count) == ("B", 1), again
subscription.ack(again)
subscription.nack(first[2], "skip")
subscription.nack(first[3], "park")
subscription.nack(first[4], "park")
eventually("two are parked", lambda: info().parked_message_count == 2)
eventually("five are settled", lambda: info().last_checkpointed_event_position == "4")

step("what comes is delivered, and what is tried too often is parked")
append(["G"])
live = next(subscription)
for retries in range(3):
    assert (live.type, live.retry_count) == ("G", retries), live
    subscription.nack(live, "retry")
    live = next(subscription) if retries < 2 else live
eventually("three are parked", lambda: info().parked_message_count == 3)

step("parked messages are readable as links")
parked = f"$persistentsubscription-{stream}::{group}-parked"
links = list(db.read_stream(parked))
assert [(e.type, e.stream_position, e.data.decode()) for e in links] == [
    ("$>", 0, f"3@{stream}"),
    ("$>", 1, f"4@{stream}"),
    ("$>", 2, f"6@{stream}"),
], links
assert json.loads(links[2].metadata)["reason"].startswith("Reached retry count of 2"), links[2].metadata
assert kinds(db.read_stream(parked, resolve_links=True)) == ["D", "E", "G"]
assert kinds(db.read_stream(parked, resolve_links=True, backwards=True, limit=1)) == ["G"]

step("parked messages are delivered again")
db.replay_parked_events(group, stream)
again = take(subscription, 3)
assert kinds(again) == ["D", "E", "G"], again
subscription.ack(again[0])
subscription.ack(again[1])
subscription.nack(again[2], "park")
eventually("one is parked anew", lambda: info().parked_message_count == 1)
assert kinds(db.read_stream(parked, resolve_links=True)) == ["G"]

step("there may be an end to consumers")
second = read()
refused(Full, lambda: next(read()))
second.stop()

step("the server is killed: what was not answered comes again, what was recorded does not")
append(["H", "I"])
assert kinds(take(subscription, 2)) == ["H", "I"]
subscription.ack(first[5])
eventually("six are settled", lambda: int(info().last_checkpointed_event_position) >= 5)
kill_and_start_again()
try:
    print("   still there", next(subscription))
    raise SystemExit("a killed server has answered")
except Exception as problem:  # noqa: BLE001 - the packages name it differently
    assert "Unavailable" in type(problem).__name__ or "Internal" in type(problem).__name__, repr(problem)
db.close()
db = client(os.environ["OPERATOR"])
assert info().parked_message_count == 1
subscription = read()
again = take(subscription, 2)
assert kinds(again) == ["H", "I"], again
for event in again:
    subscription.ack(event)
eventually("all is settled", lambda: info().last_checkpointed_event_position == "8")

step("a change drops consumers, who go on where they were")
db.update_subscription_to_stream(group, stream, max_retry_count=5, consumer_strategy="RoundRobin", **SOON)
try:
    next(subscription)
    raise SystemExit("a changed group goes on")
except StopIteration:
    raise SystemExit("a changed group ends without a word") from None
except Exception as problem:  # noqa: BLE001
    assert "dropped" in str(problem) or "Cancel" in type(problem).__name__, repr(problem)
assert (info().max_retry_count, info().consumer_strategy) == (5, "RoundRobin")
append(["J"])
subscription = read()
event = next(subscription)
assert event.type == "J", event
subscription.ack(event)

step("two consumers share what comes")
other = read()
append([f"K{n}" for n in range(10)])
shares = [kinds(take(consumer, 5)) for consumer in (subscription, other)]
assert sorted(shares[0] + shares[1]) == sorted(f"K{n}" for n in range(10)), shares
subscription.stop()
rest = take(other, 5)
assert sorted(kinds(rest)) == sorted(shares[0]), rest
other.stop()

step("list")
assert [i.group_name for i in db.list_subscriptions_to_stream(stream)] == [group]
assert group in [i.group_name for i in db.list_subscriptions()]

step("a group on everything, with a filter, and one on a category")
everything, category = f"all-{uuid.uuid4()}", f"category-{uuid.uuid4()}"
db.create_subscription_to_all(everything, filter_include=["C", "J"], **SOON)
assert db.get_subscription_info(everything).start_from.startswith("C:0/P:0")
subscription = db.read_subscription_to_all(everything)
mine = []
while len(mine) < 2:
    event = next(subscription)
    subscription.ack(event)
    mine += [event.type] if event.stream_name == stream else []
assert mine == ["C", "J"], mine
subscription.stop()
db.create_subscription_to_stream(category, "$ce-group", resolve_links=True, **SOON)
subscription = db.read_subscription_to_stream(category, "$ce-group")
event = next(subscription)
assert event.link is not None and event.link.stream_name == "$ce-group" and event.ack_id == event.link.id, event
subscription.ack(event)
subscription.stop()
db.delete_subscription(category, "$ce-group")
db.delete_subscription(everything)

step("delete: consumers hear of it, and there is nothing any more")
subscription = read()
db.delete_subscription(group, stream)
try:
    while True:
        next(subscription)
except Exception as problem:  # noqa: BLE001
    assert "dropped" in str(problem) or "Cancel" in type(problem).__name__, repr(problem)
refused(NotFound, lambda: db.delete_subscription(group, stream))
refused(NotFound, lambda: db.replay_parked_events(group, stream))
refused(NotFound, lambda: db.read_stream(parked) and list(db.read_stream(parked)))

step("who loses the role follows no longer")
name, word = f"leaver{uuid.uuid4().hex[:8]}", "leaving-soon"
user = [os.environ["ANNALS"], "user"]
subprocess.run([*user, "create", name, "--role", "operator", "--password", word], check=True)
leaver = client(os.environ["OPERATOR"].replace("op:operating-it", f"{name}:{word}"))
leaver.create_subscription_to_stream(group, stream)
following = [leaver.subscribe_to_stream(stream), leaver.read_subscription_to_stream(group, stream)]
assert [next(each).type for each in following] == ["A", "A"]
subprocess.run([*user, "role", name, "user"], check=True)
for each in following:
    try:
        while True:
            next(each)
    except Exception as problem:  # noqa: BLE001
        assert "Denied" in str(problem) or "Denied" in type(problem).__name__, repr(problem)
db.delete_subscription(group, stream)
leaver.close()

step("who may not does not")
stranger = client(os.environ["STRANGER"])
for does in (
    lambda: stranger.create_subscription_to_stream(group, stream),
    lambda: next(stranger.read_subscription_to_stream(group, stream)),
    lambda: stranger.list_subscriptions(),
):
    try:
        does()
        raise SystemExit("a stranger may")
    except Exception as problem:  # noqa: BLE001
        assert "Denied" in str(problem) or "Denied" in type(problem).__name__, repr(problem)
stranger.close()
db.close()
