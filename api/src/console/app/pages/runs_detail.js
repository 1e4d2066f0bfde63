// One run: what it took, drawn over time, and a replay of its stream at the speed at which it was recorded.

import { duration, fill, h, icon, number, s, time } from "../dom.js";
import { native } from "../api.js";
import { Talk } from "./chat_talk.js";
import { Timeline } from "./runs_timeline.js";

const PAGE = 500;
/** Events that are drawn at most. */
const MOST = 20000;
const AGAIN = 1000;
const SPEEDS = [[1, "1×"], [2, "2×"], [8, "8×"]];
/** Lines that are no part of what was said. */
const QUIET = new Set(["token_usage", "stream_end"]);
const PLAY = "M7 5l12 7-12 7z";
const PAUSE = "M8 5v14M16 5v14";

export class Detail {
  constructor(place, context, id, signal) {
    Object.assign(this, { place, context, id, signal });
    this.time = new Timeline();
    this.next = 0;
    this.now = 0;
    this.told = 0;
    this.speed = 1;
    this.playing = false;
    this.live = true;
  }

  async begin() {
    this.run = await native(`/v1/runs/${encodeURIComponent(this.id)}`, { signal: this.signal });
    await this.read();
    this.build();
    this.draw();
    this.seek(this.time.length());
    this.signal.addEventListener("abort", () => {
      clearTimeout(this.timer);
      cancelAnimationFrame(this.frame);
      this.talk?.close();
    });
    this.later();
  }

  /** Everything that was recorded and is not here yet. */
  async read() {
    for (;;) {
      const page = await native(`/v1/runs/${encodeURIComponent(this.id)}/events?from=${this.next}&limit=${PAGE}`, { signal: this.signal });
      for (const event of page.events) {
        this.asked ??= event.type === "RunRequested" ? event : undefined;
        this.time.take(event);
      }
      this.next = page.next;
      if (page.events.length === 0 || this.time.over || this.time.events >= MOST) return;
    }
  }

  later() {
    if (this.time.over || this.time.events >= MOST || this.signal.aborted) return;
    this.timer = setTimeout(async () => {
      try {
        await this.read();
        if (this.time.over) this.run = await native(`/v1/runs/${encodeURIComponent(this.id)}`, { signal: this.signal });
      } catch (error) {
        if (this.signal.aborted || (error.status !== undefined && error.status < 500)) return;
      }
      this.draw();
      if (this.live && !this.playing) this.seek(this.time.length());
      this.later();
    }, AGAIN);
  }

  build() {
    const { href } = this.context;
    const question = this.time.asked.findLast((message) => message.role === "user");
    const text = typeof question?.content === "string" ? question.content : question?.content?.find?.((part) => part.text)?.text ?? "";
    this.context.title(text.slice(0, 60) || this.id);
    this.facts = h("dl", { class: "facts" });
    this.lanes = h("ul", { class: "lanes", "aria-label": "What happened when" });
    this.axis = h("div", { class: "axis", "aria-hidden": "true" });
    this.playhead = h("div", { class: "playhead" });
    this.slider = h("input", { type: "range", min: 0, max: 1000, value: 1000, "aria-label": "Place in the recording", oninput: () => this.dragged() });
    this.clock = h("output", { class: "number clock" });
    this.play = h("button", { type: "button", class: "first play", onclick: () => this.toggle() });
    this.speeds = h("div", { class: "segments", role: "group", "aria-label": "Speed" },
      SPEEDS.map(([speed, label]) => h("button", { type: "button", data: { speed }, onclick: () => this.paced(speed) }, label)),
      h("button", { type: "button", onclick: () => { this.playing = false; this.seek(this.time.length()); this.live = true; } }, "Instant"));
    this.talkPlace = h("div", { class: "messages", tabIndex: 0, role: "region", "aria-label": "The stream as it was sent" });
    this.dialog = h("dialog", { "aria-labelledby": "replayed-passage", onclick: (event) => { if (event.target === this.dialog) this.dialog.close(); } });
    fill(this.place,
      h("p", { class: "back" }, h("a", { href: href("runs") }, "‹ All runs")),
      h("h1", { class: "asked" }, text.slice(0, 300) || this.context.surfaces[this.run.surface] || "Run"),
      this.facts,
      h("section", { class: "card", "aria-labelledby": "timeline" }, h("h2", { id: "timeline" }, "Timeline"),
        h("div", { class: "timeline" }, this.lanes, h("div", { class: "over" }, this.axis, this.playhead)),
        h("p", { class: "legend faint", "aria-hidden": "true" }, [["turn", "Model speaks"], ["wait", "Waiting for it"], ["tool", "Tool or step"], ["attempt", "Attempt"]].map(([kind, name]) => h("span", {}, h("i", { class: `bar-${kind}` }), name)))),
      h("section", { class: "card replay", "aria-labelledby": "replay" },
        h("div", { class: "head" }, h("h2", { id: "replay" }, "Replay"), this.clock),
        h("div", { class: "controls" }, this.play, this.slider, this.speeds),
        this.talkPlace),
      this.dialog);
    this.paced(1);
    this.afresh();
  }

