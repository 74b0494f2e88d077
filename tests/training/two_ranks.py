"""Run in two processes: they tune together, with DDP and with FSDP2, afresh and from a checkpoint of one process."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from openflan import ranks
from openflan.mixture.store import TokenStore
from openflan.models.adapters import add_adapter
from openflan.models.load import find_model, load_model
from openflan.recipes.parts import ModelPart, TrainingPart
from openflan.training import shape
from openflan.training.loop import tune
from openflan.training.stepping import Stepper


def loaded(folder, adapter=None, *, large=None):
    """A model of a folder, with a fresh adapter where one is given.

    Args:
        large: numbers in a head that count as many, in this process from now on.
    """
    if large is not None:
        shape._TABLE = large
    part = ModelPart.model_validate_json(json.dumps({"path": str(folder), "adapter": adapter}))
    model = load_model(find_model(part, Path(folder)), device=torch.device("cpu"))
    if part.adapter is None:
        return model
    return add_adapter(model, part.adapter, seed=3, base="x", words=lambda _text: []).model


class StoppedError(Exception):
    """Raised by both ranks after a step."""


def _stopping(take, stop):
    def step(self, number, prompts, rate):
        if number == stop:
            raise StoppedError
        return take(self, number, prompts, rate)

    return step


def main(settings: Path) -> None:
    content = json.loads(settings.read_text())
    ranks.begin()
    store = TokenStore.open(Path(content["store"]))
    for name, turn in content["turns"].items():
        part = TrainingPart.model_validate_json(json.dumps(turn["training"]))
        model = loaded(content["model"], turn.get("adapter"))
        folder = Path(turn["folder"])
        take = Stepper.step
        Stepper.step = _stopping(take, turn.get("stop"))
        try:
            tune(model, store, part, folder, seed=0, report=lambda _line: None, identity={"mixture": "m"})
        except StoppedError:
            continue
        finally:
            Stepper.step = take
        weights = ranks.whole_state(model) or model.state_dict()
        if ranks.is_first():
            save_file({key: value.clone() for key, value in weights.items()}, folder / f"{name}.safetensors")
        ranks.wait()
    torch.distributed.destroy_process_group()
