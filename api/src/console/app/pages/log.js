// The log: everything that happens, as it happens; one event with its cause and its effects.

import { empty, fill, h, number, time } from "../dom.js";
import { ROOT, native } from "../api.js";

/** Rows kept; what scrolls out is still in the log. */
const ROWS = 500;
/** Positions looked at first, and more each time nothing is found. */
const WINDOW = 2000;
const PAGE = 200;
/** Between two tries to connect, ms. */
const AGAIN = 2000;
const EFFECTS = 50;
const FILTERS = [
  ["stream", "Stream", "run-0197…"], ["category", "Category", "run, login"], ["type", "Type", "RunEnded"],
  ["actor", "Actor", "user id"], ["correlation", "Request", "correlation id"],
];

const json = (value) => JSON.stringify(value, null, 2);

/** When an id of version 7 was made, as the log's filters take times; null for other ids. */
function madeAt(id) {
  if (id?.[14] !== "7") return null;
  const ms = parseInt(id.replaceAll("-", "").slice(0, 12), 16);
  return Number.isFinite(ms) ? new Date(ms - 10000) : null;
}

class Tail {
  constructor(place, context, signal) {
    Object.assign(this, { place, context, signal });
    this.events = new Map();
    this.wanted = Object.fromEntries(FILTERS.map(([name]) => [name, context.query.get(name) ?? ""]));
    this.paused = false;
    this.waiting = [];
    const field = ([name, label, example]) => h("label", {}, label, h("input", { name, type: "search", value: this.wanted[name], placeholder: example, autocomplete: "off" }));
    this.form = h("form", { class: "bar", onsubmit: (event) => { event.preventDefault(); this.filtered(); } },
      FILTERS.map(field), h("button", { type: "submit" }, "Filter"),
      Object.values(this.wanted).some(Boolean) && h("a", { class: "button quiet", href: context.href("log") }, "Show everything"));
    this.pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => this.halt(!this.paused) }, "Pause");
    this.state = h("p", { role: "status", class: "faint" }, "Connecting …");
    this.rows = h("tbody");
    this.table = h("div", { class: "wide" }, h("table", { class: "events" },
      h("thead", {}, h("tr", {}, h("th", { class: "number" }, "Position"), h("th", {}, "Time"), h("th", {}, "Type"), h("th", {}, "Stream"), h("th", {}, "Actor"))), this.rows));
    this.none = h("div");
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.older() }, "Show earlier events");
    const about = this.wanted.stream ? "A stream’s history, the last event first." : "The last event first.";
    fill(place, h("div", { class: "head" }, h("h1", {}, "Log"), h("p", {}, about), h("span", { class: "grow" }), h("div", { class: "live" }, this.state, this.pause)),
      this.form, this.none, this.table, this.more);
  }

  query(more) {
    const kept = Object.entries(this.wanted).filter(([, value]) => value !== "");
    return new URLSearchParams([...kept, ...Object.entries(more)]).toString();
  }

  filtered() {
    const values = [...new FormData(this.form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value !== "");
    const query = new URLSearchParams(values).toString();
    this.context.go(query ? `log?${query}` : "log");
  }

  async begin() {
    const { head } = await native("/v1/events?limit=1", { signal: this.signal });
    this.lowest = head;
    this.newest = head;
    await this.older(PAGE / 4);
    this.follow();
    document.addEventListener("visibilitychange", () => this.follow(), { signal: this.signal });
    this.signal.addEventListener("abort", () => {
      clearTimeout(this.timer);
      this.source?.close();
    });
  }

  /** Goes back until so many are found, or for a while. */
  async older(wanted = PAGE) {
    this.more.disabled = true;
    const found = [];
    let window = WINDOW;
    const patience = performance.now() + 2000;
    try {
      while (this.lowest > 0 && found.length < wanted && performance.now() < patience) {
        const from = Math.max(0, this.lowest - window);
        const part = await this.between(from, this.lowest);
        found.unshift(...part);
        this.lowest = from;
        window *= 4;
      }
      const kept = found.slice(-Math.max(wanted, PAGE));
      // What was found beyond a page is found again when it is asked for.
      if (kept.length < found.length) this.lowest = kept[0].position - 1;
      this.rows.append(...kept.reverse().map((event) => this.row(event)));
    } finally {
      this.more.disabled = false;
      this.more.hidden = this.lowest <= 0;
      this.shown();
    }
  }

  /** What fits after `from`, up to and including `to`. */
  async between(from, to) {
    const found = [];
    let after = from;
    while (after < to) {
      const page = await native(`/v1/events?${this.query({ after, limit: PAGE })}`, { signal: this.signal });
      found.push(...page.events.filter((event) => event.position <= to));
      if (page.next === null || page.events.some((event) => event.position > to)) break;
      after = page.next;
    }
    return found;
  }

  /** What comes. Only while somebody looks. */
  follow() {
    this.source?.close();
    clearTimeout(this.timer);
    if (this.signal.aborted || document.hidden) return;
    const source = new EventSource(`${ROOT}/v1/events/stream?${this.query({ after: this.newest })}`);
    this.source = source;
    source.onopen = () => this.tell("Live");
    source.onmessage = (message) => this.take(JSON.parse(message.data));
    source.onerror = () => {
      source.close();
      this.tell("The connection is lost. Connecting again …");
      // A login that has ended is noticed by this; a source would only try again.
      const look = () => native("/v1/events?limit=1", { signal: this.signal }).catch(() => {}).finally(() => this.follow());
      this.timer = setTimeout(look, AGAIN);
    };
  }

  tell(text) {
    this.state.textContent = this.paused ? `Paused${this.waiting.length > 0 ? `, ${number(this.waiting.length)} waiting` : ""}` : text;
    this.state.className = text === "Live" && !this.paused ? "tag good" : "faint";
  }

  take(event) {
    this.newest = Math.max(this.newest, event.position);
    if (this.paused) {
      this.waiting.push(event);
      if (this.waiting.length > ROWS) this.waiting.shift();
      this.tell("Live");
      return;
    }
    this.rows.prepend(this.row(event, true));
    while (this.rows.children.length > ROWS) {
      const last = this.rows.lastChild;
      this.lowest = Math.max(this.lowest, Number(last.dataset.position));
      this.more.hidden = false;
      last.remove();
    }
    this.shown();
  }

  halt(wanted) {
    this.paused = wanted;
    this.pause.setAttribute("aria-pressed", String(wanted));
    this.pause.textContent = wanted ? "Go on" : "Pause";
    if (!wanted) for (const event of this.waiting.splice(0)) this.take(event);
    this.tell("Live");
  }

  shown() {
    const any = this.rows.children.length > 0;
    this.table.hidden = !any;
    fill(this.none, any ? null : empty("No event fits", "What happens from now on and fits is shown here.", this.lowest > 0 ? "There is more to look through before." : ""));
  }

  row(event, fresh = false) {
    const { href } = this.context;
    return h("tr", { class: fresh ? "fresh" : "", data: { position: event.position } },
      h("td", { class: "number" }, number(event.position)), h("td", { class: "faint" }, time(event.recorded_at)),
      h("td", {}, h("a", { href: href(`log/${event.id}`) }, event.type)),
      h("td", { class: "mono stream" }, h("a", { class: "plain", href: href(`log?stream=${encodeURIComponent(event.stream)}`), title: `History of ${event.stream}` }, event.stream), h("span", { class: "faint" }, `@${event.revision}`)),
      h("td", { class: "faint actor" }, event.metadata?.actor ?? ""));
  }
}

