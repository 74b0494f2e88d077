"""How long a run still takes: one number for all that is left, stages that run side by side included.

    first       what a token of tuning and of asking costs is measured on a few of them (`TokenCosts`), what Python
                costs by how long the questions took to render, and how many cores there are by what processes get
    then        each kind of stage by its own pace, as soon as a twentieth of it is done

Invariant: looks at no result and changes none. Cost: measuring takes half a second, once a run. Rejected: each stage's
own time left, which says nothing of the stages after it; a table of machines.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from openflan.recipes.recipe import Recipe
from openflan.runs.materials import Materials
from openflan.runs.stages import UNTUNED, Stage, StageKind

__all__ = ["Prompts", "TimeLeft", "TokenCosts", "measure_token_costs", "prompts_of"]

_TRIED = 1e9
"""Weights times tokens that are tried, at most."""
_TYPICAL = 40
"""Tokens of an example."""
_RENDERED = 2e-4
"""Seconds of a prompt's rendering where the other numbers of this page were measured."""
_ROWS = 2.0
"""Reading training rows and checking them for leaks takes so many times as long as rendering all questions."""
_PACKED = 5.5e-6
"""Seconds a token of making the store."""
_ASKED = 1.3
"""Asking takes so many times as long as its forwards: tokenising, deciding, writing."""
_WRITTEN = 6.0
"""A character of a prompt that is answered in writing, beside one whose options are ranked."""
_CHARACTERS = 4.3
"""Of a token."""
_REPORT = 1e-4
"""Seconds an answer of making the page."""
_ENOUGH = 0.05
"""Share of a stage after which its own pace counts."""
_CLEAR = 0.25
"""Share of asking after which its processor time says what all of it takes."""
_SEEN = 4.0
"""Seconds after which it is seen how much of the cores other programs leave."""


Times = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenCosts:
    """What a model costs on this machine: processor seconds of one thread, or of a device the clock's."""

    tuning: float
    """A token of tuning."""
    asking: float
    """A token of asking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """What every model is asked."""

    count: int
    characters: float
    """To read; those of prompts that are answered in writing count more."""
    rendering: float
    """Seconds that rendering them took."""


def measure_token_costs(model: Any) -> TokenCosts:
    """Try a few tokens.

    Args:
        model: of transformers; its gradients are dropped.
    """
    import torch

    clock = time.process_time if model.device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    weights = sum(weight.numel() for weight in model.parameters())
    rows = max(1, min(25, int(_TRIED / weights / _TYPICAL)))
    ids = torch.arange(rows * _TYPICAL, device=model.device).view(rows, _TYPICAL) % 100 + 3
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})
    seconds = {"tuning": float("inf"), "asking": float("inf")}
    for _ in range(3):
        with torch.inference_mode():
            began = clock()
            float(model(**inputs).logits[0, -1, 0])
            seconds["asking"] = min(seconds["asking"], clock() - began)
        began = clock()
        model(**inputs).logits[:, -8:].float().logsumexp(-1).sum().backward()
        seconds["tuning"] = min(seconds["tuning"], clock() - began)
        model.zero_grad(set_to_none=True)
    return TokenCosts(tuning=seconds["tuning"] / ids.numel(), asking=seconds["asking"] / ids.numel())


def prompts_of(materials: Materials) -> Prompts:
    """What the models of a run are asked."""
    asked = materials.questions
    return Prompts(
        count=sum(len(one.everything) for one in asked),
        characters=sum(
            sum(len(prompt.input) for prompt, _ in one.everything)
            * (1.0 if one.entry.spec.is_classification else _WRITTEN)
            for one in asked
        ),
        rendering=materials.rendering,
    )


class TimeLeft:
    """Seconds that are left of a run's stages.

    Args:
        stages: those that are to be done.
        cores: processes that share the work; 0 where this one does it alone.
        now: the clock, the processor time of this process and that of the others, in seconds.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        recipe: Recipe,
        costs: TokenCosts,
        prompts: Prompts,
        *,
        cores: int = 0,
        now: Callable[[], Times],
    ) -> None:
        python = max(0.1, prompts.rendering / (_RENDERED * max(1, prompts.count)))
        tokens = recipe.training.steps * recipe.training.tokens_per_batch
        self._stages = stages
        self._cores = cores
        self._now = now
        self._rows = _ROWS * prompts.rendering
        self._packing = _PACKED * python * tokens * len(recipe.seeds)
        self._tuning = costs.tuning * tokens
        self._asking = _ASKED * costs.asking * prompts.characters / _CHARACTERS
        self._report = _REPORT * python * prompts.count * (1 + len(recipe.seeds))
        self._share: dict[Stage, float] = dict.fromkeys(stages, 0.0)
        self._first: dict[Stage, tuple[float, float]] = {}
        """When a stage's progress was first heard of, and its share then."""
        self._alone: dict[StageKind, float] = {}
        """Seconds that a kind of stage takes where nothing is beside it, as was seen."""
        self._got: float | None = None
        """Cores that other programs leave, as was seen."""
        self._start = now()

    def began(self, stage: Stage) -> None:
        """A stage has begun."""
        if stage.kind in (StageKind.MIXTURE, StageKind.EVALUATION) and not self._first:
            self._start = self._now()

    def progress(self, stage: Stage, share: float) -> None:
        """So much of a stage is done, 0 to 1."""
        if stage not in self._share:
            return
        wall, mine, others = self._now()
        beside = self._cores and stage.model == UNTUNED
        clock = mine if stage.kind is StageKind.MIXTURE else others if beside else wall
        began, first = self._first.setdefault(stage, (clock, share))
        self._share[stage] = share
        if share - first < _ENOUGH:
            return
        whole = (clock - began) / (share - first)
        if stage.kind is StageKind.MIXTURE:
            self._packing = whole
        elif not beside:
            self._alone[stage.kind] = whole
        elif share - first > _CLEAR:
            self._asking = whole

    def ended(self, stage: Stage) -> None:
        """A stage is done."""
        self._share[stage] = 1.0

    @property
    def seconds(self) -> float:
        """What is left of everything."""
        wall, mine, others = (now - then for now, then in zip(self._now(), self._start, strict=True))
        together = [stage for stage in self._stages if self._beside(stage) and self._share[stage] < 1]
        cores = float(max(1, self._cores))
        if self._cores and wall > _SEEN and any(stage.kind is StageKind.MIXTURE for stage in together):
            self._got = min(cores, (mine + others) / wall)
        cores = min(cores, self._got or cores)
        mixing = untuned = 0.0
        for stage in together:
            if stage.kind is StageKind.MIXTURE:
                begun = stage in self._first
                mixing = self._packing * (1 - self._share[stage]) + (0 if begun else max(0.0, self._rows - mine))
            else:
                untuned = self._asking * (1 - self._share[stage])
        left = max(mixing, (mixing + untuned) / cores)
        for stage in self._stages:
            if stage not in together:
                known = {
                    StageKind.TRAINING: self._tuning / cores,
                    StageKind.EVALUATION: self._asking / cores,
                    StageKind.REPORT: self._report,
                }
                left += (1 - self._share[stage]) * self._alone.get(stage.kind, known.get(stage.kind, 0.0))
        return left

    def _beside(self, stage: Stage) -> bool:
        """Whether a stage is one of the two that run side by side."""
        return stage.kind is StageKind.MIXTURE or bool(self._cores and stage.model == UNTUNED)
