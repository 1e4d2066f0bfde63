// System: what an operator watches, as it goes on, and rebuilding what is read.

import { Plot, short } from "../charts.js";
import { native } from "../api.js";
import { bytes, duration, fill, h, notice, number, time } from "../dom.js";
import { Rows, headed, said, sure, tag, watch } from "../rows.js";

/** Between two looks, ms. */
const PACE = 2000;
/** How long an answer may take. */
const PATIENCE = 10_000;

const rate = (value) => `${value < 10 ? Number(value.toFixed(1)) : short(value)}/s`;
const millis = (value) => (value < 1000 ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);
const brief = (id) => id.slice(-8);

class System {
  constructor(place, context) {
    this.context = context;
    const { signal } = context;
    const plot = (title, format, least) => new Plot({ title, format, least, signal });
    this.plots = {
      events: plot("Events written", rate, 1),
      lag: plot("Projection lag", (value) => number(Math.round(value)), 10),
      append: plot("Append time", millis, 1),
      ping: plot("Database ping", millis, 2),
      memory: plot("Memory", bytes, 50e6),
      streams: plot("Open streams", (value) => number(Math.round(value)), 4),
    };
    this.state = h("p", { class: "state" }, "Looking …");
    this.told = h("p", { class: "hidden", role: "status" });
    this.facts = h("dl", { class: "facts card" });
    this.nodes = h("tbody", {});
    this.runs = h("tbody", {});
    this.models = h("tbody", {});
    this.noRuns = h("p", { class: "faint" }, "No run goes on.");
    this.runTable = h("div", { class: "wide", hidden: true }, h("table", {}, headed(["Run", "Of", "Through", "Node", "#Attempt", "Since"]), this.runs));
    this.place = place;
    fill(place,
      h("div", { class: "head" }, h("h1", {}, "System"), this.state), this.told,
      h("div", { class: "panels" },
        h("div", { class: "cards plots" }, Object.values(this.plots).map((one) => one.element)),
        this.facts,
        h("section", {}, h("h2", {}, "Nodes"), h("div", { class: "wide" }, h("table", {}, headed(["Node", "State", "#Runs", "#Last beat", "Since"]), this.nodes))),
        h("section", {}, h("h2", {}, "Runs that go on"), this.noRuns, this.runTable),
        h("section", {}, h("h2", {}, "Read models"),
          h("p", { class: "faint lead" }, "Tables made from the log. A rebuild makes one anew beside the old, which serves until the new one takes its place."),
          h("div", { class: "wide" }, h("table", { class: "models" }, headed(["Name", "State", "#Position", "#Behind", "Rebuild"]), this.models)))));
    this.nodeRows = new Rows(this.nodes, (one) => this.node(one));
    this.runRows = new Rows(this.runs, (one) => this.run(one));
    this.modelRows = new Rows(this.models, (one) => this.model(one));
  }

  begin() {
    const { signal } = this.context;
    this.again = watch(() => this.look(), () => PACE, signal);
    // What was between is not known.
    document.addEventListener("visibilitychange", () => {
      this.before = null;
    }, { signal });
    return this.again();
  }

  async look() {
    const signal = AbortSignal.any([this.context.signal, AbortSignal.timeout(PATIENCE)]);
    try {
      const [system, models] = await Promise.all([native("/v1/system", { signal }), native("/v1/read-models", { signal })]);
      this.draw(system, models);
      this.lost = false;
    } catch (error) {
      if (this.context.signal.aborted) return;
      const said = error.status === undefined ? "The server does not answer. Trying again …" : `${error.message} Trying again …`;
      fill(this.state, tag("bad", said));
      if (!this.lost) this.told.textContent = said;
      this.lost = true;
      this.before = null;
      for (const one of Object.values(this.plots)) one.push(Date.now(), null);
    }
  }

