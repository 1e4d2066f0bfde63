"""A model that says what it is told to, in the OpenAI chat protocol.

`slow N`       N words, a twentieth of a second apart
`search WORDS` asks the attached knowledge bases first, if that tool is offered
`fail`         answers 400
anything else  a text with every kind of Markdown
"""

import http.server
import json
import re
import threading
import time

PAUSE = 0.05
ANSWER = """## A plain answer

An **event log** keeps *facts* in order; see [the manual](https://example.org/manual) and `annals verify`.

1. Append
   - at an expected revision
   - or anywhere
2. Read

> What happened stays.

| Part | Job |
|---|---|
| log | keeps |
| projection | shows |

```rust
fn main() { println!("<b>not markup</b>"); }
```

<img src=x onerror=alert(1)> stays text, and [this](javascript:alert(1)) is no link."""


def words(count):
    """What `slow` says."""
    return [f"word{number} " for number in range(count)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        messages = body["messages"]
        last = messages[-1]
        asked = next((text(one["content"]) for one in reversed(messages) if one["role"] == "user"), "")
        tools = [tool["function"]["name"] for tool in body.get("tools") or []]
        slow = re.search(r"\bslow (\d+)", asked)
        if "fail" in asked:
            return self.whole(400, {"error": {"message": "the model says no"}})
        if asked.startswith("search") and last["role"] != "tool" and "retrieve_knowledge_base" in tools:
            call = {"index": 0, "id": f"call-{time.time_ns()}", "type": "function", "function": {
                "name": "retrieve_knowledge_base", "arguments": json.dumps({"query": asked[7:]})}}
            deltas, pause = [{"tool_calls": [call]}], 0
        elif slow:
            deltas, pause = [{"content": word} for word in words(int(slow[1]))], PAUSE
        else:
            said = "That is what the handbook says." if last["role"] == "tool" else ANSWER
            deltas, pause = [{"content": said[at:at + 12]} for at in range(0, len(said), 12)], 0.005
        if not body.get("stream"):
            whole = "".join(delta.get("content", "") for delta in deltas)
            return self.whole(200, {"choices": [{"message": {"role": "assistant", "content": whole}, "finish_reason": "stop"}]})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            for delta in deltas:
                time.sleep(pause)
                self.say({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            reason = "tool_calls" if "tool_calls" in deltas[0] else "stop"
            self.say({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
            self.say({"choices": [], "usage": {"prompt_tokens": 21, "completion_tokens": len(deltas), "total_tokens": 21 + len(deltas)}})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            pass  # Nobody listens any more.
        self.close_connection = True

    def say(self, chunk):
        self.wfile.write(f"data: {json.dumps({'object': 'chat.completion.chunk', **chunk})}\n\n".encode())
        self.wfile.flush()

    def whole(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def text(content):
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content or [])


def serve():
    """The base URL of a model on a free port; it lives as long as this process."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/v1"
