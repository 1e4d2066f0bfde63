"""What the README's first minutes promise, with nothing but what they name: an empty data folder, the printed password, the offline
provider, this project's README as the first document."""

import os
import re
import time

from devtools import DEADLINE, Wrong
from test_chat import ANSWER, IDLE, ask
from test_knowledge import choose, made, state
from world import Server

README = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "README.md"))


class Fresh(Server):
    """As a newcomer starts it."""

    def environment(self):
        settings = super().environment()
        for name in ["ANNALS_ADMIN_PASSWORD", "ANNALS_LLM_BASE_URL", "ANNALS_LLM_MODEL"]:
            del settings[name]
        return {**settings, "ANNALS_OFFLINE_PACE_MS": "60"}

    def password(self):
        ends = time.monotonic() + DEADLINE
        while time.monotonic() < ends:
            told = re.search(r"password: +(\S+)", self.said())
            if told:
                return told.group(1)
            time.sleep(0.1)
        raise Wrong(f"no password is printed:\n{self.said()}")


def test_from_an_empty_folder_to_a_resumed_chat(world):
    server = Fresh(world.server.binary, None)
    try:
        server.start()
        walk(world, server)
    finally:
        server.stop()


def walk(world, server):
    tab = world.tab()
    tab.open("about:blank")
    tab.until("nothing is open", "location.href === 'about:blank'")
    tab.call("Network.clearBrowserCookies")
    tab.open(server.base + "/console")
    tab.until("the login page", "!!document.querySelector('input[name=password]')")
    tab.type("input[name=username]", "admin")
    tab.type("input[name=password]", server.password())
    tab.click("button[type=submit]")
    tab.until("the console", "!!document.querySelector('#pages')")

    tab.click("#pages a[data-key=knowledge]")
    made(world, tab, "Docs")
    tab.press("Enter")
    tab.until("it is open", "document.querySelector('main h1')?.textContent === 'Docs' && !!document.querySelector('.drop')")
    choose(tab, README)
    tab.until("it is searchable", f"{state('README.md')} === 'Searchable'", 60)

    tab.click("#pages a[data-key=chat]")
    tab.until("the knowledge base is offered", "!!document.querySelector('.knowledge input')")
    tab.click(".knowledge summary")
    tab.click(".knowledge input")
    ask(tab, "What is every write?")
    said = f"({ANSWER}).split(/\\s+/).filter(Boolean).length"
    tab.until("it speaks", f"{said} > 8")
    tab.reload()
    tab.until("it goes on", f"{said} > 16")
    with tab.trouble():
        server.kill()
        server.start()
        tab.until("the answer is whole", f"{IDLE} && {said} > 40", 120)
    answer = tab.evaluate(ANSWER)
    if answer.count("offline provider") != 1 or "append-only log" not in answer:
        raise Wrong(f"lost or doubled: {answer}")
    world.shot(tab, "newcomer")
    tab.reload()
    tab.until("the same after a reload", f"({ANSWER}) === {answer!r}")
    # The server ends with this scenario.
    tab.open("about:blank")
    tab.until("nothing is open", "location.href === 'about:blank'")
