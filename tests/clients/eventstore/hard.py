"""Hard cases for EventStoreDB's and KurrentDB's Python clients against annals: `hard.py esdbclient|kurrentdbclient`; see `run`."""

import os
import threading
import time
import uuid

from world import client, eventually, kill_and_start_again, package, refused, step

NO_STREAM, ANY = package.StreamState.NO_STREAM, package.StreamState.ANY
MANY = 200


def named(what: str = "hard") -> str:
    return f"{what}-{uuid.uuid4()}"


def event(kind: str = "Seen", data: bytes = b'{"a": 1}', **more):
    return package.NewEvent(type=kind, data=data, **more)


def fill(stream: str, count: int, data: bytes = b'{"a": 1}') -> None:
    for begin in range(0, count, 1000):
        events = [event(data=data) for _ in range(min(1000, count - begin))]
        db.append_to_stream(stream, current_version=ANY, events=events)


def denied(does) -> None:
    said = refused(Exception, does)
    assert "Denied" in type(said).__name__ + str(said) or "append-only" in str(said), repr(said)


def revisions(events) -> list:
    return [each.stream_position for each in events]


db = client(os.environ["OPERATOR"])

step("events of 1 and of 10 MB come back as they were, larger ones than the log takes are refused")
stream = named()
for number, size in enumerate([1_000_000, 10_000_000]):
    text = b'{"text": "' + b"x" * size + b'"}'
    db.append_to_stream(stream, current_version=ANY, events=event(data=text))
    db.append_to_stream(stream, current_version=ANY, events=event(data=os.urandom(size), content_type="application/octet-stream"))
    assert db.get_stream(stream)[2 * number].data == text
heavy = list(db.read_all(filter_include=[stream], filter_by_stream_name=True, filter_exclude=[]))
assert [len(each.data) for each in heavy] == [1_000_012, 1_000_000, 10_000_012, 10_000_000]
for size in (17_000_000, 30_000_000):
    for events in (event(data=b'"' + b"x" * size + b'"'), [event(), event(data=b'"' + b"x" * size + b'"')]):
        problem = refused(Exception, lambda: db.append_to_stream(stream, current_version=ANY, events=events))
        assert "large" in str(problem).lower() or "size" in str(problem).lower(), repr(problem)[:300]
assert len(db.get_stream(stream)) == 4, "a refused append was written"

step("reads of nothing, of one, of more than there is")
stream = named()
fill(stream, 5)
assert revisions(db.get_stream(stream, limit=1)) == [0]
assert revisions(db.get_stream(stream, limit=2**62)) == [0, 1, 2, 3, 4]
assert revisions(db.get_stream(stream, limit=1, backwards=True)) == [4]
assert revisions(db.get_stream(stream, stream_position=2**62, backwards=True)) == [4, 3, 2, 1, 0]
assert revisions(db.get_stream(stream, stream_position=5)) == []
assert len(list(db.read_all(limit=1))) == 1
assert list(db.read_all(limit=0)) == [] and db.get_stream(stream, limit=0) in ((), [])
assert list(db.read_all(commit_position=2**62)) == []

step("the whole log backwards from its end, filtered")
mine = dict(filter_include=[stream], filter_by_stream_name=True, filter_exclude=[])
assert revisions(db.read_all(backwards=True, **mine)) == [4, 3, 2, 1, 0]
assert revisions(db.read_all(backwards=True, limit=2, **mine)) == [4, 3]
assert list(db.read_all(backwards=True, filter_include=["NeverHappened"])) == []

step("filters see every event whatever the window")
for window in (1, 7, 10_000):
    subscription = db.subscribe_to_all(window_size=window, include_checkpoints=True, **mine)
    seen = []
    while len(seen) < 5:
        item = next(subscription)
        seen += [] if isinstance(item, package.Checkpoint) else [item.stream_position]
    assert seen == [0, 1, 2, 3, 4], (window, seen)
    subscription.stop()

