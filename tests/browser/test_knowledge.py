"""The page knowledge: make one, upload by button and by dropping, states, redo, delete, try a query, open a passage."""

import base64
import os
import tempfile

from devtools import Wrong

HANDBOOK = """# Log handbook

## Appending

Writers append events to a stream at an expected revision. A conflict means that another writer was faster; decide again.

## Rebuilding

A projection can be rebuilt from the log while the old tables serve. The new tables take their place in one transaction.

## Chinese

事件日志按顺序保存事实，任何投影都可以从日志重建。
"""
FILLER = "\n\n".join(f"## Chapter {n}\n\n" + f"Paragraph {n} tells of harbours, tides and the weather at sea. " * 12 for n in range(12))


def state(name):
    return f"[...document.querySelectorAll('.documents tbody tr')].find((row) => row.querySelector('th').textContent === '{name}')?.querySelector('.tag')?.textContent"


def made(world, tab, name):
    """Makes a knowledge base by clicks; its id."""
    tab.until("the list is there", "!!document.querySelector('main.knowledge h1')")
    tab.click(".bar:not(.alone) .first, .empty .first")
    tab.until("it asks", "!!document.querySelector('dialog[open] input')")
    tab.call("Input.insertText", text=name)
    return tab


def choose(tab, *paths):
    document = tab.call("DOM.getDocument")["root"]["nodeId"]
    node = tab.call("DOM.querySelector", nodeId=document, selector="input[type=file]")["nodeId"]
    tab.call("DOM.setFileInputFiles", files=list(paths), nodeId=node)


def test_from_nothing_to_a_passage(world):
    ann = world.person("knowledge-ann")
    tab = world.tab("/console/knowledge", ann)
    tab.until("it is empty", "document.querySelector('.empty h2')?.textContent === 'No knowledge base yet'")
    world.look(tab, "knowledge-empty")
    made(world, tab, "Handbooks")
    world.look(tab, "knowledge-create")
    tab.press("Enter")
    tab.until("it is open", "document.querySelector('main h1')?.textContent === 'Handbooks' && !!document.querySelector('.drop')")
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, text in [("log.md", HANDBOOK), ("sea.md", FILLER)]:
            paths.append(os.path.join(folder, name))
            with open(paths[-1], "w") as file:
                file.write(text)
        choose(tab, *paths)
        tab.until("both are searchable", f"{state('log.md')} === 'Searchable' && {state('sea.md')} === 'Searchable'")
    # By dropping, one that cannot be read.
    tab.evaluate(f"""(() => {{
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob('{base64.b64encode(b"PK" + bytes(40)).decode()}'), (c) => c.charCodeAt(0))], 'broken.docx'));
        data.items.add(new File(['Rebuilding takes a projection from the log anew.'], 'dropped.txt'));
        const fire = (type) => document.querySelector('.drop').dispatchEvent(new DragEvent(type, {{ bubbles: true, cancelable: true, dataTransfer: data }}));
        fire('dragenter');
        if (!document.querySelector('.drop').classList.contains('over')) throw new Error('the box does not say that it takes them');
        fire('dragover');
        fire('drop');
    }})()""")
    tab.until("the dropped one is searchable", f"{state('dropped.txt')} === 'Searchable'")
    tab.until("the broken one has failed", f"{state('broken.docx')} === 'Failed'")
    tab.until("it says why", "(document.querySelector('.documents td p.bad')?.textContent ?? '') !== ''")
    tab.evaluate("document.querySelector('#notice').replaceChildren()")
    world.look(tab, "knowledge-documents")
    # Only what failed; once more; away.
    tab.evaluate("[...document.querySelectorAll('.segments button')].find((one) => one.textContent === 'Failed').click()")
    tab.until("one is left", "document.querySelectorAll('.documents tbody tr').length === 1")
    tab.click("[aria-label='Read broken.docx again']")
    tab.evaluate("[...document.querySelectorAll('.segments button')].find((one) => one.textContent === 'All').click()")
    tab.until("it has failed again", f"{state('broken.docx')} === 'Failed'")
    tab.click("[aria-label='Delete broken.docx']")
    tab.until("it asks", "document.querySelector('dialog[open] h2')?.textContent === 'Delete broken.docx?'")
    tab.press("Tab")
    tab.press("Enter")
    tab.until("it is gone", "document.querySelectorAll('.documents tbody tr').length === 3")
    # Why a passage ranks.
    tab.evaluate("[...document.querySelectorAll('.tabs a')].find((one) => one.textContent === 'Try a query').click()")
    tab.until("the question can be asked", "document.activeElement?.type === 'search'")
    tab.call("Input.insertText", text="How is a projection rebuilt?")
    tab.press("Enter")
    tab.until("something is found", "document.querySelectorAll('.hit').length >= 2")
    marks = tab.evaluate("[...document.querySelectorAll('.hit mark')].map((one) => one.textContent.toLowerCase())")
    if not any("rebuil" in mark for mark in marks) or not any("projection" in mark for mark in marks):
        raise Wrong(f"only {marks} are marked")
    first = tab.evaluate("document.querySelector('.hit .reasons').innerText.replace(/\\s+/g, ' ')")
    if not first.startswith("Words #1") or "Fused #1" not in first:
        raise Wrong(f"the first says {first}")
    world.look(tab, "knowledge-query")
    tab.click(".hit button")
    tab.until("the passage is marked in its document", "!!document.querySelector('dialog[open] .own mark')")
    world.look(tab, "knowledge-passage")
    tab.press("Escape")
    # Letters without blanks; what is asked stays in the address.
    tab.type(".try input", "如何重建投影")
    tab.press("Enter")
    tab.until("Chinese is found and marked", "[...document.querySelectorAll('.hit mark')].some((one) => one.textContent.includes('重建'))")
    tab.reload()
    tab.until("it is asked again", "[...document.querySelectorAll('.hit mark')].some((one) => one.textContent.includes('重建'))")
    # Another's is as good as none.
    path = tab.evaluate("location.pathname")
    eve = world.tab("/console/knowledge", world.person("knowledge-eve"))
    with eve.trouble():
        eve.open(world.server.base + path)
        eve.until("it is not there", "document.querySelector('.empty h2')?.textContent === 'This cannot be shown'")
    # Away with all of it. All tabs share the login, so that it takes one more.
    tab = world.tab(path, ann)
    tab.until("it is open", "document.querySelector('main h1')?.textContent === 'Handbooks'")
    tab.evaluate("[...document.querySelectorAll('main > .head button')].find((one) => one.textContent === 'Delete').click()")
    tab.until("it asks", "document.querySelector('dialog[open] h2')?.textContent === 'Delete Handbooks?'")
    tab.press("Tab")
    tab.press("Enter")
    tab.until("it is gone", "location.pathname === '/console/knowledge' && document.querySelector('.empty h2')?.textContent === 'No knowledge base yet'")


