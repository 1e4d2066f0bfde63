"""The page system: live plots, a rebuild with confirmation and progress, what happens when the server goes, and others than administrators."""

from devtools import Wrong

POINTS = "(document.querySelector('.plot .line')?.getAttribute('d') ?? '').split(/[ML]/).length - 1"


def row(name, inner):
    return f"[...document.querySelectorAll('.models tbody tr')].find((row) => row.querySelector('th').textContent === '{name}')?.querySelector('{inner}')"


def test_plots_go_on(world):
    world.admin.ask("Hello")
    tab = world.tab("/console/system")
    tab.until("the state is there", "document.querySelector('.state').textContent === 'Everything is well'")
    tab.until("this node is there", "document.querySelector('.system')?.textContent.includes('answers here')")
    for _ in range(2):
        world.admin.ask("Hello")
    tab.until("the plot of what is written grows", f"{POINTS} >= 4")
    world.look(tab, "system")
    # The keyboard walks along a plot.
    tab.evaluate("document.querySelectorAll('svg.plot')[1].focus()")
    tab.press("End")
    tab.until("a value is said", "!document.querySelectorAll('.plots .tip')[1].hidden && document.querySelectorAll('.plots figure [aria-live]')[1].textContent.includes(':')")
    world.shot(tab, "system-tip")
    # Nobody asks on when the page is left.
    tab.click("#pages a[data-key=usage]")
    tab.until("the other page is there", "document.querySelector('main h1')?.textContent === 'Usage'")
    tab.evaluate("new Promise((done) => setTimeout(done, 300))")
    tab.evaluate("performance.clearResourceTimings()")
    tab.evaluate("new Promise((done) => setTimeout(done, 2600))")
    asked = tab.evaluate("performance.getEntriesByType('resource').map((one) => one.name).filter((name) => name.includes('/v1/system'))")
    if asked:
        raise Wrong(f"it still asks: {asked}")


def test_a_rebuild(world):
    tab = world.tab("/console/system")
    tab.until("the read models are there", "document.querySelectorAll('.models tbody tr').length > 20")
    button = "[aria-label='Rebuild conversations']"
    # Not by mistake.
    tab.click(button)
    tab.until("it asks", "document.querySelector('dialog[open] h2')?.textContent === 'Rebuild conversations?'")
    world.look(tab, "system-rebuild")
    tab.press("Escape")
    tab.until("the question goes", "!document.querySelector('dialog')")
    if tab.evaluate("document.activeElement?.getAttribute('aria-label')") != "Rebuild conversations":
        raise Wrong("the focus is lost")
    tab.press("Enter")
    tab.until("it asks again", "!!document.querySelector('dialog[open]')")
    tab.press("Tab")
    tab.press("Enter")
    tab.until("it is done", f"{row('conversations', '.last')}?.textContent.includes('events in')")
    tab.until("it is told", "document.querySelector('#notice').textContent.includes('conversations was rebuilt')")
    state = world.admin.call("GET", "/v1/read-models/conversations")["rebuild"]
    if state["state"] != "done" or not state["started_by"]:
        raise Wrong(f"the server says {state}")


def test_the_server_goes_and_comes_back(world):
    tab = world.tab("/console/system")
    tab.until("the state is there", "document.querySelector('.state').textContent === 'Everything is well'")
    with tab.trouble():
        world.server.kill()
        tab.until("it says so", "document.querySelector('.state .bad')?.textContent.includes('Trying again')")
        world.shot(tab, "system-gone")
        world.server.start()
        tab.until("it goes on", "document.querySelector('.state').textContent === 'Everything is well'", 60)


def test_it_is_for_administrators(world):
    tab = world.tab("/console/system", world.person("system-eve"))
    tab.until("it says so", "document.querySelector('.empty h2')?.textContent === 'For administrators'")
    if tab.evaluate("!!document.querySelector('#pages a[data-key=system]')"):
        raise Wrong("a person is led to it")
