// The frame: which page is shown, who is there, light or dark.
//
// What a page is given as `context`:
//   rest      the address behind the page's own part, as a list: `/console/runs/1/x` → ["1", "x"]
//   query     URLSearchParams of the address
//   person    {userid, username, admin, …}
//   signal    an AbortSignal; aborted when the page is left
//   href(path)            the address of a place in the console: href("runs/1")
//   go(path)              goes there
//   replace(path)         changes the address, and shows nothing anew
//   title(text)           what the window is called, before the name of the page
// What `mount` returns is a function that cleans up when the page is left, or `{ leave(), move({rest, query}) }`: `move` is called instead of a
// new `mount` when only the rest of the address changes. Whatever hangs on `signal` needs neither.

import { h, fill, icon, notice } from "./dom.js";
import { ROOT, person, sage } from "./api.js";
import { PAGES } from "./pages.js";

const HOME = `${ROOT}/console`;
const place = document.getElementById("page");
let who = null;
let pages = [];
let shown = null;
/** Whether somebody has gone anywhere since the console was opened. */
let navigated = false;

/** `/console/runs/1?x=2` as page, rest of the path and parameters. */
function address() {
  const parts = location.pathname.slice(HOME.length).split("/").filter((part) => part !== "");
  const [key, ...rest] = parts.map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { key: key ?? pages[0]?.key, rest, query: new URLSearchParams(location.search) };
}

const href = (path) => `${HOME}/${path}`;

function go(path) {
  history.pushState(null, "", href(path));
  return show();
}

function leave() {
  const left = shown;
  shown = null;
  left?.away.abort();
  (typeof left?.page === "function" ? left.page : left?.page?.leave)?.();
}

async function show() {
  const { key, rest, query } = address();
  const page = pages.find((one) => one.key === key);
  if (shown && shown.key === key && shown.page?.move) {
    shown.page.move({ rest, query });
    return;
  }
  navigated ||= shown !== null;
  leave();
  const away = new AbortController();
  const here = { key, away, page: null };
  shown = here;
  for (const link of document.querySelectorAll("#pages a")) {
    if (link.dataset.key === key) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = (text) => {
    document.title = [text, page?.title, "annals"].filter(Boolean).join(" · ");
  };
  title(page ? "" : "Not found");
  fill(place);
  place.className = page?.key ?? "";
  if (!page) {
    fill(place, empty());
    return;
  }
  try {
    const module = await page.load();
    if (away.signal.aborted) return;
    const context = {
      rest, query, person: who, signal: away.signal, href, go, title,
      replace: (path) => history.replaceState(null, "", href(path)),
    };
    const mounted = await module.default.mount(place, context);
    here.page = mounted ?? null;
    // What had the focus is gone with the page before.
    if (document.activeElement === document.body && navigated) place.focus({ preventScroll: true });
    if (away.signal.aborted) (typeof mounted === "function" ? mounted : mounted?.leave)?.();
  } catch (error) {
    if (away.signal.aborted || error.name === "AbortError") return;
    fill(place, h("div", { class: "empty", role: "alert" }, h("h2", {}, "This page could not be shown"), h("p", {}, error.message)));
  }
}

function empty() {
  const known = PAGES.some((one) => one.key === address().key);
  return h("div", { class: "empty" },
    h("h2", {}, known ? "For administrators" : "There is no such page"),
    h("p", {}, known ? "Ask somebody who administers this installation." : "The address may be misspelt."),
    h("p", {}, h("a", { href: HOME }, "Go to the first page")));
}

/** Links of the console are followed without loading everything anew. */
function follow(event) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.("a[href]");
  if (!link || link.target || link.hasAttribute("download")) return;
  const url = new URL(link.href);
  const ours = url.origin === location.origin && (url.pathname === HOME || url.pathname.startsWith(`${HOME}/`));
  if (!ours || url.pathname.startsWith(`${HOME}/app/`)) return;
  event.preventDefault();
  if (url.href !== location.href) history.pushState(null, "", url.href);
  show();
}

function theme() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const now = () => document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
  const told = () => {
    const other = now() === "dark" ? "light" : "dark";
    button.setAttribute("aria-label", `Switch to ${other} colours`);
    button.title = `Switch to ${other} colours`;
    fill(button, icon(now() === "dark"
      ? "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4"
      : "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z"));
  };
  told();
  system.addEventListener("change", told);
  button.addEventListener("click", () => {
    const next = now() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("annals-theme", next);
    } catch {
      // It holds until the page is loaded anew.
    }
    told();
  });
}

/** Alt and a digit lead to a page, wherever the focus is. */
function shortcuts(event) {
  const page = pages[Number(event.code.replace("Digit", "")) - 1];
  if (!event.altKey || event.ctrlKey || event.metaKey || !event.code.startsWith("Digit") || !page) return;
  event.preventDefault();
  go(page.key).then(() => place.focus());
}

async function begin() {
  theme();
  const user = await person();
  who = { ...user, admin: user.role === "admin" };
  pages = PAGES.filter((page) => !page.admin || who.admin);
  fill(document.getElementById("pages"), pages.map(({ key, title, icon: paths }, at) => {
    const link = h("a", { href: href(key), title: `${title} (Alt+${at + 1})` }, icon(paths), h("span", {}, title));
    link.dataset.key = key;
    return link;
  }));
  document.getElementById("person").textContent = who.username ?? who.userid ?? "";
  document.getElementById("leave").addEventListener("click", async () => {
    await sage("/api/auth/logout", { method: "POST" });
    location.assign(`${ROOT}/login?next=${encodeURIComponent(HOME)}`);
  });
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    place.focus();
  });
  document.addEventListener("click", follow);
  addEventListener("keydown", shortcuts);
  addEventListener("popstate", show);
  await show();
}

addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError") event.preventDefault();
  else if (event.reason?.status !== undefined) {
    event.preventDefault();
    notice(event.reason.message, true);
  }
});

begin().catch((error) => notice(error.message, true));
