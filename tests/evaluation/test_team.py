"""Two processes: each asks a part, both have all answers, and the files are one process's."""

import json
import shutil
from pathlib import Path

import asks_together
import pyarrow.parquet as pq
import pytest
import torch

from openflan.errors import UserError
from openflan.evaluation.answering import Keep, evaluate
from openflan.evaluation.protocol import ask_task
from openflan.evaluation.vllm import check_vllm
from openflan.models.load import find_model, load_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.ranks import ALONE, Team
from openflan.recipes.parts import EvaluationPart, ModelPart, PromptsPart
from openflan.tasks.catalog import open_catalog
from processes import together, torchrun

TURNS = {
    "float32": {"rows": 7, "max_new_tokens": 6, "validation_rows": 0},
    "bfloat16": {"rows": 5, "max_new_tokens": 2, "precision": "bfloat16", "generate": False},
}
EXACT = ("task", "row", "row_hash", "template", "prompt_hash", "options", "gold", "answer", "value", "tied")


def one_process(model_at, tasks, out, changes):
    source = find_model(ModelPart(path=str(model_at)), model_at)
    model = load_model(source, device=torch.device("cpu"))
    encoder = TextEncoder.of(load_tokenizer(source), PromptsPart(max_input_tokens=128, max_target_tokens=32))
    part = EvaluationPart.model_validate_json(json.dumps(changes))
    entries = open_catalog([tasks], collections=()).entries.values()
    questions = [ask_task(entry, encoder, part, limit=part.rows, data=None) for entry in entries]
    evaluate(model, encoder, questions, part, report=lambda _d, _t: None, keep=Keep(folder=out, model="m"))


@pytest.fixture(scope="module")
def work(tmp_path_factory, my_tasks, tiny_llama):
    """Answers of one process and of two, and what the two said."""
    folder = tmp_path_factory.mktemp("team")
    for name, changes in TURNS.items():
        one_process(tiny_llama, my_tasks, folder / "one" / name, changes)
    settings = {"model": str(tiny_llama), "tasks": str(my_tasks), "out": str(folder / "two"), "turns": TURNS}
    (folder / "two").mkdir()
    (folder / "settings.json").write_text(json.dumps(settings))
    together(asks_together.main, folder / "settings.json")
    return folder, [json.loads((folder / "two" / f"told-{rank}.json").read_text()) for rank in (0, 1)]


def tables(folder, side, turn):
    paths = sorted((folder / side / turn).iterdir())
    return {path.name: pq.read_table(path) for path in paths}


def flat(rows):
    return [number for row in rows for number in row]


@pytest.mark.parametrize(("turn", "nats"), [("float32", 2e-5), ("bfloat16", 0.2)])
def test_two_processes_write_what_one_writes(work, turn, nats):
    folder, _ = work
    one, two = tables(folder, "one", turn), tables(folder, "two", turn)
    assert one.keys() == two.keys()
    assert len(one) == (5 if turn == "float32" else 4)
    for name, table in one.items():
        assert table.schema.metadata[b"openflan.key"] == two[name].schema.metadata[b"openflan.key"]
        for column in EXACT if turn == "float32" else EXACT[:7]:
            assert table[column].to_pylist() == two[name][column].to_pylist(), (name, column)
        for column in ("scores", "unconditional"):
            numbers = flat(table[column].to_pylist())
            assert flat(two[name][column].to_pylist()) == pytest.approx(numbers, abs=nats)


def test_both_have_all_answers_and_each_did_a_part(work):
    _, (first, second) = work
    for turn in TURNS:
        assert first[turn]["answers"] == second[turn]["answers"]
        assert first[turn]["seen"] == [first[turn]["answers"]] * 2
    fed = sorted([first["float32"]["fed"], second["float32"]["fed"]])
    assert fed[1] < 1.3 * fed[0]


def test_what_fails_in_one_process_is_said_by_both(work):
    _, (first, second) = work
    assert "does not fit the memory" in first["failed"]
    assert first["failed"] == second["failed"]


def alike(one, two):
    """Whether results differ by the rounding of likelihoods at most: who asks a task decides what is in a batch."""
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(alike(value, two[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(two) and all(map(alike, one, two))
    return one == (pytest.approx(two, rel=1e-4, abs=1e-8) if isinstance(one, float) else two)


@pytest.mark.slow
def test_a_command_that_two_processes_share_gives_one_processes_results(tmp_path, my_tasks, tiny_llama, openflan):
    arguments = ("--model", tiny_llama, "--folder", my_tasks, "--tasks", "mine", "--rows", 5)
    done = torchrun("-m", "openflan", "eval", *arguments, "--out", tmp_path / "two", "--json")
    assert done.returncode == 0, done.stderr[-3_000:]
    two = json.loads(done.stdout)  # one line: the first process's
    code, out, _ = openflan("eval", *arguments, "--out", tmp_path / "one", "--json")
    assert code == 0
    one = json.loads(out)
    assert Path(one["folder"]).name == Path(two["folder"]).name
    assert alike(one["tasks"], two["tasks"])


@pytest.mark.slow
def test_a_run_is_finished_by_two_processes(tmp_path, my_tasks, tiny_llama, openflan):
    recipe = {
        "name": "mine",
        "model": {"path": str(tiny_llama)},
        "tasks": {"use": ["mine"], "folders": [str(my_tasks)], "hold_out": ["natural_language_inference"]},
        "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
        "training": {"steps": 2, "tokens_per_batch": 512},
        "evaluation": {"rows": 4, "bootstrap": 100},
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(recipe))
    assert openflan("train", tmp_path / "mine.yaml", "--out", tmp_path / "one", "--quiet")[0] == 0
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    code, out, _ = openflan("run", tmp_path / "mine.yaml", "--out", tmp_path / "one", "--json")
    assert code == 0
    done = torchrun("-m", "openflan", "run", tmp_path / "mine.yaml", "--out", tmp_path / "two", "--json")
    assert done.returncode == 0, done.stderr[-3_000:]
    one, two = json.loads(out), json.loads(done.stdout)
    assert alike(one["tasks"], two["tasks"])
    assert alike(one["verdict"], two["verdict"])
    assert (tmp_path / "two" / two["run"] / "report.html").is_file()
    assert openflan("run", tmp_path / "mine.yaml", "--out", tmp_path / "two", "--quiet")[0] == 0


def test_one_process_shares_with_nobody():
    assert ALONE.shared(["a", "b", "a"], [1, 1, 1], lambda numbers: [n * n for n in numbers]) == [0, 1, 4]
    assert ALONE.told(lambda: 3) == 3


def test_vllm_is_started_once():
    with pytest.raises(UserError, match="vLLM divides its work itself"):
        check_vllm(Team(size=2))
