"""Pretraining: budgets in tokens, a log, and a kill that changes nothing."""

import json
from dataclasses import asdict, replace

import numpy as np
import pretrains_together
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

import openflan_starter
from openflan.errors import UserError
from openflan.evaluation.ranking import Question, rank_options
from openflan.stage import read_manifest
from openflan_starter.base_model import old_model
from openflan_starter.pretraining import Pretraining, new_model, next_token_loss, pretrain, rate_at
from openflan_starter.prose import document
from openflan_starter.shards import shard_rows, write_shards
from processes import together

_BASE = openflan_starter.BASE
_TINY = {"vocabulary": 64, "hidden": 32, "layers": 2, "heads": 2, "seed": 1, "eos": 2, "bos": 1, "pad": 0}
_PLAN = Pretraining(
    tokens=4_096, rows_per_step=4, warmup_tokens=512, checkpoint_every=512, log_every=256, probe_every=10**9
)


class _Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    random = np.random.default_rng(0)
    for number in range(2):
        starts = random.integers(3, 60, (70, 1))
        np.save(folder / f"{number:05d}.npy", ((starts + np.arange(32)) % 60 + 3).astype(np.uint16))
    return shard_rows(folder)


def test_killed_and_resumed_equals_straight(row, tmp_path):
    straight = new_model(**_TINY)
    pretrain(straight, row, _PLAN, work=tmp_path / "straight")

    def kill(model, tokens):
        if tokens >= 1_536:
            raise _Killed

    with pytest.raises(_Killed):
        pretrain(new_model(**_TINY), row, _PLAN, work=tmp_path / "killed", on_checkpoint=kill)
    resumed = new_model(**{**_TINY, "seed": 7})
    pretrain(resumed, row, _PLAN, work=tmp_path / "killed")
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    logs = [
        [json.loads(line) for line in (tmp_path / name / "loss.jsonl").read_text().splitlines()]
        for name in ("straight", "killed")
    ]
    assert [(line["tokens"], line["loss"]) for line in logs[0]] == [(line["tokens"], line["loss"]) for line in logs[1]]
    assert logs[0][-1]["tokens"] == _PLAN.tokens
    assert logs[0][-1]["loss"] < logs[0][0]["loss"]


@pytest.mark.slow
def test_two_processes_make_the_model_of_one(row, tmp_path):
    alone = new_model(**_TINY)
    plan = replace(_PLAN, bfloat16=False)
    pretrain(alone, row, plan, work=tmp_path / "alone")
    np.save(tmp_path / "00000.npy", np.stack([row(i) for i in range(140)]))
    settings = {"shards": str(tmp_path), "work": str(tmp_path / "two"), "model": _TINY, "plan": asdict(plan)}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    together(pretrains_together.main, tmp_path / "settings.json")
    (checkpoint,) = (tmp_path / "two" / "checkpoints").iterdir()
    assert read_manifest(checkpoint)["step"] * 4 * 32 == plan.tokens
    weights = load_file(checkpoint / "weights.safetensors")
    for name, weight in alone.named_parameters():
        assert torch.allclose(weight, weights[name], atol=1e-4), name
    logs = [(tmp_path / name / "loss.jsonl").read_text().splitlines() for name in ("alone", "two")]
    pairs = [(json.loads(a), json.loads(b)) for a, b in zip(*logs, strict=True)]
    assert [a["tokens"] for a, _ in pairs] == [b["tokens"] for _, b in pairs]
    assert max(abs(a["loss"] - b["loss"]) for a, b in pairs) < 1e-3


def test_rows_that_processes_can_not_share_are_refused(row, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UserError, match="4 rows a step can't be shared by 3 processes"):
        pretrain(new_model(**_TINY), row, _PLAN, work=tmp_path)
    assert not (tmp_path / "loss.jsonl").exists()


def test_the_loss_is_transformers_own(row):
    model = new_model(**_TINY)
    rows = torch.from_numpy(np.stack([row(i) for i in range(4)]).astype(np.int64))
    ours = next_token_loss(model, rows, bfloat16=False)
    ours.backward()
    gradient = model.lm_head.weight.grad.clone()
    model.zero_grad()
    theirs = model(input_ids=rows, labels=rows).loss
    theirs.backward()
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    assert torch.allclose(gradient, model.lm_head.weight.grad, atol=1e-5)