step("an expression that never ends is refused, and nobody else waits for it")
odd = "hard-" + "a" * 200
db.append_to_stream(odd, current_version=ANY, events=event())
for endless in ("hard-((a|aa)+)+\\2b", "(?!x)hard-(a*)*(a*)*(a*)*\\1b"):
    began = time.monotonic()
    problem = refused(Exception, lambda: list(db.read_all(filter_include=[endless], filter_by_stream_name=True, filter_exclude=[])))
    assert "steps" in str(problem), repr(problem)
    assert time.monotonic() - began < 20
refused(Exception, lambda: list(db.read_all(filter_include=["(?<a>x\\g<a>?\\g<a>?\\g<a>?\\g<a>?)"], filter_exclude=[])))
refused(Exception, lambda: list(db.read_all(filter_include=["(("], filter_exclude=[])))

step("metadata of streams are refused and read as none")
denied(lambda: db.set_stream_metadata(stream, metadata={"$maxCount": 2}))
metadata, version = db.get_stream_metadata(stream)
assert metadata == {} and version == NO_STREAM, (metadata, version)
assert len(db.get_stream(stream)) == 5
for delete in (db.delete_stream, db.tombstone_stream):
    denied(lambda: delete(stream, current_version=4))

step("links lead to what they link to, and stand for themselves")
kind = f"Kind{uuid.uuid4().hex}"
db.append_to_stream(stream, current_version=4, events=[event(kind), event(kind)])
plain = list(db.read_stream(f"$et-{kind}"))
assert [each.type for each in plain] == ["$>", "$>"] and plain[1].data == f"6@{stream}".encode(), plain
solved = list(db.read_stream(f"$et-{kind}", resolve_links=True, backwards=True))
assert revisions(solved) == [6, 5] and all(each.link.stream_name == f"$et-{kind}" for each in solved)

own = named()
links = [f"6@{stream}", f"99@{stream}", "nonsense"]
links = [event("$>", data.encode(), content_type="application/octet-stream") for data in links]
db.append_to_stream(own, current_version=NO_STREAM, events=links)
assert [(each.type, each.stream_name) for each in db.read_stream(own)] == [("$>", own)] * 3
for solved in (db.read_stream(own, resolve_links=True), db.subscribe_to_stream(own, resolve_links=True)):
    first, *others = [next(solved) for _ in range(3)]
    assert (first.type, first.stream_name, first.stream_position) == (kind, stream, 6), first
    assert (first.link.stream_name, first.link.stream_position) == (own, 0), first.link
    assert [(each.type, each.stream_position) for each in others] == [("$>", 1), ("$>", 2)], others

step("who the server does not know, and who it knows")
for name, reason in (("op:wrong-password", "NotAuthenticated"), ("nobody:at-all", "NotAuthenticated"), ("ann:just-looking", "AccessDenied")):
    other = client(os.environ["OPERATOR"].replace("op:operating-it", name))
    for does in (
        lambda: other.get_stream(stream),
        lambda: other.append_to_stream(stream, current_version=ANY, events=event()),
        lambda: other.append_to_stream(stream, current_version=ANY, events=[event(), event()]),
        lambda: next(other.subscribe_to_all()),
    ):
        problem = refused(Exception, does)
        said = type(problem).__name__ + str(problem)
        assert reason in said or reason.replace("Not", "UN").upper() in said.upper() or "Not Authenticated" in said or "Access Denied" in said, (name, repr(problem))
    other.close()
refused(Exception, lambda: client(os.environ["OPERATOR"].replace("tls=true", "tls=false")).get_stream(stream, timeout=5))

step("clients that look for a leader find the node, where it says it is")
members = db.read_gossip()
assert len(members) == 1 and members[0].state == "NODE_STATE_LEADER", members
advertised = os.environ.get("ANNALS_EVENTSTORE_ADVERTISE")
assert advertised in (None, f"{members[0].address}:{members[0].port}"), members
discovering = client(os.environ["OPERATOR"].replace("esdb://", "esdb+discover://"))
assert len(discovering.get_stream(stream)) == 7
discovering.close()

