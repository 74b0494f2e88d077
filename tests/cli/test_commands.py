"""The command line as a user meets it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from processes import Command

BAD_ROW = '{"text": "The cafe at the pier serves soup.", "label": 7}\n'


@pytest.fixture
def recipe(tmp_path, my_tasks, tiny_llama):
    """Writes a recipe, with settings changed by dotted key (None removes one)."""

    def write(**changes: object) -> Path:
        data: dict = {
            "name": "mine",
            "model": {"path": str(tiny_llama)},
            "tasks": {"use": ["mine"], "folders": [str(my_tasks)], "hold_out": ["natural_language_inference"]},
            "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
            "training": {"steps": 2, "tokens_per_batch": 512},
            "evaluation": {"rows": 2, "bootstrap": 100},
        }
        for key, value in changes.items():
            *path, last = key.split("__")
            here = data
            for part in path:
                here = here.setdefault(part, {})
            here[last] = value
            if value is None:
                del here[last]
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        return path

    return write


@pytest.fixture
def tasks_with(tmp_path):
    """A copy of the user's tasks with the training rows of cafe_review replaced."""
    from little_tasks import write_tasks

    def write(rows: str) -> str:
        folder = write_tasks(tmp_path / "tasks")
        (folder / "rows" / "cafe_review-train.jsonl").write_text(rows, encoding="utf-8")
        return str(folder)

    return write


def test_help_takes_less_than_four_tenths_of_a_second():
    took = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "openflan", "--help"], check=True, capture_output=True)
        after = os.times()
        took.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(took) < 0.4  # processor time: a busy machine must not fail it


def test_the_version_is_told(openflan):
    import openflan as face

    assert openflan("--version")[:2] == (0, f"openflan {face.__version__}\n")


def test_no_verb_imports_torch_before_it_works():
    code = (
        "import sys, openflan.cli.main; print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": None}, "key 'name' is missing"),
        ({"trainig__steps": 3}, "did you mean 'training'?"),
        ({"training__stepps": 3}, "did you mean 'steps'?"),
        ({"training__steps": "many"}, "training.steps: "),
        ({"tasks__use": ["cafe_reviw"]}, "did you mean 'cafe_review'?"),
        ({"tasks__hold_out": ["natural_language"]}, "did you mean 'natural_language_inference'?"),
        ({"tasks__use": ["same_meaning"]}, "nothing is left to tune on"),
        ({"tasks__folders": ["nowhere"]}, "no such folder of tasks"),
        ({"tasks__data": "nowhere"}, "no such folder of data"),
        ({"model__path": "./nowhere"}, "no such model folder"),
        ({"prompts__max_input_tokens": 400}, "do not fit the model's 256 positions"),
        ({"evaluation__tasks": ["cafe_review"]}, "it is tuned on"),
    ],
)
def test_a_faulty_recipe_is_one_line_and_leaves_nothing(openflan, recipe, tmp_path, changes, says):
    code, _, err = openflan("run", recipe(**changes), "--out", tmp_path / "runs", "--quiet")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("", "no rows left in cafe_review"),
        (BAD_ROW, "label 7 in 'label' is not an option; expected 0, 1 or one of: negative, positive"),
        ('{"txt": "The cafe serves soup.", "label": 1}\n', "row 1: field 'text' of task 'cafe_review' is missing"),
        ('{"text": "The cafe", "label": 1}\n{"text": \n', "cafe_review-train.jsonl, line 2: malformed JSON"),
        ("[1, 2]\n", "line 1: not a JSON object"),
    ],
)
def test_faulty_rows_are_one_line_and_leave_nothing(openflan, recipe, tasks_with, tmp_path, rows, says):
    path = recipe(tasks__folders=[tasks_with(rows)])
    code, _, err = openflan("run", path, "--out", tmp_path / "runs", "--quiet")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not list((tmp_path / "runs").glob("*"))


def test_a_missing_data_file_is_named(openflan, recipe, tasks_with, tmp_path):
    folder = Path(tasks_with(BAD_ROW))
    (folder / "rows" / "cafe_review-train.jsonl").unlink()
    code, _, err = openflan("run", recipe(tasks__folders=[str(folder)]), "--out", tmp_path / "runs", "-q")
    assert (code, err.count("\n")) == (2, 1)
    assert "cafe_review-train.jsonl: no such file" in err