def test_the_rate_warms_up_holds_and_falls_to_zero():
    plan = Pretraining(tokens=1_000_000, warmup_tokens=100_000, decay_share=0.3)
    assert rate_at(50_000, plan) == pytest.approx(0.5, abs=0.01)
    assert rate_at(500_000, plan) == 1.0
    assert rate_at(850_000, plan) == pytest.approx(0.5)
    assert rate_at(1_000_000, plan) == 0.0


def test_missing_rows_are_named(row):
    with pytest.raises(FileNotFoundError, match="140 rows"):
        row(140)


def test_ranking_prefers_what_the_model_was_taught(row, tmp_path):
    model = new_model(**_TINY)
    plan = Pretraining(tokens=20_480, rows_per_step=8, warmup_tokens=512, learning_rate=1e-2)
    counting = lambda i: row(i % 40)  # noqa: E731
    pretrain(model, counting, plan, work=tmp_path)
    start = [int(t) for t in row(0)[:6]]
    right, wrong = [int(row(0)[6])], [int(row(0)[6]) - 3]
    questions = [Question(prompt=start, options=pair, texts=("", "")) for pair in ([right, wrong], [wrong, right])]
    first, second = rank_options(model.eval(), questions, batch_tokens=256)
    assert first.logprob[0] > first.logprob[1]
    assert second.logprob[0] < second.logprob[1]


@pytest.mark.parametrize("change", [{"tokens": 8_192}, {"muon_rate": 1e-3}])
def test_work_of_other_settings_is_refused(row, tmp_path, change):
    pretrain(new_model(**_TINY), row, _PLAN, work=tmp_path)
    with pytest.raises(UserError, match="a checkpoint made with another settings"):
        pretrain(new_model(**_TINY), row, replace(_PLAN, **change), work=tmp_path)


def test_work_of_another_model_is_refused(row, tmp_path):
    pretrain(new_model(**_TINY), row, _PLAN, work=tmp_path)
    with pytest.raises(UserError, match="a checkpoint made with another model"):
        pretrain(new_model(**{**_TINY, "layers": 1}), row, _PLAN, work=tmp_path)


def test_a_shard_may_start_at_any_document(tmp_path):
    known = AutoTokenizer.from_pretrained(_BASE)
    write_shards(tmp_path, seed=0, tokenizer=known, tokens=100, length=64, documents=20, first=1_200_000)
    first = known(document(0, 1_200_000), add_special_tokens=False)["input_ids"]
    assert list(shard_rows(tmp_path)(0)[: len(first)]) == first[:64]


def test_a_shipped_model_can_be_gone_on_from():
    model = old_model(_BASE)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_317_248
    with pytest.raises(UserError, match="no model there"):
        old_model(_BASE.parent / "suite")


@pytest.mark.slow
def test_a_base_that_went_on_has_the_record_of_both_parts(openflan, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for work, first in (("w1", 0), ("w2", 90)):  # small shards; the command's own hold 40,000 documents
        known = AutoTokenizer.from_pretrained(_BASE)
        write_shards(
            tmp_path / work / "shards", seed=0, tokenizer=known, tokens=800, length=64, documents=90, first=first
        )
    small = ("--hidden", 32, "--layers", 1, "--heads", 1, "--length", 64, "--rows", 4, "--tokens", 600)
    new = ("--tokenizer", _BASE, "--out", one, "--work", tmp_path / "w1")
    code, _, err = openflan("starter", "pretrain", *new, *small)
    assert code == 0, err
    more = ("--from", one, "--first-document", 90, "--length", 64, "--rows", 4, "--tokens", 300)
    code, _, err = openflan("starter", "pretrain", "--out", two, "--work", tmp_path / "w2", *more)
    assert code == 0, err
    card = json.loads((two / "pretraining.json").read_text())
    assert [part["first_document"] for part in card["parts"]] == [0, 90]
    assert [part["tokens_seen"] for part in card["parts"]] == [768, 512]
    assert card["tokens_seen"] == 1_280
    lines = [json.loads(line) for line in (two / "loss.jsonl").read_text().splitlines()]
    assert [line["tokens"] for line in lines] == [768, 1_280]


def test_sizes_beside_a_model_to_go_on_from_are_refused(openflan, tmp_path):
    code, out, err = openflan(
        "starter", "pretrain", "--from", _BASE, "--layers", 2, "--out", tmp_path / "a", "--work", tmp_path / "w"
    )
    assert code == 2
    assert "--from takes the sizes of the model" in err + out
    assert list(tmp_path.iterdir()) == []