class One {
  constructor(place, context, id, signal) {
    Object.assign(this, { place, context, id, signal });
  }

  async find(id) {
    const page = await native(`/v1/events?id=${encodeURIComponent(id)}&limit=1`, { signal: this.signal });
    return page.events[0] ?? null;
  }

  async begin() {
    const { href } = this.context;
    const event = /^[0-9a-f-]{32,36}$/i.test(this.id) ? await this.find(this.id) : null;
    if (!event) {
      fill(this.place, empty("There is no such event", h("p", {}, h("a", { href: href("log") }, "The whole log"))));
      return;
    }
    const { metadata } = event;
    this.context.title(event.type);
    const cause = h("dd", {}, metadata.causation_id ? h("span", { class: "mono" }, metadata.causation_id) : "The request itself");
    const effects = h("div", {}, h("p", { class: "faint" }, "Looking …"));
    const before = madeAt(metadata.correlation_id);
    const since = before && before <= new Date(event.recorded_at) ? before : new Date(Date.parse(event.recorded_at) - 3600000);
    const fact = (name, ...value) => [h("dt", {}, name), h("dd", {}, value)];
    fill(this.place,
      h("p", { class: "back" }, h("a", { href: href("log") }, "‹ The whole log")),
      h("div", { class: "head" }, h("h1", {}, event.type), h("p", {}, "Position ", number(event.position), " · ", time(event.recorded_at))),
      h("dl", { class: "facts" },
        fact("Stream", h("a", { class: "mono", href: href(`log?stream=${encodeURIComponent(event.stream)}`) }, event.stream), ` at revision ${event.revision}`),
        event.stream.startsWith("run-") && fact("Run", h("a", { href: href(`runs/${event.stream.slice(4)}`) }, "Timeline and replay")),
        fact("Actor", h("span", { class: "mono" }, metadata.actor), metadata.on_behalf_of && ` for ${metadata.on_behalf_of}`),
        fact("Event id", h("span", { class: "mono" }, event.id)),
        [h("dt", {}, "Cause"), cause],
        fact("Request", h("a", { class: "mono", href: href(`log?correlation=${metadata.correlation_id}`) }, metadata.correlation_id)),
        metadata.traceparent && fact("Trace", h("span", { class: "mono" }, metadata.traceparent))),
      h("h2", {}, "Data"), h("pre", { class: "data", tabIndex: 0, "aria-label": "Data of the event" }, json(event.data)),
      h("div", { class: "columns" },
        h("section", {}, h("h2", {}, "Effects"), effects),
        h("section", {}, h("h2", {}, "In the same request"), this.same(event, since))));
    const [caused] = await Promise.all([
      native(`/v1/events?${new URLSearchParams({ causation: event.id, after: event.position, limit: EFFECTS })}`, { signal: this.signal }),
      metadata.causation_id && this.find(metadata.causation_id).then((found) => found && fill(cause, this.link(found))),
    ]);
    fill(effects, this.listed(caused.events, "No event names this one as its cause."));
  }

