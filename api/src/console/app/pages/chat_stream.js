// One run's lines, read to their end whatever happens to the connection: every line once, in order.

import { lines, open } from "../api.js";

const LONGEST_PAUSE = 4000;
/** Answers without a single line after which a run counts as unknown. */
const EMPTY = 8;

const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    resolve();
  }, { once: true });
});

/**
 * Hands every line from `index` on to `take`, and connects anew at the line that comes next when the connection breaks.
 * `first` is an answer that is open already. `troubled(true)` is called when the connection is lost, `troubled(false)` when it is back.
 * Resolves with true after the end line, with false when the server knows no such run or has only stored messages of it.
 */
export async function follow({ session, run, index = 0, first = null, take, troubled, signal }) {
  let wait = 250;
  let empty = 0;
  let response = first;
  while (!signal.aborted) {
    try {
      const query = new URLSearchParams({ last_index: index, ...(run ? { run_id: run } : {}) });
      response ??= await open(`/api/stream/resume/${encodeURIComponent(session)}?${query}`, { signal });
      run ??= response.headers.get("x-run-id");
      troubled(false);
      let any = false;
      for await (const line of lines(response)) {
        any = true;
        wait = 250;
        if (line.type === "stream_end") {
          take(line);
          return line.resume_fallback !== true;
        }
        index += 1;
        take(line);
      }
      empty = any ? 0 : empty + 1;
      if (empty >= EMPTY) return false;
    } catch (error) {
      if (signal.aborted) return false;
      // A refusal stays one; what may pass is tried again.
      if (error.status !== undefined && error.status < 500) throw error;
    }
    response = null;
    if (signal.aborted) return false;
    troubled(true);
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_PAUSE);
  }
  return false;
}
