"""Runs: the live list, the timeline, the replay."""

from devtools import Wrong
from test_chat import ask, handbook

ROW = "document.querySelector('.list li')"


def test_the_list_is_live_and_can_be_filtered(world):
    tab = world.tab("/console/runs")
    chat = world.tab("/console/chat")
    ask(chat, "slow 70")
    tab.until("the run is there and runs", f"{ROW}?.innerText.includes('slow 70') && {ROW}.innerText.includes('Running')")
    world.look(tab, "runs")
    tab.until("it is over", f"{ROW}.innerText.includes('Completed')")
    tab.evaluate("(() => { const one = document.querySelector('select[name=state]'); one.value = 'failed'; one.dispatchEvent(new Event('change')); })()")
    tab.until("the filter is in the address", "location.search === '?state=failed'")
    tab.until("and holds", "[...document.querySelectorAll('.list .tag')].every((tag) => tag.textContent === 'Failed')")
    tab.reload()
    tab.until("after a reload, too", "document.querySelector('select[name=state]')?.value === 'failed'")


def test_a_run_is_drawn_and_replayed(world):
    base = handbook(world)
    world.admin.ask("search refunds", available_knowledge_bases=[base])
    tab = world.tab("/console/runs")
    tab.until("the run is there", f"{ROW}?.innerText.includes('search refunds')")
    tab.click(".list li a")
    tab.until("attempts, turns and tools are drawn", "['attempt', 'turn', 'tool'].every((kind) => document.querySelector(`.lanes li.${kind}`))")
    lanes = tab.evaluate("[...document.querySelectorAll('.lanes li')].map((lane) => lane.innerText)")
    if len(lanes) != 4 or "retrieve_knowledge_base" not in lanes[2]:
        raise Wrong(f"the timeline is not as it was: {lanes}")
    tab.until("all of it is shown at first", "document.querySelector('.replay').innerText.includes('the handbook says')")
    world.look(tab, "run")
    tab.evaluate("document.querySelector('input[type=range]').focus()")
    tab.press("Home")
    tab.until("nothing is said at the beginning", "!document.querySelector('.replay').innerText.includes('the handbook says')")
    tab.click(".play")
    tab.until("it plays to the end", "document.querySelector('.play').innerText.includes('Play') && document.querySelector('.replay').innerText.includes('the handbook says')")


def test_a_replay_keeps_its_speed(world):
    world.admin.ask("slow 40")
    tab = world.tab("/console/runs")
    tab.until("the run is there", f"{ROW}?.innerText.includes('slow 40')")
    tab.click(".list li a")
    tab.until("it is shown", "document.querySelector('.replay')?.innerText.includes('word39')")
    tab.press("2", alt=False)
    tab.click("[data-speed='8']")
    if tab.evaluate("document.querySelector('[data-speed=\"8\"]').getAttribute('aria-pressed')") != "true":
        raise Wrong("the speed is not chosen")
    took = """new Promise((done) => { const begun = performance.now(); document.querySelector('.play').click();
        const look = () => document.querySelector('.play').innerText.includes('Play') ? done(performance.now() - begun) : requestAnimationFrame(look); requestAnimationFrame(look); })"""
    eight = tab.evaluate(took)
    tab.click("[data-speed='2']")
    two = tab.evaluate(took)
    if not 2.5 < two / eight < 6:
        raise Wrong(f"twice as fast took {two:.0f} ms, eight times {eight:.0f} ms")


def test_a_running_run_is_followed(world):
    chat = world.tab("/console/chat")
    ask(chat, "slow 80")
    tab = world.tab("/console/runs")
    tab.until("the run is there", f"{ROW}?.innerText.includes('slow 80')")
    tab.click(".list li a")
    tab.until("it goes on", "document.querySelector('.lanes')?.innerText.includes('going on')")
    tab.until("it is over", "!document.querySelector('.lanes').innerText.includes('going on') && document.querySelector('.facts').innerText.includes('Completed')")
    tab.until("all of it was said", "document.querySelector('.replay .answer .text').innerText.split(/\\s+/).filter(Boolean).length === 80")


def test_another_ones_run_is_not_there(world):
    tab = world.tab("/console/runs", person=world.person("stranger"))
    tab.until("nothing is there yet, and what to do about it", "document.querySelector('.empty')?.innerText.includes('No run yet')")
    world.look(tab, "runs-empty")
    mine = world.admin.call("GET", "/v1/runs?limit=1")["runs"][0]["id"]
    with tab.trouble():
        tab.open(f"{world.server.base}/console/runs/{mine}")
        tab.until("it is not there", "document.querySelector('.empty h2')?.textContent === 'There is no such run'")


def test_runs_of_other_dialects_are_shown(world):
    token = {"authorization": f"Token {world.server.command('user', 'token', 'admin').split()[-1]}"}
    app = world.admin.call("POST", "/api/apps", {
        "name": "Echo", "type_slug": "web", "draft": False, "input_fields": [{"name": "word"}],
        "output_template": {"markdown": "Said: {{ echo1.output_str }}"},
        "processors": [{"id": "echo1", "provider_slug": "promptly", "processor_slug": "echo", "input": {"input_str": "{{ _inputs0.word }}"}}]}, token)
    world.admin.call("POST", f"/api/apps/{app['uuid']}/run", {"input": {"word": "parrot"}}, token)
    tab = world.tab("/console/runs?surface=llmstack")
    tab.until("the run is there", f"{ROW}?.innerText.includes('LLMStack app')")
    tab.click(".list li a")
    tab.until("its step is drawn", "document.querySelector('.lanes li.tool')?.innerText.includes('echo1')")
    tab.until("and what was sent", "document.querySelector('.replay')?.innerText.includes('parrot')")
    world.look(tab, "run-app")
