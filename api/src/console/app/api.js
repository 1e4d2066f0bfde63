// What the server says, in the two dialects that the console speaks: Sage for people's things, /v1 for the rest.

/** The JSON of an answer; null when it has none. Given up on is not the same as none. */
const body = (response) => response.json().catch((error) => {
  if (error.name === "AbortError") throw error;
  return null;
});

/** A failure with what the server said about it. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** What comes before every path where a proxy serves this below a path of its own; mostly nothing. */
export const ROOT = document.documentElement.dataset.root;

function login() {
  location.assign(`${ROOT}/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

async function ask(path, options = {}) {
  const { body: sent, headers, ...rest } = options;
  const json = sent !== undefined && !(sent instanceof FormData);
  const response = await fetch(ROOT + path, {
    ...rest,
    method: options.method ?? (sent === undefined ? "GET" : "POST"),
    headers: { "accept-language": "en", ...(json ? { "content-type": "application/json" } : {}), ...headers },
    body: json ? JSON.stringify(sent) : sent,
  });
  if (response.status === 401) {
    login();
    throw new Refused(401, "Log in first.");
  }
  return response;
}

/** The `data` of an answer in Sage's envelope. */
export async function sage(path, options) {
  const response = await ask(path, options);
  const answer = await body(response);
  if (!response.ok || (answer?.code ?? 200) !== 200) {
    throw new Refused(response.status, answer?.message ?? answer?.detail ?? response.statusText);
  }
  return answer?.data;
}

/** The body of an answer of /v1, or of a probe; `accept` lists further statuses that are answers. */
export async function native(path, options = {}) {
  const { accept = [], ...rest } = options;
  const response = await ask(path, rest);
  const answer = await body(response);
  if (!response.ok && !accept.includes(response.status)) {
    throw new Refused(response.status, answer?.detail ?? response.statusText);
  }
  return answer;
}

/** The text of an answer. */
export async function text(path) {
  return (await ask(path)).text();
}

/** Opens a stream of JSON lines; failures before its first line are thrown. */
export async function open(path, options) {
  const response = await ask(path, options);
  const type = response.headers.get("content-type") ?? "";
  if (!response.ok || type.startsWith("application/json")) {
    const answer = await body(response);
    throw new Refused(response.status, answer?.message ?? answer?.detail ?? response.statusText);
  }
  return response;
}

/** The JSON lines of a body as they come; heartbeats and empty lines are left out. */
export async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const whole = rest.split("\n");
      rest = whole.pop();
      for (const line of whole) {
        if (line !== "" && !line.startsWith(":")) yield JSON.parse(line);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Who is logged in: `{userid, username, role, …}`. */
export async function person() {
  const session = await sage("/api/auth/session");
  return session?.user ?? session?.user_claims ?? session;
}
