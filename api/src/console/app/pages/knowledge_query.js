// What a question finds in a knowledge base, and why.

import { native, sage } from "../api.js";
import { empty, fill, h, icon, number } from "../dom.js";
import { words, marked } from "../matches.js";

const COUNTS = [5, 10, 20, 50];
/** Passages before and after one that is opened. */
const AROUND = 2;
const MORE = 5;

const share = (value, most) => `${Math.max(0, Math.min(100, (100 * value) / (most || 1)))}%`;
const score = (value) => (value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toFixed(3));

export class Query {
  constructor(panel, context, info, signal) {
    Object.assign(this, { panel, context, info, signal });
    this.text = h("input", { type: "search", required: true, placeholder: "What would somebody ask?", "aria-label": "Question", maxLength: 2000 });
    this.count = h("select", { "aria-label": "Passages", onchange: () => this.text.value.trim() && this.ask() }, COUNTS.map((count) => h("option", { value: count }, `${count} passages`)));
    this.count.value = "10";
    this.told = h("p", { class: "faint", role: "status" });
    this.list = h("ol", { class: "hits" });
    this.dialog = h("dialog", { class: "reading", "aria-labelledby": "reading-title" });
    fill(panel,
      h("form", { class: "bar try", onsubmit: (event) => {
        event.preventDefault();
        this.ask();
      } }, this.text, this.count, h("button", { class: "first" }, "Search")),
      this.told, this.list, this.explained(), this.dialog);
  }

  explained() {
    return h("details", { class: "how" }, h("summary", {}, "How passages are ranked"),
      h("p", {}, "Two rankings are made: one by words (BM25: rare words of the question count most) and one by meaning (how alike the vectors of question and passage are, by cosine). ",
        "Fused, each gives a passage a share by its rank; 1 is first in both. Neighbouring passages are shown as one."),
      h("p", {}, "Where a reranker is configured, a model orders the best of them anew, and its score decides."));
  }

  async begin(query) {
    const asked = query.get("q");
    if (asked) {
      this.text.value = asked;
      await this.ask();
    } else {
      this.told.textContent = "Ask as an agent would, and see what it is given.";
      this.text.focus();
    }
  }

  async ask() {
    const query = this.text.value.trim();
    if (query === "") return;
    this.asking?.abort();
    this.asking = new AbortController();
    const signal = AbortSignal.any([this.asking.signal, this.signal]);
    this.context.replace(`knowledge/${this.info.kdbId}/query?${new URLSearchParams({ q: query })}`);
    this.list.setAttribute("aria-busy", "true");
    const begun = performance.now();
    try {
      const body = { kdb_id: this.info.kdbId, query, top_k: Number(this.count.value) };
      const { results } = await sage("/api/knowledge-base/retrieve", { body, signal });
      this.draw(query, results, performance.now() - begun);
    } catch (error) {
      if (signal.aborted) return;
      this.told.textContent = "";
      fill(this.list, h("li", { role: "alert" }, empty("This could not be looked up", error.message)));
    } finally {
      this.list.removeAttribute("aria-busy");
    }
  }

  draw(query, results, took) {
    if (results.length === 0) {
      this.told.textContent = "Nothing was found.";
      fill(this.list, h("li", {}, empty("Nothing was found", "Only documents that are searchable count. Try other words.")));
      return;
    }
    this.told.textContent = `${number(results.length)} ${results.length === 1 ? "passage" : "passages"} in ${Math.round(took)} ms.`;
    const wanted = words(query);
    const legs = (name) => results.map(({ metadata }) => metadata[name]?.score ?? 0);
    const most = { lexical: Math.max(...legs("lexical")), score: Math.max(1, ...results.map((one) => one.score)) };
    const reranked = results.some((one) => one.metadata.fused && one.score !== one.metadata.fused.score);
    fill(this.list, results.map((one, at) => this.hit(one, at, wanted, most, reranked)));
  }

