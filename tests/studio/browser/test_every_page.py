"""Every page in light and dark, on a phone and on a desk: nothing serious for axe-core, nothing wider than the window.

OPENFLAN_SHOTS=DIR keeps how each looks.
"""

import os
from pathlib import Path

import pytest

import openflan
from little_tasks import write_tasks
from studio_windows import served

pytestmark = pytest.mark.slow  # a browser and some hundred pages: two minutes

SHOTS = Path(os.environ["OPENFLAN_SHOTS"]) if "OPENFLAN_SHOTS" in os.environ else None


@pytest.fixture(scope="module")
def address(looked_at, tmp_path_factory):
    run = looked_at[0]
    folder = write_tasks(tmp_path_factory.mktemp("mine") / "mine")
    with served(openflan.StudioFolders(runs=run.folder.parent, folders=(folder,))) as address:
        yield address


def pages_of(run: str) -> dict[str, str]:
    both = f"a={run}/evaluation/untuned&b={run}"
    return {
        "tasks": "/",
        "tasks-filtered": "/?cluster=sentiment",
        "task": "/tasks/rte?split=train",
        "task-of-mine": "/tasks/cafe_review?split=train&start=10",
        "row": "/tasks/rte/row?row=1&template=2&tokens=1",
        "row-markers": "/tasks/cafe_review/row?row=1&markers=random",
        "hold-out": "/hold-out?cluster=sentiment",
        "hold-out-reasons": "/hold-out?cluster=reading_comprehension_with_commonsense&of=all",
        "template": "/template?task=rte&template=2&row=0",
        "template-further": "/template?task=does_it_follow&template=new&row=1",
        "new-task": "/new",
        "mixture": "/mixture?recipe=starter",
        "mixture-none": "/mixture?recipe=no-such",
        "certificate": f"/mixture/certificate?run={run}",
        "runs": "/runs",
        "run": f"/runs/{run}",
        "figure": f"/runs/{run}/figure/reliability",
        "answers": f"/runs/{run}/answers?model=seed-0&show=disagree",
        "answers-none": f"/runs/{run}/answers?model=untuned&show=lost",
        "compare": f"/compare?{both}",
        "ask": f"/ask?run={run}&task=rte&row=0&template=1",
        "error": "/runs/no-such-run",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_every_page_can_be_read_by_everybody(visit, address, looked_at, scheme, width):
    run = looked_at[0].folder.name
    window = visit(address, width=width, scheme=scheme)
    faults = {}
    for name, path in pages_of(run).items():
        page = window.go(path)
        for waited in ("#figure-loss svg:visible", "#comparison table"):
            if waited.split()[0].lstrip("#") in page.content() and name in ("run", "compare"):
                page.locator(waited).first.wait_for()
        if name in ("answers-none", "error", "mixture-none"):  # that it can't be shown is what is asked for
            window.messages[:] = [line for line in window.messages if "422" not in line and "404" not in line]
        if violations := window.findings():
            faults[name] = violations
        if window.too_wide > 0:
            faults[f"{name}, wide"] = [f"{window.too_wide} pixels wider than the window"]
        if width == 1400:
            page.set_viewport_size({"width": 1600, "height": 900})
            if window.too_wide > 0:
                faults[f"{name}, wide at 1600"] = [f"{window.too_wide} pixels wider than the window"]
            page.set_viewport_size({"width": width, "height": 900})
        window.photograph(SHOTS, f"{name}-{scheme}-{width}")
    assert faults == {}


def test_the_studio_is_used_by_keyboard_alone(visit, address):
    """The skip link comes first, and each part of the menu is reached and opened by keys."""
    window = visit(address)
    page = window.go("/runs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("link", name="Ask", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/ask")
    page.get_by_label("Instruction", exact=True).focus()
    page.keyboard.type("Is it good?")
    assert page.get_by_label("Instruction", exact=True).input_value() == "Is it good?"


def test_a_theme_that_was_chosen_stays(visit, address):
    window = visit(address)
    page = window.go("/runs")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert after != before
    window.go("/ask")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after


def test_a_row_stands_beside_its_templates_and_its_tokens_in_line(visit, address):
    """On a desk the row stays in sight while its templates pass, and covers none of them."""
    window = visit(address)
    page = window.go("/tasks/rte/row?row=1&template=1&tokens=1")
    side, first = (page.locator(one).first.bounding_box() for one in (".row-side", ".under"))
    assert side["x"] + side["width"] <= first["x"]
    learnt, line = (page.locator(one).first.bounding_box() for one in (".token.learnt", ".tokens"))
    assert learnt["width"] < line["width"] / 4
