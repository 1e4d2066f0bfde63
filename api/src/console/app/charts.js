// Small charts: bars, meters and plots of what is going on. Drawn in pixels of the place they have, drawn anew when it changes.
//
// Each has one stop for the Tab key; arrow keys walk along it, and what is pointed at is said in a tooltip and to screen readers.

import { fill, h, number, s } from "./dom.js";

/** 1234567 as 1.2M. */
export function short(value) {
  const sizes = [[1e9, "B"], [1e6, "M"], [1e3, "k"]];
  const [size, letter] = sizes.find(([one]) => Math.abs(value) >= one) ?? [1, ""];
  const scaled = value / size;
  const digits = letter === "" ? (Number.isInteger(scaled) ? 0 : 1) : scaled < 10 ? 1 : 0;
  return `${scaled.toFixed(digits).replace(/\.0$/, "")}${letter}`;
}

/** Round numbers from 0 to at least `most`, in about `count` steps; whole ones where `whole` is said. */
export function ticks(most, count = 4, whole = false) {
  if (!(most > 0)) return [0, 1];
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const round = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999);
  const step = whole ? Math.max(1, Math.ceil(round)) : round;
  const steps = Math.ceil(most / step - 1e-9);
  return Array.from({ length: steps + 1 }, (_, at) => at * step);
}

/** What is drawn anew whenever its width changes. */
function fitted(element, draw, signal) {
  const observer = new ResizeObserver(() => {
    const width = Math.round(element.clientWidth);
    if (width > 0 && width !== Number(element.dataset.width)) {
      element.dataset.width = width;
      draw(width);
    }
  });
  observer.observe(element);
  signal.addEventListener("abort", () => observer.disconnect());
}

/** A box that says what is pointed at, kept within its frame. */
class Tip {
  constructor(frame) {
    this.frame = frame;
    this.box = h("div", { class: "tip", "aria-hidden": "true", hidden: true });
    frame.append(this.box);
  }

  show(x, y, lines) {
    fill(this.box, lines.map(([mark, text], at) => h("div", { class: at === 0 ? "tip-head" : "" }, mark && h("i", { class: `swatch ${mark}` }), text)));
    this.box.hidden = false;
    const half = this.box.offsetWidth / 2;
    const left = Math.min(Math.max(x, half + 2), this.frame.clientWidth - half - 2);
    this.box.style.setProperty("left", `${left}px`);
    this.box.style.setProperty("top", `${Math.max(0, y - this.box.offsetHeight - 8)}px`);
  }

  hide() {
    this.box.hidden = true;
  }
}

/** Walking along `length()` places with the keyboard and the pointer; `to(null)` is nowhere. */
function walk(target, { length, at, to, signal }) {
  let here = null;
  const go = (place) => {
    here = place === null || length() === 0 ? null : Math.min(Math.max(place, 0), length() - 1);
    to(here);
  };
  const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, PageUp: -7, PageDown: 7 };
  target.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape" && here !== null) go(null);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(length() - 1);
    else if (event.key in steps) go(here === null ? length() - 1 : here + steps[event.key]);
    else return;
    event.preventDefault();
  }, { signal });
  target.addEventListener("pointermove", (event) => go(at(event)), { signal });
  target.addEventListener("pointerleave", () => go(null), { signal });
  target.addEventListener("blur", () => go(null), { signal });
  return { again: () => go(here) };
}

const HEIGHT = 208;
const BELOW = 24;
const ABOVE = 10;

/**
 * Bars side by side, each of parts that stand on each other.
 * `series`: `[{name, mark}]`, `rows`: `[{label, full, values}]`, in the same order; `format` says a value in full.
 */
