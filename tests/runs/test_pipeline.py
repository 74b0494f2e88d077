"""The whole pipeline on a user's own tasks and a tiny model: what is kept, redone, survived and refused."""

import hashlib
import json
import random
import time
from pathlib import Path

import pytest

from little_runs import STEPS, write_recipe
from openflan.errors import UserError
from openflan.recipes.recipe import load_recipe
from openflan.run import Run
from openflan.runs import pipeline
from openflan.training.metrics import read_metrics
from processes import Command, fork_pools


@pytest.fixture(scope="module")
def finished(tmp_path_factory, my_tasks, tiny_llama):
    """A recipe that has run: (recipe path, runs folder, run folder)."""
    folder = tmp_path_factory.mktemp("finished")
    looks = {"training__evaluate_every": STEPS, "training__evaluate_tasks": ["natural_language_inference"]}
    path = write_recipe(folder, my_tasks, tiny_llama, **looks)
    outcome = Run(load_recipe(path), runs=folder / "runs").work()
    assert outcome.worked
    return path, folder / "runs", outcome.folder


@pytest.fixture(scope="module")
def undisturbed(finished):
    """Seconds that the recipe's stages took."""
    results = json.loads((finished[2] / "results.json").read_text(encoding="utf-8"))
    return sum(results["wall_seconds"].values())


def weights(folder: Path) -> dict[str, str]:
    paths = sorted(folder.glob("training/*/model/model.safetensors"))
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def numbers(folder: Path) -> dict:
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return {key: value for key, value in results.items() if key not in ("wall_seconds", "peak_memory_mb", "costs")}


def test_a_look_while_training_tells_what_accuracy_is_made_of(finished):
    *before, last = read_metrics(finished[2] / "training" / "seed-0" / "metrics.jsonl")
    assert not any(line.evaluation or line.measures for line in before)
    (task,) = last.evaluation
    assert last.measures.keys() >= {f"{name}/{task}" for name in ("form", "auc", "first")}
    assert all(0 <= value <= 1 for value in (*last.evaluation.values(), *last.measures.values()))


def test_the_verdict_tells_held_out_clusters_from_tuned_ones(finished):
    folder = finished[2]
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    held_out = {record["cluster"]: record for record in results["verdict"]["held_out"]}
    seen = {record["cluster"]: record for record in results["verdict"]["seen"]}
    assert set(held_out) == {"natural_language_inference", "paraphrase"}
    assert set(seen) == {"sentiment", "closed_book_qa", "struct_to_text"}
    wanted = {"cluster", "tasks", "base", "tuned", "gain", "base_ci95", "tuned_ci95", "gain_ci95", "chance", "majority"}
    for record in [*held_out.values(), *seen.values()]:
        assert wanted | {"n_rows", "n_templates"} <= set(record)
        assert record["gain"] == pytest.approx(record["tuned"] - record["base"])
        assert [seed["seed"] for seed in record["by_seed"]] == results["seeds"] == [0, 1]
    assert held_out["natural_language_inference"]["chance"] == pytest.approx(1 / 3)
    assert set(results["wall_seconds"]) >= {"mixture", "training/seed-0", "evaluation/untuned"}
    assert results["peak_memory_mb"] > 50
    costs = results["costs"]
    assert set(costs) == set(results["wall_seconds"])
    log = (finished[2] / "training" / "seed-0" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert costs["training/seed-0"]["tokens"] == sum(json.loads(line)["tokens"] for line in log)
    assert costs["evaluation/untuned"]["prompts"] > 0
    assert costs["training/seed-0"]["energy_joules"] is None or costs["training/seed-0"]["energy_joules"] > 0
    assert "torch" in results["versions"]


def test_no_held_out_task_is_in_the_token_store(finished):
    from datasets import load_from_disk

    store = load_from_disk(str(finished[2] / "mixture"))
    assert set(store["task"]) == {"cafe_review", "colour_of", "card_sentence"}


def test_the_tuned_model_loads_with_plain_transformers(finished):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = finished[2] / "training" / "seed-1" / "model"
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.generate(**tokenizer("The", return_tensors="pt"), max_new_tokens=2).shape[0] == 1


def test_a_second_call_does_nothing(finished):
    path, runs, folder = finished
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    outcome = Run(load_recipe(path), runs=runs).work()
    assert not outcome.worked
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        (["evaluation.rows=5"], {"evaluation untuned", "evaluation seed-0", "evaluation seed-1"}),
        (["evaluation.bootstrap=200"], set()),
        (["seeds=[1]"], {"mixture"}),
        (
            ["training.optimizer.learning_rate=0.001"],
            {"training seed-0", "training seed-1", "evaluation seed-0", "evaluation seed-1"},
        ),
    ],
)
def test_a_changed_setting_redoes_only_what_depends_on_it(finished, change, redone):
    path, runs, _ = finished
    events = []
    Run(load_recipe(path, change), runs=runs).work(watch=events.append)
    assert {str(e.stage) for e in events if e.kind == "started"} - {"report"} == redone
    assert {str(e.stage) for e in events if e.kind == "linked"}.isdisjoint(redone)


def test_a_changed_row_of_data_redoes_everything_it_touches(tmp_path, tiny_llama):
    from little_tasks import write_tasks

    tasks = write_tasks(tmp_path / "tasks")
    path = write_recipe(tmp_path, tasks, tiny_llama)
    recipe = load_recipe(path, ["seeds=[0]", "training.steps=2", "evaluation.rows=2", "evaluation.seen_rows=2"])
    Run(recipe, runs=tmp_path / "runs").work()
    rows = tasks / "rows" / "cafe_review-train.jsonl"
    rows.write_text(rows.read_text(encoding="utf-8").replace("soup", "stew"), encoding="utf-8")
    events = []
    assert Run(recipe, runs=tmp_path / "runs").work(watch=events.append).worked
    assert {str(e.stage) for e in events if e.kind == "started"} == {
        "mixture",
        "training seed-0",
        "evaluation seed-0",
        "report",
    }


