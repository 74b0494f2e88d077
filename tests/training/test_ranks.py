"""Several processes: the same order and the same weights as one, with DDP and with FSDP2, and back again."""

import json
from pathlib import Path

import pytest
import torch
import two_ranks
from safetensors.torch import load_file

from little_mixtures import write_mixture
from little_models import write_model
from openflan.errors import UserError
from openflan.mixture.holdout import hold_out
from openflan.mixture.store import TokenStore
from openflan.models.load import find_model, load_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.ranks import deal
from openflan.recipes.parts import ModelPart, TrainingPart
from openflan.recipes.recipe import Recipe
from openflan.tasks.catalog import open_catalog
from openflan.training.loop import tune
from processes import together

TRAINING = {
    "steps": 6,
    "tokens_per_batch": 384,
    "micro_batch_tokens": 128,
    "checkpoint_every": 3,
    "precision": "float32",
    "optimizer": {"name": "adamw", "learning_rate": 1e-3, "weight_decay": 0.1, "clip_norm": 0.5},
}


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


def alone(work, place, *, kill=None, **change):
    model_at, store, folder = work
    (folder / place).mkdir(exist_ok=True)
    part = TrainingPart.model_validate_json(json.dumps({**TRAINING, **change}))
    model = load_model(find_model(ModelPart(path=str(model_at)), model_at), device=torch.device("cpu"))

    def report(line):
        if line.step == kill:
            raise KilledError

    try:
        tune(model, TokenStore.open(store), part, folder / place, seed=0, report=report, identity={"mixture": "m"})
    except KilledError:
        return None
    return {name: value.clone() for name, value in model.state_dict().items()}


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def close(one, two):
    assert one.keys() <= two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=3e-5)


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
        found = load_file(folder / name / f"{name}.safetensors")
        close(found, straight)
        assert losses(folder / name) == pytest.approx(losses(folder / "straight"), abs=2e-4)
        assert not (folder / name / "checkpoints").exists()


def test_sharded_factored_moments_are_refused():
    for name in ("adafactor", "muon"):
        with pytest.raises(ValueError, match="needs optimizer adamw"):
            TrainingPart.model_validate_json(json.dumps({"sharding": "full", "optimizer": {"name": name}}))


def test_a_checkpoint_of_something_else_is_refused_by_what_differs(work):
    alone(work, "other", kill=5)
    _, store, folder = work
    model = load_model(find_model(ModelPart(path=str(work[0])), work[0]), device=torch.device("cpu"))
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