export function bars({ title, series, rows, format = number, signal }) {
  const place = h("div", { class: "chart-place" });
  const svg = s("svg", { class: "chart", tabindex: "0", role: "application", "aria-roledescription": "bar chart", "aria-label": `${title}. Arrow keys walk from bar to bar.` });
  const said = h("p", { class: "hidden", "aria-live": "polite" });
  const tip = new Tip(place);
  place.prepend(svg);
  const total = (row) => row.values.reduce((sum, value) => sum + value, 0);
  const marks = ticks(Math.max(0, ...rows.map(total)), 4, true);
  const top = marks[marks.length - 1];
  const y = (value) => ABOVE + (HEIGHT - ABOVE - BELOW) * (1 - value / top);
  const room = 12 + 7 * Math.max(...marks.map((mark) => short(mark).length));
  let step = 1;
  const x = (at) => room + at * step;

  const draw = (width) => {
    step = (width - room) / Math.max(rows.length, 1);
    const gap = Math.min(step * 0.28, 10);
    const thick = Math.min(Math.max(step - gap, 1), 56);
    const every = Math.ceil(52 / step);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    fill(svg,
      marks.map((mark) => [
        s("line", { class: mark === 0 ? "axis" : "grid", x1: room, x2: width, y1: y(mark), y2: y(mark) }),
        s("text", { class: "label", x: room - 8, y: y(mark) + 4, "text-anchor": "end" }, short(mark)),
      ]),
      rows.map((row, at) => {
        let below = 0;
        const left = x(at) + (step - thick) / 2;
        const parts = row.values.map((value, part) => {
          const [from, to] = [below, below + value];
          below = to;
          if (value <= 0) return null;
          return s("rect", { class: `part ${series[part].mark}`, x: left, width: thick, y: y(to), height: Math.max(y(from) - y(to), 1) });
        });
        return s("g", { class: "column" }, s("rect", { class: "reach", x: x(at), width: step, y: ABOVE, height: HEIGHT - ABOVE - BELOW }), parts);
      }),
      rows.map((row, at) => (at % every === 0 && (at + 0.5) * step < width - room - 14
        ? s("text", { class: "label", x: x(at) + step / 2, y: HEIGHT - 7, "text-anchor": "middle" }, row.label) : null)),
    );
    walker.again();
  };
  const told = (at) => {
    svg.querySelectorAll(".column.here").forEach((one) => one.classList.remove("here"));
    if (at === null) {
      tip.hide();
      said.textContent = "";
      return;
    }
    const row = rows[at];
    svg.querySelectorAll(".column")[at]?.classList.add("here");
    const lines = series.map((one, part) => [one.mark, `${one.name}: ${format(row.values[part])}`]);
    if (series.length > 1) lines.push([null, `In all: ${format(total(row))}`]);
    tip.show(x(at) + step / 2, y(total(row)), [[null, row.full], ...lines]);
    said.textContent = [row.full, ...lines.map(([, text]) => text)].join(", ");
  };
  const walker = walk(svg, {
    length: () => rows.length, to: told, signal,
    at: (event) => Math.floor((event.offsetX - room) / step),
  });
  fitted(place, draw, signal);
  const legend = series.length > 1 && h("p", { class: "legend" }, series.map((one) => h("span", {}, h("i", { class: `swatch ${one.mark}` }), one.name)));
  return h("figure", { class: "figure" }, legend, place, said, table(title, series, rows, format));
}

/** The same as a table, for those who would rather read. */
function table(title, series, rows, format) {
  const head = h("tr", {}, h("th", { scope: "col" }, ""), series.map((one) => h("th", { scope: "col", class: "number" }, one.name)));
  const body = rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.full), row.values.map((value) => h("td", { class: "number" }, format(value)))));
  return h("details", { class: "as-table" }, h("summary", {}, "Show as a table"),
    h("div", { class: "wide" }, h("table", {}, h("caption", { class: "hidden" }, title), h("thead", {}, head), h("tbody", {}, body))));
}

/** How much of something is used. Without a `limit` there is nothing to fill. */
export function meter({ name, used, limit, note }) {
  const share = limit === null ? 0 : limit === 0 ? 1 : Math.min(used / limit, 1);
  const state = limit === null ? "free" : share >= 1 ? "over" : share >= 0.8 ? "near" : "";
  const value = h("span", { class: "meter-value" }, h("strong", {}, number(used)), limit === null ? " used, no limit" : ` of ${number(limit)}`);
  const bar = h("div", {
    class: `meter ${state}`, role: "meter", "aria-label": name, "aria-valuemin": "0", "aria-valuemax": String(limit ?? used), "aria-valuenow": String(Math.min(used, limit ?? used)),
    "aria-valuetext": limit === null ? `${number(used)}, no limit` : `${number(used)} of ${number(limit)}`,
  }, h("i", { style: { width: `${100 * share}%` } }));
  return h("div", { class: "quota" }, h("div", { class: "quota-head" }, h("span", {}, name), value), bar, note && h("p", { class: "faint" }, note));
}

