"""A server with an empty data folder, a browser, and people in it: what a scenario is given."""

import http.cookiejar
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from devtools import DEADLINE, Tab, Wrong

ADMIN, PASSWORD = "admin", "correct horse battery"


class Server:
    """annals, as a process that can be killed and started again on the same data."""

    def __init__(self, binary, model):
        self.binary, self.model = binary, model
        self.data = tempfile.mkdtemp(prefix="annals-browser-")
        # Started by root, the database runs as somebody else, who has to get there.
        os.chmod(self.data, 0o711)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = open(os.path.join(self.data, "server.log"), "ab")
        self.process = None

    def environment(self):
        settings = {
            "ANNALS_DATA": os.path.join(self.data, "data"), "ANNALS_LISTEN": f"127.0.0.1:{self.port}",
            "ANNALS_ADMIN_PASSWORD": PASSWORD, "ANNALS_LLM_BASE_URL": self.model, "ANNALS_LLM_MODEL": "scripted",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANNALS_") and name != "DATABASE_URL"}
        kept.update({name: os.environ[name] for name in ["ANNALS_CACHE", "ANNALS_PG_DIR"] if name in os.environ})
        return {**kept, **settings}

    def command(self, *arguments):
        """What a subcommand beside the server prints."""
        return subprocess.run([self.binary, *arguments], env=self.environment(), check=True, capture_output=True, text=True, timeout=DEADLINE).stdout.strip()

    def start(self):
        self.process = subprocess.Popen([self.binary], env=self.environment(), stdout=self.log, stderr=self.log)
        ends = time.monotonic() + 4 * DEADLINE
        while time.monotonic() < ends:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.base}/readyz", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise Wrong(f"the server does not start:\n{self.said()}")

    def said(self):
        with open(self.log.name, errors="replace") as file:
            return "".join(line for line in file if '"level":"INFO"' not in line)[-4000:]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(DEADLINE)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(2 * DEADLINE)
        self.log.close()
        shutil.rmtree(self.data, ignore_errors=True)


