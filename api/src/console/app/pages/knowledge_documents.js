// The documents of a knowledge base: upload, what becomes of them, once more, away.

import { ROOT, sage } from "../api.js";
import { bytes, empty, fill, h, icon, notice, number, time } from "../dom.js";
import { Rows, headed, said, sure, tag, tried, watch } from "../rows.js";

const PAGE = 20;
/** Largest file, as the server has it. */
const LARGEST = 100 * 2 ** 20;
/** Between two looks while something is being read, and while nothing is, ms. */
const [QUICK, SLOW] = [1000, 8000];
const [WAITING, WORKING, DONE, FAILED] = [0, 1, 2, 3];
const STATES = { [WAITING]: ["faint", "Waiting"], [WORKING]: ["warn", "Being read"], [DONE]: ["good", "Searchable"], [FAILED]: ["bad", "Failed"] };
const FILTERS = [["All", []], ["In work", [WAITING, WORKING]], ["Searchable", [DONE]], ["Failed", [FAILED]]];

/** Sends a form and tells how much of it has gone: fetch cannot. */
function send(path, form, { progress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", ROOT + path);
    request.setRequestHeader("accept-language", "en");
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => progress(loaded, total));
    request.addEventListener("load", () => {
      const answer = request.response;
      if (request.status === 200 && (answer?.code ?? 200) === 200) resolve(answer?.data);
      else reject(new Error(answer?.message ?? answer?.detail ?? `The server answers ${request.status}.`));
    });
    request.addEventListener("error", () => reject(new Error("The connection is lost; nothing was added.")));
    request.addEventListener("abort", () => reject(new DOMException("Stopped", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

export class Documents {
  constructor(panel, context, info, signal) {
    Object.assign(this, { panel, context, info, signal, page: 1, filter: 0, name: "", total: 0 });
    this.build();
  }

  build() {
    const kinds = this.info.type === "qa" ? ".csv,.xlsx,.xls" : null;
    this.input = h("input", { type: "file", multiple: true, class: "hidden", id: "files", ...(kinds ? { accept: kinds } : {}), onchange: () => this.chosen() });
    this.replace = h("input", { type: "checkbox" });
    this.zone = h("div", { class: "drop" }, icon("M12 16V4M7 9l5-5 5 5M4 16v4h16v-4"),
      h("p", {}, h("label", { htmlFor: "files", class: "button" }, "Choose files"), this.input, h("span", { class: "faint" }, "or drop them here")),
      h("p", { class: "faint" }, kinds ? "CSV or Excel files with two columns: question and answer." : "PDF, Word, PowerPoint, Excel, Markdown, HTML, mails, tables, code and text; up to 100 MB each."),
      h("label", { class: "check" }, this.replace, "Replace documents of the same name"));
    this.uploads = h("ul", { class: "uploads" });
    this.filters = FILTERS.map(([name], at) => h("button", { type: "button", onclick: () => this.show({ filter: at, page: 1 }) }, name));
    this.search = h("input", { type: "search", placeholder: "Find by name", "aria-label": "Find by name", oninput: () => this.typed() });
    this.body = h("tbody", {});
    this.table = h("div", { class: "wide", hidden: true }, h("table", { class: "documents" }, headed(["Document", "State", "#Passages", "#Size", "Added", ""]), this.body));
    this.none = h("div", { hidden: true });
    this.place = h("p", { class: "faint", role: "status" });
    this.before = h("button", { type: "button", onclick: () => this.show({ page: this.page - 1 }) }, "‹ Newer");
    this.after = h("button", { type: "button", onclick: () => this.show({ page: this.page + 1 }) }, "Older ›");
    this.pager = h("div", { class: "pager" }, this.place, h("span", { class: "grow" }), this.before, this.after);
    this.bar = h("div", { class: "bar" }, h("div", { class: "segments", role: "group", "aria-label": "State" }, this.filters), h("span", { class: "grow" }), this.search);
    fill(this.panel, this.zone, this.uploads, this.bar, this.table, this.none, this.pager);
    this.rows = new Rows(this.body, (one) => this.row(one));
    this.dropped();
  }

  /** Anywhere on the page: who drops a file beside the box does not want it opened instead. */
  dropped() {
    const { signal } = this;
    const files = (event) => event.dataTransfer?.types.includes("Files");
    let depth = 0;
    const over = (now) => this.zone.classList.toggle("over", now);
    addEventListener("dragenter", (event) => {
      if (files(event)) over(++depth > 0);
    }, { signal });
    addEventListener("dragleave", (event) => {
      if (files(event)) over(--depth > 0);
    }, { signal });
    addEventListener("dragover", (event) => {
      if (files(event)) event.preventDefault();
    }, { signal });
    addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      depth = 0;
      over(false);
      const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
      const folder = (item) => item.webkitGetAsEntry?.()?.isDirectory;
      if (items.some(folder)) notice("Folders are left out; drop the files in them.", true);
      this.upload(items.filter((item) => !folder(item)).map((item) => item.getAsFile()));
    }, { signal });
  }

  chosen() {
    const files = [...this.input.files];
    this.input.value = "";
    this.upload(files);
  }

  async upload(files) {
    if (files.length === 0) return;
    const large = files.find((file) => file.size > LARGEST);
    const name = files.length === 1 ? files[0].name : `${files[0].name} and ${files.length - 1} more`;
    if (large) {
      notice(`${large.name} is larger than 100 MB.`, true);
      return;
    }
    const form = new FormData();
    form.append("kdb_id", this.info.kdbId);
    if (this.replace.checked) form.append("override", "true");
    for (const file of files) form.append("files", file, file.name);
    const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${name}` });
    const told = h("span", { class: "faint" }, "0 %");
    const away = new AbortController();
    const stop = h("button", { type: "button", class: "quiet", "aria-label": `Stop the upload of ${name}`, onclick: () => away.abort() }, icon("M6 6l12 12M18 6L6 18"));
    const line = h("li", {}, h("span", { class: "name" }, name), bar, told, stop);
    this.uploads.append(line);
    const progress = (loaded, total) => {
      bar.value = total > 0 ? loaded / total : 0;
      told.textContent = loaded >= total ? "Stored …" : `${Math.floor((100 * loaded) / total)} % of ${bytes(total)}`;
    };
    try {
      await send("/api/knowledge-base/doc/add_by_files", form, { progress, signal: AbortSignal.any([away.signal, this.signal]) });
      line.remove();
      notice(`${name} ${files.length === 1 ? "was" : "were"} added.`);
      await this.show({ page: 1 });
    } catch (error) {
      if (error.name === "AbortError") {
        line.remove();
        return;
      }
      const dismiss = h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", onclick: () => line.remove() }, icon("M6 6l12 12M18 6L6 18"));
      // What refused it may be new in the list.
      this.again();
      line.setAttribute("role", "alert");
      fill(line, h("span", { class: "name" }, name), h("span", { class: "bad" }, error.message), dismiss);
    }
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.show({ name: this.search.value.trim(), page: 1 }), 200);
    this.signal.addEventListener("abort", () => clearTimeout(this.timer), { once: true });
  }

  begin() {
    this.again = watch(() => this.look(), () => (this.busy ? QUICK : SLOW), this.signal);
    return this.again();
  }

  /** Looks at once, at something else. */
  async show(change) {
    Object.assign(this, change);
    this.asked?.abort();
    await this.again();
  }

  async look() {
    this.asked = new AbortController();
    const { signal } = this.asked;
    this.filters.forEach((button, at) => button.setAttribute("aria-pressed", String(at === this.filter)));
    const query = new URLSearchParams({ kdb_id: this.info.kdbId, page_no: this.page, page_size: PAGE, query_name: this.name });
    for (const state of FILTERS[this.filter][1]) query.append("query_status", state);
    try {
      const { list, total } = await sage(`/api/knowledge-base/doc/list?${query}`, { signal: AbortSignal.any([signal, this.signal]) });
      this.draw(list, total);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.place.textContent = error.status === undefined ? "The server does not answer. Trying again …" : error.message;
      this.busy = true;
    }
  }

  draw(list, total) {
    this.total = total;
    this.busy = list.some((one) => one.status < DONE);
    if (list.length === 0 && this.page > 1) {
      this.page = Math.max(1, Math.ceil(total / PAGE));
      this.busy = true;
      return;
    }
    this.rows.show(list, (one) => one.id);
    const first = (this.page - 1) * PAGE;
    const all = this.filter === 0 && this.name === "";
    this.table.hidden = total === 0;
    this.none.hidden = total > 0;
    this.bar.hidden = total === 0 && all;
    this.pager.hidden = total === 0;
    if (total === 0) said(this.none, `${all}`, () => (all ? empty("Nothing in it yet", "Add a few documents above. Each can be searched as soon as it is read.") : empty("None is like that")));
    this.place.textContent = total <= PAGE ? `${number(total)} in all` : `${number(first + 1)}–${number(first + list.length)} of ${number(total)}`;
    this.before.hidden = this.after.hidden = total <= PAGE;
    this.before.disabled = this.page === 1;
    this.after.disabled = first + list.length >= total;
  }

  row({ id, doc_name: name, create_time: added }) {
    const [state, passages, size] = [h("td", {}), h("td", { class: "number" }), h("td", { class: "number" })];
    const redo = h("button", { type: "button", class: "quiet", title: "Read again", "aria-label": `Read ${name} again`, onclick: tried(() => this.redo(id)) }, icon("M4 12a8 8 0 1 0 2.5-5.8M4 4v4.5h4.5"));
    const away = h("button", { type: "button", class: "quiet", title: "Delete", "aria-label": `Delete ${name}`, onclick: tried(() => this.remove(id, name)) }, icon("M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5"));
    const element = h("tr", {}, h("th", { scope: "row", title: name }, name), state, passages, size, h("td", {}, time(added)), h("td", { class: "does" }, redo, away));
    return { element, update: ({ status, metadata }) => {
      const [kind, text] = STATES[status] ?? STATES[WAITING];
      const reason = status === FAILED || (status === WAITING && metadata.attempts > 0) ? metadata.error : null;
      said(state, `${status}${metadata.attempts}${reason}`, () => [tag(kind, text), reason && h("p", { class: status === FAILED ? "bad" : "faint" }, status === FAILED ? reason : `${reason}; is tried again`)]);
      passages.textContent = status === DONE ? number(metadata.passages) : "";
      size.textContent = bytes(metadata.size);
      redo.disabled = status < DONE;
    } };
  }

  async redo(id) {
    await sage(`/api/knowledge-base/doc/redo/${id}`, { method: "PUT" });
    await this.show({});
  }

  async remove(id, name) {
    const wanted = await sure(this.panel, { title: `Delete ${name}?`, text: "It is found no more. This cannot be taken back.", action: "Delete", bad: true });
    if (!wanted) return;
    await sage(`/api/knowledge-base/doc/delete/${id}`, { method: "DELETE" });
    notice(`${name} is deleted.`);
    await this.show({});
    this.search.focus();
  }
}
