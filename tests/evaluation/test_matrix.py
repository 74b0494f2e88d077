"""Answers on disk: whole or absent, under a key of all they depend on, and decided anew without a model."""

import json
import time
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from openflan.errors import UserError
from openflan.evaluation.answer_files import read_answers, read_key, read_matrix, write_answers
from openflan.evaluation.answered import of_test, rescored
from openflan.evaluation.answering import Keep, evaluate
from openflan.evaluation.identity import hash_of_model
from openflan.evaluation.matrix import task_matrices
from openflan.evaluation.protocol import ask_task
from openflan.evaluation.scores import SCORES
from openflan.evaluation.standalone import results_of
from openflan.models.load import find_model, load_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.render import BASELINE
from openflan.recipes.parts import EvaluationPart, ModelPart, PromptsPart
from openflan.tasks.catalog import open_catalog
from processes import Command

PART = EvaluationPart(rows=4, max_new_tokens=3, bootstrap=100)
PROMPTS = PromptsPart(max_input_tokens=128, max_target_tokens=32)


def loaded(folder):
    source = find_model(ModelPart(path=str(folder)), folder)
    return load_model(source, device=torch.device("cpu")), TextEncoder.of(load_tokenizer(source), PROMPTS)


@pytest.fixture(scope="module")
def llama(tiny_llama):
    return loaded(tiny_llama)


@pytest.fixture(scope="module")
def tasks(my_tasks, llama):
    entries = open_catalog([my_tasks], collections=()).entries.values()
    return [ask_task(entry, llama[1], PART, limit=4, data=None) for entry in entries]


def answer_all(model, tasks, folder, part=PART, **keep):
    """The answers, and how many prompts went through the model."""
    worked = []
    net, encoder = model
    keep = Keep(folder=folder, **{"model": hash_of_model(net), **keep})
    handle = net.register_forward_pre_hook(lambda *_: worked.append(1))
    try:
        return evaluate(net, encoder, tasks, part, report=lambda _d, _t: None, keep=keep), len(worked)
    finally:
        handle.remove()


