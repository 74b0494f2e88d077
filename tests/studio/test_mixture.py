"""Mixtures in the studio: a plan that moves with its settings, certificates with their pairs, recipes written out."""

import re
import shutil
import time
from html import unescape

import pytest

import openflan
from little_runs import leaky_run
from openflan.studio.counting import ExactCounts, RecipeToCount

PART = {"HX-Request": "true"}


def text(page):
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text)))


def test_the_plan_is_that_of_the_api(client):
    page = client.get("/mixture?recipe=flan&maximum=500&temperature=2&held=1&hold_out=translation")
    settings = {"mixture.maximum": 500, "mixture.temperature": 2.0, "tasks.hold_out": ["translation"]}
    totals = openflan.Run("flan", settings=settings).plan(estimate="sampled").mixture.totals
    assert page.status_code == 200
    assert f"{totals.tasks} tasks in 11 clusters, {totals.rows:,} rows" in text(page)
    assert f"{totals.tokens:,} tokens and {totals.examples:,} examples" in text(page)
    assert all(
        f"{key}={value}" in text(page) for key, value in (("mixture.maximum", 500), ("mixture.temperature", 2.0))
    )


def test_htmx_gets_the_plan_alone(client):
    page = client.get("/mixture?recipe=flan&maximum=500", headers=PART)
    assert ("<html" in page.text, "By cluster" in text(page)) == (False, True)


def test_a_fault_of_the_settings_stands_beside_the_plan_as_it_is(client):
    for query, what in (
        ("maximum=abc", "'abc' is no number"),
        ("maximum=0", "greater than or equal to 1"),
        ("hold_out=nowhere", "no cluster 'nowhere'"),
    ):
        page = client.get(f"/mixture?recipe=starter&{query}")
        assert (page.status_code, what in text(page), "By cluster" in text(page)) == (200, True, True)


def test_a_recipe_that_can_not_be_planned_can_be_left(client):
    page = client.get("/mixture?recipe=t0")
    assert (page.status_code, "no such folder of tasks" in text(page)) == (422, True)
    assert '<option value="starter">' in page.text


@pytest.mark.parametrize("name", ["nothing", "../flan", "/etc/passwd", "run ../x"])
def test_only_listed_recipes_are_opened(client, name):
    page = client.get("/mixture", params={"recipe": name})
    assert (page.status_code, "no recipe" in text(page)) == (422, True)


def test_a_changed_recipe_is_written_into_the_folder_once(client, folder):
    form = {"recipe": "starter", "maximum": "77", "held": "1", "hold_out": "sentiment", "name": "less"}
    saved = client.post("/mixture/save", data=form, follow_redirects=False)
    assert saved.headers["location"] == "/mixture?recipe=less.yaml&saved=1"
    recipe = openflan.Run(folder / "less.yaml").recipe
    assert (recipe.name, recipe.mixture.maximum, recipe.tasks.hold_out) == ("less", 77, ("sentiment",))
    assert "Written: less.yaml" in text(client.get(saved.headers["location"]))
    was = (folder / "less.yaml").read_bytes()
    again = client.post("/mixture/save", data={**form, "maximum": "78"})
    assert (again.status_code, "already there" in text(again)) == (422, True)
    assert (folder / "less.yaml").read_bytes() == was
    for name in ("../out", "", "Big", "a/b"):
        assert client.post("/mixture/save", data={**form, "name": name}).status_code == 422
    assert sorted(path.name for path in folder.parent.rglob("*.yaml")) == ["less.yaml"]


def test_the_tasks_of_the_folder_are_mixed_in(client, folder):
    client.post("/template/save", data={"task": "starter_sentiment_plain", "template": "1", "input": "{{text}}"})
    names = [path.stem for path in folder.glob("*.yaml")]
    page = client.get("/mixture?recipe=starter&mine=1") if names else None
    assert page is None or names[0] in text(page)


@pytest.fixture(scope="module")
def leaky_runs(tmp_path_factory):
    """A run whose held-out task has a text of a tuned one."""
    story = "The old lighthouse keeper walked down to the harbour every morning before the first boat came in."
    return leaky_run(tmp_path_factory.mktemp("leaky"), story, story).folder.parent


