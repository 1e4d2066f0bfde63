// The part of Markdown that models write, as elements. Nothing is parsed as HTML; links lead to http and https only.
// Text may be cut anywhere, as it is while an answer streams: what is not closed yet is shown as far as it goes.

import { h } from "./dom.js";

const FENCE = /^(\s*)(`{3,}|~{3,})\s*([\w+#.-]*)/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const DEPTH = 12;

const indent = (line) => line.length - line.trimStart().length;
const begins = (line) => FENCE.test(line) || ITEM.test(line) || /^\s{0,3}(#{1,6}\s|>|([-*_])(\s*\2){2,}\s*$)/.test(line);

/** The blocks of a text. */
export function markdown(text, depth = 0) {
  const lines = Array.isArray(text) ? text : String(text).split(/\r?\n/);
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (line.trim() === "") {
      at += 1;
      continue;
    }
    const fence = FENCE.exec(line);
    if (fence) {
      const body = [];
      for (at += 1; at < lines.length && !closes(lines[at], fence[2]); at += 1) body.push(lines[at].slice(Math.min(indent(lines[at]), fence[1].length)));
      at += 1;
      blocks.push(h("pre", { tabIndex: 0, ...(fence[3] ? { "aria-label": `Code, ${fence[3]}` } : {}) }, h("code", {}, body.join("\n"))));
      continue;
    }
    const heading = /^\s{0,3}(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (heading) {
      blocks.push(h(heading[1].length < 3 ? "h3" : "h4", {}, inline(heading[2])));
      at += 1;
      continue;
    }
    if (/^\s{0,3}([-*_])(\s*\1){2,}\s*$/.test(line)) {
      blocks.push(h("hr"));
      at += 1;
      continue;
    }
    if (/^\s{0,3}>/.test(line) && depth < DEPTH) {
      const quoted = [];
      for (; at < lines.length && /^\s{0,3}>/.test(lines[at]); at += 1) quoted.push(lines[at].replace(/^\s{0,3}> ?/, ""));
      blocks.push(h("blockquote", {}, markdown(quoted, depth + 1)));
      continue;
    }
    if (ITEM.test(line) && depth < DEPTH) {
      const [list, next] = items(lines, at, depth);
      blocks.push(list);
      at = next;
      continue;
    }
    if (line.includes("|") && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(lines[at + 1] ?? "") && lines[at + 1].includes("|")) {
      const rows = [cells(line)];
      for (at += 2; at < lines.length && lines[at].includes("|"); at += 1) rows.push(cells(lines[at]));
      blocks.push(h("div", { class: "wide" }, h("table", {},
        h("thead", {}, h("tr", {}, rows[0].map((cell) => h("th", {}, inline(cell))))),
        h("tbody", {}, rows.slice(1).map((row) => h("tr", {}, row.map((cell) => h("td", {}, inline(cell)))))))));
      continue;
    }
    const paragraph = [line.trim()];
    for (at += 1; at < lines.length && lines[at].trim() !== "" && !begins(lines[at]); at += 1) paragraph.push(lines[at].trim());
    blocks.push(h("p", {}, paragraph.flatMap((one, n) => (n === 0 ? inline(one) : [h("br"), ...inline(one)]))));
  }
  return blocks;
}

function closes(line, fence) {
  const text = line.trim();
  return text.length >= fence.length && text === fence[0].repeat(text.length);
}

/** A list from `at` on, and where it ends. */
function items(lines, at, depth) {
  const [, margin, mark] = ITEM.exec(lines[at]);
  const ordered = /\d/.test(mark);
  const list = h(ordered ? "ol" : "ul", ordered && parseInt(mark, 10) !== 1 ? { start: parseInt(mark, 10) } : {});
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    if (!item || item[1].length > margin.length + 1 || item[1].length < margin.length || /\d/.test(item[2]) !== ordered) break;
    const body = [item[3]];
    const inner = item[1].length + item[2].length + 1;
    for (at += 1; at < lines.length; at += 1) {
      const blank = lines[at].trim() === "";
      const deeper = indent(lines[at]) > margin.length;
      if (blank && !(at + 1 < lines.length && indent(lines[at + 1]) > margin.length && lines[at + 1].trim() !== "")) break;
      if (!blank && !deeper && (begins(lines[at]) || lines[at - 1].trim() === "")) break;
      body.push(lines[at].slice(Math.min(indent(lines[at]), inner)));
    }
    while (at < lines.length && lines[at].trim() === "" && ITEM.test(lines[at + 1] ?? "")) at += 1;
    const blocks = markdown(body, depth + 1);
    // A line alone needs no paragraph around it.
    list.append(h("li", {}, blocks[0]?.tagName === "P" ? [...blocks[0].childNodes, ...blocks.slice(1)] : blocks));
  }
  return [list, at];
}

const cells = (line) => line.trim().replace(/^\|/, "").replace(/\|$/, "").split("|").map((cell) => cell.trim());

const INLINE = [
  [/^`([^`]+)`/, (found) => h("code", {}, found[1])],
  [/^\*\*(?=\S)([\s\S]*?\S)\*\*/, (found, deep) => h("strong", {}, deep(found[1]))],
  [/^__(?=\S)([\s\S]*?\S)__(?!\w)/, (found, deep) => h("strong", {}, deep(found[1]))],
  [/^~~(?=\S)([\s\S]*?\S)~~/, (found, deep) => h("del", {}, deep(found[1]))],
  [/^\*(?=[^\s*])([^*]*?[^\s*])\*/, (found, deep) => h("em", {}, deep(found[1]))],
  [/^_(?=[^\s_])([^_]*?[^\s_])_(?!\w)/, (found, deep) => h("em", {}, deep(found[1]))],
  [/^\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/, (found, deep) => link(found[2], deep(found[1]))],
  [/^https?:\/\/[^\s<>"'`)\]]*[^\s<>"'`)\].,;:!?]/, (found) => link(found[0], [found[0]])],
];

function link(address, children) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return h("span", {}, children);
  }
  return h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, children);
}

/** What stands in a line, as a list of texts and elements. */
function inline(text, depth = 0) {
  if (depth > DEPTH) return [text];
  const found = [];
  let plain = "";
  let at = 0;
  while (at < text.length) {
    const special = "`*_~[h\\".includes(text[at]);
    const before = text[at - 1] ?? " ";
    const inWord = (text[at] === "_" || text[at] === "h") && /\w/.test(before);
    if (text[at] === "\\" && /[\\`*_~[\]#>.-]/.test(text[at + 1] ?? "")) {
      plain += text[at + 1];
      at += 2;
      continue;
    }
    let hit = null;
    if (special && !inWord) {
      const rest = text.slice(at, at + 4000);
      for (const [pattern, make] of INLINE) {
        const match = pattern.exec(rest);
        if (match) {
          hit = [match[0].length, make(match, (inner) => inline(inner, depth + 1))];
          break;
        }
      }
    }
    if (hit) {
      if (plain) found.push(plain);
      plain = "";
      found.push(hit[1]);
      at += hit[0];
    } else {
      plain += text[at];
      at += 1;
    }
  }
  if (plain) found.push(plain);
  return found;
}