def test_an_upload_shows_its_progress_and_can_be_stopped(world):
    ann = world.person("knowledge-bob")
    base = ann.call("POST", "/api/knowledge-base/add", {"name": "Slow", "type": "file", "intro": "Over a thin wire", "language": "en"})["data"]["kdb_id"]
    tab = world.tab(f"/console/knowledge/{base}", ann)
    tab.until("the box is there", "!!document.querySelector('.drop')")
    tab.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=300_000)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "large.txt")
        with open(path, "w") as file:
            file.write("Words and words and words.\n" * 60_000)
        choose(tab, path)
        tab.until("it is on its way", "document.querySelector('.uploads progress')?.value > 0.1 && document.querySelector('.uploads .faint').textContent.includes('%')")
        world.shot(tab, "knowledge-upload")
        tab.click("[aria-label='Stop the upload of large.txt']")
        tab.until("it is stopped", "document.querySelectorAll('.uploads li').length === 0")
    tab.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    if ann.call("GET", f"/api/knowledge-base/doc/list?kdb_id={base}")["data"]["total"] != 0:
        raise Wrong("what was stopped is there")
    # The same file twice is told where it was tried.
    ann.upload(base, "one.md", "The same text twice.")
    with tab.trouble():
        tab.evaluate("""(() => {
            const data = new DataTransfer();
            data.items.add(new File(['The same text twice.'], 'two.md'));
            document.querySelector('.drop').dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data }));
        })()""")
        tab.until("it says why", "document.querySelector('.uploads [role=alert], .uploads .bad')?.textContent.includes('duplicate')")
        world.shot(tab, "knowledge-duplicate")
