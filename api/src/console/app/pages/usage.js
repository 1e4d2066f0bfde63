// Usage: what runs cost, by day and by person, and what the subscription leaves.

import { bars, meter, short } from "../charts.js";
import { native } from "../api.js";
import { empty, fill, h, number } from "../dom.js";

const RANGES = [7, 30, 90];
const MEASURES = {
  tokens: { title: "Tokens", series: [{ name: "Read", mark: "one" }, { name: "Written", mark: "two" }], of: (row) => [row.prompt_tokens, row.completion_tokens] },
  runs: { title: "Runs", series: [{ name: "Runs", mark: "one" }], of: (row) => [row.runs] },
  messages: { title: "Messages", series: [{ name: "Messages", mark: "one" }], of: (row) => [row.messages] },
};
const WORK = { post_creations: "Posts written", taxonomy_tags: "Classifications", media_modifications: "Media edited" };
const DAY = 86_400_000;

const iso = (time) => new Date(time).toISOString().slice(0, 10);
const today = () => iso(Date.now());
const at = (day) => Date.parse(`${day}T00:00:00Z`);
const written = (day, options) => new Date(at(day)).toLocaleDateString(undefined, { timeZone: "UTC", ...options });

/** Every day of the span; a day without anything is one with nothing. */
function days(shown) {
  const known = new Map(shown.rows.map((row) => [row.day, row]));
  const none = { runs: 0, messages: 0, prompt_tokens: 0, completion_tokens: 0 };
  const list = [];
  for (let time = at(shown.from); time <= at(shown.to); time += DAY) list.push(known.get(iso(time)) ?? { ...none, day: iso(time) });
  return list;
}

class Usage {
  constructor(place, context) {
    this.context = context;
    this.wanted(context.query);
    this.body = h("div", { class: "panels" });
    this.told = h("p", { class: "hidden", role: "status" });
    fill(place, h("div", { class: "head" }, h("h1", {}, "Usage"), h("p", {}, "Days are those of UTC.")), this.controls(), this.told, this.body);
  }

  /** What the address asks for. */
  wanted(query) {
    this.to = query.get("to") || today();
    this.from = query.get("from") || iso(at(this.to) - 29 * DAY);
    this.user = this.context.person.admin ? query.get("user") ?? "" : "";
    this.measure = query.get("measure") in MEASURES ? query.get("measure") : "tokens";
  }

  controls() {
    this.ranges = RANGES.map((count) => h("button", { type: "button", data: { days: count }, onclick: () => this.last(count) }, `${count} days`));
    this.first = h("input", { type: "date", max: today(), onchange: () => this.picked() });
    this.until = h("input", { type: "date", max: today(), onchange: () => this.picked() });
    this.measures = Object.entries(MEASURES).map(([key, one]) => h("button", { type: "button", data: { key }, onclick: () => this.measured(key) }, one.title));
    this.people = h("select", { onchange: () => this.picked() }, h("option", { value: "" }, "Everybody"));
    return h("form", { class: "bar", onsubmit: (event) => event.preventDefault() },
      h("div", { class: "segments", role: "group", "aria-label": "Span" }, this.ranges),
      h("label", {}, "From", this.first), h("label", {}, "To", this.until),
      this.context.person.admin && h("label", { class: "who" }, "Person", this.people),
      h("span", { class: "grow" }),
      h("div", { class: "segments", role: "group", "aria-label": "Measure" }, this.measures));
  }

  last(count) {
    this.to = today();
    this.from = iso(at(this.to) - (count - 1) * DAY);
    this.load();
  }

  picked() {
    if (!this.first.value || !this.until.value) return;
    this.from = this.first.value;
    this.to = this.until.value;
    this.user = this.people.value;
    this.load();
  }

  measured(key) {
    this.measure = key;
    this.marked();
    this.draw();
  }

  marked() {
    this.first.value = this.from;
    this.until.value = this.to;
    const span = (at(this.to) - at(this.from)) / DAY + 1;
    for (const button of this.ranges) button.setAttribute("aria-pressed", String(this.to === today() && Number(button.dataset.days) === span));
    for (const button of this.measures) button.setAttribute("aria-pressed", String(button.dataset.key === this.measure));
    const query = new URLSearchParams({ from: this.from, to: this.to, measure: this.measure, ...(this.user ? { user: this.user } : {}) });
    this.context.replace(`usage?${query}`);
  }

  async load() {
    this.loading?.abort();
    const away = new AbortController();
    this.loading = away;
    const signal = AbortSignal.any([away.signal, this.context.signal]);
    this.marked();
    this.body.setAttribute("aria-busy", "true");
    const ask = (group, user) => {
      const query = new URLSearchParams({ from: this.from, to: this.to, group, ...(user ? { user } : {}) });
      return native(`/v1/usage?${query}`, { signal });
    };
    try {
      const everybody = this.context.person.admin;
      const [byDay, byPerson] = await Promise.all([ask("day", this.user), everybody ? ask("person", "") : null]);
      this.shown = { byDay, byPerson };
      if (byPerson) this.known(byPerson);
      this.draw();
      this.told.textContent = `${number(byDay.total.total_tokens)} tokens in ${number(byDay.total.runs)} runs.`;
    } catch (error) {
      if (signal.aborted) return;
      this.shown = null;
      fill(this.body, h("div", { role: "alert" }, empty("This cannot be shown", error.message)));
    } finally {
      if (this.loading === away) this.body.removeAttribute("aria-busy");
    }
  }

