// What a run's recorded events say about time: spans to draw, lines to replay.

const at = (event) => Date.parse(event.recorded_at);

/** The run as its events tell it; take them in order, in as many pieces as they come. */
export class Timeline {
  constructor() {
    this.begun = null;
    this.last = null;
    this.over = false;
    this.spans = [];
    this.lines = [];
    this.asked = [];
    this.events = 0;
    this.open = new Map();
    this.quiet = null;
  }

  /** Milliseconds from the beginning to this event. */
  since(event) {
    return at(event) - this.begun;
  }

  take(event) {
    this.begun ??= at(event);
    const now = this.since(event);
    const { data, type } = event;
    this.events += 1;
    this.last = now;
    switch (type) {
      case "RunRequested":
        this.asked = data.messages ?? [];
        this.start("attempt", "attempt", "Attempt 1", now);
        this.quiet = now;
        break;
      case "RunClaimed":
        for (const span of [...this.open.values()]) this.end(span, now, "broke off");
        this.start("attempt", "attempt", `Attempt ${data.attempt}`, now);
        this.quiet = now;
        break;
      case "TurnStarted": {
        const span = this.start("turn", `turn-${data.turn}`, `Turn ${data.turn + 1}`, now);
        // From here on it speaks; before, the model was thought about.
        span.waited = this.quiet;
        break;
      }
      case "TurnCompleted":
      case "TurnAbandoned": {
        const span = this.open.get(`turn-${data.turn}`);
        if (span) {
          span.model = data.usage?.model;
          span.tokens = data.usage?.usage?.total_tokens;
          this.end(span, now, type === "TurnAbandoned" ? data.reason : null);
        }
        this.quiet = now;
        break;
      }
      case "ToolStarted":
        this.start("tool", `call-${data.call}`, data.name, now);
        break;
      case "ToolFinished": {
        const span = this.open.get(`call-${data.message?.tool_call_id}`);
        const failed = data.message?.metadata?.tool_execution_status;
        if (span) this.end(span, now, failed === "error" ? "failed" : failed === "cancelled" ? "cancelled" : null);
        this.quiet = now;
        break;
      }
      case "AppStepStarted":
        this.start("tool", `step-${data.step}`, `Step ${data.step}`, now);
        break;
      case "AppStepFinished": {
        const span = this.open.get(`step-${data.step}`);
        if (span) this.end(span, now, null);
        break;
      }
      case "SubRunRelayed": {
        const key = `child-${data.run}`;
        const span = this.spans.find((one) => one.key === key) ?? this.start("child", key, "Helper", now);
        span.run = data.run;
        span.to = now;
        break;
      }
      case "InterruptRequested":
        this.spans.push({ kind: "mark", key: `stop-${now}`, name: "Stop asked for", from: now, to: now });
        break;
      case "RunEnded":
        for (const span of [...this.open.values()]) this.end(span, now, null);
        this.over = true;
        break;
      default:
    }
    const lines = type === "RunEnded" ? [data.line] : ["LinesRecorded", "SubRunRelayed"].includes(type) ? data.lines : [];
    for (const line of lines ?? []) this.lines.push({ now, line });
  }

  start(kind, key, name, from) {
    const span = { kind, key, name, from, to: null, broken: null };
    this.open.set(key, span);
    this.spans.push(span);
    return span;
  }

  end(span, to, broken) {
    span.to = to;
    span.broken = broken;
    this.open.delete(span.key);
  }

  /** How long it took, or has taken until now, ms; never 0. */
  length() {
    const until = this.over ? this.last : Math.max(this.last ?? 0, Date.now() - (this.begun ?? Date.now()));
    return Math.max(1, until);
  }
}
