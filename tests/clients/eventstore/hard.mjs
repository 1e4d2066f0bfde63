// Hard cases for EventStoreDB's and KurrentDB's Node clients against annals: `hard.mjs PACKAGE`; see `run`.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

const db = await import(process.argv[2]);
const Client = db.KurrentDBClient ?? db.EventStoreDBClient;
const client = Client.connectionString(process.env.OPERATOR);
const event = (type, data = { a: 1 }) => db.jsonEvent({ type, data });
const step = (text) => console.log("   " + text);
const all = async (read) => {
  const events = [];
  for await (const resolved of read) events.push(resolved);
  return events;
};
const append = (name, events, expected, more = {}) =>
  client.appendToStream(name, events, { expectedRevision: expected, streamState: expected, ...more });

step("300 appends over one call, each with an answer of its own");
const names = Array.from({ length: 300 }, () => `hard-${randomUUID()}`);
const answers = await Promise.all(names.map((name) => append(name, event("Seen"), db.NO_STREAM)));
assert.deepEqual(new Set(answers.map((answer) => answer.nextExpectedRevision)), new Set([0n]));

step("appends to one stream are made in the order in which they were sent");
const ordered = `hard-${randomUUID()}`;
const chain = Array.from({ length: 50 }, (_, n) => append(ordered, event(`N${n}`), n ? BigInt(n - 1) : db.NO_STREAM));
assert.deepEqual((await Promise.all(chain)).map((answer) => answer.nextExpectedRevision), Array.from({ length: 50 }, (_, n) => BigInt(n)));
assert.deepEqual((await all(client.readStream(ordered))).map((r) => r.event.type), Array.from({ length: 50 }, (_, n) => `N${n}`));

step("what is wrong with one append is not wrong with its neighbours");
const settled = await Promise.allSettled([
  append(names[0], event("Late"), db.NO_STREAM),
  append(names[1], event("Fine"), 0n),
  append(names[2], [event("Large", { text: "x".repeat(17_000_000) })], db.ANY),
  append("nocategory", event("Odd"), db.ANY),
  append(names[3], event("Fine"), 0n),
]);
const said = settled.map((one) => `${one.status} ${one.reason ?? ""} ${one.reason?.type ?? ""} ${one.reason?._raw?.message ?? ""}`);
const ended = settled.map((one) => one.status);
assert.deepEqual(ended, ["rejected", "fulfilled", "rejected", "rejected", "fulfilled"], said.join("\n"));
assert.ok(settled[0].reason instanceof db.WrongExpectedVersionError, String(settled[0].reason));
assert.equal(settled[2].reason.type, "maximum-append-size-exceeded", settled[2].reason.type);
assert.equal((await all(client.readStream(names[2]))).length, 1);

step("events of 10 MB come back");
const text = "x".repeat(10_000_000);
await append(names[4], event("Large", { text }), db.ANY);
assert.equal((await all(client.readStream(names[4])))[1].event.data.text, text);

step("the whole log backwards from its end, one at a time and with a filter");
const [last] = await all(client.readAll({ direction: "backwards", fromPosition: "end", maxCount: 1 }));
assert.equal(last.event.streamId, names[4]);
const filter = db.streamNameFilter({ regex: `^${ordered}$`, maxSearchWindow: 7 });
const mine = client.subscribeToAll({ fromPosition: "start", filter });
const seen = [];
for await (const resolved of mine) {
  seen.push(resolved.event.type);
  if (seen.length === 50) break;
}
assert.deepEqual(seen, Array.from({ length: 50 }, (_, n) => `N${n}`));
await mine.unsubscribe();

step("metadata of streams are refused and read as none");
await assert.rejects(client.setStreamMetadata(ordered, { maxCount: 2 }), db.AccessDeniedError);
const found = await client.getStreamMetadata(ordered);
assert.equal(found.metadata, undefined);

step("links lead to what they link to");
const own = `hard-${randomUUID()}`;
await append(own, db.binaryEvent({ type: "$>", data: Buffer.from(`3@${ordered}`) }), db.NO_STREAM);
const [solved] = await all(client.readStream(own, { resolveLinkTos: true }));
assert.deepEqual([solved.event.type, solved.event.streamId, solved.link.streamId], ["N3", ordered, own]);

step("clients that look for a leader find it");
const discovering = Client.connectionString(process.env.OPERATOR.replace("esdb://", "esdb+discover://"));
assert.equal((await all(discovering.readStream(own))).length, 1);
await discovering.dispose();

step("a wrong password is told as one");
const wrong = Client.connectionString(process.env.OPERATOR.replace("operating-it", "operating-that"));
await assert.rejects(all(wrong.readStream(own)), (error) => /auth|denied/i.test(String(error)));
await assert.rejects(wrong.appendToStream(own, event("Late")), (error) => /auth|denied/i.test(String(error)));
await wrong.dispose();
await client.dispose();
process.exit(0);
