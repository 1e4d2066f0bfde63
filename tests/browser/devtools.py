"""A tab of a headless Chromium, driven by the DevTools protocol. Standard library only."""

import base64
import contextlib
import json
import os
import secrets
import socket
import struct
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

DEADLINE = 30
KEYS = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, " ": 32}


class Wrong(Exception):
    """The page is not as it should be."""


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
        number = self.last
        self.send({"id": number, "method": method, "params": params})
        while True:
            answer = json.loads(self.frame())
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.happened(answer["method"], answer["params"])

    def happened(self, method, params):
        """An event that the tab told of."""

    def send(self, message):
        data = json.dumps(message).encode()
        mask = secrets.token_bytes(4)
        size = len(data)
        head = struct.pack("!B", 128 | size) if size < 126 else struct.pack("!BH", 254, size) if size < 65536 else struct.pack("!BQ", 255, size)
        self.socket.sendall(b"\x81" + head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

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
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, what, script, deadline=DEADLINE):
        """Waits until the script's value is true, and answers it."""
        ends = time.monotonic() + deadline
        while time.monotonic() < ends:
            try:
                value = self.evaluate(script)
                if value:
                    return value
            except RuntimeError:
                pass  # Between two pages.
            time.sleep(0.05)
        shown = self.evaluate("`${location.href}\\n${(document.querySelector('main') ?? document.body).innerText}`")
        raise Wrong(f"{what}: not within {deadline} s\n{shown[:1500]}")

    def type(self, selector, text):
        one = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{one}.focus(), {one}.select()")
        self.call("Input.insertText", text=text)

    def click(self, selector):
        one = f"document.querySelector({json.dumps(selector)})"
        self.until(f"{selector} is there", f"!!{one}")
        x, y = self.evaluate(f"(() => {{ const one = {one}; one.scrollIntoView({{block: 'nearest', inline: 'nearest'}});"
                             "const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()")
        for kind in ["mousePressed", "mouseReleased"]:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key, shift=False, alt=False):
        """A key, as somebody without a mouse presses it."""
        code = KEYS[key] if key in KEYS else ord(key.upper())
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 and not alt else "")
        name = {" ": "Space"}.get(key, f"Digit{key}" if key.isdigit() else key)
        event = {"key": key, "code": name, "windowsVirtualKeyCode": code, "modifiers": (1 if alt else 0) | (8 if shift else 0)}
        self.call("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)


class Tab(DevTools):
    """A tab in which nothing may go wrong unnoticed: errors and warnings of the console, exceptions, failed requests."""

    def __init__(self, url, files=None):
        self.problems = []
        self.files = files
        super().__init__(url)
        for domain in ["Runtime", "Log", "Network", "Page"]:
            self.call(f"{domain}.enable")
        # Also tabs that lie behind others count as looked at.
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        self.size(1280, 800)
        if files:
            self.call("Fetch.enable", patterns=[{"urlPattern": "*/console/app/*"}])

    def happened(self, method, params):
        if method == "Runtime.consoleAPICalled" and params["type"] in ["error", "warning", "assert"]:
            self.problems.append(f"console.{params['type']}: {[one.get('value', one.get('description')) for one in params['args']]}")
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(f"exception: {details.get('exception', {}).get('description', details['text'])}")
        elif method == "Log.entryAdded" and params["entry"]["level"] in ["error", "warning"]:
            self.problems.append(f"{params['entry']['source']}: {params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.loadingFailed" and not params.get("canceled"):
            self.problems.append(f"request failed: {params['errorText']}")
        elif method == "Network.responseReceived" and params["response"]["status"] >= 400:
            self.problems.append(f"{params['response']['status']} {params['response']['url']}")
        elif method == "Fetch.requestPaused":
            self.serve(params)

    def serve(self, params):
        """A file of the working tree in the place of the one in the binary."""
        path = urllib.parse.urlsplit(params["request"]["url"]).path.split("/console/app/")[1]
        path = path.split("/", 1)[1] if path.startswith("v") and "/" in path else path
        kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        with open(os.path.join(self.files, path), "rb") as file:
            body = base64.b64encode(file.read()).decode()
        headers = [{"name": "content-type", "value": kinds[path.rsplit(".", 1)[1]]}]
        self.last += 1
        self.send({"id": self.last, "method": "Fetch.fulfillRequest", "params": {
            "requestId": params["requestId"], "responseCode": 200, "responseHeaders": headers, "body": body}})

    def check(self, where):
        """Fails when something went wrong since the last look."""
        self.evaluate("new Promise((done) => setTimeout(done, 60))")
        problems, self.problems = self.problems, []
        if problems:
            raise Wrong(f"{where}:\n  " + "\n  ".join(problems))

    @contextlib.contextmanager
    def trouble(self):
        """What goes wrong within this block was made to."""
        self.check("before the trouble")
        yield
        self.evaluate("new Promise((done) => setTimeout(done, 300))")
        self.problems = []

    def open(self, url):
        self.call("Page.navigate", url=url)

    def reload(self):
        self.evaluate("window.stale = true")
        self.call("Page.reload")
        self.until("the page is loaded anew", "!window.stale && document.readyState === 'complete'")

    def size(self, width, height, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if mobile else 1, mobile=mobile)

    def colours(self, scheme, motion="no-preference"):
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))


class Browser:
    """A headless Chromium with a profile of its own."""

    def __enter__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [os.environ.get("CHROMIUM", "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu",
             "--no-first-run", "--no-proxy-server", "--remote-debugging-port=0", "--remote-allow-origins=*",
             "--disable-background-timer-throttling", "--force-color-profile=srgb", f"--user-data-dir={self.profile.name}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = os.path.join(self.profile.name, "DevToolsActivePort")
        ends = time.monotonic() + DEADLINE
        while not (os.path.exists(port) and open(port).read().strip()):
            if time.monotonic() > ends:
                self.__exit__()
                raise Wrong("the browser does not start")
            time.sleep(0.1)
        self.port = open(port).read().split()[0]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.profile.cleanup()

    def address(self):
        """The DevTools address of a new tab."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["webSocketDebuggerUrl"]