@pytest.mark.parametrize(
    ("file", "says"),
    [(None, "a model folder without weights"), ("pytorch_model.bin", "only a pickle checkpoint (pytorch_model.bin)")],
)
def test_a_model_without_safetensors_is_refused(openflan, recipe, tiny_llama, tmp_path, file, says):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text((tiny_llama / "config.json").read_text(encoding="utf-8"), encoding="utf-8")
    if file is not None:
        (model / file).write_bytes(b"\x80\x04")
    code, _, err = openflan("run", recipe(model__path=str(model)), "--out", tmp_path / "runs", "-q")
    assert (code, err.count("\n")) == (2, 1)
    assert says in err


def test_an_output_folder_that_can_not_be_written_is_one_line(openflan, recipe, tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be", encoding="utf-8")
    code, _, err = openflan("run", recipe(), "--out", tmp_path / "runs", "-q")
    assert (code, err.count("\n")) == (2, 1)
    assert "choose another --out" in err


def test_a_missing_recipe_names_the_ready_ones(openflan):
    assert "starter" in openflan("run", "nosuch")[2]
    code, _, err = openflan("run", "nosuch.yaml")
    assert code == 2
    assert "no such recipe" in err


def test_ctrl_c_says_how_to_go_on_and_leaves_only_whole_stages(recipe, tmp_path):
    command = Command("run", recipe(training__steps=300), "--out", tmp_path / "runs")
    while command.alive and "\ntraining" not in command.stderr:
        time.sleep(0.01)
    command.interrupt()
    assert command.wait() == 130
    assert "the same command goes on from here" in command.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "mixture" / "manifest.json").is_file()
    assert not list(folder.glob("training/seed-*"))


def test_ctrl_c_that_a_library_hides_is_ctrl_c(openflan, recipe, tmp_path, tiny_llama, ctrl_c_while_loading):
    code, _, err = openflan("run", recipe(), "--out", tmp_path / "runs")
    assert code == 130
    assert err.endswith("\nopenflan: stopped; the same command goes on from here\n")
    assert not list(tmp_path.glob("runs/*/progress.json"))
    code, _, err = openflan("ask", "Is it good?", "--model", tiny_llama)
    assert (code, err) == (130, "\nopenflan: stopped; the same command goes on from here\n")


@pytest.mark.parametrize("setting", ["steps", "=3", "training.steps.x=3", "name=[1"])
def test_a_malformed_setting_is_refused(openflan, recipe, tmp_path, setting):
    code, _, err = openflan("run", recipe(), "--set", setting, "--out", tmp_path / "runs")
    assert code == 2
    assert err.startswith("openflan: ")


def test_mix_then_train_then_ask(openflan, recipe, tmp_path):
    out = tmp_path / "runs"
    code, text, _ = openflan("mix", recipe(), "--out", out, "--json")
    assert code == 0
    mixture = json.loads(text)
    assert mixture["worked"]
    assert Path(mixture["folder"], "ledger.json").is_file()
    code, text, err = openflan("train", recipe(), "--out", out)
    assert code == 0
    assert "mixture: already done" in err
    run = Path(text.strip()).parent
    code, text, _ = openflan("ask", "Is it good or bad?", "--model", run, "--options", "good,bad", "--json")
    assert code == 0
    answer = json.loads(text)
    assert {record["option"] for record in answer["options"]} == {"good", "bad"}
    assert sum(record["probability"] for record in answer["options"]) == pytest.approx(1)
    letter = tmp_path / "letter.txt"
    letter.write_text("The soup was cold.", encoding="utf-8")
    code, text, _ = openflan("ask", "What was cold?", "--model", run, "--input", letter, "--max-new-tokens", 3)
    assert code == 0
    code, _, err = openflan("ask", "Which?", "--model", run, "--options", "one")
    assert code == 2
    assert "two different options" in err


def test_eval_measures_any_model_on_named_tasks(openflan, tiny_llama, shared):
    code, text, _ = openflan(
        "eval", "--model", tiny_llama, "--tasks", "copa", "--data", shared / "data", "--rows", 3, "--json"
    )
    assert code == 0
    (record,) = json.loads(text)["tasks"]
    assert record["task"] == "copa"
    assert record["n_rows"] == 3


def test_tasks_can_be_listed_and_shown(openflan, my_tasks):
    _, text, _ = openflan("tasks", "list", "--clusters", "--json")
    counts = json.loads(text)
    assert len(counts) == 12
    assert all(counts.values())
    code, text, _ = openflan("tasks", "show", "cafe_review", "--folder", my_tasks, "--json")
    assert code == 0
    assert {prompt["template"] for prompt in json.loads(text)["prompts"]} >= {1, 2, 3}
    code, _, err = openflan("tasks", "show", "cafe_reviews", "--folder", my_tasks)
    assert code == 2
    assert "did you mean 'cafe_review'?" in err
