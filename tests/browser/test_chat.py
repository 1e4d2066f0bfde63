"""Chat: stream, stop, reload and crash in the middle, two tabs, tools, citations, keys only."""

import time

import model
from devtools import Wrong
from world import fits

# The text of the last answer that counts, without what was broken off.
ANSWER = "[...document.querySelectorAll('.message.answer:not(.superseded) .text')].at(-1)?.innerText ?? ''"
IDLE = "document.querySelector('.messages').getAttribute('aria-busy') === 'false' && !document.querySelector('.send').hidden"


def whole(tab, count, what):
    """Waits for the end of an answer of so many words, and compares it word by word."""
    tab.until(what, f"{IDLE} && ({ANSWER}).includes('word{count - 1}')", 60)
    said = tab.evaluate(ANSWER).split()
    wanted = "".join(model.words(count)).split()
    if said != wanted:
        raise Wrong(f"{what}: {len(said)} words instead of {len(wanted)}: {' '.join(said)}")


def ask(tab, question):
    tab.until("a question can be asked", "!!document.querySelector('#question')")
    tab.type("#question", question)
    tab.click(".send")


def test_an_answer_streams_and_is_drawn(world):
    tab = world.tab("/console/chat")
    tab.until("an invitation", "!!document.querySelector('.messages .empty')")
    world.look(tab, "chat-empty")
    ask(tab, "Tell me everything")
    tab.until("the answer is complete", f"{IDLE} && ({ANSWER}).includes('is no link.')")
    if tab.evaluate("document.querySelectorAll('.text img, .text script, .text a[href^=javascript]').length"):
        raise Wrong("what a model says became markup")
    for selector in [".text h3", ".text ol ul li", ".text blockquote", ".text table td", ".text pre code", ".text strong"]:
        if not tab.evaluate(f"!!document.querySelector({selector!r})"):
            raise Wrong(f"{selector} is missing")
    tab.until("the address names the conversation", "/^\\/console\\/chat\\/[0-9a-f-]{36}$/.test(location.pathname)")
    tab.until("the list shows it", "document.querySelector('aside li a[aria-current]')?.textContent === 'Tell me everything'")
    before = tab.evaluate("document.querySelector('.messages').innerText")
    tab.reload()
    tab.until("the same after a reload", f"document.querySelector('.messages')?.innerText === {before!r}")
    tab.evaluate("document.querySelector('.messages').scrollTop = 0")
    world.look(tab, "chat")
    tab.click("aside .new")
    tab.until("a new conversation", "location.pathname === '/console/chat' && !!document.querySelector('.messages .empty')")


def test_a_reload_in_the_middle_loses_and_doubles_nothing(world):
    tab = world.tab("/console/chat")
    ask(tab, "slow 60")
    for word in ["word5", "word20", "word35"]:
        tab.until(f"{word} is said", f"({ANSWER}).includes('{word}')")
        if word == "word20":
            world.shot(tab, "chat-streaming")
        tab.reload()
    whole(tab, 60, "the whole answer after three reloads")
    if tab.evaluate("document.querySelectorAll('.message.user').length") != 1:
        raise Wrong("the question is doubled")


def test_an_answer_can_be_stopped(world):
    tab = world.tab("/console/chat")
    ask(tab, "slow 400")
    tab.until("it speaks", f"({ANSWER}).includes('word5')")
    tab.click(".stop")
    tab.until("it stops", f"{IDLE} && document.querySelector('.told').textContent === 'Stopped.'")
    said = tab.evaluate(ANSWER)
    tab.reload()
    tab.until("what was said stays", f"({ANSWER}).trim() === {said!r}.trim()")
    ask(tab, "slow 5")
    whole(tab, 5, "the conversation goes on")


def test_a_crash_in_the_middle_is_recovered_from(world):
    tab = world.tab("/console/chat")
    with tab.trouble():
        ask(tab, "slow 80")
        tab.until("it speaks", f"({ANSWER}).includes('word20')")
        world.server.kill()
        tab.until("the loss is told", "document.querySelector('.told').textContent.includes('Connecting again')")
        world.server.start()
        whole(tab, 80, "the whole answer after the crash")
    broken = tab.evaluate("[...document.querySelectorAll('.message.superseded .text')].map((one) => one.innerText.split(/\\s+/).filter(Boolean).length)")
    if len(broken) != 1 or broken[0] < 20:
        raise Wrong(f"what was said before the crash is gone: {broken}")
    world.shot(tab, "chat-recovered")
    tab.reload()
    whole(tab, 80, "the same after a reload")


def test_two_tabs_show_the_same(world):
    one = world.tab("/console/chat")
    ask(one, "slow 40")
    one.until("the address names the conversation", "location.pathname.length > 20")
    two = world.tab(one.evaluate("location.pathname"))
    two.until("the other tab follows", f"({ANSWER}).includes('word')")
    whole(one, 40, "the first tab")
    whole(two, 40, "the second tab")
    ask(two, "slow 20")
    two.until("it speaks", f"({ANSWER}).includes('word3')")
    one.until("the first tab shows the new question", "document.querySelectorAll('.message.user').length === 2")
    one.until("and the new answer", "document.querySelectorAll('.message.answer').length === 2")
    whole(one, 20, "the first tab follows")
    whole(two, 20, "the second tab again")
    if one.evaluate("document.querySelector('.messages').innerText") != two.evaluate("document.querySelector('.messages').innerText"):
        raise Wrong("the tabs differ")


