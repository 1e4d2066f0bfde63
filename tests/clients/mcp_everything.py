"""annals against an independent MCP server (the Python SDK's), over both transports: added, listed, called, restarted, called again.

    ANNALS_URL=http://127.0.0.1:8000 ANNALS_TOKEN=… python mcp_everything.py

The token is an administrator's (`annals user token NAME`), because the server is on this machine.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

BASE = os.environ.get("ANNALS_URL", "http://127.0.0.1:8000")


def serve(transport: str, port: int) -> None:
    from mcp.server import MCPServer

    server = MCPServer("independent")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @server.tool()
    def greet(name: str) -> str:
        """Says hello."""
        return f"Hello, {name}!"

    @server.tool()
    def fail() -> str:
        """Fails."""
        raise ValueError("as asked")

    server.run(transport, host="127.0.0.1", port=port)


def ask(method: str, path: str, body: object = None) -> tuple[int, dict]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Token {os.environ['ANNALS_TOKEN']}", "content-type": "application/json"}
    request = urllib.request.Request(BASE + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def data(method: str, path: str, body: object = None) -> dict:
    status, answer = ask(method, path, body)
    assert status == 200 and answer["code"] == 200, (method, path, status, answer)
    return answer["data"]


def start(transport: str, port: int) -> subprocess.Popen:
    child = subprocess.Popen([sys.executable, __file__, "serve", transport, str(port)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return child
        time.sleep(0.1)
    raise SystemExit("the MCP server does not start")


def call(tool: str, arguments: dict) -> str | None:
    """What the tool answered, as text; None if this build has no route for it."""
    status, answer = ask("POST", "/api/tools/exec", {"tool_name": tool, "tool_params": arguments})
    return None if status in (404, 405) else json.dumps(answer, ensure_ascii=False)


def check(transport: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = f"independent-{transport}"
    ask("DELETE", f"/api/mcp/{name}")
    child = start(transport, port)
    try:
        body = {"name": name, "protocol": "sse" if transport == "sse" else "streamable_http", "api_key": "0123456789"}
        body["sse_url" if transport == "sse" else "streamable_http_url"] = (
            f"http://127.0.0.1:{port}/{'sse' if transport == 'sse' else 'mcp'}"
        )
        assert data("POST", "/api/mcp/add", body) == {"server_name": name, "status": "success"}
        [server] = [it for it in data("GET", "/api/mcp/list")["servers"] if it["name"] == name]
        assert server["api_key"] == "0123***6789", server
        assert [tool["name"] for tool in server["tools"]] == ["add", "greet", "fail"], server
        for round in ("first", "restarted"):
            answer = call("greet", {"name": "汉"})
            print(f"{transport}, {round}: {answer or 'no route for calls in this build'}")
            assert answer is None or "Hello, 汉!" in answer
            assert data("POST", f"/api/mcp/{name}/refresh")["status"] == "refreshed"
            child.kill()
            child.wait()
            if round == "first":
                child = start(transport, port)
        assert data("POST", f"/api/mcp/{name}/refresh")["status"] == "failed"
        [server] = [it for it in data("GET", "/api/mcp/list")["servers"] if it["name"] == name]
        assert len(server["tools"]) == 3, server
        assert data("DELETE", f"/api/mcp/{name}") == {"server_name": name}
    finally:
        child.kill()
        child.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        for transport in ("streamable-http", "sse"):
            check(transport)
        print("all well")