  hit({ doc_id: id, doc_content: text, score: total, title, metadata }, at, wanted, most, reranked) {
    const { lexical, vector, fused, page, heading, passages } = metadata;
    const where = [heading, page && `page ${page}`].filter(Boolean).join(" · ");
    const reason = (name, mark, leg, whole, none) => h("div", { class: leg ? "reason" : "reason without" },
      h("dt", {}, name), h("dd", {},
        leg ? [h("span", { class: "track", "aria-hidden": "true" }, h("i", { class: mark, style: { width: share(leg.score, whole) } })),
          h("span", { class: "value" }, leg.rank && h("strong", {}, `#${leg.rank}`), ` ${score(leg.score)}`)] : h("span", { class: "faint" }, none)));
    const element = h("li", { class: "card hit" },
      h("div", { class: "over" }, h("span", { class: "place", "aria-label": `Place ${at + 1}` }, at + 1),
        h("div", {}, h("h2", {}, title), where && h("p", { class: "faint" }, where)),
        h("button", { type: "button", onclick: () => this.open(id, title, passages, wanted) }, "Open in document")),
      h("blockquote", {}, marked(text, wanted)),
      h("dl", { class: "reasons" },
        reason("Words", "one", lexical, most.lexical, "no word of the question"),
        reason("Meaning", "two", vector, 1, "not compared"),
        fused && reason("Fused", "three", fused, 1, ""),
        reranked && reason("Reranked", "three", { score: total }, most.score, "")));
    const quote = element.querySelector("blockquote");
    requestAnimationFrame(() => this.folded(quote));
    return element;
  }

  /** Long passages are cut until somebody wants the rest. */
  folded(quote) {
    if (quote.scrollHeight <= quote.clientHeight + 8) return;
    quote.classList.add("cut");
    const more = h("button", { type: "button", class: "quiet", "aria-expanded": "false", onclick: () => {
      const open = quote.classList.toggle("whole");
      more.setAttribute("aria-expanded", String(open));
      more.textContent = open ? "Less" : "More";
    } }, "More");
    quote.after(more);
  }

  /** The passage among its neighbours. */
  async open(id, title, passages, wanted) {
    const [first, last] = [Math.min(...passages), Math.max(...passages)];
    const reading = { id, wanted, own: new Set(passages), from: Math.max(0, first - AROUND), to: last + AROUND };
    const text = h("div", { class: "text", tabIndex: 0, role: "region", "aria-label": "Text" }, "Reading …");
    const where = h("p", { class: "faint" });
    const earlier = h("button", { type: "button", onclick: () => this.read(reading, { from: Math.max(0, reading.from - MORE) }) }, "Earlier");
    const later = h("button", { type: "button", onclick: () => this.read(reading, { to: reading.to + MORE }) }, "Later");
    Object.assign(reading, { text, where, earlier, later });
    fill(this.dialog,
      h("div", { class: "head" }, h("div", {}, h("h2", { id: "reading-title" }, title), where),
        h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.dialog.close() }, icon("M6 6l12 12M18 6L6 18"))),
      text, h("div", { class: "buttons" }, earlier, later));
    this.dialog.showModal();
    await this.read(reading, {});
    text.querySelector(".own")?.scrollIntoView({ block: "center" });
  }

  async read(reading, change) {
    Object.assign(reading, change);
    const { id, from, to, text, where, own, wanted } = reading;
    try {
      const query = new URLSearchParams({ from, limit: Math.min(to - from + 1, 200) });
      const page = await native(`/v1/documents/${id}/passages?${query}`, { signal: this.signal });
      const parts = joined(page.passages);
      fill(text, parts.map(({ number: at, content, heading, page: sheet }, index) => [
        heading && heading !== parts[index - 1]?.heading && h("h3", {}, heading),
        h("p", { class: own.has(at) ? "own" : "" }, sheet && sheet !== parts[index - 1]?.page && h("span", { class: "sheet" }, `page ${sheet}`), own.has(at) ? marked(content, wanted) : content)]));
      const shown = page.passages;
      where.textContent = shown.length === 0 ? "" : `Passages ${number(shown[0].number + 1)} to ${number(shown.at(-1).number + 1)} of ${number(page.total)}`;
      reading.earlier.disabled = from === 0;
      reading.later.disabled = page.next === null || shown.length >= 200;
    } catch (error) {
      if (this.signal.aborted) return;
      fill(text, h("p", { class: "bad", role: "alert" }, error.message));
    }
  }
}

/** The passages without what two neighbours both have; places are counted in bytes. */
function joined(passages) {
  let end = 0;
  return passages.map(({ text, start, end: ends, ...rest }) => {
    const bytes = new TextEncoder().encode(text);
    const known = Math.min(Math.max(0, end - start), bytes.length);
    end = Math.max(end, ends);
    return { ...rest, content: known === 0 ? text : new TextDecoder().decode(bytes.subarray(known)) };
  });
}
