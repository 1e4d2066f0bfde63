"""The log: live tail, filters, an event with its cause and effects, a stream's history."""

from devtools import Wrong
from world import number

FIRST = "document.querySelector('.events tbody tr')"


def test_events_come_as_they_happen(world):
    tab = world.tab("/console/log")
    tab.until("it is live", "document.querySelector('.head [role=status]')?.textContent === 'Live'")
    before = number(tab.evaluate(f"{FIRST}.cells[0].innerText"))
    world.admin.ask("Anything")
    tab.until("the end of the run comes", "[...document.querySelectorAll('.events tr.fresh')].some((row) => row.innerText.includes('RunEnded'))")
    places = tab.evaluate("[...document.querySelectorAll('.events tbody tr')].map((row) => Number(row.dataset.position))")
    if places != list(range(places[0], places[-1] - 1, -1)) or places[0] <= before:
        raise Wrong(f"positions are not gapless and in order: {places}")
    tab.click(".head button")
    tab.until("it pauses", "document.querySelector('.head [role=status]').textContent.startsWith('Paused')")
    world.admin.ask("More")
    tab.until("what comes waits", "document.querySelector('.head [role=status]').textContent.includes('waiting')")
    tab.click(".head button")
    tab.until("and is shown", f"{FIRST}.dataset.position > {places[0]}")
    world.look(tab, "log")


def test_filters_hold_for_history_and_tail(world):
    world.admin.ask("First")
    tab = world.tab("/console/log")
    tab.until("the filters", "!!document.querySelector('input[name=type]')")
    tab.type("input[name=type]", "RunEnded")
    tab.press("Enter")
    tab.until("the address has it", "location.search === '?type=RunEnded'")
    only = "[...document.querySelectorAll('.events tbody tr')].every((row) => row.cells[2].innerText === 'RunEnded')"
    tab.until("the history is filtered", f"!!{FIRST} && {only}")
    tab.until("it is live", "document.querySelector('.head [role=status]')?.textContent === 'Live'")
    before = tab.evaluate("document.querySelectorAll('.events tbody tr').length")
    world.admin.ask("Second")
    tab.until("so is the tail", f"document.querySelectorAll('.events tbody tr').length === {before + 1} && {only}")


def test_an_event_leads_to_its_cause_and_effects(world):
    session, lines = world.admin.ask("What caused this")
    tab = world.tab("/console/log")
    tab.until("events", f"!!{FIRST}")
    tab.type("input[name=category]", "run")
    tab.press("Enter")
    tab.until("only runs", f"location.search === '?category=run' && !!{FIRST}")
    tab.click(".events tbody tr td:nth-child(3) a")
    tab.until("an event", "document.querySelector('h1')?.textContent === 'RunEnded' && !!document.querySelector('.data')")
    tab.until("its data", "JSON.parse(document.querySelector('.data').innerText).outcome === 'completed'")
    tab.until("others of the same request", "[...document.querySelectorAll('.linked a')].some((link) => link.textContent === 'RunRequested')")
    world.look(tab, "log-event")
    tab.evaluate("[...document.querySelectorAll('.linked a')].find((link) => link.textContent === 'RunRequested').click()")
    tab.until("that event", "document.querySelector('h1')?.textContent === 'RunRequested'")
    tab.click("dl.facts dd a.mono")
    tab.until("the history of its stream", "location.search.startsWith('?stream=run-') && document.querySelectorAll('.events tbody tr').length > 2")
    revisions = tab.evaluate("[...document.querySelectorAll('.events .stream span')].map((one) => Number(one.textContent.slice(1)))")
    if revisions != list(range(len(revisions) - 1, -1, -1)):
        raise Wrong(f"the history has gaps: {revisions}")


def test_it_goes_on_after_a_crash(world):
    tab = world.tab("/console/log")
    tab.until("it is live", "document.querySelector('.head [role=status]')?.textContent === 'Live'")
    with tab.trouble():
        world.server.kill()
        tab.until("the loss is told", "document.querySelector('.head [role=status]').textContent.includes('Connecting again')")
        world.server.start()
        tab.until("it is live again", "document.querySelector('.head [role=status]')?.textContent === 'Live'")
        world.admin.ask("Anybody there")
        tab.until("what came meanwhile is there", "[...document.querySelectorAll('.events tr')].some((row) => row.innerText.includes('RunEnded'))")
    places = tab.evaluate("[...document.querySelectorAll('.events tbody tr')].map((row) => Number(row.dataset.position))")
    if places != list(range(places[0], places[-1] - 1, -1)):
        raise Wrong(f"positions are not gapless and in order: {places}")