const PLOT = 84;
/** How long a plot looks back: at first, and when there is more to see, ms. */
const SPANS = [45_000, 3 * 60_000];

/** A line that grows to the right as time goes by. `format` says a value; `least` is what the scale shows at least. */
export class Plot {
  constructor({ title, format, least = 1, signal }) {
    Object.assign(this, { title, format, least });
    this.points = [];
    this.now = h("strong", { class: "plot-now" }, "–");
    this.note = h("span", { class: "faint plot-note" });
    this.svg = s("svg", { class: "plot", tabindex: "0", role: "application", "aria-roledescription": "live plot", "aria-label": title });
    this.said = h("p", { class: "hidden", "aria-live": "polite" });
    this.place = h("div", { class: "chart-place" }, this.svg);
    this.tip = new Tip(this.place);
    this.width = 0;
    this.element = h("figure", { class: "card figure" }, h("figcaption", {}, h("span", {}, title), this.now), this.place, this.said, this.note);
    this.walker = walk(this.svg, {
      length: () => this.points.length, to: (at) => this.told(at), signal,
      at: (event) => this.nearest(event.offsetX),
    });
    fitted(this.place, (width) => {
      this.width = width;
      this.draw();
    }, signal);
  }

  /** Takes a value; `null` where there is none, which leaves a gap. */
  push(time, value, note = "") {
    this.points.push({ time, value });
    while (this.points[0].time < time - SPANS[1]) this.points.shift();
    this.now.textContent = value === null ? "–" : this.format(value);
    this.note.textContent = note;
    this.draw();
  }

  x(time) {
    const end = this.points.at(-1).time;
    const span = Math.max(SPANS[0], end - this.points[0].time);
    return this.width - ((end - time) / span) * this.width;
  }

  y(value) {
    return 4 + (PLOT - 8) * (1 - value / this.top);
  }

  nearest(x) {
    const distances = this.points.map((point) => Math.abs(this.x(point.time) - x));
    return distances.indexOf(Math.min(...distances));
  }

  draw() {
    if (this.width === 0 || this.points.length === 0) return;
    const values = this.points.flatMap((point) => (point.value === null ? [] : [point.value]));
    this.top = ticks(Math.max(this.least, ...values), 2).at(-1);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${PLOT}`);
    const runs = [[]];
    for (const point of this.points) {
      if (point.value === null) runs.push([]);
      else runs.at(-1).push(`${this.x(point.time).toFixed(1)},${this.y(point.value).toFixed(1)}`);
    }
    const lines = runs.filter((run) => run.length > 0);
    const area = (run) => {
      const [first, last] = [run[0].split(",")[0], run.at(-1).split(",")[0]];
      return `M${first},${PLOT - 4}L${run.join("L")}L${last},${PLOT - 4}Z`;
    };
    this.cursor = s("line", { class: "cursor", y1: 0, y2: PLOT, x1: 0, x2: 0, visibility: "hidden" });
    fill(this.svg,
      s("line", { class: "grid", x1: 0, x2: this.width, y1: this.y(this.top), y2: this.y(this.top) }),
      s("line", { class: "axis", x1: 0, x2: this.width, y1: this.y(0), y2: this.y(0) }),
      lines.map((run) => [s("path", { class: "area", d: area(run) }), s("path", { class: "line", d: `M${run.join("L")}` })]),
      s("text", { class: "label", x: 2, y: this.y(this.top) + 12 }, this.format(this.top).replace(".0 ", " ")),
      this.cursor);
    this.walker.again();
  }

  told(at) {
    if (at === null || this.width === 0) {
      this.tip.hide();
      this.cursor?.setAttribute("visibility", "hidden");
      this.said.textContent = "";
      return;
    }
    const { time, value } = this.points[at];
    const x = this.x(time);
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, x);
    this.cursor.removeAttribute("visibility");
    const clock = new Date(time).toLocaleTimeString();
    const text = value === null ? "no value" : this.format(value);
    this.tip.show(x, value === null ? 20 : this.y(value), [[null, text], [null, clock]]);
    if (document.activeElement === this.svg) this.said.textContent = `${clock}: ${text}`;
  }
}
