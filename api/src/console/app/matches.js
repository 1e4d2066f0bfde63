// Which words of a text are words of a question, about as the search sees it.

import { h } from "./dom.js";

const HAN = "[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}]";
const WORDS = new RegExp(`${HAN}+|(?:(?!${HAN})[\\p{L}\\p{N}\\p{M}])+`, "gu");
const ONLY_HAN = new RegExp(`^${HAN}`, "u");
/** Words that say nothing by themselves. */
const COMMON = new Set("a an and are as at be by can do does for from how i in is it of on or that the this to was what when where which who why will with".split(" "));

/** Lower case, without accents, roughly cut to its stem. */
function stem(word) {
  const plain = word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  for (const ending of ["ments", "ment", "ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "ly", "s", "e", "y"]) {
    if (plain.length - ending.length >= 3 && plain.endsWith(ending)) return plain.slice(0, -ending.length);
  }
  return plain;
}

const pairs = (run) => {
  const letters = [...run];
  return letters.length === 1 ? letters : letters.slice(1).map((letter, at) => letters[at] + letter);
};

/** What to look for. */
export function words(question) {
  const all = question.match(WORDS) ?? [];
  const telling = all.filter((word) => !COMMON.has(word.toLowerCase()));
  const wanted = telling.length > 0 ? telling : all;
  return { stems: new Set(wanted.filter((word) => !ONLY_HAN.test(word)).map(stem)), pairs: new Set(wanted.filter((word) => ONLY_HAN.test(word)).flatMap(pairs)) };
}

/** Which letters of a run without blanks belong to pairs that are wanted. */
function letters(run, wanted) {
  const list = [...run];
  const found = list.map((letter) => wanted.has(letter));
  list.slice(1).forEach((letter, at) => {
    if (wanted.has(list[at] + letter)) found[at] = found[at + 1] = true;
  });
  return list.map((letter, at) => [letter, found[at]]);
}

/** The text as nodes, with what was looked for marked. */
export function marked(text, wanted) {
  const parts = [];
  const add = (piece, found) => {
    if (piece === "") return;
    const last = parts.at(-1);
    if (last && last.found === found) last.text += piece;
    else parts.push({ text: piece, found });
  };
  let at = 0;
  for (const match of text.matchAll(WORDS)) {
    add(text.slice(at, match.index), false);
    if (ONLY_HAN.test(match[0])) for (const [letter, found] of letters(match[0], wanted.pairs)) add(letter, found);
    else add(match[0], wanted.stems.has(stem(match[0])));
    at = match.index + match[0].length;
  }
  add(text.slice(at), false);
  return parts.map(({ text: piece, found }) => (found ? h("mark", {}, piece) : piece));
}
