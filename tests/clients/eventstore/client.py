"""EventStoreDB's and KurrentDB's Python clients against annals: `client.py esdbclient|kurrentdbclient`; see `run`."""

import importlib
import inspect
import os
import sys
import uuid

package = importlib.import_module(sys.argv[1])
errors = importlib.import_module(sys.argv[1] + ".exceptions")
Client = getattr(package, "KurrentDBClient", None) or package.EventStoreDBClient
WrongVersion = getattr(errors, "WrongCurrentVersionError", None) or errors.WrongCurrentVersion
NotFound = getattr(errors, "NotFoundError", None) or errors.NotFound
NO_STREAM, ANY = package.StreamState.NO_STREAM, package.StreamState.ANY
certificate = open(os.environ["CERTIFICATE"]).read()


def client(url: str):
    return Client(url.split("&tlsCAFile")[0], root_certificates=certificate)


def event(kind: str = "Seen", data: bytes = b'{"a": 1}', **more):
    return package.NewEvent(type=kind, data=data, **more)


def step(text: str) -> None:
    print("  ", text, flush=True)


db = client(os.environ["OPERATOR"])
stream = f"client-{uuid.uuid4()}"

step("append one, then two more")
db.append_to_stream(stream, current_version=NO_STREAM, events=event())
second = [event("Heard", b'{ "spaces" : [ 1 ] }', metadata=b'{"$correlationId": "x"}'), event("Felt")]
position = db.append_to_stream(stream, current_version=0, events=second)
assert isinstance(position, int) and position > 0

step("the same ids again are one write")
assert db.append_to_stream(stream, current_version=0, events=second) == position

step("conflicts tell where the stream is")
for events in (event(), [event(), event()]):
    try:
        db.append_to_stream(stream, current_version=1, events=events)
        raise SystemExit("a conflict was not noticed")
    except WrongVersion as error:
        assert "2" in str(error), error
for events in (event(), [event()]):
    try:
        db.append_to_stream(f"client-{uuid.uuid4()}", current_version=5, events=events)
        raise SystemExit("a conflict with nothing was not noticed")
    except WrongVersion:
        pass

step("read forward, backward, from the middle, with a limit")
seen = db.get_stream(stream)
assert [e.type for e in seen] == ["Seen", "Heard", "Felt"], seen
assert [e.stream_position for e in seen] == [0, 1, 2]
assert seen[1].data == b'{ "spaces" : [ 1 ] }' and seen[1].metadata == b'{"$correlationId": "x"}'
assert seen[1].id == second[0].id and seen[1].stream_name == stream
assert [e.stream_position for e in db.get_stream(stream, backwards=True)] == [2, 1, 0]
assert [e.stream_position for e in db.get_stream(stream, stream_position=1, limit=1)] == [1]
assert [e.stream_position for e in db.get_stream(stream, stream_position=1, backwards=True)] == [1, 0]

step("bytes that are not JSON come back as they are")
blob = bytes(range(256))
db.append_to_stream(
    stream, current_version=2, events=event("Blob", blob, content_type="application/octet-stream", metadata=b"\x00raw")
)
last = db.get_stream(stream, backwards=True, limit=1)[0]
assert (last.data, last.metadata, last.content_type) == (blob, b"\x00raw", "application/octet-stream")

step("a stream that does not exist is not found")
try:
    db.get_stream(f"client-{uuid.uuid4()}")
    raise SystemExit("something was found")
except NotFound:
    pass

step("read the whole log both ways, filtered")
mine = [e for e in db.read_all() if e.stream_name == stream]
assert [e.type for e in mine] == ["Seen", "Heard", "Felt", "Blob"]
named = list(db.read_all(filter_include=[stream], filter_by_stream_name=True, filter_exclude=[]))
assert [e.id for e in named] == [e.id for e in mine]
if "filter_by_prefix" in inspect.signature(db.read_all).parameters:
    prefixed = list(db.read_all(filter_include=["Hea"], filter_by_prefix=True, filter_exclude=[]))
    assert second[0].id in [e.id for e in prefixed] and all(e.type.startswith("Hea") for e in prefixed)
backward = [e for e in db.read_all(backwards=True) if e.stream_name == stream]
assert [e.id for e in backward] == [e.id for e in reversed(mine)]
at = mine[1].commit_position
assert next(iter(db.read_all(commit_position=at, limit=1))).commit_position == at
assert next(iter(db.read_all(commit_position=at, backwards=True, limit=1))).commit_position < at
assert db.get_commit_position() == mine[-1].commit_position

step("read a category as links and as what they link to")
links = [e for e in db.read_stream("$ce-client", resolve_links=True) if e.stream_name == stream]
assert [e.id for e in links] == [e.id for e in mine]
assert all(e.link is not None and e.link.stream_name == "$ce-client" for e in links)

step("subscribe to a stream: what is there, then what comes")
subscription = db.subscribe_to_stream(stream, stream_position=1)
assert [next(subscription).stream_position for _ in range(2)] == [2, 3]
db.append_to_stream(stream, current_version=ANY, events=event("Live"))
assert next(subscription).type == "Live"
subscription.stop()

step("subscribe to everything, with a filter and checkpoints")
subscription = db.subscribe_to_all(
    commit_position=at, filter_include=["Felt", "Live"], include_checkpoints=True, include_caught_up=True
)
kinds, marks = [], set()
for item in subscription:
    if isinstance(item, (package.Checkpoint, package.CaughtUp)):
        marks.add(type(item).__name__)
        if isinstance(item, package.CaughtUp):
            break
    elif item.stream_name == stream:
        kinds.append(item.type)
assert kinds == ["Felt", "Live"] and "CaughtUp" in marks, (kinds, marks)
db.append_to_stream(stream, current_version=ANY, events=[event("Hidden"), event("Felt")])
while True:
    item = next(subscription)
    if not isinstance(item, (package.Checkpoint, package.CaughtUp)) and item.stream_name == stream:
        break
assert item.type == "Felt"
subscription.stop()

step("nothing is deleted")
for delete in (db.delete_stream, db.tombstone_stream):
    try:
        delete(stream, current_version=ANY)
        raise SystemExit("something was deleted")
    except Exception as error:  # noqa: BLE001 - the packages name it differently
        assert "append-only" in str(error) or "Denied" in type(error).__name__, repr(error)
assert len(db.get_stream(stream)) == 7

step("who may not read does not")
stranger = client(os.environ["STRANGER"])
try:
    stranger.get_stream(stream)
    raise SystemExit("a stranger has read")
except Exception as error:  # noqa: BLE001
    assert "Denied" in str(error) or "Denied" in type(error).__name__, repr(error)
stranger.close()
db.close()
