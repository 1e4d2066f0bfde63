// Messages as they grow line by line, and how they look.

import { h, fill } from "../dom.js";
import { markdown } from "../markdown.js";

/** How often a growing message is drawn anew, ms. */
const DRAW = 40;
const LONGEST_RESULT = 20000;

/** The text of a message's content: a string, or the text parts of a list. */
export function textOf(content) {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map((part) => part?.text ?? (part?.type === "image_url" ? "[image]" : "")).filter(Boolean).join("\n");
  return "";
}

/** What people see of what they wrote: control tags stand before it. */
const said = (text) => text.replace(/^(\s*<(enable_deep_thinking|thinking_level|enable_plan|skill)>[^<]*<\/\2>)+\s*/, "");

const pretty = (text) => {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

/** A conversation's messages in `place`, by the rule of all clients of this API: an equal id grows, a new one is appended. */
export class Talk {
  constructor(place, session, opened) {
    this.place = place;
    this.session = session;
    this.opened = opened;
    this.messages = new Map();
    this.calls = new Map();
    this.waiting = new Set();
    this.timer = null;
  }

  /** Takes a whole message or one more line of it. Answers whether it shows. */
  take(line) {
    if (!line.message_id || line.type === "token_usage" || line.type === "stream_end") return false;
    const key = `${line.session_id || this.session}::${line.message_id}`;
    let message = this.messages.get(key);
    if (!message) {
      message = { ...line, key, text: textOf(line.content), thought: line.reasoning_content ?? "", calls: [], metadata: line.metadata ?? {} };
      this.messages.set(key, message);
      this.merge(message, line.tool_calls);
      this.put(message);
    } else if (message.role === "tool") {
      Object.assign(message, line, { text: textOf(line.content) });
    } else {
      message.text += textOf(line.content);
      message.thought += line.reasoning_content ?? "";
      message.type = line.type ?? message.type;
      message.metadata = line.metadata ?? message.metadata;
      this.merge(message, line.tool_calls);
    }
    this.waiting.add(message);
    this.timer ??= setTimeout(() => this.draw(), DRAW);
    return true;
  }

  merge(message, pieces) {
    for (const piece of pieces ?? []) {
      const named = piece.id ? message.calls.find((call) => call.id === piece.id) : message.calls.findLast((call) => call.index === piece.index);
      const call = named ?? { id: piece.id, index: piece.index, name: "", input: "", result: null };
      if (!named) message.calls.push(call);
      call.name = piece.function?.name || call.name;
      call.input += piece.function?.arguments ?? "";
      if (call.id) this.calls.set(call.id, { call, message });
    }
  }

  /** Makes room for a message where it belongs. */
  put(message) {
    const known = message.role === "tool" && this.calls.get(message.tool_call_id);
    if (known) {
      message.element = known.message.element;
      message.within = known;
      return;
    }
    const user = message.role === "user";
    const child = message.session_id && message.session_id !== this.session;
    message.body = h("div", { class: "body" });
    message.element = h("article", {
      class: `message ${user ? "user" : "answer"}${child ? " child" : ""}`,
      "aria-label": user ? "You" : message.agent_name || "Answer",
      data: { id: message.message_id },
    }, child ? h("p", { class: "who faint" }, message.agent_name || "Helper") : null, message.body);
    this.place.append(message.element);
  }

  draw() {
    clearTimeout(this.timer);
    this.timer = null;
    const messages = [...this.waiting];
    this.waiting.clear();
    for (const message of messages) {
      if (message.within) {
        message.within.call.result = message;
        this.show(message.within.message);
      } else this.show(message);
    }
    if (messages.length > 0) this.opened.drawn();
  }

  show(message) {
    if (message.role === "user") {
      fill(message.body, h("p", {}, said(message.text)));
      return;
    }
    const kept = new Set([...message.body.querySelectorAll("details[open]")].map((one) => one.dataset.key));
    const folded = (key, summary, ...rest) => h("details", { open: kept.has(key), data: { key }, class: key === "thought" ? "thought" : "tool" }, h("summary", {}, summary), rest);
    const focus = message.body.contains(document.activeElement) ? document.activeElement.closest("details")?.dataset.key : null;
    const superseded = message.metadata?.superseded === true;
    message.element.classList.toggle("superseded", superseded);
    const text = message.text.trim() === "" ? [] : message.role === "tool" ? [h("pre", {}, pretty(message.text).slice(0, LONGEST_RESULT))] : markdown(message.text);
    const bad = message.type === "error" || message.type === "agent_execution_error";
    fill(message.body,
      superseded ? h("p", { class: "warn note" }, "This attempt broke off when its server stopped. It was made again below.") : null,
      message.thought && folded("thought", "Thinking", h("div", { class: "faint" }, markdown(message.thought))),
      text.length > 0 && h("div", { class: `text${bad ? " bad" : ""}` }, text),
      message.calls.map((call) => this.tool(call, folded)),
      sources(message.metadata?.citations, this.opened.passage));
    if (focus) message.body.querySelector(`details[data-key="${CSS.escape(focus)}"] > summary`)?.focus();
  }

  tool(call, folded) {
    const status = call.result?.metadata?.tool_execution_status;
    const [mark, told] = !call.result ? ["…", "running"] : status === "error" ? ["✕", "failed"] : status === "cancelled" ? ["–", "cancelled"] : ["✓", "done"];
    const label = [h("span", { class: "mark", "aria-hidden": "true" }, mark), h("code", {}, call.name || "tool"), h("span", { class: status === "error" ? "bad" : "faint" }, told)];
    return [
      folded(`call-${call.id ?? call.index}`, label,
        h("h4", {}, "Asked with"), h("pre", {}, pretty(call.input || "{}")),
        call.result && [h("h4", {}, "Answered"), h("pre", {}, pretty(call.result.text).slice(0, LONGEST_RESULT))]),
      call.result && sources(found(call.result.text), this.opened.passage),
    ];
  }

  /** Draws what waits and forgets the rest. */
  close() {
    clearTimeout(this.timer);
  }
}

/** The passages in what a search of knowledge bases answered; null when it is no such answer. */
function found(text) {
  try {
    const results = JSON.parse(text)?.results;
    return Array.isArray(results) && results.every((one) => one?.doc_id && typeof one.content === "string") ? results : null;
  } catch {
    return null;
  }
}

/** Buttons that open the passages an answer was made from. */
function sources(passages, show) {
  if (!Array.isArray(passages) || passages.length === 0) return null;
  return h("div", { class: "sources" }, h("span", { class: "faint" }, "Sources"),
    passages.map((passage, at) => h("button", { type: "button", class: "source", onclick: () => show(passage, at + 1), title: passage.heading || passage.title },
      h("span", { class: "count" }, String(at + 1)), h("span", {}, passage.title || "Passage"))));
}
