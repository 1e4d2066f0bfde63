// EventStoreDB's and KurrentDB's Node clients against annals: `client.mjs PACKAGE`; see `run`.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

const db = await import(process.argv[2]);
const Client = db.KurrentDBClient ?? db.EventStoreDBClient;
const NO_STREAM = db.NO_STREAM, ANY = db.ANY;
const client = Client.connectionString(process.env.OPERATOR);
const stream = `client-${randomUUID()}`;
const event = (type, data = { a: 1 }, more = {}) => db.jsonEvent({ type, data, ...more });
const step = (text) => console.log("   " + text);
const all = async (read) => {
  const events = [];
  for await (const resolved of read) events.push(resolved);
  return events;
};
// The packages renamed it.
const expecting = (value) => ({ expectedRevision: value, streamState: value });
const append = (events, expected, name = stream) => client.appendToStream(name, events, expecting(expected));

step("append one, then two more");
const first = await append(event("Seen"), NO_STREAM);
assert.equal(first.success, true);
assert.equal(first.nextExpectedRevision, 0n);
const second = [event("Heard", { list: [1, "ü"] }, { metadata: { why: "so" } }), event("Felt")];
assert.equal((await append(second, 0n)).nextExpectedRevision, 2n);

step("the same ids again are one write");
assert.equal((await append(second, 0n)).nextExpectedRevision, 2n);

step("conflicts tell where the stream is");
await assert.rejects(append(event("Late"), 1n), (error) => {
  assert.ok(error instanceof db.WrongExpectedVersionError, String(error));
  assert.equal(error.actualVersion ?? error.actualState, 2n);
  return true;
});
await assert.rejects(append(event("Late"), NO_STREAM), db.WrongExpectedVersionError);

step("read forward, backward, from the middle");
const seen = await all(client.readStream(stream));
assert.deepEqual(seen.map((r) => r.event.type), ["Seen", "Heard", "Felt"]);
assert.deepEqual(seen[1].event.data, { list: [1, "ü"] });
assert.deepEqual(seen[1].event.metadata, { why: "so" });
assert.equal(seen[1].event.id, second[0].id);
const back = await all(client.readStream(stream, { direction: "backwards", fromRevision: "end" }));
assert.deepEqual(back.map((r) => r.event.revision), [2n, 1n, 0n]);
const middle = await all(client.readStream(stream, { fromRevision: 1n, maxCount: 1 }));
assert.deepEqual(middle.map((r) => r.event.revision), [1n]);

step("a stream that does not exist is not found");
await assert.rejects(all(client.readStream(`client-${randomUUID()}`)), db.StreamNotFoundError);

step("bytes come back as they are");
const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
await append(db.binaryEvent({ type: "Blob", data: bytes }), ANY);
const [blob] = await all(client.readStream(stream, { direction: "backwards", fromRevision: "end", maxCount: 1 }));
assert.deepEqual(Buffer.from(blob.event.data), Buffer.from(bytes));

step("read the whole log");
const mine = (await all(client.readAll())).filter((r) => r.event?.streamId === stream);
assert.deepEqual(mine.map((r) => r.event.type), ["Seen", "Heard", "Felt", "Blob"]);

step("subscribe to a stream: what is there, then what comes");
const next = async (subscription, wanted) => {
  for await (const resolved of subscription) if (wanted(resolved)) return resolved;
  throw new Error("the subscription ended");
};
let live = client.subscribeToStream(stream, { fromRevision: 2n });
const waiting = next(live, (r) => r.event.type === "Live");
await append(event("Live"), ANY);
assert.equal((await waiting).event.revision, 4n);
await live.unsubscribe();

step("subscribe to everything by prefix");
live = client.subscribeToAll({
  fromPosition: mine[0].event.position,
  filter: db.streamNameFilter({ prefixes: [stream] }),
});
assert.equal((await next(live, () => true)).event.type, "Heard");
await live.unsubscribe();

step("nothing is deleted");
await assert.rejects(client.deleteStream(stream), db.AccessDeniedError);
await assert.rejects(client.tombstoneStream(stream), db.AccessDeniedError);

step("who may not read does not");
const stranger = Client.connectionString(process.env.STRANGER);
await assert.rejects(all(stranger.readStream(stream)), db.AccessDeniedError);
await stranger.dispose();
await client.dispose();
process.exit(0);
