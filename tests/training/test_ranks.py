"""Several processes: the same order and the same weights as one, with DDP and with FSDP2, and back again."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
import two_ranks
from safetensors.torch import load_file

from little_mixtures import write_mixture
from little_models import write_model
from openflan.cores import CorePool
from openflan.errors import UserError
from openflan.mixture.holdout import hold_out
from openflan.mixture.store import TokenStore
from openflan.models.load import find_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.ranks import deal
from openflan.recipes.parts import ModelPart, TrainingPart
from openflan.recipes.recipe import Recipe
from openflan.tasks.catalog import open_catalog
from openflan.training import shape as shapes
from openflan.training.gradients import Sharers
from openflan.training.loop import tune
from openflan.training.shape import Shape
from processes import fork_pools, together

TRAINING = {
    "steps": 6,
    "tokens_per_batch": 384,
    "micro_batch_tokens": 128,
    "checkpoint_every": 3,
    "precision": "float32",
    "optimizer": {"name": "adamw", "learning_rate": 1e-3, "weight_decay": 0.1, "clip_norm": 0.5},
}
LORA = {"kind": "lora", "rank": 4}
PROMPT = {"kind": "prompt", "tokens": 5}
ROWS = {"tokens_per_batch": 1_400, "micro_batch_tokens": 1_024}
"""Steps of three flat rows, where the head is large and frozen."""


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_groups_are_dealt_whole_evenly_and_alike_in_number(ranks):
    sizes = [100, 90, 80, 10, 10, 10, 500, 3]
    dealt = deal(sizes, ranks)
    assert sorted(group for mine in dealt for group in mine if group >= 0) == list(range(len(sizes)))
    assert len({len(mine) for mine in dealt}) == 1
    loads = [sum(sizes[group] for group in mine if group >= 0) for mine in dealt]
    assert max(loads) <= 500 + sum(sizes) / ranks


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def work(tmp_path_factory, my_tasks):
    """Model, store, and what one process makes of them straight."""
    folder = tmp_path_factory.mktemp("ranks")
    model = write_model(folder / "model", "llama")
    recipe = Recipe.model_validate_json(
        json.dumps({"name": "r", "prompts": {"max_input_tokens": 96, "max_target_tokens": 32}, "training": TRAINING})
    )
    encoder = TextEncoder.of(load_tokenizer(find_model(ModelPart(path=str(model)), model)), recipe.prompts)
    division = hold_out(
        open_catalog([my_tasks], collections=()).select(["mine"], where="x"), ["paraphrase"], kin="paper"
    )
    return model, write_mixture(folder / "store", recipe, division, encoder), folder


def alone(work, place, *, kill=None, adapter=None, sharers=None, **change):
    model_at, store, folder = work
    (folder / place).mkdir(exist_ok=True)
    part = TrainingPart.model_validate_json(json.dumps({**TRAINING, **change}))
    model = two_ranks.loaded(model_at, adapter)
    opened, known = TokenStore.open(store), {"mixture": "m"}

    def report(line):
        if line.step == kill:
            raise KilledError

    try:
        tune(model, opened, part, folder / place, seed=0, report=report, identity=known, sharers=sharers)
    except KilledError:
        return None
    return {name: value.clone() for name, value in model.state_dict().items()}


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def close(one, two):
    assert one.keys() <= two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=3e-5)


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture
def laid(monkeypatch):
    """Heads of any size are large; the layout of each training in this process, and tokens of its rows."""
    layouts = []

    def of(cls, model, **how):
        layouts.append(layout := take(model, **how))
        return layout

    take = Shape.of
    monkeypatch.setattr(shapes, "_TABLE", 1)
    monkeypatch.setattr(Shape, "of", classmethod(of))
    return lambda: {(shape.layout, shape.about) for shape in layouts}


@pytest.mark.parametrize("adapter", [LORA, PROMPT], ids=["lora", "prompt"])
def test_an_adapter_before_a_large_head_is_killed_and_goes_on_bit_for_bit(work, laid, adapter):
    name = f"head-{adapter['kind']}"
    straight = alone(work, name, adapter=adapter, **ROWS)
    for kill in (2, 5):
        assert alone(work, f"{name}-killed", kill=kill, adapter=adapter, **ROWS) is None
    assert same(alone(work, f"{name}-killed", adapter=adapter, **ROWS), straight)
    assert losses(work[2] / f"{name}-killed") == losses(work[2] / name)
    assert laid() == {("flat", 512)}


@pytest.mark.slow
def test_however_many_processes_share_a_step_before_a_large_head_the_bits_are_the_same(work, laid, monkeypatch):
    fork_pools(monkeypatch)
    again = {"gradient_checkpointing": True}
    turns = {"lora": (LORA, {}), "prompt": (PROMPT, {}), "lora-again": (LORA, again), "all-again": (None, again)}
    with CorePool(2, ready=int) as pool:
        for name, (adapter, change) in turns.items():
            sharers = Sharers(pool=pool, again=partial(two_ranks.loaded, work[0], adapter, large=1))
            shared = alone(work, f"{name}-shared", adapter=adapter, sharers=sharers, **ROWS, **change)
            assert same(shared, alone(work, f"{name}-one", adapter=adapter, **ROWS, **change)), name
            assert losses(work[2] / f"{name}-shared") == losses(work[2] / f"{name}-one")
    assert laid() == {("flat", 512), ("padded", None)}


def test_two_processes_do_what_one_does(work):
    model, store, folder = work
    straight = alone(work, "straight")
    assert alone(work, "continued", kill=4) is None
    full = {**TRAINING, "sharding": "full"}
    turns = {
        "ddp": {"training": TRAINING, "folder": str(folder / "ddp")},
        "fsdp": {"training": full, "folder": str(folder / "fsdp")},
        "continued": {"training": full, "folder": str(folder / "continued")},
        "stopped": {"training": full, "folder": str(folder / "stopped"), "stop": 4},
    }
    for turn in turns.values():
        Path(turn["folder"]).mkdir(exist_ok=True)
    settings = folder / "turns.json"
    settings.write_text(json.dumps({"model": str(model), "store": str(store), "turns": turns}))
    together(two_ranks.main, settings)
    assert [path.name for path in (folder / "stopped" / "checkpoints").iterdir()] == ["step-00000003"]
    close(alone(work, "stopped", sharding="full"), straight)
    assert losses(folder / "stopped") == pytest.approx(losses(folder / "straight"), abs=2e-4)
    for name in ("ddp", "fsdp", "continued"):
        weights = load_file(folder / name / f"{name}.safetensors")
        close(weights, straight)
        assert losses(folder / name) == pytest.approx(losses(folder / "straight"), abs=2e-4)
        assert not (folder / name / "checkpoints").exists()


def test_two_processes_tune_an_adapter_before_a_large_head_as_one_does(work, laid):
    model, store, folder = work
    straight = alone(work, "rows", adapter=LORA, **ROWS)
    assert laid() == {("flat", 512)}
    (folder / "rows-ranks").mkdir()
    turn = {"training": {**TRAINING, **ROWS}, "adapter": LORA, "folder": str(folder / "rows-ranks")}
    settings = folder / "rows.json"
    settings.write_text(json.dumps({"model": str(model), "store": str(store), "turns": {"rows": turn}}))
    together(two_ranks.main, settings)
    close(load_file(folder / "rows-ranks" / "rows.safetensors"), straight)
    assert losses(folder / "rows-ranks") == pytest.approx(losses(folder / "rows"), abs=2e-4)


def test_sharded_factored_moments_are_refused():
    for name in ("adafactor", "muon"):
        with pytest.raises(ValueError, match="needs optimizer adamw"):
            TrainingPart.model_validate_json(json.dumps({"sharding": "full", "optimizer": {"name": name}}))


def test_a_checkpoint_of_something_else_is_refused_by_what_differs(work):
    alone(work, "other", kill=5)
    _, store, folder = work
    model = two_ranks.loaded(work[0])
    part = TrainingPart.model_validate_json(json.dumps(TRAINING))
    with pytest.raises(UserError, match=r"step-00000003: a checkpoint made with another mixture and another tokenizer"):
        tune(
            model,
            TokenStore.open(store),
            part,
            folder / "other",
            seed=0,
            report=lambda _line: None,
            identity={"mixture": "n", "tokenizer": "t"},
        )
