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
import sys
import threading
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "browser"))

from devtools import DEADLINE, Browser, DevTools, Wrong  # noqa: E402

CALLBACK_PORT = 8765
CALLBACK = f"http://127.0.0.1:{CALLBACK_PORT}/callback"


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
    with Browser() as browser:
        try:
            flow(base, username, password, DevTools(browser.address()), arrived)
        except Wrong as wrong:
            step("the pages", False, wrong)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1].rstrip("/"), *sys.argv[2:])
