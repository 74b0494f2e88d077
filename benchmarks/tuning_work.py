"""The work of every tuning benchmark: a token store of real prompts, the model that reads it, the recipe that says how.

Invariant: all sides read the same store in the same steps. The longest example fits a step, so that a model too slow
for large steps can be measured by small ones (`--tokens`).
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from made_model import MADE, make_model
from openflan.mixture.holdout import hold_out
from openflan.models.load import ModelSource, find_model, load_tokenizer
from openflan.prompts.render import TaskRenderer
from openflan.recipes.mixture_part import MixturePart
from openflan.recipes.parts import OptimizerPart, PromptsPart, TasksPart, TrainingPart
from openflan.recipes.recipe import Recipe
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import load_rows
from side_by_side import Facts, Settings, Turn, choose_tasks

__all__ = ["loss_prompts", "prepare", "recipe_of", "source_of", "store_of"]

_RATE, _RATE_PRETRAINED = 1e-3, 2e-5
_MANY_WEIGHTS = 100_000_000


def prepare(this: Turn) -> Facts:
    """Write the token store that both sides read."""
    from openflan.mixture.build import Mixing, build_mixture
    from openflan.mixture.store import TokenStore
    from openflan.mixture.workers import MixWork
    from openflan.prompts.encoding import EncoderRules

    division = hold_out(choose_tasks(this.settings, "train"), (), kin="none")
    if this.settings.model == MADE:
        _make_model(this, division.tuned)
    source = source_of(this)
    recipe = recipe_of(this.settings, source)
    began = time.perf_counter()
    work = MixWork(
        mixture=recipe.mixture,
        entries={entry.spec.name: entry for entry in division.tuned},
        data=this.settings.data_folder,
        encoder=EncoderRules.of(load_tokenizer(source), recipe.prompts),
    )
    mixing = Mixing(
        recipe=recipe, division=division, measured=(), work=work, key="", tokenizer=source.tokenizer_fingerprint
    )
    store_of(this).mkdir(parents=True, exist_ok=True)
    build_mixture(store_of(this), mixing, siblings=(), workers=1, engine="local", report=lambda _d, _t: None)
    seconds = time.perf_counter() - began
    store = TokenStore.open(store_of(this))
    numbers = [number for step in store.steps(0) for number in step]
    lengths = [len(store.tokens(number)) for number in numbers]
    targets = [len(store.tokens(number)) - store.target_start(number) for number in numbers]
    return {
        "tasks": len(division.tuned),
        "steps": recipe.training.steps,
        "tokens_per_batch": recipe.training.tokens_per_batch,
        "examples": len(numbers),
        "tokens": sum(lengths),
        "target_tokens": sum(targets),
        "median_length": statistics.median(lengths),
        "longest": max(lengths),
        "tokenising": {
            "seconds": round(seconds, 3),
            "examples": len(store.lengths),
            "tokens": int(store.lengths.sum()),
            "what": "drawing, rendering, tokenising, packing and writing the store",
        },
    }


def source_of(this: Turn) -> ModelSource:
    """The model that is tuned."""
    if this.settings.model == MADE:
        return ModelSource(name=MADE, folder=this.work / "model")
    return find_model(this.settings.model_part, Path(this.settings.model))


def _make_model(this: Turn, entries: Sequence[Entry]) -> None:
    """27 million parameters: eight layers of 384, and 32,000 words of the tasks' own texts."""
    renderer = [(TaskRenderer(e), load_rows(e, "train", data=this.settings.data_folder, limit=1_500)) for e in entries]
    prompts = (asking.render(row, row.index % 3) for asking, rows in renderer for row in rows)
    texts = (text for prompt in prompts for text in (prompt.input, prompt.target))
    sizes = {"hidden_size": 384, "intermediate_size": 1_024, "num_hidden_layers": 8, "num_attention_heads": 6}
    make_model(this.work / "model", texts, vocabulary=32_000, **sizes)


def store_of(this: Turn) -> Path:
    """Where the token store lies."""
    return this.work / "store"


def recipe_of(settings: Settings, source: ModelSource) -> Recipe:
    """The work as a recipe."""
    tokens = settings.tokens or (2_560 if settings.quick else 8_192)
    room = min(source.positions or 1_280, 1_280, tokens)
    return Recipe(
        name="benchmark",
        model=settings.model_part,
        tasks=TasksPart(use=settings.tasks or ("starter",), data=settings.data),
        prompts=PromptsPart(max_input_tokens=room * 4 // 5, max_target_tokens=room // 5),
        mixture=MixturePart(rows_per_task=2_000),
        training=TrainingPart(
            steps=settings.size,
            tokens_per_batch=tokens,
            precision=settings.precision,
            checkpoint_every=1_000_000,
            optimizer=OptimizerPart(
                name=settings.optimizer, learning_rate=_RATE if settings.model == MADE else _RATE_PRETRAINED
            ),
        ),
    )


def loss_prompts(model: object) -> int:
    """Prompts over which a tuned model's loss is told: few where each takes a second."""
    weights = sum(parameter.numel() for parameter in model.parameters())  # type: ignore[attr-defined]
    return 200 if weights < _MANY_WEIGHTS else 8