  draw(system, models) {
    const now = Date.parse(system.at);
    const { before, plots } = this;
    const seconds = before && before.node === system.node ? (now - before.now) / 1000 : 0;
    const written = seconds > 0 ? Math.max(0, system.log.head - before.log.head) / seconds : null;
    const appends = seconds > 0 ? system.log.appends - before.log.appends : 0;
    const mean = appends > 0 ? (1000 * (system.log.append_seconds - before.log.append_seconds)) / appends : null;
    const behind = system.read_models.reduce((most, one) => (one.lag > most.lag ? one : most), { lag: 0, name: "" });
    const { open, idle, limit } = system.database.connections;
    plots.events.push(now, written, `Head of the log: ${number(system.log.head)}`);
    plots.lag.push(now, behind.lag, behind.lag > 0 ? `${behind.name} is furthest behind` : "All have caught up");
    plots.append.push(now, mean, appends > 0 ? `Mean of ${number(appends)} on this node` : "Nothing was written");
    plots.ping.push(now, system.database.ping_seconds === null ? null : 1000 * system.database.ping_seconds, `${open - idle} of ${limit} connections at work`);
    plots.memory.push(now, system.resident_memory_bytes, `This node, up ${uptime(system.uptime_seconds)}`);
    plots.streams.push(now, system.open_streams, "Read from this node");
    this.before = { now, node: system.node, log: system.log };

    const stuck = system.read_models.filter((one) => one.stuck);
    const dead = system.nodes.filter((one) => !one.alive);
    const troubles = [
      system.database.ping_seconds === null && "the database does not answer in time",
      stuck.length > 0 && `${stuck.map((one) => one.name).join(", ")} stuck`,
      dead.length > 0 && `${dead.length} ${dead.length === 1 ? "node" : "nodes"} silent`,
      system.broker?.state === "waiting" && "events are not published",
    ].filter(Boolean);
    fill(this.state, troubles.length === 0 ? tag("good", "Everything is well") : tag("bad", troubles.join("; ")));
    const said = troubles.length === 0 ? "Everything is well." : troubles.join("; ");
    if (this.said !== said) this.told.textContent = said;
    this.said = said;
    this.fact(system);
    this.nodeRows.show(system.nodes.map((one) => ({ ...one, here: one.node === system.node })), (one) => one.node);
    this.runRows.show(system.runs, (one) => one.run);
    this.noRuns.hidden = system.runs.length > 0;
    this.runTable.hidden = system.runs.length === 0;
    this.modelRows.show(models.read_models, (one) => one.name);
  }

