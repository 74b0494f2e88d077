"""What LoRA and a soft prompt save: tuning them against tuning all weights, on the same examples.

Three sides of openflan take the same steps turn about: all weights, a LoRA of rank 16 at every linear layer, a soft
prompt of 20 vectors. A frozen weight needs no gradient of its own, which is a third of its arithmetic, so neither
can be more than 1.5 times as fast by arithmetic alone; LoRA's own matrices cost something, and all weights pay for
their optimizer. Goal: LoRA at least 1.4 times as fast. `trained` and `peak_memory_mb` say what is kept for it.

    python benchmarks/adapters.py --model FOLDER --data FOLDER --tasks sst2,rte --steps 3 --tokens 1024
"""

import statistics
import sys
from pathlib import Path

from made_model import MADE
from openflan.models.device import pick_device
from openflan.models.load import load_model
from openflan.recipes.parts import LoraPart, SoftPromptPart
from side_by_side import Facts, Settings, Turn, alternate, main, say, turn
from tuning_sides import tune_ours
from tuning_work import prepare, recipe_of, source_of, store_of

_SIDES = ("all", "lora", "prompt")
_GOAL = 1.4


def compare(work: Path, settings: Settings) -> Facts:
    """The whole benchmark."""
    script = Path(__file__)
    say("preparing: drawing, rendering, tokenising")
    prepared = turn(script, "prepare", work)
    facts = alternate(script, _SIDES, work, settings.repeats, shown="tokens_per_second")
    rates = {side: statistics.median(t["tokens_per_second"] for t in facts[side]) for side in _SIDES}
    line = {
        "tokens_per_second": rates,
        "ratio": round(rates["lora"] / rates["all"], 3),
        "ratio_of_soft_prompt": round(rates["prompt"] / rates["all"], 3),
        "ratio_range": [
            round(end(b["tokens_per_second"] / a["tokens_per_second"] for a, b in _pairs(facts)), 3)
            for end in (min, max)
        ],
        "goal": _GOAL,
        "peak_memory_mb": {side: statistics.median(t["peak_memory_mb"] for t in facts[side]) for side in _SIDES},
        "trained": {side: facts[side][0]["trained"] for side in _SIDES},
        "kept_for_them": {side: facts[side][0]["kept_for_them"] for side in _SIDES},
    }
    return {"line": line, "work": prepared, "turns": facts}


def _pairs(facts: dict[str, list[Facts]]) -> list[tuple[Facts, Facts]]:
    return list(zip(facts["all"], facts["lora"], strict=True))


def tuned(this: Turn) -> Facts:
    """One run of one side."""
    from openflan.mixture.store import TokenStore
    from openflan.models.adapters import add_adapter

    source = source_of(this)
    model = load_model(source, device=pick_device())
    parts = {"lora": LoraPart(kind="lora"), "prompt": SoftPromptPart(kind="prompt")}
    if this.name in parts:
        model = add_adapter(model, parts[this.name], seed=0, base="base", words=lambda _text: [1]).model
    part = recipe_of(this.settings, source).training
    facts = tune_ours(model, TokenStore.open(store_of(this)), part, this.work)
    trained = [weight.numel() for weight in model.parameters() if weight.requires_grad]
    return {**facts, "trained": sum(trained), "kept_for_them": 3 * sum(trained), "weights": model.num_parameters()}


if __name__ == "__main__":
    sys.exit(
        main(
            script=Path(__file__),
            benchmark="adapters",
            peer="peft",
            description="Tune all weights, a LoRA and a soft prompt on the same examples, turn about.",
            size=("steps", 4, 12),
            precisions=("auto", "float32", "bfloat16"),
            turns={"prepare": prepare, **dict.fromkeys(_SIDES, tuned)},
            compare=compare,
            model=MADE,
            tuning=True,
        )
    )
