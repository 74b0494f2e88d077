"""What a side of a comparison is, by the folder that is named."""

import json
from pathlib import Path

import pytest

from openflan.errors import UserError
from openflan.evaluation.answer_files import write_answers
from openflan.runs.results import SCHEMA
from openflan.runs.sides import read_side


@pytest.fixture
def run_folder(material, tmp_path) -> Path:
    """A run's folder with answers and account, and nothing else."""
    run = tmp_path / "starter-1a2b3c4d"
    for model, answers in material.examples.items():
        subset = [answer for answer in answers if answer.task in ("follows", "liked_it")]
        for task in ("follows", "liked_it"):
            mine = [answer for answer in subset if answer.task == task]
            write_answers(run / "evaluation" / model / f"{task}.parquet", mine, key="", facts={"noise": 0.0})
    (run / "run.json").write_text("{}", encoding="utf-8")
    (run / "results.json").write_text(material.results.model_dump_json(), encoding="utf-8")
    return run


def test_a_run_is_its_tuned_models(run_folder):
    side = read_side(run_folder, "sum")
    assert side.name == "starter-1a2b3c4d"
    assert list(side.answers) == ["seed-0", "seed-1", "seed-2"]
    assert (side.tuned_on("liked_it"), side.tuned_on("follows")) == (True, False)
    assert set(side.matrices["seed-1"]) == {"follows", "liked_it"}


def test_the_untuned_model_of_a_run_was_tuned_on_nothing(run_folder):
    side = read_side(run_folder / "evaluation" / "untuned", "sum")
    assert (side.name, side.tuned) == ("starter-1a2b3c4d untuned", False)
    assert side.tuned_on("liked_it") is False


def test_of_a_model_without_a_run_nothing_is_claimed(run_folder):
    alone = run_folder.parent / "eval-model-5e6f"
    (run_folder / "evaluation" / "untuned").rename(alone)
    side = read_side(alone, "sum")
    assert (side.name, side.results, side.tuned_on("liked_it")) == ("eval-model-5e6f", None, None)


def test_an_account_of_another_version_is_refused_by_name(run_folder):
    results = json.loads((run_folder / "results.json").read_text(encoding="utf-8"))
    (run_folder / "results.json").write_text(json.dumps({**results, "schema_version": 2}), encoding="utf-8")
    with pytest.raises(UserError, match=f"no account of schema version {SCHEMA}; make it again: `openflan report"):
        read_side(run_folder, "sum")
