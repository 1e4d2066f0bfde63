// Elements without a framework: h("p", {class: "x", onclick}, "text", child).

const SVG = "http://www.w3.org/2000/svg";

const flat = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== "");

function build(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.setAttribute("class", value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && name !== "list" && name !== "role" && !(element instanceof SVGElement)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...flat(children));
  return element;
}

/** An HTML element. Text is text: nothing is ever parsed as HTML. `style` and `data` are objects. */
export const h = (tag, properties, ...children) => build(document.createElement(tag), properties, children);

/** An SVG element. */
export const s = (tag, properties, ...children) => build(document.createElementNS(SVG, tag), properties, children);

/** A drawing in lines, 24 by 24, that says nothing to a screen reader. */
export const icon = (paths) => s("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, s("path", { d: paths }));

/** Puts these in the place of everything below `parent`. */
export function fill(parent, ...children) {
  parent.replaceChildren(...flat(children));
  return parent;
}

/** Tells something in the corner for a few seconds; read aloud by screen readers. */
export function notice(text, bad = false) {
  const line = h("p", { class: bad ? "bad" : "" }, text);
  document.getElementById("notice").append(line);
  setTimeout(() => line.remove(), bad ? 8000 : 4000);
}

/** What stands where nothing is yet, and what to do about it. */
export const empty = (title, ...rest) => h("div", { class: "empty" }, h("h2", {}, title), rest.map((one) => (typeof one === "string" ? h("p", {}, one) : one)));

/** A time as people read it, with the exact one on hover. */
export function time(text) {
  const date = new Date(text);
  const sameDay = date.toDateString() === new Date().toDateString();
  const shown = sameDay ? date.toLocaleTimeString() : date.toLocaleString();
  return h("time", { dateTime: text, title: text }, shown);
}

/** 1234567 as 1,234,567. */
export const number = (value) => Number(value ?? 0).toLocaleString("en");

/** Seconds as ms, s or min. */
export function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** Bytes as kB, MB or GB. */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = Number(count ?? 0);
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}
