"""The pages of the API documents: every document is drawn, an operation opens, and nothing is asked of anybody else."""

DOCUMENTS = ["v1", "sage", "llmstack", "genie"]


def test_every_document_is_drawn(world):
    tab = world.tab()
    # What the console has open would be cut off by the next page.
    tab.open("about:blank")
    tab.until("nothing is open", "location.href === 'about:blank'")
    tab.open(world.server.base + "/docs")
    for place, document in enumerate(DOCUMENTS):
        tab.until("the choice of documents", "!!document.querySelector('#select option')")
        tab.evaluate(
            "(() => { const choice = document.querySelector('#select');"
            f"choice.value = [...choice.options][{place}].value;"
            "choice.dispatchEvent(new Event('change', { bubbles: true })); })()")
        tab.until(f"the document {document}",
                  f"document.querySelector('.info .link')?.textContent.includes('{document}.json')"
                  " && document.querySelectorAll('.opblock-tag-section').length > 3")
        # A group stays open that the document before had under the same name.
        tab.evaluate("document.querySelector('.opblock-tag[data-is-open=false]').click()")
        tab.until("its operations", "!!document.querySelector('.opblock-summary-control')")
        tab.evaluate("document.querySelector('.opblock-summary-control').click()")
        tab.until("what one answers", "!!document.querySelector('.opblock .responses-table')")
        world.shot(tab, f"docs-{document}")
    origins = tab.evaluate("[...new Set(performance.getEntriesByType('resource').map((one) => new URL(one.name).origin))].join()")
    if origins != world.server.base:
        raise AssertionError(f"somebody else is asked: {origins}")
