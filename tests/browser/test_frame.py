"""The frame: logging in and out, navigation, addresses, colours, keys."""

from devtools import Wrong
from world import ADMIN, PASSWORD


def test_login_leads_back_to_the_page(world):
    tab = world.tab()
    # The page that is open would rightly complain that its login is gone.
    tab.open("about:blank")
    tab.until("nothing is open", "location.href === 'about:blank'")
    tab.call("Network.clearBrowserCookies")
    tab.open(world.server.base + "/console/runs?state=failed")
    tab.until("the login page", "!!document.querySelector('input[name=password]')")
    tab.type("input[name=username]", ADMIN)
    tab.type("input[name=password]", PASSWORD)
    tab.click("button[type=submit]")
    tab.until("the page that was asked for", "location.pathname === '/console/runs' && document.querySelector('select[name=state]')?.value === 'failed'")
    tab.click("#leave")
    tab.until("the login page after logging out", "location.pathname === '/login'")


def test_navigation_keeps_addresses(world):
    tab = world.tab()
    for page, title in [("runs", "Runs"), ("log", "Log"), ("chat", "Chat")]:
        tab.click(f"#pages a[data-key={page}]")
        tab.until(f"the page {page}", f"location.pathname === '/console/{page}' && document.title.includes({title!r})")
        tab.until("it is marked", f"document.querySelector('#pages a[aria-current=page]').dataset.key === {page!r}")
    tab.evaluate("history.back()")
    tab.until("back", "location.pathname === '/console/log' && document.querySelector('h1')?.textContent === 'Log'")
    tab.reload()
    tab.until("the same page after a reload", "document.querySelector('h1')?.textContent === 'Log'")
    tab.open(world.server.base + "/console/nowhere")
    tab.until("what is nowhere is told", "document.querySelector('.empty h2')?.textContent === 'There is no such page'")


def test_colours_can_be_chosen(world):
    tab = world.tab()
    paper = "getComputedStyle(document.body).backgroundColor"
    tab.colours("light")
    light = tab.evaluate(paper)
    tab.colours("dark")
    dark = tab.evaluate(paper)
    if light == dark:
        raise Wrong(f"the system's colours change nothing: {light}")
    tab.click("#theme")
    if tab.evaluate(paper) != light:
        raise Wrong("the button does not switch to light")
    tab.reload()
    tab.until("the choice is kept", f"{paper} === {light!r}")
    tab.evaluate("localStorage.clear()")


def test_keys_are_enough(world):
    tab = world.tab("/console/log")
    tab.press("Tab")
    tab.until("the first stop skips the navigation", "document.activeElement.id === 'skip'")
    tab.press("Enter")
    tab.until("the page has the focus", "document.activeElement.id === 'page'")
    tab.press("2", alt=True)
    tab.until("a shortcut leads to a page", "location.pathname === '/console/runs'")


def test_others_do_not_see_what_is_for_administrators(world):
    tab = world.tab(person=world.person("reader"))
    tab.until("the navigation", "document.querySelectorAll('#pages a').length > 0")
    if tab.evaluate("[...document.querySelectorAll('#pages a')].some((link) => link.dataset.key === 'log')"):
        raise Wrong("the log is offered")
    tab.open(world.server.base + "/console/log")
    tab.until("it is told", "document.querySelector('.empty h2')?.textContent === 'For administrators'")