def test_a_certificate_has_its_worst_pairs_side_by_side(client_of, leaky_runs):
    client = client_of(runs=leaky_runs)
    page = client.get("/mixture/certificate")
    assert "Clean: 1 of 12 held-out items shared a text with training rows; 1 training rows were dropped" in text(page)
    assert "tuned beside held" in text(page)
    marked = re.findall(r"<mark>(.*?)</mark>", page.text)
    assert len(marked) == 2
    assert all(one.startswith("The old lighthouse keeper") for one in marked)
    assert client.get("/mixture/certificate?run=../x").status_code == 422
    run = next(leaky_runs.iterdir()).name
    assert client.get("/mixture", params={"recipe": f"run {run}"}).status_code == 200


def test_a_run_with_a_file_behind_a_link_that_leads_out_is_refused(client_of, leaky_runs, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(leaky_runs, runs)
    run = next(runs.iterdir())
    client = client_of(runs=runs)
    assert run.name in client.get("/runs").text
    (tmp_path / "theirs.json").write_text("{}", encoding="utf-8")
    (run / "mixture" / "extra.json").symlink_to(tmp_path / "theirs.json")
    assert run.name not in client.get("/runs").text
    assert "extra.json: lies outside the folders" in client.get(f"/runs/{run.name}").text


def hidden(page, action):
    """What a form of the page would send."""
    form = page.text.partition(f'action="{action}"')[2].partition("</form>")[0]
    return [
        (name, unescape(value)) for name, value in re.findall(r'name="(\w+)"(?: required[^>]*?)? value="(.*?)"', form)
    ]


def test_a_plan_that_is_not_changed_is_written_as_it_is(client, folder):
    fields = dict(hidden(client.get("/mixture?recipe=flan"), "/mixture/save"))
    client.post("/mixture/save", data={**fields, "name": "same"})
    given, written = (openflan.Run(one).recipe for one in ("flan", folder / "same.yaml"))
    assert given.tasks.hold_out
    assert written.tasks.hold_out == given.tasks.hold_out


def waited_for(client, path):
    """The part of a count that is done."""
    for _ in range(600):
        page = client.get(path)
        if "Counting for" not in page.text:
            return page
        time.sleep(0.1)
    raise AssertionError("never counted")


@pytest.mark.slow  # a process that imports what reads tokens: four seconds
def test_a_plan_is_counted_from_the_rows_at_a_click(client_of, leaky_runs):
    (run,) = leaky_runs.iterdir()
    client = client_of(runs=leaky_runs)
    page = client.get("/mixture", params={"recipe": f"run {run.name}"})
    assert "Count exactly" in page.text
    begun = client.post("/mixture/count", data=dict(hidden(page, "/mixture/count")), headers=PART)
    assert "<html" not in begun.text
    assert "Counting for" in begun.text
    address = unescape(re.search(r'hx-get="(/mixture/count\?.*?)"', begun.text)[1])
    part = waited_for(client, address)
    plan = openflan.Run(run).plan()
    totals = plan.mixture.totals
    assert f"{totals.tokens:,} tokens and {totals.examples:,} examples" in text(part)
    assert plan.leaks in text(part)
    for one in plan.mixture.tasks:
        assert one.basis == "exact"
        assert re.search(rf"<th scope=\"row\">{one.task}</th>.*?{one.token_share:.2%}", part.text, re.DOTALL)
    whole = client.get("/mixture", params={"recipe": f"run {run.name}"})  # the address alone brings it back
    assert f"{len(plan.mixture.tasks)} of {len(plan.mixture.tasks)} tasks are counted" in text(whole)
    assert len(re.findall(r'id="(?:exact-)?by-task"', whole.text)) == 2
    changed = client.get("/mixture", params={"recipe": f"run {run.name}", "maximum": 3})
    assert "tasks are counted" not in text(changed)


def test_another_count_takes_the_place_of_one_that_goes_on(leaky_runs):
    (run,) = leaky_runs.iterdir()
    counter = ExactCounts()
    counter.start("one", RecipeToCount(path=run, settings={}, data=None))
    begun = counter.start("two", RecipeToCount(path=run, settings={"no.such": 1}, data=None))
    assert counter.look("one") is None
    while begun.took is None:
        time.sleep(0.01)
    assert "unknown key 'no'" in begun.fault
    assert counter.look("two") is begun


def test_no_runs_is_said(client):
    assert "No run here has a mixture yet" in text(client.get("/mixture/certificate"))