  /** Who can be picked: those who used something, and whoever is picked. */
  known({ rows }) {
    const people = rows.map((row) => [row.user, row.username ?? row.user]);
    if (this.user && !people.some(([user]) => user === this.user)) people.push([this.user, this.user]);
    people.sort(([, a], [, b]) => a.localeCompare(b));
    fill(this.people, h("option", { value: "" }, "Everybody"), people.map(([user, name]) => h("option", { value: user }, name)));
    this.people.value = this.user;
  }

  draw() {
    if (!this.shown) return;
    this.drawing?.abort();
    this.drawing = new AbortController();
    const signal = AbortSignal.any([this.drawing.signal, this.context.signal]);
    const { byDay, byPerson } = this.shown;
    const { total } = byDay;
    const tile = (name, value, note) => h("div", { class: "card tile" }, h("span", { class: "faint" }, name), h("strong", { title: number(value) }, short(value)), note && h("span", { class: "faint" }, note));
    const nothing = total.runs === 0 && total.total_tokens === 0 && total.messages === 0;
    fill(this.body,
      h("div", { class: "cards tiles" },
        tile("Tokens", total.total_tokens, `${short(total.prompt_tokens)} read, ${short(total.completion_tokens)} written`),
        tile("Runs", total.runs), tile("Messages", total.messages)),
      nothing ? this.none() : this.byDay(byDay, signal),
      !nothing && byPerson && !this.user && this.byPerson(byPerson),
      this.quotas(byDay.quotas));
  }

  none() {
    return h("section", { class: "card" }, h("div", { class: "empty near" }, h("h2", {}, "Nothing in these days"),
      h("p", {}, "Every run counts here, with the tokens its models read and wrote."),
      h("p", {}, h("a", { href: this.context.href("chat") }, "Ask something"))));
  }

  byDay(shown, signal) {
    const { title, series, of } = MEASURES[this.measure];
    const rows = days(shown).map((row) => ({
      label: written(row.day, { day: "numeric", month: "short" }),
      full: written(row.day, { weekday: "short", day: "numeric", month: "long", year: "numeric" }),
      values: of(row),
    }));
    const name = `${title} by day`;
    return h("section", { class: "card" }, h("h2", {}, name), bars({ title: name, series, rows, signal }));
  }

  byPerson({ rows, more }) {
    const { title, series, of } = MEASURES[this.measure];
    const sum = (row) => of(row).reduce((all, one) => all + one, 0);
    const sorted = [...rows].sort((a, b) => sum(b) - sum(a));
    const most = Math.max(1, ...sorted.map(sum));
    const line = (row) => {
      const query = new URLSearchParams({ from: this.from, to: this.to, measure: this.measure, user: row.user });
      const parts = of(row).map((value, part) => h("i", { class: `part ${series[part].mark}`, style: { width: `${(100 * value) / most}%` } }));
      return h("tr", {},
        h("th", { scope: "row" }, h("a", { href: this.context.href(`usage?${query}`) }, row.username ?? row.user)),
        h("td", { class: "lying", "aria-hidden": "true" }, h("div", {}, parts)),
        of(row).map((value) => h("td", { class: "number" }, number(value))));
    };
    return h("section", { class: "card" }, h("h2", {}, `${title} by person`),
      h("table", { class: "people" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Person"), h("th", { class: "lying", "aria-hidden": "true" }), series.map((one) => h("th", { scope: "col", class: "number" }, one.name)))),
        h("tbody", {}, sorted.map(line))),
      more && h("p", { class: "faint" }, "Only those who used most are listed."));
  }

  quotas({ user, tier, cycle, actions, known }) {
    const own = user === this.context.person.userid;
    const ends = cycle && new Date(cycle.end).toLocaleDateString(undefined, { day: "numeric", month: "long" });
    return h("section", { class: "card" },
      h("div", { class: "section-head" }, h("h2", {}, own ? "Your quotas" : "Quotas"), h("span", { class: "faint" }, [`Plan: ${tier}`, ends && `begins anew on ${ends}`].filter(Boolean).join(" · "))),
      !known && h("p", { class: "warn" }, "What was used cannot be read at the moment."),
      h("div", { class: "quotas" }, actions.map(({ action, limit, used }) => meter({ name: WORK[action] ?? action, used, limit, note: limit === 0 && "Not part of this plan." }))));
  }
}

export default {
  title: "Usage",
  async mount(place, context) {
    const usage = new Usage(place, context);
    await usage.load();
    return {
      leave() {},
      move({ query }) {
        usage.wanted(query);
        usage.load();
      },
    };
  },
};
