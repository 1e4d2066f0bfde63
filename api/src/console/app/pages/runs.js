// Runs: every answer of an agent, while it is made and afterwards.

import { duration, empty, fill, h, number, time } from "../dom.js";
import { native } from "../api.js";
import { Detail } from "./runs_detail.js";

const PAGE = 50;
/** Between two looks for news, ms. */
const AGAIN = 2000;

export const STATES = {
  running: ["Running", "running"], completed: ["Completed", "good"], interrupted: ["Stopped", "warn"],
  replaced: ["Replaced", "warn"], failed: ["Failed", "bad"],
};
const SURFACES = {
  sage_web_stream: "Sage web-stream", sage_stream: "Sage stream", sage_chat: "Sage chat", llmstack: "LLMStack app", genie: "GenieHelper chat",
};

/** A state as a dot and a word. */
export const stateTag = (state) => h("span", { class: `tag ${STATES[state]?.[1] ?? ""}` }, STATES[state]?.[0] ?? state);

class List {
  constructor(place, context, signal) {
    Object.assign(this, { place, context, signal });
    this.rows = new Map();
    this.state = context.query.get("state") ?? "";
    this.surface = context.query.get("surface") ?? "";
    const choice = (name, all, label) => h("label", {}, label, h("select", {
      name, value: this[name], onchange: (event) => {
        this[name] = event.target.value;
        this.filtered();
      },
    }, h("option", { value: "" }, "All"), Object.entries(all).map(([value, shown]) => h("option", { value, selected: value === this[name] }, Array.isArray(shown) ? shown[0] : shown))));
    this.list = h("ol", { class: "list", "aria-label": "Runs" });
    this.none = h("div");
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.older() }, "Show earlier runs");
    fill(place,
      h("div", { class: "head" }, h("h1", {}, "Runs"), h("p", {}, context.person.admin ? "Everybody’s, the last one first." : "Yours, the last one first.")),
      h("form", { class: "bar", onsubmit: (event) => event.preventDefault() }, choice("state", STATES, "State"), choice("surface", SURFACES, "Came through")),
      this.none, this.list, this.more);
  }

  query(more = {}) {
    const all = { limit: PAGE, ...(this.state && { state: this.state }), ...(this.surface && { surface: this.surface }), ...more };
    return `/v1/runs?${new URLSearchParams(all)}`;
  }

  filtered() {
    const query = new URLSearchParams({ ...(this.state && { state: this.state }), ...(this.surface && { surface: this.surface }) });
    this.context.replace(query.size > 0 ? `runs?${query}` : "runs");
    this.rows.clear();
    fill(this.list);
    this.next = undefined;
    this.look();
  }

  async begin() {
    document.addEventListener("visibilitychange", () => this.look(), { signal: this.signal });
    this.signal.addEventListener("abort", () => clearTimeout(this.timer));
    await this.look();
  }

  async look() {
    clearTimeout(this.timer);
    if (this.signal.aborted || document.hidden) return;
    try {
      const path = this.query();
      const page = await native(path, { signal: this.signal });
      if (path !== this.query()) return;
      if (this.next === undefined) this.next = page.next;
      this.take(page.runs);
    } catch (error) {
      if (this.signal.aborted) return;
      // Its next look may succeed; what is shown stays.
      if (error.status !== undefined && error.status < 500) throw error;
    }
    this.timer = setTimeout(() => this.look(), AGAIN);
  }

  async older() {
    this.more.disabled = true;
    try {
      const page = await native(this.query({ before: this.next }), { signal: this.signal });
      this.next = page.next;
      this.take(page.runs, true);
    } finally {
      this.more.disabled = false;
    }
  }

  take(runs, older = false) {
    const first = older ? null : this.list.firstChild?.dataset.run;
    for (const run of runs) {
      const text = JSON.stringify(run);
      const known = this.rows.get(run.id);
      if (known?.text === text && run.state !== "running") continue;
      const row = this.row(run);
      if (known) {
        if (known.row.contains(document.activeElement)) fill(known.row.firstChild, ...row.firstChild.childNodes);
        else {
          known.row.replaceWith(row);
          known.row = row;
        }
        known.text = text;
      } else {
        this.list.insertBefore(row, this.rows.get(first)?.row ?? null);
        this.rows.set(run.id, { row, text });
      }
    }
    // A row that no longer fits the filter goes when it is seen elsewhere: runs only ever leave "running".
    if (this.state === "running" && !older) {
      const still = new Set(runs.map((run) => run.id));
      for (const [id, { row }] of this.rows) {
        if (!still.has(id)) {
          row.remove();
          this.rows.delete(id);
        }
      }
    }
    this.more.hidden = this.next === null || this.next === undefined;
    fill(this.none, this.rows.size > 0 ? null : this.state || this.surface
      ? empty("No run fits", "Choose another state or another way in.")
      : empty("No run yet", h("p", {}, "Every question becomes a run. ", h("a", { href: this.context.href("chat") }, "Ask one in the chat"), ", and watch it here.")));
  }

  row(run) {
    const { href, person } = this.context;
    const end = run.ended_at ? new Date(run.ended_at) : new Date();
    const facts = [
      person.admin && run.owner !== person.userid && run.owner,
      SURFACES[run.surface] ?? run.surface,
      run.parent && "for another run",
      run.attempts > 1 && `${run.attempts} attempts`,
      run.total_tokens > 0 && `${number(run.total_tokens)} tokens`,
    ];
    return h("li", { data: { run: run.id } }, h("a", { href: href(`runs/${run.id}`) },
      stateTag(run.state),
      h("span", { class: "what" }, h("span", { class: "question" }, run.question || SURFACES[run.surface] || "Run"), h("span", { class: "faint facts" }, facts.filter(Boolean).join(" · "))),
      h("span", { class: "number faint" }, duration(Math.max(0, end - new Date(run.requested_at)) / 1000)),
      h("span", { class: "when faint" }, time(run.requested_at))));
  }
}

export default {
  title: "Runs",
  async mount(place, context) {
    let away = null;
    const show = async ({ rest, query }) => {
      away?.abort();
      away = new AbortController();
      const view = rest[0]
        ? new Detail(place, { ...context, surfaces: SURFACES, stateTag }, rest[0], away.signal)
        : new List(place, { ...context, query }, away.signal);
      place.scrollTop = 0;
      try {
        await view.begin();
      } catch (error) {
        if (away.signal.aborted || error.name === "AbortError") return;
        const gone = error.status === 404;
        fill(place, empty(gone ? "There is no such run" : "This cannot be shown", gone ? "It may belong to somebody else, or its conversation was deleted." : error.message,
          h("p", {}, h("a", { href: context.href("runs") }, "All runs"))));
      }
    };
    context.signal.addEventListener("abort", () => away?.abort());
    await show(context);
    return { move: show };
  },
};