  draw() {
    const { run, time: timeline } = this;
    const { href, person, stateTag, surfaces } = this.context;
    const length = timeline.length();
    const fact = (name, value) => value !== null && value !== undefined && value !== "" && [h("dt", {}, name), h("dd", {}, value)];
    fill(this.facts,
      fact("State", stateTag(run.state)), fact("Asked", time(run.requested_at)), fact("Took", duration(length / 1000)),
      fact("Came through", surfaces[run.surface] ?? run.surface), person.admin && fact("Owner", run.owner === person.userid ? "You" : h("span", { class: "mono" }, run.owner)),
      fact("Attempts", String(run.attempts)), fact("Lines", number(timeline.lines.length)),
      run.usage.total_tokens > 0 && fact("Tokens", `${number(run.usage.prompt_tokens)} in, ${number(run.usage.completion_tokens)} out`),
      run.parent && fact("Works for", h("a", { href: href(`runs/${run.parent}`) }, "another run")),
      run.error && fact("Error", h("span", { class: "bad" }, run.error)),
      fact("More", h("span", { class: "links" },
        run.surface.startsWith("sage") && run.owner === person.userid && h("a", { href: href(`chat/${encodeURIComponent(run.session_id)}`) }, "Conversation"),
        person.admin && h("a", { href: href(`log?stream=run-${run.id}`) }, "Its stream in the log"),
        timeline.events >= MOST && h("span", { class: "warn" }, `Only the first ${number(MOST)} events are drawn.`))));
    const place = (ms) => `${Math.min(100, (Math.max(0, ms) / length) * 100)}%`;
    fill(this.lanes, timeline.spans.filter((span) => span.kind !== "mark").map((span) => {
      const to = span.to ?? length;
      const broken = span.broken && span.broken !== "superseded" ? ` · ${span.broken}` : span.broken ? " · made again" : "";
      const told = [duration((to - span.from) / 1000), span.tokens && `${number(span.tokens)} tokens`, span.model].filter(Boolean).join(" · ");
      return h("li", { class: span.kind },
        h("span", { class: "name" }, span.run ? h("a", { href: href(`runs/${span.run}`) }, span.name) : span.name, h("span", { class: "faint" }, ` ${told}${broken}${span.to === null ? " · going on" : ""}`)),
        h("span", { class: "track", onclick: (event) => this.clicked(event) },
          span.waited !== undefined && span.waited !== null && span.waited < span.from && h("i", { class: "bar-wait", style: { left: place(span.waited), width: place(span.from - span.waited) } }),
          h("i", { class: `bar-${span.kind}${span.broken ? " broken" : ""}`, style: { left: place(span.from), width: place(to - span.from) } }),
          span.kind === "turn" && this.ticks(span.from, to, length)));
    }));
    fill(this.axis, this.marks(length).map((ms) => h("span", { style: { left: place(ms) } }, ms === 0 ? "0" : duration(ms / 1000))));
    this.placed();
  }