def test_the_report_can_be_made_again_from_stored_answers(finished):
    folder = finished[2]
    before = numbers(folder)
    tables = {path.name: path.read_bytes() for path in (folder / "report").iterdir()}
    assert set(tables) == {
        "own.csv",
        "clusters.csv",
        "loss.csv",
        "loss-by-task.csv",
        "measures.csv",
        "reliability.csv",
        "templates.csv",
    }
    page = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    (folder / "report" / "loss.csv").unlink()
    Run.open(folder).report()
    assert (folder / "report.html").read_bytes() == page
    assert {path.name: path.read_bytes() for path in (folder / "report").iterdir()} == tables
    assert numbers(folder) == before
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_killed_at_ten_moments_it_goes_on_to_the_same_weights_and_numbers(finished, undisturbed, tmp_path):
    path, _, straight = finished
    moments = random.Random(10)
    runs = tmp_path / "runs"
    for _ in range(10):
        process = Command("run", path, "--out", runs, "-q")
        time.sleep(moments.uniform(0.1, 0.9) * undisturbed)
        process.kill()
        for manifest in runs.rglob("manifest.json"):
            files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
            assert all((manifest.parent / name).is_file() for name in files)
    assert Command("run", path, "--out", runs, "-q").wait() == 0
    folder = runs / straight.name
    assert weights(folder) == weights(straight)
    assert numbers(folder) == numbers(straight)


class StoppedError(Exception):
    pass


def test_processes_that_share_the_work_end_with_the_same_weights_and_numbers(finished, tmp_path, monkeypatch):
    """Stopped in the middle of training with two processes, it goes on with one."""
    fork_pools(monkeypatch)
    monkeypatch.setattr(pipeline, "_WORTH_PROCESSES", 0)
    path, _, whole = finished
    events = []

    def watch(event):
        events.append(event)
        if str(event.stage) == "training seed-1" and event.done == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        Run(load_recipe(path, ["threads=2"]), runs=tmp_path).work(watch=watch)
    order = [(str(event.stage), event.kind) for event in events]
    assert order.index(("evaluation untuned", "started")) < order.index(("mixture", "done"))
    assert all(event.left is not None for event in events)
    outcome = Run(load_recipe(path, ["threads=1"]), runs=tmp_path).work()
    assert outcome.folder.name == whole.name
    assert weights(outcome.folder) == weights(whole)
    without = {"recipe", "run"}
    one, other = ({k: v for k, v in numbers(folder).items() if k not in without} for folder in (outcome.folder, whole))
    assert one == other


def test_a_fault_in_the_data_leaves_no_run_folder(tmp_path, tiny_llama):
    from little_tasks import write_tasks

    tasks = write_tasks(tmp_path / "tasks")
    rows = tasks / "rows" / "does_it_follow-test.jsonl"
    lines = rows.read_text(encoding="utf-8").splitlines()
    rows.write_text("\n".join([*lines[:2], '{"premise": "A', *lines[3:]]), encoding="utf-8")
    with pytest.raises(UserError, match=r"does_it_follow-test\.jsonl, line 3: malformed JSON"):
        Run(load_recipe(write_recipe(tmp_path, tasks, tiny_llama)), runs=tmp_path / "runs").work()
    assert not list((tmp_path / "runs").glob("*"))


def test_a_run_folder_of_another_version_is_refused(finished, tmp_path):
    path, _, folder = finished
    other = tmp_path / "runs" / folder.name
    other.mkdir(parents=True)
    (other / "run.json").write_text('{"format": 0, "openflan": "0.0.1"}', encoding="utf-8")
    with pytest.raises(UserError, match=r"format 0 \(openflan 0\.0\.1\)"):
        Run(load_recipe(path), runs=tmp_path / "runs").work()
    assert sorted(p.name for p in other.iterdir()) == ["run.json"]


@pytest.mark.slow
def test_real_rows_a_foreign_checkpoint_and_its_tokenizer_go_through(shared, tmp_path):
    recipe = load_recipe(
        Path(__file__).parents[2] / "recipes" / "real-small.yaml",
        [
            f"tasks.data={shared / 'data'}",
            f"model.path={shared / 'models' / 'stories260K'}",
            "training.steps=3",
            "training.tokens_per_batch=1024",
            "mixture.rows_per_task=40",
            "evaluation.rows=2",
            "evaluation.bootstrap=100",
        ],
    )
    outcome = Run(recipe, runs=tmp_path / "runs").work()
    results = json.loads((outcome.folder / "results.json").read_text(encoding="utf-8"))
    assert {task["task"] for task in results["tasks"]} == {"rte", "cb", "mnli_matched", "snli"}
    assert all(len(task["models"]["seed-0"]["by_template"]) >= 8 for task in results["tasks"])
    ledger = json.loads((outcome.folder / "mixture" / "ledger.json").read_text(encoding="utf-8"))
    assert len(ledger["tasks"]) >= 10
    assert len({task["cluster"] for task in ledger["tasks"].values()}) >= 8
    assert {"natural_language_inference", "paraphrase"}.isdisjoint(t["cluster"] for t in ledger["tasks"].values())
