#!/usr/bin/env python3
"""Login and consent in headless Chromium: oauth2_browser.py BASE_URL USERNAME PASSWORD. See README.md beside it.

Types and clicks by the DevTools protocol; the pages themselves run without JavaScript.
"""

import base64
import hashlib
import http.server
import json
import os
import queue
import secrets
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

CALLBACK_PORT = 8765
CALLBACK = f"http://127.0.0.1:{CALLBACK_PORT}/callback"
DEADLINE = 30


class DevTools:
    """Just enough of a WebSocket to talk to one tab."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=DEADLINE)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.socket.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        while self.file.readline().strip():
            pass
        self.last = 0

    def call(self, method, **params):
        self.last += 1
        data = json.dumps({"id": self.last, "method": method, "params": params}).encode()
        mask = secrets.token_bytes(4)
        size = struct.pack("!B", 128 | len(data)) if len(data) < 126 else struct.pack("!BH", 254, len(data))
        self.socket.sendall(b"\x81" + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
        while True:
            answer = json.loads(self.frame())
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer["result"]

    def frame(self):
        text = b""
        while True:
            first, size = self.file.read(2)
            size &= 127
            if size == 126:
                (size,) = struct.unpack("!H", self.file.read(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.file.read(8))
            text += self.file.read(size)
            if first & 128:
                return text

    def evaluate(self, script):
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def until(self, what, script):
        ends = time.monotonic() + DEADLINE
        while time.monotonic() < ends:
            try:
                if self.evaluate(script):
                    return
            except RuntimeError:
                pass  # Between two pages.
            time.sleep(0.05)
        step(what, False, f"{self.evaluate('location.href')}\n{self.evaluate('document.body.innerText')}")

    def type(self, selector, text):
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus(), "
                      f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def click(self, selector):
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.evaluate(f"[{box}.x + {box}.width / 2, {box}.y + {box}.height / 2]")
        for kind in ["mousePressed", "mouseReleased"]:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def step(name, good, detail=""):
    print(("ok    " if good else "WRONG ") + name, detail if not good else "", flush=True)
    if not good:
        sys.exit(1)


def listen(arrived):
    class Callback(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            url = urllib.parse.urlsplit(self.path)
            if url.path == "/callback":
                arrived.put(dict(urllib.parse.parse_qsl(url.query)))
                # As many clients do: on to a page of another origin.
                self.send_response(302)
                self.send_header("location", f"http://localhost:{CALLBACK_PORT}/home")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<h1 id=home>home</h1>")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", CALLBACK_PORT), Callback)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def flow(base, username, password, tab, arrived):
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")

    def authorize(state):
        query = urllib.parse.urlencode({
            "response_type": "code", "client_id": "browser", "redirect_uri": CALLBACK, "state": state,
            "code_challenge": challenge, "code_challenge_method": "S256", "scope": "openid profile"})
        tab.call("Page.navigate", url=f"{base}/oauth2/authorize?{query}")

    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    authorize("one")
    tab.until("the login page", "!!document.querySelector('input[name=password]')")
    step("the login page", True)
    tab.type("input[name=username]", username)
    tab.type("input[name=password]", "wrong")
    tab.click("button[type=submit]")
    tab.until("a wrong password is told", "!!document.querySelector('[role=alert]')")
    step("a wrong password is told", True)
    styled = tab.evaluate("getComputedStyle(document.querySelector('main')).maxWidth")
    step("the policy lets the style through", styled == "352px", styled)
    tab.type("input[name=username]", username)
    tab.type("input[name=password]", password)
    tab.click("button[type=submit]")
    tab.until("the consent page", "!!document.querySelector('button[value=allow]')")
    step("the consent page", True)
    text = tab.evaluate("document.body.innerText")
    step("names are not markup", "A <b>bold</b> client" in text, text)
    tab.click("button[value=allow]")
    answer = arrived.get(timeout=DEADLINE)
    step("allow leads back to the client", answer.get("state") == "one" and "code" in answer, answer)
    tab.until("and on to another origin", "!!document.querySelector('#home')")
    step("and on to another origin", True)
    form = urllib.parse.urlencode({
        "grant_type": "authorization_code", "client_id": "browser", "code": answer["code"],
        "redirect_uri": CALLBACK, "code_verifier": verifier}).encode()
    with urllib.request.urlopen(f"{base}/oauth2/token", form, timeout=10) as reply:
        step("the code leads to tokens", "access_token" in json.load(reply))
    authorize("two")
    tab.until("consent without login", "!!document.querySelector('button[value=deny]')")
    tab.click("button[value=deny]")
    answer = arrived.get(timeout=DEADLINE)
    step("deny leads back as well", answer.get("error") == "access_denied" and answer["state"] == "two", answer)


def main(base, username, password):
    arrived = queue.Queue()
    listen(arrived)
    with tempfile.TemporaryDirectory() as profile:
        chromium = subprocess.Popen(
            [os.environ.get("CHROMIUM", "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu",
             "--no-first-run", "--no-proxy-server", "--remote-debugging-port=0",
             f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = os.path.join(profile, "DevToolsActivePort")
            ends = time.monotonic() + DEADLINE
            while not (os.path.exists(port) and open(port).read().strip()):
                step("the browser starts", False) if time.monotonic() > ends else time.sleep(0.1)
            number = open(port).read().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{number}/json/list", timeout=10) as tabs:
                tab = next(tab for tab in json.load(tabs) if tab["type"] == "page")
            flow(base, username, password, DevTools(tab["webSocketDebuggerUrl"]), arrived)
        finally:
            chromium.terminate()
            chromium.wait(DEADLINE)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1].rstrip("/"), *sys.argv[2:])
