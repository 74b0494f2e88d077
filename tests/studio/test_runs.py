"""Runs in the studio: how each stands, its answers and figures, two held side by side."""

import json
import re
import shutil
import time
from html import unescape

import pytest

import openflan
from openflan.runs.progress import RunProgress, Worker, write_progress


def text_of(page) -> str:
    """What a page says, without its marks."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


@pytest.fixture
def at_work(run, tmp_path, looked_at):
    """A copy of the run as it was in the middle of tuning, with this process at work on it."""
    folder = tmp_path / "runs" / run.folder.name
    folder.mkdir(parents=True)
    head = json.loads(run.places.head.read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps({**head, "results": None}), encoding="utf-8")
    shutil.copy(run.places.recipe, folder)
    shutil.copytree(run.places.mixture, folder / "mixture")
    (folder / "training" / ".seed-0.partial").mkdir(parents=True)
    lines = run.places.metrics(0).read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "training" / ".seed-0.partial" / "metrics.jsonl").write_text("".join(lines[:2]), encoding="utf-8")
    stages = [
        {"place": "mixture", "state": "done"},
        {"place": "training/seed-0", "state": "working", "done": 2, "total": 6, "unit": "steps", "note": "loss 3.1"},
    ]
    fields = {"worker": Worker.here(), "began": 0.0, "updated": time.time(), "left": 200.0, "stages": stages}
    record = RunProgress.model_validate(fields)
    write_progress(folder / "progress.json", record)
    return folder, record, lines


def test_the_list_says_how_each_run_stands_and_what_it_shows(here, run):
    page = here.get("/runs")
    assert page.status_code == 200
    words = text_of(page)
    assert run.folder.name in words
    assert run.results.verdict.sentence in words
    assert f'href="/runs/{run.folder.name}"' in page.text


def test_an_empty_folder_says_how_to_make_a_run(client):
    assert "openflan run starter" in text_of(client.get("/runs"))


def test_a_run_at_work_shows_stage_step_and_time_left_and_asks_again(client_of, at_work):
    folder, record, _ = at_work
    client = client_of(runs=folder.parent)
    for address in ("/runs", f"/runs/{folder.name}"):
        page = client.get(address)
        assert "tuning seed-0, step 2 of 6" in text_of(page)
        assert "about 3 min left" in text_of(page)
        assert 'hx-trigger="every' in page.text
    assert "loss 3.1" in text_of(page)
    stopped = record.model_copy(update={"worker": record.worker.model_copy(update={"began": 1.0})})
    write_progress(folder / "progress.json", stopped)
    page = client.get(f"/runs/{folder.name}")
    assert "unfinished" in text_of(page)
    assert 'hx-trigger="every' not in page.text


def test_losses_grow_while_a_run_is_tuned(client_of, at_work):
    folder, _, lines = at_work
    client = client_of(runs=folder.parent)
    before = client.get(f"/runs/{folder.name}/figure/task_loss.csv").text
    page = client.get(f"/runs/{folder.name}/figure/loss", headers={"HX-Request": "true"})
    assert page.text.lstrip().startswith('<section id="figure-loss"')
    assert "every 6s" in page.text
    (folder / "training" / ".seed-0.partial" / "metrics.jsonl").write_text("".join(lines), encoding="utf-8")
    assert len(client.get(f"/runs/{folder.name}/figure/task_loss.csv").text) > len(before)


def test_a_fault_is_read_on_the_page(client_of, at_work):
    folder, record, _ = at_work
    write_progress(folder / "progress.json", record.model_copy(update={"failed": "the roof <fell> in"}))
    page = client_of(runs=folder.parent).get(f"/runs/{folder.name}")
    assert "failed the roof <fell> in" in text_of(page)
    assert "<fell>" not in page.text


def test_the_figures_are_those_of_the_report(here, run):
    address = f"/runs/{run.folder.name}/figure/scores"
    whole = here.get(address)
    assert "<html" in whole.text
    report = run.places.page.read_text(encoding="utf-8")
    svg = re.search(r"<svg.*?</svg>", whole.text, re.DOTALL)
    assert svg is not None
    assert svg[0] in report
    assert here.get(f"{address}.csv").text == (run.places.figures / "clusters.csv").read_text(encoding="utf-8")
    assert here.get(f"/runs/{run.folder.name}/figure/none").status_code == 422


@pytest.mark.parametrize("show", ["all", "wrong", "unsure", "disagree", "lost", "gained"])
def test_answers_are_those_that_were_stored(here, run, show):
    page = here.get(f"/runs/{run.folder.name}/answers", params={"model": "seed-0", "show": show})
    assert page.status_code == 200
    wanted = openflan.browse_answers(run, model="seed-0", show=show)
    assert f"{wanted.total:,} " in text_of(page)
    prompts = [unescape(text) for text in re.findall(r'<pre class="prompt"[^>]*>(.*?)</pre>', page.text, re.DOTALL)]
    assert [text.lstrip("\n") for text in prompts] == [one.prompt.lstrip("\n") for one in wanted.answers]


def test_answers_are_paged_and_narrowed_by_the_address(here, run):
    address = f"/runs/{run.folder.name}/answers?model=seed-0&show=all"
    first, second = here.get(address), here.get(f"{address}&start=20")
    assert re.findall(r"<h2>(.*?)</h2>", first.text) != re.findall(r"<h2>(.*?)</h2>", second.text)
    assert 'rel="next"' in first.text
    assert 'rel="prev"' in second.text
    one = here.get(f"{address}&task=does_it_follow&template=1")
    assert set(re.findall(r"<h2>(\w+), row \d+, (.*?)</h2>", one.text)) == {("does_it_follow", "template 1")}


def test_what_can_t_be_shown_is_said_where_answers_would_stand(here, run):
    page = here.get(f"/runs/{run.folder.name}/answers?model=untuned&show=lost")
    assert page.status_code == 422
    answers = page.text.partition('<div id="answers">')[2]
    assert "what tuning changed" in answers
    assert "<select" in page.text
    assert here.get(f"/runs/{run.folder.name}/answers?start=x").status_code == 422


def test_two_are_compared_once_the_page_has_come(here, run):
    sides = {"a": f"{run.folder.name}/evaluation/untuned", "b": run.folder.name}
    page = here.get("/compare", params=sides)
    assert 'hx-trigger="load"' in page.text
    words = text_of(here.get("/compare", params={**sides, "now": "1"}))
    comparison = openflan.compare(run.folder / "evaluation" / "untuned", run)
    assert str(run.folder) not in words
    assert all(task.task in words for task in comparison.tasks)
    assert here.get("/compare", params={"a": "../x", "b": run.folder.name, "now": "1"}).status_code == 422


@pytest.mark.parametrize("name", ["nothing", "%2e%2e", "..%2f..%2fetc"])
def test_a_run_outside_the_folder_is_refused(client_of, run, name):
    """Also where the folder above is a run itself."""
    client = client_of(runs=run.folder / "evaluation")
    assert client.get(f"/runs/{name}").status_code in (404, 422)
    assert client.get(f"/runs/{name}/answers").status_code in (404, 422)


def test_a_study_shows_its_cells(client_of, run, tmp_path):
    from openflan.study.progress import CellProgress, StudyProgress

    folder = tmp_path / "study-little-1"
    folder.mkdir()
    cells = [CellProgress(name="steps=1", run="a-1", state="done"), CellProgress(name="steps=2", state="working")]
    record = StudyProgress(
        title="A little study", worker=Worker.here(), updated=time.time(), cells=cells, share=0.5, left=600.0
    )
    write_progress(folder / "progress.json", record)
    client = client_of(runs=tmp_path)
    assert "A little study" in text_of(client.get("/runs"))
    words = text_of(client.get("/studies/study-little-1"))
    assert "working , 1 of 2 cells, about 10 min left" in words
    assert "steps=2 working" in words
