// Knowledge: the knowledge bases, and one of them with its documents and what a question finds in it.

import { sage } from "../api.js";
import { empty, fill, h, icon, notice, number } from "../dom.js";
import { sure, tried } from "../rows.js";
import { Documents } from "./knowledge_documents.js";
import { Query } from "./knowledge_query.js";

const PAGE = 24;
/** What can be kept, and what the server calls it. */
const KINDS = [["file", "Texts: manuals, notes, mails, tables"], ["qa", "Questions and answers, from CSV or Excel files"]];
/** How words are cut to their stems. Chinese and others without blanks need no choice. */
const LANGUAGES = [
  ["en", "English"], ["zh-cn", "Chinese"], ["da", "Danish"], ["nl", "Dutch"], ["fi", "Finnish"], ["fr", "French"], ["de", "German"], ["hu", "Hungarian"],
  ["it", "Italian"], ["no", "Norwegian"], ["pt", "Portuguese"], ["ro", "Romanian"], ["es", "Spanish"], ["sv", "Swedish"], ["tr", "Turkish"],
];
const options = (list) => list.map(([value, name]) => h("option", { value }, name));
const documents = (count) => `${number(count)} ${count === 1 ? "document" : "documents"}`;

/** All there are. */
class Shelves {
  constructor(place, context) {
    Object.assign(this, { place, context, page: 1, name: "" });
    this.cards = h("ul", { class: "cards shelves" });
    this.none = h("div", { hidden: true });
    this.more = h("button", { type: "button", hidden: true, onclick: tried(() => this.load(this.page + 1)) }, "Show more");
    this.search = h("input", { type: "search", placeholder: "Find by name", "aria-label": "Find by name", oninput: () => this.typed() });
    const add = h("button", { type: "button", class: "first", onclick: () => this.create() }, icon("M12 5v14M5 12h14"), "New knowledge base");
    this.bar = h("div", { class: "bar" }, this.search, h("span", { class: "grow" }), add);
    fill(place, h("div", { class: "head" }, h("h1", {}, "Knowledge"), h("p", {}, "What agents look things up in.")), this.bar, this.cards, this.none, h("p", { class: "buttons" }, this.more));
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.name = this.search.value.trim();
      tried(() => this.load(1))();
    }, 200);
    this.context.signal.addEventListener("abort", () => clearTimeout(this.timer), { once: true });
  }

  async load(page) {
    this.loading?.abort();
    this.loading = new AbortController();
    const signal = AbortSignal.any([this.loading.signal, this.context.signal]);
    const query = new URLSearchParams({ page, page_size: PAGE, query_name: this.name });
    const { list, total } = await sage(`/api/knowledge-base/list?${query}`, { signal });
    this.page = page;
    const cards = list.map((one) => this.card(one));
    if (page === 1) fill(this.cards, cards);
    else this.cards.append(...cards);
    this.more.hidden = this.cards.children.length >= total;
    this.none.hidden = total > 0;
    if (total === 0) fill(this.none, this.name === "" ? this.welcome() : empty("None is called that", "Names are compared by any part of them."));
    this.bar.classList.toggle("alone", total === 0 && this.name === "");
    if (page > 1) cards[0]?.querySelector("a").focus();
  }

  welcome() {
    const add = h("button", { type: "button", class: "first", onclick: () => this.create() }, "Make the first one");
    return empty("No knowledge base yet", "Put documents into one and ask about them: answers name the passages that they come from.", h("p", {}, add));
  }

  card({ id, name, intro, docNum: count, dataSource: kind, user_id: owner, embedding }) {
    const { href, person } = this.context;
    const facts = [documents(count), kind === "qa" && "questions and answers", owner !== person.userid && `of ${owner}`].filter(Boolean);
    return h("li", { class: "card" },
      h("h2", {}, h("a", { href: href(`knowledge/${id}`) }, name)), intro && h("p", { class: "intro" }, intro),
      h("p", { class: "faint" }, facts.join(" · ")), embedding?.current === false && h("p", { class: "warn" }, "Waits to be read again with the embedding model in use."));
  }

  /** Asks what the new one is to be. */
  create() {
    const name = h("input", { required: true, maxLength: 255, autofocus: true, autocomplete: "off" });
    const kind = h("select", {}, options(KINDS));
    const language = h("select", {}, options(LANGUAGES));
    const intro = h("textarea", { rows: 2, maxLength: 10_000 });
    const wrong = h("p", { class: "bad", role: "alert" });
    const go = h("button", { class: "first" }, "Create");
    const dialog = h("dialog", { "aria-labelledby": "create-title", onclose: () => dialog.remove() },
      h("form", { class: "create", onsubmit: async (event) => {
        event.preventDefault();
        go.disabled = true;
        try {
          const body = { name: name.value.trim(), type: kind.value, language: language.value, intro: intro.value.trim() };
          const made = await sage("/api/knowledge-base/add", { body, signal: this.context.signal });
          dialog.close();
          this.context.go(`knowledge/${made.kdb_id}`);
        } catch (error) {
          wrong.textContent = error.message;
          go.disabled = false;
        }
      } },
      h("h2", { id: "create-title" }, "New knowledge base"),
      h("label", { class: "field" }, "Name", name), h("label", { class: "field" }, "What it holds", kind),
      h("label", { class: "field" }, "Language of the texts", language), h("label", { class: "field" }, "What it is about (optional)", intro), wrong,
      h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), go)));
    this.place.append(dialog);
    dialog.showModal();
  }
}