step(f"{MANY} subscriptions at once")
streams = [named("fan") for _ in range(MANY)]
fill(streams[0], 1)
end = db.get_commit_position() - 1
subscriptions = [
    db.subscribe_to_all(commit_position=end, filter_include=[each], filter_by_stream_name=True, filter_exclude=[])
    if n % 2
    else db.subscribe_to_stream(each)
    for n, each in enumerate(streams)
]
heard = []
threads = [threading.Thread(target=lambda each=each: heard.append(next(each).stream_name), daemon=True) for each in subscriptions]
for each in threads:
    each.start()
for each in streams[1:]:
    fill(each, 1)
eventually("everybody has heard", lambda: len(heard) == MANY, 120)
assert sorted(heard) == sorted(streams)
for each in subscriptions:
    each.stop()

step("who reads slowly misses nothing, and holds up nobody")
stream = named("slow")
fill(stream, 10_000, b'"' + b"x" * 2_000 + b'"')
slow = db.subscribe_to_stream(stream)
everything = db.subscribe_to_all(filter_include=[stream], filter_by_stream_name=True, filter_exclude=[])
assert revisions([next(slow) for _ in range(10)]) == list(range(10))
assert next(everything).stream_position == 0
began = time.monotonic()
fill(stream, 10_000, b'"' + b"x" * 2_000 + b'"')
assert time.monotonic() - began < 60
assert revisions([next(slow) for _ in range(19_990)]) == list(range(10, 20_000))
assert revisions([next(everything) for _ in range(19_999)]) == list(range(1, 20_000))
slow.stop()
everything.stop()

step("the server is killed: a subscription goes on behind the last event it had")
stream, group = named("kill"), named("workers")
fill(stream, 500)
db.create_subscription_to_stream(group, stream, message_timeout=30, checkpoint_after=5.0, min_checkpoint_count=1)
following = db.subscribe_to_stream(stream)
positions = revisions([next(following) for _ in range(300)])
consumers = [db.read_subscription_to_stream(group, stream, event_buffer_size=50, max_ack_delay=0.01) for _ in range(2)]
acknowledged = set()
for consumer in consumers:
    for each in [next(consumer) for _ in range(40)]:
        consumer.ack(each)
        acknowledged.add(each.stream_position)
# Each answer makes room for one more message; the checkpoint is seconds away.
eventually("they are answered", lambda: db.get_subscription_info(group, stream).total_items >= 180)
kill_and_start_again()
for each in consumers:
    refused(Exception, lambda: [next(each) for _ in range(1_000)])
try:
    positions += revisions([next(following) for _ in range(1_000)])
except Exception:  # noqa: BLE001 - the packages name it differently
    pass
db.close()
db = client(os.environ["OPERATOR"])
fill(stream, 5)
following = db.subscribe_to_stream(stream, stream_position=positions[-1])
while len(positions) < 505:
    positions.append(next(following).stream_position)
assert positions == list(range(505)), positions
following.stop()
delivered = set(acknowledged)
consumers = [db.read_subscription_to_stream(group, stream, event_buffer_size=50, max_ack_delay=0.01) for _ in range(2)]
lock = threading.Lock()


def consume(consumer) -> None:
    try:
        for each in consumer:
            with lock:
                delivered.add(each.stream_position)
            consumer.ack(each)
    except Exception:  # noqa: BLE001 - it is stopped in the end
        pass


for each in consumers:
    threading.Thread(target=consume, args=(each,), daemon=True).start()
eventually("nothing is lost between acknowledgement and checkpoint", lambda: len(delivered) == 505, 60)
eventually("all is settled", lambda: db.get_subscription_info(group, stream).last_checkpointed_event_position == "504", 60)
for each in consumers:
    each.stop()
db.close()
