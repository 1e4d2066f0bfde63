// Chat: questions, answers as they come, and the conversations before.

import { empty, fill, h, icon, notice } from "../dom.js";
import { ROOT, open, sage } from "../api.js";
import { follow } from "./chat_stream.js";
import { Talk } from "./chat_talk.js";

const LISTED = 50;
/** How long news are gathered before the list is asked for anew, ms. */
const SOON = 500;
/** Between two tries to learn again which runs go on, ms. */
const AGAIN = 3000;

/** Random, and made in pages without a secure context as well. */
function made() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const text = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

class Chat {
  constructor(place, context) {
    this.context = context;
    this.session = null;
    this.talk = null;
    this.reading = null;
    this.run = null;
    this.stuck = true;
    this.build(place);
  }

  build(place) {
    const id = "chat-list";
    this.list = h("ul", {});
    this.aside = h("aside", { id, "aria-label": "Conversations" },
      h("a", { class: "button new", href: this.context.href("chat") }, icon("M12 5v14M5 12h14"), "New conversation"), this.list);
    this.toggle = h("button", {
      type: "button", class: "quiet listed", "aria-expanded": "false", "aria-controls": id,
      onclick: () => this.unfold(this.toggle.getAttribute("aria-expanded") !== "true"),
    }, icon("M4 6h16M4 12h16M4 18h10"), "Conversations");
    this.title = h("h1", {}, "New conversation");
    this.messages = h("div", { class: "messages", role: "log", "aria-label": "Messages", "aria-live": "off", tabIndex: 0, onscroll: () => this.scrolled() });
    this.told = h("div", { class: "told", role: "status", "aria-live": "polite" });
    this.down = h("button", { type: "button", class: "down", hidden: true, onclick: () => this.bottom(true) }, "New text ↓");
    this.text = h("textarea", {
      id: "question", rows: 1, placeholder: "Ask something", "aria-label": "Your message", enterKeyHint: "send",
      onkeydown: (event) => this.typed(event), oninput: () => this.grow(),
    });
    this.send = h("button", { type: "submit", class: "first send" }, "Send");
    this.stop = h("button", { type: "button", class: "stop", hidden: true, onclick: () => this.interrupt() }, icon("M7 7h10v10H7z"), "Stop");
    this.agent = h("select", { id: "agent", "aria-label": "Agent" }, h("option", { value: "" }, "No agent"));
    this.bases = h("fieldset", {}, h("legend", { class: "hidden" }, "Knowledge bases"));
    this.basesLabel = h("span", {}, "Knowledge");
    this.knowledge = h("details", { class: "knowledge" }, h("summary", { class: "button quiet" }, icon("M5 4h10l4 4v12H5zM9 12h6M9 16h6"), this.basesLabel), this.bases);
    const ask = h("form", { class: "ask", onsubmit: (event) => { event.preventDefault(); this.ask(); } },
      h("div", { class: "line" }, this.text, this.send, this.stop),
      h("div", { class: "with" }, this.agent, this.knowledge, h("span", { class: "hint faint" }, "Enter sends, Shift+Enter breaks the line, Esc stops")));
    this.dialog = h("dialog", { "aria-labelledby": "passage-title", onclick: (event) => { if (event.target === this.dialog) this.dialog.close(); } });
    fill(place, this.aside, h("section", { class: "talk", "aria-label": "Conversation" },
      h("div", { class: "over" }, this.toggle, this.title), this.messages, this.down, this.told, ask), this.dialog);
    place.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.dialog.open) return;
      if (this.knowledge.open) {
        this.knowledge.open = false;
        this.knowledge.querySelector("summary").focus();
      } else if (this.toggle.getAttribute("aria-expanded") === "true") this.unfold(false);
      else if (!this.stop.hidden) this.interrupt();
    }, { signal: this.context.signal });
    document.addEventListener("click", (event) => {
      if (this.knowledge.open && !this.knowledge.contains(event.target)) this.knowledge.open = false;
    }, { signal: this.context.signal });
  }

  async begin() {
    const own = encodeURIComponent(this.context.person.userid);
    this.own = `user_id=${own}`;
    this.watch();
    await Promise.all([this.refresh(), this.choices(), this.show(this.context.rest[0] ?? null)]);
  }

  /** What can be chosen for a question. */
  async choices() {
    const { signal } = this.context;
    const [agents, bases] = await Promise.all([sage("/api/agent/list", { signal }), sage("/api/knowledge-base/list?page_size=100", { signal })]);
    this.agent.append(...agents.map((agent) => h("option", { value: agent.id }, agent.name)));
    if (this.wantedAgent) this.agent.value = this.wantedAgent;
    const own = bases.list;
    this.bases.append(...(own.length > 0
      ? own.map((base) => h("label", {}, h("input", { type: "checkbox", value: base.id, onchange: () => this.counted() }), base.name))
      : [h("p", { class: "faint" }, "No knowledge base yet. ", h("a", { href: this.context.href("knowledge") }, "Upload documents"), " to ask about them.")]));
  }

  chosen() {
    return [...this.bases.querySelectorAll("input:checked")].map((box) => box.value);
  }

  counted() {
    const count = this.chosen().length;
    this.basesLabel.textContent = count === 0 ? "Knowledge" : `Knowledge (${count})`;
  }

  /** The conversations before. */
  async refresh() {
    const { signal, href } = this.context;
    const page = await sage(`/api/conversations?page_size=${LISTED}&${this.own}`, { signal });
    this.others(page.list.find((one) => one.session_id === this.session));
    fill(this.list, page.list.length === 0
      ? h("li", { class: "faint none" }, "What you ask is kept here.")
      : page.list.map((one) => {
        const link = h("a", { href: href(`chat/${encodeURIComponent(one.session_id)}`), data: { session: one.session_id }, title: one.title }, one.title);
        return h("li", {}, link);
      }));
    this.marked();
  }

  /** Asked and answered somewhere else, too fast or too long ago to be seen running: what is stored has more than is shown. */
  others(stored) {
    if (!stored || this.asking || this.loading || !this.stop.hidden) return;
    const asked = [...this.talk.messages.values()].filter((message) => message.role === "user").length;
    if (stored.user_count > asked) this.show(this.session);
  }

  marked() {
    for (const link of this.list.querySelectorAll("a")) {
      const { session } = link.dataset;
      if (session === this.session) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      link.classList.toggle("running", this.active?.has(session) === true);
    }
  }

  unfold(wanted) {
    this.toggle.setAttribute("aria-expanded", String(wanted));
    this.aside.classList.toggle("open", wanted);
    (wanted ? this.aside.querySelector("a") : this.toggle).focus();
  }

  /** Which runs go on, in whatever tab they were begun. Only while somebody looks: a browser has few connections to a server. */
  watch() {
    const { signal } = this.context;
    let source = null;
    let timer = null;
    const close = () => {
      clearTimeout(timer);
      source?.close();
      source = null;
    };
    const connect = () => {
      close();
      if (signal.aborted || document.hidden) return;
      source = new EventSource(`${ROOT}/api/stream/active_sessions`);
      source.onmessage = (event) => this.going(JSON.parse(event.data));
      source.onerror = () => {
        close();
        // A login that has ended is noticed by this; a source would only try again.
        timer = setTimeout(() => this.refresh().catch(() => {}).finally(connect), AGAIN);
      };
    };
    document.addEventListener("visibilitychange", connect, { signal });
    signal.addEventListener("abort", close);
    connect();
  }

  going(runs) {
    this.active = new Map(runs.map((one) => [one.session_id, one.run_id]));
    this.marked();
    // Begun somewhere else: what was asked there is in the stored messages.
    const run = this.active.get(this.session);
    if (run && run !== this.run && !this.asking && !this.loading) this.show(this.session);
    // Administrators hear of everybody's.
    this.soon ??= setTimeout(() => {
      this.soon = null;
      if (!this.context.signal.aborted) this.refresh().catch(() => {});
    }, SOON);
  }

  move({ rest }) {
    this.unfolded();
    this.show(rest[0] ?? null);
  }

  unfolded() {
    this.toggle.setAttribute("aria-expanded", "false");
    this.aside.classList.remove("open");
  }

  quiet() {
    this.reading?.abort();
    this.reading = null;
    this.talk?.close();
    this.busy(false);
  }

  fresh(session) {
    this.quiet();
    this.session = session;
    this.run = null;
    this.stuck = true;
    this.down.hidden = true;
    this.told.textContent = "";
    fill(this.messages);
    this.talk = new Talk(this.messages, session, { drawn: () => this.bottom(), passage: (passage, number) => this.passage(passage, number) });
    this.marked();
  }

  /** Shows a conversation: what is stored, then what comes. */
  async show(session) {
    this.fresh(session);
    if (session === null) {
      this.named("New conversation");
      fill(this.messages, this.welcome());
      // On a phone a keyboard would cover half of the page.
      if (!matchMedia("(pointer: coarse)").matches) this.text.focus();
      return;
    }
    this.loading = true;
    const away = this.leaving();
    try {
      const stored = await sage(`/api/conversations/${encodeURIComponent(session)}/messages?${this.own}`, { signal: away.signal });
      if (away.signal.aborted) return;
      const { title, agent_id: agent } = stored.conversation_info;
      this.named(title);
      this.wantedAgent = agent === "default_agent" ? "" : agent;
      this.agent.value = this.wantedAgent;
      for (const message of stored.messages) this.talk.take(message);
      this.talk.draw();
      this.bottom(true);
      this.run = stored.run_id;
      this.loading = false;
      if (stored.run_id) await this.read({ run: stored.run_id, index: stored.next_stream_index, away, late: true });
    } catch (error) {
      if (away.signal.aborted || error.name === "AbortError") return;
      fill(this.messages, empty("This conversation cannot be shown", error.message));
    } finally {
      if (this.reading === away || !away.signal.aborted) this.loading = false;
    }
  }

  welcome() {
    return h("div", { class: "empty" }, h("h2", {}, "What would you like to know?"),
      h("p", {}, "Pick an agent or none, add knowledge bases, and ask. An answer goes on when this page is closed; open it again and nothing is missing."));
  }

  named(title) {
    this.title.textContent = title;
    this.context.title(title);
  }

  leaving() {
    this.reading?.abort();
    const away = new AbortController();
    this.context.signal.addEventListener("abort", () => away.abort(), { once: true });
    this.reading = away;
    return away;
  }

  async ask() {
    const question = this.text.value.trim();
    if (question === "" || this.asking) return;
    this.asking = true;
    const begun = this.session === null;
    if (begun) this.fresh(made());
    if (this.messages.querySelector(".empty")) fill(this.messages);
    const { talk, session } = this;
    const message = { role: "user", content: question, message_id: made(), type: "user_input" };
    talk.take({ ...message, session_id: session });
    talk.draw();
    this.bottom(true);
    this.text.value = "";
    this.grow();
    this.busy(true);
    const away = this.leaving();
    const bases = this.chosen();
    try {
      const body = {
        messages: [message], session_id: session,
        ...(this.agent.value ? { agent_id: this.agent.value } : {}),
        ...(bases.length > 0 ? { available_knowledge_bases: bases } : {}),
      };
      const first = await open("/api/web-stream", { body, signal: away.signal });
      this.run = first.headers.get("x-run-id");
      if (begun) {
        this.context.replace(`chat/${session}`);
        this.named(question.length > 50 ? `${question.slice(0, 50)}…` : question);
      }
      this.refresh();
      const reading = this.read({ run: this.run, first, away });
      this.asking = false;
      await reading;
    } catch (error) {
      if (away.signal.aborted) return;
      this.busy(false);
      this.text.value = question;
      this.grow();
      this.told.textContent = "";
      notice(error.status === undefined ? "The server cannot be reached. Your message is still there; try again." : error.message, true);
      talk.messages.get(`${session}::${message.message_id}`)?.element.remove();
      if (begun) this.show(null);
      this.text.value = question;
    } finally {
      this.asking = false;
    }
  }

  /** Reads a run to its end. `late`: it may be over already, which is nothing to tell. */
  async read({ run, index, first, away, late = false }) {
    const { talk } = this;
    let lively = !late;
    const awake = () => {
      if (lively || away.signal.aborted) return;
      lively = true;
      this.busy(true);
    };
    const timer = late ? setTimeout(awake, 200) : null;
    const known = await follow({
      session: this.session, run, index, first, signal: away.signal,
      take: (line) => {
        if (line.type !== "stream_end") awake();
        talk.take(line);
      },
      troubled: (lost) => {
        if (lost) awake();
        this.told.textContent = lost ? "The connection is lost. Connecting again …" : lively ? "Answering …" : "";
      },
    }).finally(() => clearTimeout(timer));
    if (away.signal.aborted) return;
    talk.draw();
    this.busy(false);
    this.told.textContent = "";
    if (lively && known) {
      // Who sees the page sees that.
      if (this.stopping) this.told.textContent = "Stopped.";
      else fill(this.told, h("span", { class: "hidden" }, "The answer is complete."));
      this.refresh();
    } else if (!known && lively) this.show(this.session);
    this.stopping = false;
  }

  busy(now) {
    this.messages.setAttribute("aria-busy", String(now));
    this.send.hidden = now;
    const focused = document.activeElement === this.stop;
    this.stop.hidden = !now;
    this.stop.disabled = false;
    if (now) this.told.textContent = "Answering …";
    else if (focused) this.text.focus();
  }

  async interrupt() {
    this.stopping = true;
    this.stop.disabled = true;
    this.told.textContent = "Stopping …";
    try {
      await sage(`/api/sessions/${encodeURIComponent(this.session)}/interrupt`, { body: { message: "Stopped in the console" } });
    } catch (error) {
      this.stop.disabled = false;
      notice(error.message, true);
    }
  }

  typed(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (this.stop.hidden) this.ask();
  }

  grow() {
    this.text.style.setProperty("height", "auto");
    this.text.style.setProperty("height", `${this.text.scrollHeight + 2}px`);
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.messages;
    this.stuck = scrollHeight - scrollTop - clientHeight < 60;
    if (this.stuck) this.down.hidden = true;
  }

  bottom(forced = false) {
    if (forced) this.stuck = true;
    if (this.stuck) this.messages.scrollTop = this.messages.scrollHeight;
    else this.down.hidden = false;
  }

  /** Opens what an answer was made from. */
  passage(passage, number) {
    const where = [passage.heading !== passage.title && passage.heading, passage.page && `page ${passage.page}`].filter(Boolean).join(" · ");
    fill(this.dialog,
      h("div", { class: "head" }, h("div", {}, h("h2", { id: "passage-title" }, `${number}. ${passage.title || "Passage"}`), where && h("p", { class: "faint where" }, where)),
        h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.dialog.close() }, icon("M6 6l12 12M18 6L6 18"))),
      h("div", { class: "passage", tabIndex: 0 }, passage.content));
    this.dialog.showModal();
  }
}

export default {
  title: "Chat",
  async mount(place, context) {
    const chat = new Chat(place, context);
    await chat.begin();
    return { move: (to) => chat.move(to), leave: () => chat.quiet() };
  },
};