@pytest.fixture(scope="module")
def kept(llama, tasks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    return folder, answer_all(llama, tasks, folder)[0]


def test_answers_survive_the_disk(kept):
    folder, answers = kept
    assert read_matrix(folder) == answers
    assert {path.stem for path in folder.iterdir()} == {answer.task for answer in answers}


def test_the_table_holds_every_normalisation_of_every_option(kept):
    every = pq.read_table(kept[0] / "does_it_follow.parquet").to_pylist()
    table = [cell for cell in every if cell["split"] == "test"]
    for cell in table:
        assert len({len(cell[f"scores_{score}"]) for score in SCORES} | {len(cell["options"])}) == 1
        assert cell["scores_sum"] == cell["scores"]
        by_hand = [score / len(text.encode()) for score, text in zip(cell["scores"], cell["options"], strict=True)]
        assert cell["scores_per_byte"] == pytest.approx(by_hand)
        assert cell["options"][cell["gold"][0]] == cell["expected"]
        assert cell["prompt_hash"] != cell["row_hash"]
        assert cell["dirty"] is None
    assert len({cell["row_hash"] for cell in table}) == 4
    assert len({cell["prompt_hash"] for cell in table}) == len(table)


def test_an_option_without_its_prompt_is_scored_as_a_text_of_its_own(kept, llama):
    model, encoder = llama
    cell = next(answer for answer in kept[1] if answer.task == "colour_of")
    start = encoder.inputs([""])[0]
    for option, alone in zip(cell.options, cell.unconditional, strict=True):
        target = encoder.targets([option], end=False)[0]
        with torch.inference_mode():
            logprobs = model(input_ids=torch.tensor([start + target])).logits[0].log_softmax(-1)
        by_hand = sum(logprobs[len(start) - 1 + place, token].item() for place, token in enumerate(target))
        assert alone == pytest.approx(by_hand, abs=1e-4)


@pytest.mark.parametrize("score", SCORES)
def test_another_normalisation_needs_no_model(kept, llama, tasks, tmp_path, score):
    part = PART.model_copy(update={"score": score, "generate": False})
    ranked = [one for one in tasks if one.entry.spec.is_classification]
    afresh, _ = answer_all(llama, ranked, tmp_path, part)
    stored = [answer for answer in read_matrix(kept[0], score=score) if answer.kind == "ranked"]
    assert [(a.answer, a.value) for a in stored] == [(a.answer, a.value) for a in afresh]
    assert len(results_of(kept[0], score, samples=100)) == 5


def test_answers_that_are_there_are_not_asked_for_again(kept, llama, tasks, tmp_path):
    answers, worked = answer_all(llama, tasks, kept[0])
    assert (answers, worked) == (kept[1], 0)
    part = PART.model_copy(update={"score": "pmi"})
    assert answer_all(llama, tasks, kept[0], part)[1] == 0


def test_answers_never_serve_another_model_row_template_or_setting(kept, llama, tasks, model_folder, tmp_path):
    one = next(a for a in tasks if a.entry.spec.name == "does_it_follow")
    folder = tmp_path
    path = folder / "does_it_follow.parquet"

    def key(model=llama, question=one, part=PART, **keep):
        worked = answer_all(model, [question], folder, part, **keep)[1]
        assert worked, "answered from the cache"
        return read_key(path)

    keys = [key()]
    other = loaded(model_folder("llama"))
    with torch.no_grad():  # one weight of many
        other[0].model.layers[1].mlp.up_proj.weight[3, 4] += 1e-3
    keys.append(key(other))
    keys.append(
        key((llama[0], TextEncoder(replace(llama[1].rules, part=PROMPTS.model_copy(update={"separator": " "})))))
    )
    keys.append(key(question=replace(one, test=one.test[:-1])))
    changed = replace(one.test[0], fields={**one.test[0].fields, "unused": 1})
    keys.append(key(question=replace(one, test=[changed, *one.test[1:]])))
    keys.append(key(part=PART.model_copy(update={"precision": "bfloat16"})))
    keys.append(key(dirty={"does_it_follow": [2]}))
    assert len(set(keys)) == len(keys)


def test_rows_in_the_tuning_set_are_marked(llama, tasks, tmp_path):
    one = next(a for a in tasks if a.entry.spec.name == "does_it_follow")
    leaked = one.test[0].row
    answers, _ = answer_all(llama, [one], tmp_path, dirty={"does_it_follow": [leaked]})
    assert {answer.row for answer in answers if answer.dirty} == {leaked}
    assert {answer.dirty for answer in answers if answer.split == "test"} == {True, False}


def test_the_models_hash_is_of_its_weights_not_of_its_name(llama, tiny_llama, tmp_path):
    model, _ = llama
    model.save_pretrained(tmp_path / "copy")
    copy = loaded_model(tmp_path / "copy")
    assert hash_of_model(copy) == hash_of_model(model)
    with torch.no_grad():
        copy.model.norm.weight[0] += 1
    assert hash_of_model(copy) != hash_of_model(model)
    again = loaded_model(tmp_path / "copy")
    again.config.rms_norm_eps *= 2
    assert hash_of_model(again) != hash_of_model(model)


def loaded_model(folder):
    return load_model(find_model(ModelPart(path=str(folder)), folder), device=torch.device("cpu"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-200]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not a table"),
        lambda path: path.write_bytes(path.read_bytes()[:60] + b"\0" * 40 + path.read_bytes()[100:]),
    ],
)
def test_a_damaged_file_is_named_and_costs_no_other_task(kept, llama, tasks, tmp_path, damage):
    folder = tmp_path / "kept"
    folder.mkdir()
    for path in kept[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    damage(folder / "cafe_review.parquet")
    with pytest.raises(UserError, match="no whole file of answers") as caught:
        read_matrix(folder)
    assert "cafe_review.parquet" in str(caught.value)
    (folder / "cafe_review.parquet").unlink()
    answers, worked = answer_all(llama, tasks, folder)
    assert answers == kept[1]
    assert worked > 0


def test_a_changed_byte_is_found_wherever_it_is(kept, tmp_path):
    whole = (kept[0] / "cafe_review.parquet").read_bytes()
    straight = read_answers(kept[0] / "cafe_review.parquet")
    path = tmp_path / "cafe_review.parquet"
    count = 0
    for place in range(4, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert read_answers(path) == straight  # what no reader looks at
        except UserError as error:
            count += "cafe_review.parquet" in str(error)
    assert count > 20


def test_a_file_of_another_version_is_refused(kept, tmp_path):
    table = pq.read_table(kept[0] / "cafe_review.parquet")
    pq.write_table(table.replace_schema_metadata({"openflan.schema": "99"}), tmp_path / "cafe_review.parquet")
    with pytest.raises(UserError, match="version 99"):
        read_answers(tmp_path / "cafe_review.parquet")


def test_validation_rows_and_baseline_do_not_make_the_score(kept, tmp_path):
    answers = [answer for answer in of_test(kept[1]) if answer.task == "does_it_follow"]
    chooses = [replace(a, split="validation", row=a.row + 900, value=float(a.template == 2)) for a in answers]
    baseline = [replace(answers[0], template=BASELINE, value=0.25)]
    (plain,) = task_matrices(answers).values()
    write_answers(tmp_path / "x.parquet", answers + chooses + baseline, key="k", facts={"noise": 0.0})
    (matrix,) = task_matrices(read_answers(tmp_path / "x.parquet")).values()
    assert (matrix.values == plain.values).all()
    assert matrix.validation == {0: 0, 1: 0, 2: 1}
    assert matrix.baseline is not None
    assert (matrix.validation_rows, np.nanmean(matrix.baseline), plain.validation, plain.baseline) == (
        4,
        0.25,
        None,
        None,
    )


def test_decisions_within_the_noise_are_told(kept):
    answers = [answer for answer in kept[1] if answer.kind == "ranked"]
    margins = sorted(answer.option_scores.rank("sum").margin for answer in answers)
    middle = margins[len(margins) // 2]
    assert sum(answer.close for answer in rescored(answers, "sum", noise=middle)) == len(margins) // 2
    assert not any(answer.close for answer in rescored(answers, "sum"))


def test_a_killed_evaluation_goes_on_where_it_was(my_tasks, tiny_llama, tmp_path, openflan):
    def command(out):
        place = ["--folder", str(my_tasks), "--tasks", "mine", "--rows", "12", "--out", str(tmp_path / out)]
        return ["eval", "--model", str(tiny_llama), *place, "--json"]

    def here(out):
        return json.loads(openflan(*command(out))[1])["tasks"]

    process = Command(*command("killed"))
    while process.alive and not list((tmp_path / "killed").glob("eval-*/*.parquet")):
        time.sleep(0.001)
    process.kill()
    there = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("eval-*/*.parquet")}
    assert 0 < len(there) < 5
    assert not list((tmp_path / "killed").glob("eval-*/results.json"))
    resumed = here("killed")
    assert {path: path.stat().st_mtime_ns for path in there} == there
    assert len(resumed) == 5
    assert resumed == here("straight")