  same(event, since) {
    const place = h("div", {}, h("p", { class: "faint" }, "Looking …"));
    native(`/v1/events?${new URLSearchParams({ correlation: event.metadata.correlation_id, since: since.toISOString(), limit: EFFECTS })}`, { signal: this.signal })
      .then((page) => fill(place, this.listed(page.events.filter((one) => one.id !== event.id), "No other event goes back to this request.")),
        (error) => { if (!this.signal.aborted) fill(place, h("p", { class: "bad" }, error.message)); });
    return place;
  }

  link(event) {
    return [h("a", { href: this.context.href(`log/${event.id}`) }, event.type), h("span", { class: "faint" }, ` ${number(event.position)} · ${event.stream}`)];
  }

  listed(events, none) {
    return events.length === 0 ? h("p", { class: "faint" }, none) : h("ul", { class: "linked" }, events.map((event) => h("li", {}, this.link(event))));
  }
}

export default {
  title: "Log",
  async mount(place, context) {
    let away = null;
    const show = async ({ rest, query }) => {
      away?.abort();
      away = new AbortController();
      const view = rest[0] ? new One(place, context, rest[0], away.signal) : new Tail(place, { ...context, query }, away.signal);
      place.scrollTop = 0;
      if (!rest[0]) context.title(query.get("stream") ?? "");
      try {
        await view.begin();
      } catch (error) {
        if (away.signal.aborted || error.name === "AbortError") return;
        fill(place, empty("This cannot be shown", error.message, h("p", {}, h("a", { href: context.href("log") }, "The whole log"))));
      }
    };
    context.signal.addEventListener("abort", () => away?.abort());
    await show(context);
    return { move: show };
  },
};