  fact({ version, broker, database }) {
    const list = [
      ["Version", version],
      ["Database size", database.size_bytes === null ? "unknown" : bytes(database.size_bytes)],
      ["Connections", `${database.connections.open} open, ${database.connections.idle} idle, ${database.connections.limit} at most`],
      ["NATS", broker === null ? "not configured" : `${broker.state}${broker.position === undefined ? "" : `, up to ${number(broker.position)}`}${broker.reason ? `: ${broker.reason}` : ""}`],
    ];
    const shown = JSON.stringify(list);
    if (shown === this.facts.dataset.shown) return;
    this.facts.dataset.shown = shown;
    fill(this.facts, list.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  node({ node, started_at: since }) {
    const [state, runs, beat, name] = [h("td", {}), h("td", { class: "number" }), h("td", { class: "number" }), h("span", { class: "faint" })];
    const element = h("tr", {}, h("td", {}, h("code", { title: node }, brief(node)), " ", name), state, runs, beat, h("td", {}, time(since)));
    return { element, update: (one) => {
      name.textContent = one.here ? "answers here" : "";
      said(state, one.alive ? "alive" : "silent", () => tag(one.alive ? "good" : "bad", one.alive ? "Alive" : "Silent; its runs are taken over"));
      runs.textContent = number(one.runs);
      beat.textContent = `${duration(one.heartbeat_age_seconds)} ago`;
    } };
  }

  run({ run, owner, surface, requested_at: since }) {
    const [node, attempt] = [h("code", {}), h("td", { class: "number" })];
    const link = h("a", { href: this.context.href(`runs/${run}`), class: "mono", title: run }, brief(run));
    const element = h("tr", {}, h("td", {}, link), h("td", {}, owner), h("td", {}, surface.replaceAll("_", " ")), h("td", {}, node), attempt, h("td", {}, time(since)));
    return { element, update: (one) => {
      node.textContent = brief(one.node);
      attempt.textContent = one.attempt;
    } };
  }

  model({ name }) {
    const [state, position, behind, last] = [h("td", {}), h("td", { class: "number" }), h("td", { class: "number" }), h("div", { class: "last" })];
    const button = h("button", { type: "button", "aria-label": `Rebuild ${name}`, onclick: () => this.rebuild(name, button) }, "Rebuild");
    const element = h("tr", {}, h("th", { scope: "row" }, name), state, position, behind, h("td", {}, h("div", { class: "rebuild" }, last, button)));
    let bar = null;
    let running = false;
    return { element, update: (one) => {
      position.textContent = number(one.position);
      behind.textContent = number(one.lag);
      const [kind, text] = health(one);
      said(state, `${kind}${text}${one.failure?.reason ?? ""}`, () => [tag(kind, text), one.failure && h("details", {}, h("summary", {}, "Why"), h("p", { class: "faint" }, `${one.failure.type} at ${number(one.failure.position)}: ${one.failure.reason}`))]);
      const was = running;
      running = one.rebuild?.state === "running";
      button.disabled = running;
      if (running) {
        const { done, total } = one.rebuild;
        bar ??= h("progress", { "aria-label": `Rebuilding ${name}` });
        if (total > 0) Object.assign(bar, { max: total, value: done });
        else bar.removeAttribute("value");
        if (bar.parentElement !== last) fill(last, bar, h("span", { class: "faint" }));
        bar.nextSibling.textContent = total > 0 ? `${number(done)} of ${number(total)}` : "begins";
        delete last.dataset.shown;
      } else if (one.rebuild) {
        said(last, `${one.rebuild.state}${one.rebuild.started_at}`, () => ended(one.rebuild));
      }
      if (was && !running) notice(...outcome(name, one.rebuild));
    } };
  }

  async rebuild(name, button) {
    const wanted = await sure(this.place, {
      title: `Rebuild ${name}?`, action: "Rebuild",
      text: "It is made anew from the whole log, which gives the database some work. What is there now is read until the new tables are complete; if this is broken off, nothing is lost.",
    });
    if (!wanted || this.context.signal.aborted) return;
    button.disabled = true;
    try {
      const model = await native(`/v1/read-models/${name}/rebuild`, { method: "POST", signal: this.context.signal });
      this.modelRows.known.get(name)?.update(model);
    } catch (error) {
      if (this.context.signal.aborted) return;
      button.disabled = false;
      notice(error.message, true);
    }
    this.again();
  }
}

function uptime(seconds) {
  if (seconds < 5400) return duration(seconds);
  return seconds < 129_600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

function health({ failure, unavailable, heartbeat_age_seconds: silence, lag }) {
  if (failure) return ["bad", "Stuck"];
  if (unavailable) return ["warn", "Waits"];
  if (silence > 30) return ["bad", "Silent"];
  return lag > 1000 ? ["warn", "Catching up"] : ["good", "Current"];
}

function ended({ state, events, failure, started_at: begun, ended_at: over }) {
  if (state === "interrupted") return h("span", { class: "warn" }, "Broken off; the old tables serve");
  if (state === "failed") return h("details", {}, h("summary", { class: "bad" }, "Failed"), h("p", { class: "faint" }, failure));
  const seconds = (Date.parse(over) - Date.parse(begun)) / 1000;
  return h("span", { class: "faint" }, time(over), ` · ${number(events)} events in ${duration(seconds)}`);
}

function outcome(name, rebuild) {
  if (rebuild?.state === "done") return [`${name} was rebuilt from ${number(rebuild.events)} events.`];
  return [`${name} was not rebuilt; the old tables serve.`, true];
}

export default {
  title: "System",
  async mount(place, context) {
    const system = new System(place, context);
    await system.begin();
  },
};