def handbook(world):
    base = world.admin.call("POST", "/api/knowledge-base/add", {"name": f"Handbook {time.time_ns()}", "type": "file"})["data"]["kdb_id"]
    world.admin.upload(base, "handbook.md", "# Refunds\n\nA customer gets the money back within thirty days of the purchase.\n\n# Delivery\n\nParcels leave the house every morning.\n")
    return base


def test_tools_are_folded_and_citations_open(world):
    base = handbook(world)
    tab = world.tab("/console/chat")
    tab.until("the knowledge base is offered", f"!!document.querySelector('.knowledge input[value=\"{base}\"]')")
    tab.click(".knowledge summary")
    tab.click(f".knowledge input[value=\"{base}\"]")
    tab.until("it is counted", "document.querySelector('.knowledge summary').innerText.includes('(1)')")
    ask(tab, "search refunds money back")
    tab.until("the answer", f"{IDLE} && ({ANSWER}).includes('the handbook says')")
    if tab.evaluate("document.querySelector('details.tool').open"):
        raise Wrong("the tool call is not folded")
    tab.click("details.tool summary")
    tab.until("it unfolds", "document.querySelector('details.tool').open && document.querySelector('details.tool').innerText.includes('refunds money back')")
    tab.click(".message .source")
    tab.until("the passage opens", "document.querySelector('dialog[open] .passage')?.innerText.includes('thirty days')")
    world.look(tab, "chat-citation")
    tab.press("Escape")
    tab.until("and closes", "!document.querySelector('dialog[open]')")
    tab.click(".message.answer:last-of-type > .body > .sources .source")
    tab.until("the answer's own citation opens", "document.querySelector('dialog[open] .passage')?.innerText.includes('thirty days')")
    tab.press("Escape")
    tab.reload()
    tab.until("they stay after a reload", "document.querySelectorAll('.message .sources').length === 2")
    world.look(tab, "chat-tools")


def test_an_agent_can_be_asked(world):
    world.admin.call("POST", "/api/agent/create", {"name": "Librarian", "systemPrefix": "You keep books."})
    tab = world.tab("/console/chat")
    tab.until("it is offered", "document.querySelector('#agent option:last-child')?.textContent === 'Librarian'")
    tab.evaluate("document.querySelector('#agent').value = document.querySelector('#agent option:last-child').value")
    ask(tab, "slow 3")
    whole(tab, 3, "it answers")
    run = world.admin.call("GET", "/v1/runs?limit=1")["runs"][0]
    if run["agent_id"] != tab.evaluate("document.querySelector('#agent').value"):
        raise Wrong(f"another agent was asked: {run}")
    tab.reload()
    tab.until("it stays chosen", "document.querySelector('#agent').selectedOptions[0]?.textContent === 'Librarian'")


def test_a_refusal_of_the_model_is_told(world):
    tab = world.tab("/console/chat")
    ask(tab, "fail")
    tab.until("it is told", f"{IDLE} && document.querySelector('.messages').innerText.includes('the model says no')")


def test_keys_are_enough(world):
    tab = world.tab("/console/chat")
    tab.until("the question has the focus", "document.activeElement?.id === 'question'")
    tab.call("Input.insertText", text="slow 300")
    tab.press("Enter", shift=True)
    tab.call("Input.insertText", text="please")
    tab.press("Enter")
    tab.until("it speaks", f"({ANSWER}).includes('word3')")
    tab.press("Escape")
    tab.until("it stops", IDLE)
    tab.until("the focus stays with the question", "document.activeElement?.id === 'question'")
    if tab.evaluate("document.querySelector('.message.user p').innerText") != "slow 300\nplease":
        raise Wrong("a line break is lost")
    for _ in range(3):
        tab.press("Tab")
        if tab.evaluate("document.activeElement.matches('.knowledge summary')"):
            break
    tab.until("the choice of knowledge can be reached", "document.activeElement.matches('.knowledge summary')")
    tab.press("Enter")
    tab.until("it opens", "document.querySelector('.knowledge').open")
    tab.press("Escape")
    tab.until("and closes", "!document.querySelector('.knowledge').open && document.activeElement.matches('.knowledge summary')")


def test_a_phone_is_wide_enough(world):
    tab = world.tab("/console/chat")
    tab.size(360, 740, mobile=True)
    ask(tab, "slow 10")
    whole(tab, 10, "an answer on a phone")
    tab.click(".knowledge summary")
    fits(tab, "the choice of knowledge on a phone")
    world.shot(tab, "chat-knowledge-phone")
    tab.press("Escape")
    tab.click(".listed")
    tab.until("the conversations come", "document.querySelector('aside').getBoundingClientRect().width > 200")
    world.shot(tab, "chat-conversations-phone")
    tab.press("Escape")
    tab.until("and go", "document.querySelector('aside').getBoundingClientRect().width === 0")
