// Persistent subscriptions of EventStoreDB's and KurrentDB's Node clients against annals: `groups.mjs PACKAGE`; see `run`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const db = await import(process.argv[2]);
const Client = db.KurrentDBClient ?? db.EventStoreDBClient;
let client = Client.connectionString(process.env.OPERATOR);
const stream = `group-${randomUUID()}`, group = `workers-${randomUUID()}`;
const step = (text) => console.log("   " + text);
const append = (kinds) =>
  client.appendToStream(stream, kinds.map((type) => db.jsonEvent({ type, data: { a: 1 } })));
const soon = (more = {}) => ({
  startFrom: db.START, checkPointAfter: 200, checkPointLowerBound: 1, checkPointUpperBound: 1, messageTimeout: 30_000, ...more,
});
const settings = (more) => db.persistentSubscriptionToStreamSettingsFromDefaults(soon(more));
const info = () => client.getPersistentSubscriptionToStreamInfo(stream, group);
const eventually = async (what, holds, seconds = 20) => {
  const end = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`it is not so: ${what}`);
    await sleep(50);
  }
};
const consume = (bufferSize = 50) => {
  const subscription = client.subscribeToPersistentSubscriptionToStream(stream, group, { bufferSize });
  const failed = new Promise((_, reject) => subscription.on("error", reject));
  failed.catch(() => {});
  const iterator = subscription[Symbol.asyncIterator]();
  const take = async (count) => {
    const events = [];
    while (events.length < count) events.push((await Promise.race([iterator.next(), failed])).value);
    return events;
  };
  return { subscription, take, failed };
};
const kinds = (events) => events.map((resolved) => resolved.event.type);
const killAndStartAgain = async () => {
  process.kill(Number(readFileSync(process.env.PIDFILE)), "SIGKILL");
  const server = spawn(process.env.ANNALS, ["log"], { detached: true, stdio: "inherit" });
  writeFileSync(process.env.PIDFILE, String(server.pid));
  server.unref();
  const [host, port] = process.env.ANNALS_EVENTSTORE_LISTEN.split(":");
  const listens = () => new Promise((resolve) => {
    const socket = connect(Number(port), host, () => resolve(true) || socket.destroy());
    socket.on("error", () => resolve(false));
  });
  await eventually("the server listens again", listens, 60);
};

await append(["A", "B", "C", "D", "E", "F"]);
step("create a group once");
await assert.rejects(info(), db.PersistentSubscriptionDoesNotExistError);
await assert.rejects(consume().failed, db.PersistentSubscriptionDoesNotExistError);
await client.createPersistentSubscriptionToStream(stream, group, settings({ maxRetryCount: 2, maxSubscriberCount: 1 }));
await assert.rejects(
  client.createPersistentSubscriptionToStream(stream, group, settings()), db.PersistentSubscriptionExistsError);
let found = await info();
assert.equal(found.settings.startFrom, db.START);
assert.equal(found.settings.maxRetryCount, 2);
assert.equal(found.stats.lastKnownEventRevision, 5n);

step("consume: acknowledge, retry, park; there is an end to consumers");
let { subscription, take, failed } = consume();
const first = await take(6);
assert.deepEqual(kinds(first), [..."ABCDEF"]);
assert.deepEqual(first.map((e) => e.retryCount), [0, 0, 0, 0, 0, 0]);
await assert.rejects(consume().failed, db.PersistentSubscriptionMaximumSubscribersReachedError);
await subscription.ack(first[0]);
await subscription.nack("retry", "once more", first[1]);
const [again] = await take(1);
assert.equal(again.event.type, "B");
assert.equal(again.retryCount, 1);
await subscription.ack(again, first[2]);
await subscription.nack("park", "broken", first[3], first[4]);
await eventually("two are parked", async () => (await info()).stats.parkedMessageCount === 2n);
assert.equal((await info()).connections[0].inFlightMessages, 1);

step("parked messages are readable, and delivered again");
const parked = [];
for await (const r of client.readStream(`$persistentsubscription-${stream}::${group}-parked`, { resolveLinkTos: true })) parked.push(r);
assert.deepEqual(kinds(parked), ["D", "E"]);
await client.replayParkedMessagesToStream(stream, group);
const replayed = await take(2);
assert.deepEqual(kinds(replayed), ["D", "E"]);
await subscription.ack(...replayed);
await eventually("none is parked", async () => (await info()).stats.parkedMessageCount === 0n);

step("the server is killed: what was not answered comes again, what was recorded does not");
await eventually("five are settled", async () => (await info()).stats.lastCheckpointedEventRevision === 4n);
await append(["G"]);
assert.deepEqual(kinds(await take(1)), ["G"]);
await killAndStartAgain();
await assert.rejects(failed);
await client.dispose();
client = Client.connectionString(process.env.OPERATOR);
// All clients of a process share what they know of an address, also that nobody was there a moment ago.
await eventually("the client tries again", () => info().then(() => true, () => false));
({ subscription, take, failed } = consume());
const rest = await take(2);
assert.deepEqual(kinds(rest), ["F", "G"]);
await subscription.ack(...rest);
await eventually("all is settled", async () => (await info()).stats.lastCheckpointedEventRevision === 6n);

step("a change drops consumers");
await client.updatePersistentSubscriptionToStream(stream, group, settings({ maxRetryCount: 7 }));
await assert.rejects(failed, db.PersistentSubscriptionDroppedError);
assert.equal((await info()).settings.maxRetryCount, 7);

step("a group on everything, with a filter");
const everything = `all-${randomUUID()}`;
await client.createPersistentSubscriptionToAll(
  everything, db.persistentSubscriptionToAllSettingsFromDefaults(soon()),
  { filter: db.streamNameFilter({ prefixes: [stream] }) });
const all = client.subscribeToPersistentSubscriptionToAll(everything);
const seen = [];
for await (const resolved of all) {
  await all.ack(resolved);
  if (seen.push(resolved.event.type) === 7) break;
}
await all.unsubscribe();
assert.deepEqual(seen, [..."ABCDEFG"]);
await client.deletePersistentSubscriptionToAll(everything);

step("list, delete, and nothing is there");
assert.deepEqual((await client.listPersistentSubscriptionsToStream(stream)).map((i) => i.groupName), [group]);
assert.ok((await client.listAllPersistentSubscriptions()).some((i) => i.groupName === group));
await client.restartPersistentSubscriptionSubsystem();
await client.deletePersistentSubscriptionToStream(stream, group);
await assert.rejects(
  client.deletePersistentSubscriptionToStream(stream, group), db.PersistentSubscriptionDoesNotExistError);

step("who may not does not");
const stranger = Client.connectionString(process.env.STRANGER);
await assert.rejects(
  stranger.createPersistentSubscriptionToStream(stream, group, settings()), db.AccessDeniedError);
await stranger.dispose();
await client.dispose();
process.exit(0);