class Person:
    """Somebody who is logged in, for what a scenario has to prepare without a browser."""

    def __init__(self, base, name, password=PASSWORD):
        self.base, self.name = base, name
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.call("POST", "/api/auth/login", {"username_or_email": name, "password": password})

    def call(self, method, path, body=None, headers=None):
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) or body is None else {"content-type": "application/json"}
        request = urllib.request.Request(self.base + path, data, {**kind, **(headers or {})}, method=method)
        try:
            with self.opener.open(request, timeout=DEADLINE) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Wrong(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from error
        return json.loads(text) if text.startswith(("{", "[")) and "\n{" not in text else text

    def ask(self, question, session=None, **more):
        """Asks and reads the answer to its end; the session and the lines."""
        session = session or str(uuid.uuid4())
        message = {"role": "user", "content": question, "message_id": str(uuid.uuid4())}
        text = self.call("POST", "/api/web-stream", {"messages": [message], "session_id": session, **more})
        return session, [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def upload(self, base, name, text):
        """Adds a text to a knowledge base and waits until it is searchable."""
        mark = uuid.uuid4().hex
        fields = f'--{mark}\r\ncontent-disposition: form-data; name="kdb_id"\r\n\r\n{base}\r\n'
        file = f'--{mark}\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\ncontent-type: text/markdown\r\n\r\n{text}\r\n--{mark}--\r\n'
        task = self.call("POST", "/api/knowledge-base/doc/add_by_files", (fields + file).encode(),
                         {"content-type": f"multipart/form-data; boundary={mark}"})["data"]["taskId"]
        ends = time.monotonic() + DEADLINE
        query = urllib.parse.urlencode({"kdb_id": base, "task_id": task})
        while time.monotonic() < ends:
            state = self.call("GET", f"/api/knowledge-base/doc/task_process?{query}")["data"]
            if state["success"] == 1:
                return
            time.sleep(0.1)
        raise Wrong(f"{name} is not read: {state}")


class World:
    """What a scenario is given: `server`, `admin`, `tab()`, `shot()`, `look()`."""

    def __init__(self, server, browser, shots, files):
        self.server, self.browser, self.shots, self.files = server, browser, shots, files
        self.admin = Person(server.base, ADMIN)
        self.tabs = []

    def person(self, name):
        """Somebody new who is no administrator."""
        self.admin.call("POST", "/api/user/add", {"username": name, "password": PASSWORD, "role": "user"})
        return Person(self.server.base, name)

    def tab(self, path="/console", person=None):
        """A tab in which this person (an administrator, unless said otherwise) has the console open at `path`."""
        tab = Tab(self.browser.address(), self.files)
        self.tabs.append(tab)
        tab.call("Network.clearBrowserCookies")
        for cookie in (person or self.admin).cookies:
            tab.call("Network.setCookie", name=cookie.name, value=cookie.value, url=self.server.base, httpOnly=True)
        tab.open(self.server.base + path)
        tab.until("the page is there", "!!document.querySelector('main#page > *')")
        return tab

    def shot(self, tab, name):
        tab.screenshot(os.path.join(self.shots, f"{name}.png"))

    def look(self, tab, name):
        """The page as it is in light and dark, wide and on a phone: a picture of each; nothing may stick out, and words need contrast."""
        for scheme in ["light", "dark"]:
            tab.colours(scheme)
            tab.size(1280, 800)
            fits(tab, f"{name}, wide")
            self.shot(tab, f"{name}-{scheme}")
        tab.colours("light")
        tab.size(360, 740, mobile=True)
        fits(tab, f"{name}, on a phone")
        self.shot(tab, f"{name}-phone")
        tab.size(1280, 800)
        tab.check(name)

    def close(self):
        for tab in self.tabs:
            try:
                tab.check("at the end")
            finally:
                tab.call("Page.close")
        self.tabs = []


def fits(tab, where):
    """Nothing is wider than the window, but what scrolls by itself; and all text can be told from its ground."""
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    out = tab.evaluate("""(() => {
        const wide = [...document.querySelectorAll('body *')].filter((one) => {
            const box = one.getBoundingClientRect();
            if (box.width === 0 || !one.checkVisibility() || box.right <= innerWidth + 1 || one.closest('.skip, .hidden, svg')) return false;
            for (let up = one.parentElement; up; up = up.parentElement)
                if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(up).overflowX)) return up.getBoundingClientRect().right > innerWidth + 1;
            return true;
        });
        return [document.documentElement.scrollWidth > innerWidth, wide.slice(0, 5).map((one) => `${one.tagName}.${one.className}`)];
    })()""")
    if out[0] or out[1]:
        raise Wrong(f"{where}: wider than the window: {out[1]}")
    pale = tab.evaluate("""(() => {
        const parts = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
        const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
        const ground = (one) => {
            for (; one; one = one.parentElement) {
                const colour = parts(getComputedStyle(one).backgroundColor);
                if (colour.length === 3 || colour[3] === 1) return colour;
            }
            return [255, 255, 255];
        };
        const found = [];
        const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walk.nextNode()) {
            const one = walk.currentNode.parentElement;
            if (!walk.currentNode.data.trim() || !one.checkVisibility({opacityProperty: true, visibilityProperty: true}) || one.closest('.hidden, .skip, :disabled, .superseded, option, noscript')) continue;
            const [a, b] = [light(parts(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
            const ratio = (a + 0.05) / (b + 0.05);
            if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${one.tagName}.${one.className} ${walk.currentNode.data.slice(0, 30)}`);
        }
        return found.slice(0, 5);
    })()""")
    if pale:
        raise Wrong(f"{where}: too little contrast: {pale}")


def number(text):
    """The first number in a text."""
    return int(re.search(r"\d+", text.replace(",", ""))[0])