/** One of them. */
class Base {
  constructor(place, context, info) {
    Object.assign(this, { place, context, info, id: info.kdbId });
    const { href } = context;
    this.tabs = [["", "Documents"], ["query", "Try a query"]].map(([key, title]) => h("a", { href: href(`knowledge/${this.id}${key && `/${key}`}`), data: { key } }, title));
    this.panel = h("div", {});
    fill(place,
      h("p", { class: "back" }, h("a", { href: href("knowledge") }, "‹ All knowledge bases")),
      h("div", { class: "head named" }, h("h1", {}, info.name), h("span", { class: "grow" }),
        h("button", { type: "button", class: "quiet", onclick: tried(() => this.remove()) }, "Delete")),
      info.intro && h("p", { class: "intro" }, info.intro),
      info.embedding?.current === false && h("p", { class: "warn" }, "Some documents were read with another embedding model; read them again to search by meaning."),
      h("nav", { class: "tabs", "aria-label": "Parts" }, this.tabs), this.panel);
  }

  async show(rest, query) {
    const key = rest[1] === "query" ? "query" : "";
    if (this.key === key) return;
    this.key = key;
    for (const link of this.tabs) {
      if (link.dataset.key === key) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.away?.abort();
    this.away = new AbortController();
    const signal = AbortSignal.any([this.away.signal, this.context.signal]);
    this.context.title(this.info.name);
    const part = key === "query" ? new Query(this.panel, this.context, this.info, signal) : new Documents(this.panel, this.context, this.info, signal);
    await part.begin(query);
  }

  async remove() {
    const wanted = await sure(this.place, {
      title: `Delete ${this.info.name}?`, bad: true, action: "Delete",
      text: "All its documents go with it, and agents find nothing in it any more. This cannot be taken back.",
    });
    if (!wanted) return;
    await sage(`/api/knowledge-base/delete/${this.id}`, { method: "DELETE" });
    notice(`${this.info.name} is deleted.`);
    this.context.go("knowledge");
  }
}

export default {
  title: "Knowledge",
  async mount(place, context) {
    let base = null;
    const show = async ({ rest, query }) => {
      const [id] = rest;
      if (id === undefined) {
        base?.away?.abort();
        base = null;
        context.title("");
        await new Shelves(place, context).load(1);
        return;
      }
      if (base?.id !== id) {
        base?.away?.abort();
        const info = await sage(`/api/knowledge-base/info?kdb_id=${encodeURIComponent(id)}`, { signal: context.signal });
        base = new Base(place, context, info);
      }
      await base.show(rest, query);
    };
    const shown = async (to) => {
      try {
        await show(to);
      } catch (error) {
        if (context.signal.aborted || error.name === "AbortError") return;
        base = null;
        fill(place, h("div", { role: "alert" }, empty("This cannot be shown", error.message, h("p", {}, h("a", { href: context.href("knowledge") }, "All knowledge bases")))));
      }
    };
    await shown(context);
    return { leave() {}, move: shown };
  },
};
