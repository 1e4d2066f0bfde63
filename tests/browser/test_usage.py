"""The page usage: charts that can be walked with the keyboard, people, quotas, and days without anything."""

import datetime

from devtools import Wrong
from world import number

TOTAL = "document.querySelector('.tile strong')?.title"


def test_an_administrator_sees_days_and_people(world):
    ann = world.person("usage-ann")
    for _ in range(3):
        ann.ask("slow 3")
    world.admin.ask("Hello")
    tab = world.tab("/console/usage")
    tab.until("the chart is there", "document.querySelectorAll('svg.chart .column').length === 30")
    world.look(tab, "usage")
    # Runs: the bar of today says what the server counted, to eyes and to screen readers.
    tab.click(".segments [data-key=runs]")
    tab.evaluate("document.querySelector('svg.chart').focus()")
    tab.press("End")
    said = tab.until("the bar is said", "document.querySelector('figure [aria-live]').textContent")
    shown = world.admin.call("GET", "/v1/usage")["total"]["runs"]
    if not said.endswith(f"Runs: {shown}"):
        raise Wrong(f"{said} of {shown} runs")
    if tab.evaluate("document.querySelector('.tip').hidden") or "Runs" not in tab.evaluate("document.querySelector('.tip').textContent"):
        raise Wrong("the tooltip does not follow the keyboard")
    world.shot(tab, "usage-tip")
    tab.press("ArrowLeft")
    tab.until("the day before has none", "document.querySelector('figure [aria-live]').textContent.endsWith('Runs: 0')")
    tab.press("Escape")
    tab.until("the tooltip goes", "document.querySelector('.tip').hidden")
    # The same as a table.
    tab.click(".as-table summary")
    tab.until("the table says the same", f"document.querySelector('.as-table tbody tr:last-child td').textContent === '{shown}'")
    # One person: by a link, and back.
    tab.click(".people tbody a[href*='user=']")
    tab.until("one person is shown", "!document.querySelector('.people') && new URLSearchParams(location.search).get('user')")
    tab.evaluate("history.back()")
    tab.until("everybody is shown", "!!document.querySelector('.people') && !new URLSearchParams(location.search).get('user')")


def test_a_person_sees_their_own(world):
    bob = world.person("usage-bob")
    bob.ask("Hello")
    bob.call("POST", "/api/usage/increment", {"operation": "taxonomy_tags", "amount": 9})
    tab = world.tab("/console/usage", bob)
    tab.until("the chart is there", "!!document.querySelector('svg.chart .column')")
    if tab.evaluate("!!document.querySelector('.people') || !!document.querySelector('.who')"):
        raise Wrong("a person sees others")
    tab.until("the meters are there", "document.querySelectorAll('[role=meter]').length === 3")
    tab.until("one is nearly full", "document.querySelector('.meter.near')?.getAttribute('aria-valuetext') === '9 of 10'")
    # Another span: the address keeps it, and it is there after a reload.
    tab.click(".segments [data-days='7']")
    tab.until("seven days", "document.querySelectorAll('svg.chart .column').length === 7")
    tab.reload()
    tab.until("still seven days", "document.querySelectorAll('svg.chart .column').length === 7")


def test_days_without_anything(world):
    eve = world.person("usage-eve")
    tab = world.tab("/console/usage", eve)
    tab.until("it says so", "document.querySelector('.empty h2')?.textContent === 'Nothing in these days'")
    world.look(tab, "usage-empty")
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    tab.open(world.server.base + f"/console/usage?from={today}&to={today}")
    tab.until("one day", f"document.querySelectorAll('input[type=date]')[0]?.value === '{today}'")
    if number(tab.until("the sum is there", TOTAL)) != 0:
        raise Wrong("somebody new has used something")


def test_the_plot_of_a_day_is_left_when_the_page_is(world):
    tab = world.tab("/console/usage")
    tab.until("the page is there", TOTAL)
    tab.click("#pages a[data-key=knowledge]")
    tab.until("the other page is there", "document.querySelector('main h1')?.textContent === 'Knowledge'")
    tab.size(900, 700)
    tab.check("after the page was left")
