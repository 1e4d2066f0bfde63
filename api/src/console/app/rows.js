// What is looked at again and again is changed on the screen, not made anew, so that focus and selection stay.

import { fill, h, notice } from "./dom.js";

/** The children of `body`, one for each thing. `build(thing)` answers `{ element, update(thing) }`. */
export class Rows {
  constructor(body, build) {
    Object.assign(this, { body, build, known: new Map() });
  }

  show(list, key) {
    const left = new Set(this.known.keys());
    list.forEach((one, at) => {
      const id = key(one);
      left.delete(id);
      if (!this.known.has(id)) this.known.set(id, this.build(one));
      const row = this.known.get(id);
      if (this.body.children[at] !== row.element) this.body.insertBefore(row.element, this.body.children[at] ?? null);
      row.update(one);
    });
    for (const id of left) {
      this.known.get(id).element.remove();
      this.known.delete(id);
    }
  }
}

/** Fills an element if what it says has changed since it last was. */
export function said(element, text, build) {
  if (element.dataset.shown === text) return;
  element.dataset.shown = text;
  fill(element, build());
}

/** The head of a table; `#` before a name: its column holds numbers. `""`: what stands there needs no name. */
export const headed = (names) => h("thead", {}, h("tr", {}, names.map((name) => (name === "" ? h("td", {}) : h("th", { scope: "col", class: name.startsWith("#") ? "number" : "" }, name.replace("#", ""))))));

/** Does what was clicked for, and says so when it cannot be done. */
export const tried = (act) => async () => {
  try {
    await act();
  } catch (error) {
    if (error.name !== "AbortError") notice(error.status === undefined ? "The server cannot be reached; try again." : error.message, true);
  }
};

/** A state, with a dot in its colour: `good`, `bad`, `warn`, `faint`. */
export const tag = (kind, text) => h("span", { class: `tag ${kind}` }, text);

/**
 * Asks before something happens that cannot be taken back. Resolves to whether it is wanted.
 * The dialog goes with the page: `place` is where it stands.
 */
export function sure(place, { title, text, action, bad = false }) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "sure", "aria-labelledby": "sure-title", onclose: () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    } });
    const close = (value) => () => dialog.close(value);
    fill(dialog, h("h2", { id: "sure-title" }, title), h("p", {}, text),
      h("div", { class: "buttons" },
        h("button", { type: "button", autofocus: true, onclick: close("no") }, "Cancel"),
        h("button", { type: "button", class: bad ? "first danger" : "first", onclick: close("yes") }, action)));
    place.append(dialog);
    dialog.showModal();
  });
}

/**
 * Calls `look` again and again, `pace()` ms after it has ended, as long as somebody looks at the page. What is returned looks at
 * once, or as soon as a look that is under way has ended.
 */
export function watch(look, pace, signal) {
  let timer = null;
  let looking = null;
  const again = () => {
    clearTimeout(timer);
    if (looking) return looking.then(again);
    if (signal.aborted || document.hidden) return Promise.resolve();
    looking = look().finally(() => {
      looking = null;
      if (!signal.aborted && !document.hidden) timer = setTimeout(again, pace());
    });
    return looking;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : again()), { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  return again;
}