  /** When lines were recorded, as fine strokes within the bar. */
  ticks(from, to, length) {
    const times = [...new Set(this.time.lines.filter(({ now }) => now >= from && now <= to).map(({ now }) => Math.round((now / length) * 1000)))];
    return s("svg", { class: "ticks", viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" }, s("path", { d: times.map((x) => `M${x} 2V8`).join("") }));
  }

  /** Round times along the axis. */
  marks(length) {
    const raw = length / 6;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((one) => one * unit).find((one) => one >= raw) ?? raw;
    return Array.from({ length: Math.floor((length * 0.94) / step) + 1 }, (_, n) => n * step);
  }

  afresh() {
    this.talk?.close();
    fill(this.talkPlace);
    this.rawPlace = null;
    this.told = 0;
    this.talk = new Talk(this.talkPlace, this.run.session_id, { drawn: () => {}, passage: (passage, count) => this.passage(passage, count) });
    for (const message of this.time.asked) this.talk.take({ ...message, session_id: this.run.session_id });
    this.talk.draw();
  }

  /** Shows what had been sent by this time. */
  seek(ms) {
    this.now = Math.min(Math.max(0, ms), this.time.length());
    const { lines } = this.time;
    if (this.told > 0 && this.told <= lines.length && lines[this.told - 1].now > this.now) this.afresh();
    while (this.told < lines.length && lines[this.told].now <= this.now) {
      const { line } = lines[this.told];
      if (!this.talk.take(line) && !QUIET.has(line.type)) this.raw(line);
      this.told += 1;
    }
    this.placed();
  }

  /** Dialects other than Sage's have lines of their own shapes. */
  raw(line) {
    this.rawPlace ??= this.talkPlace.appendChild(h("pre", { class: "raw" }));
    this.rawPlace.append(`${typeof line === "string" ? line : JSON.stringify(line)}\n`);
  }

  placed() {
    const length = this.time.length();
    this.slider.value = String(Math.round((this.now / length) * 1000));
    this.slider.setAttribute("aria-valuetext", `${duration(this.now / 1000)} of ${duration(length / 1000)}`);
    this.clock.textContent = `${duration(this.now / 1000)} of ${duration(length / 1000)} · line ${number(this.told)} of ${number(this.time.lines.length)}`;
    this.playhead.style.setProperty("left", `${(this.now / length) * 100}%`);
    const label = this.playing ? "Pause" : "Play";
    if (this.play.textContent !== label) fill(this.play, icon(this.playing ? PAUSE : PLAY), label);
  }

  dragged() {
    this.playing = false;
    this.live = this.slider.value === "1000";
    this.seek((Number(this.slider.value) / 1000) * this.time.length());
  }

  clicked(event) {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    this.live = false;
    this.seek(((event.clientX - left) / width) * this.time.length());
  }

  paced(speed) {
    this.speed = speed;
    for (const button of this.speeds.querySelectorAll("[data-speed]")) button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === speed));
  }

  toggle() {
    this.playing = !this.playing;
    if (this.playing) {
      this.live = false;
      if (this.now >= this.time.length()) this.seek(0);
      let before = performance.now();
      const step = (moment) => {
        if (!this.playing || this.signal.aborted) return;
        this.seek(this.now + (moment - before) * this.speed);
        before = moment;
        if (this.now >= this.time.length() && this.time.over) this.playing = false;
        this.placed();
        if (this.playing) this.frame = requestAnimationFrame(step);
      };
      this.frame = requestAnimationFrame(step);
    }
    this.placed();
  }

  passage(passage, count) {
    fill(this.dialog, h("div", { class: "head" }, h("h2", { id: "replayed-passage" }, `${count}. ${passage.title || "Passage"}`),
      h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.dialog.close() }, icon("M6 6l12 12M18 6L6 18"))),
    h("p", { class: "faint" }, passage.heading), h("div", { class: "passage" }, passage.content));
    this.dialog.showModal();
  }
}
