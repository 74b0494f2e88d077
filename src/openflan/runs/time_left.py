"""How long a run still takes: one number for all that is left, stages that run side by side included.

    first       what a token of tuning and of asking costs is measured on a few of them (`TokenCosts`), what Python
                costs by how long the questions took to render, and how many cores there are by what processes get
    then        each kind of stage by its own pace, as soon as a twentieth of it is done

Invariant: looks at no result and changes none. Cost: measuring takes half a second, once a run. Rejected: each stage's
own time left, which says nothing of the stages after it; a table of machines.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openflan.recipes.recipe import Recipe
from openflan.runs.asking import workload
from openflan.runs.materials import Materials
from openflan.runs.stages import UNTUNED, Stage, StageKind

__all__ = ["Prompts", "TimeLeft", "TokenCosts", "measure_token_costs", "prompts_of"]

NO_BFLOAT16: Mapping[str, bool] = {"tuning": False, "asking": False}

_TRIED = 1e9
"""Weights times tokens that are tried, at most."""
_LARGE = 50_000_000
"""Weights from which on fewer tries must do."""
_TYPICAL = 40
"""Tokens of an example."""
_TARGETS = 8
"""Of which targets."""
_RENDERED = 2e-4
"""Seconds of a prompt's rendering where the other numbers of this page were measured."""
_ROWS = 2.0
"""Reading training rows and checking them for leaks takes so many times as long as rendering all questions."""
_PACKED = 5.5e-6
"""Seconds a token of making the store."""
_ASKED = 1.3
"""Asking takes so many times as long as its forwards: tokenising, deciding, writing."""
_CHARACTERS = 4.3
"""Of a token."""
_REPORT = 1.1e-4
"""Seconds an answer of making the page."""
_PAGE = 1.5
"""Seconds of making a page of nothing."""
_ENOUGH = 0.05
"""Share of a stage after which its own pace counts."""
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
    """What the models of a run are asked."""

    untuned: tuple[int, float]
    """Of the untuned model: prompts, and characters to read; those of prompts answered in writing count more."""
    tuned: tuple[int, float]
    """The same of each tuned model, which is not asked baselines."""
    rendering: float
    """Seconds that rendering them took."""


def measure_token_costs(model: Any, *, bfloat16: Mapping[str, bool] = NO_BFLOAT16) -> TokenCosts:
    """Try a few tokens.

    Args:
        model: of transformers; its gradients are dropped.
        bfloat16: whether tuning, and asking, multiplies in bfloat16.
    """
    import torch

    from openflan.models.head import logits_at

    clock = time.process_time if model.device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    weights = sum(weight.numel() for weight in model.parameters())
    rows = max(1, min(25, int(_TRIED / weights / _TYPICAL)))
    ids = torch.arange(rows * _TYPICAL, device=model.device).view(rows, _TYPICAL) % 100 + 3
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})
    targets = torch.arange(_TYPICAL - _TARGETS, _TYPICAL, device=model.device)
    wanted = torch.arange(rows, device=model.device).repeat_interleave(_TARGETS), targets.repeat(rows)
    seconds = {"tuning": float("inf"), "asking": float("inf")}
    for _ in range(3 if weights < _LARGE else 2):  # the first time is slower
        with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=bfloat16["asking"]):
            began = clock()
            float(model(**inputs).logits[0, -1, 0])
            seconds["asking"] = min(seconds["asking"], clock() - began)
        began = clock()
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bfloat16["tuning"]):
            logits = logits_at(model, wanted, **inputs)  # as tuning does
        torch.autograd.backward(logits.float().logsumexp(-1).sum())
        seconds["tuning"] = min(seconds["tuning"], clock() - began)
        model.zero_grad(set_to_none=True)
    return TokenCosts(tuning=seconds["tuning"] / ids.numel(), asking=seconds["asking"] / ids.numel())


def prompts_of(materials: Materials) -> Prompts:
    """What the models of a run are asked."""
    untuned, tuned = (workload(materials, tuned=tuned) for tuned in (False, True))
    return Prompts(
        untuned=(untuned.total, untuned.cost), tuned=(tuned.total, tuned.cost), rendering=materials.rendering
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
        (count, characters), (tuned_count, tuned_characters) = prompts.untuned, prompts.tuned
        python = min(2.0, max(0.5, prompts.rendering / (_RENDERED * max(1, count))))  # of few prompts, rows are most
        tokens = recipe.training.steps * recipe.training.tokens_per_batch
        self._stages = stages
        self._cores = cores
        self._now = now
        self._rendering = prompts.rendering
        """Which the processes do again, each of the tasks that it asks first."""
        self._rows = _ROWS * prompts.rendering
        self._packing = _PACKED * python * tokens * len(recipe.seeds)
        self._tuning = costs.tuning * tokens
        character = _ASKED * costs.asking / _CHARACTERS
        self._asking = {True: character * characters, False: character * tuned_characters}
        """Processor seconds of asking the untuned model (True), and a tuned one."""
        self._report = python * (_PAGE + _REPORT * (count + tuned_count * len(recipe.seeds)))
        self._share: dict[Stage, float] = dict.fromkeys(stages, 0.0)
        self._first: dict[Stage, tuple[float, float]] = {}
        """When a stage's progress was first heard of, and its share then."""
        self._pace: dict[StageKind, float] = {}
        """How many times as long as was forecast a kind of stage takes, as was seen."""
        self._got = float(max(1, cores))
        """Cores that other programs leave, as was seen."""
        self._start = now()

    def began(self, stage: Stage) -> None:
        """A stage has begun."""
        if stage.kind in (StageKind.MIXTURE, StageKind.EVALUATION) and not self._first:
            self._start = self._now()

    def progress(self, stage: Stage, share: float, *, spent: float | None = None) -> None:
        """So much of a stage's work is done, 0 to 1.

        Args:
            spent: processor seconds that this took in all processes, where that is known.
        """
        if stage not in self._share:
            return
        wall, mine, _ = self._now()
        clock = mine if stage.kind is StageKind.MIXTURE else wall
        began, first = self._first.setdefault(stage, (clock, share))
        self._share[stage] = share
        if self._beside(stage) and spent is not None:
            if share > _ENOUGH:
                self._pace[stage.kind] = spent / share / self._asking[True]
            return
        if share - first < _ENOUGH:
            return
        whole = (clock - began) / (share - first)
        if stage.kind is StageKind.MIXTURE:
            self._packing = whole
        else:
            self._pace[stage.kind] = whole / self._alone(stage)

    def ended(self, stage: Stage) -> None:
        """A stage is done."""
        self._share[stage] = 1.0

    @property
    def seconds(self) -> float:
        """What is left of everything."""
        wall, mine, others = (now - then for now, then in zip(self._now(), self._start, strict=True))
        together = [stage for stage in self._stages if self._beside(stage) and self._share[stage] < 1]
        if self._cores and wall > _SEEN and any(stage.kind is StageKind.MIXTURE for stage in together):
            self._got = max(0.1, min(float(self._cores), (mine + others) / wall))
        mixing = untuned = 0.0
        for stage in together:
            if stage.kind is StageKind.MIXTURE:
                begun = stage in self._first
                mixing = self._packing * (1 - self._share[stage]) + (0 if begun else max(0.0, self._rows - mine))
            else:
                whole = self._asking[True] * self._pace.get(stage.kind, 1.0) + self._rendering
                untuned = whole * (1 - self._share[stage])
        left = max(mixing, (mixing + untuned) / self._got)
        for stage in self._stages:
            if stage not in together:
                left += (1 - self._share[stage]) * self._alone(stage) * self._pace.get(stage.kind, 1.0)
        return left

    def _alone(self, stage: Stage) -> float:
        """Seconds that were forecast of a stage that has all cores that there are."""
        known = {
            StageKind.TRAINING: self._tuning / self._got,
            StageKind.EVALUATION: self._asking[stage.model == UNTUNED] / self._got,
            StageKind.REPORT: self._report,
        }
        return known.get(stage.kind, 0.0)

    def _beside(self, stage: Stage) -> bool:
        """Whether a stage is one of the two that run side by side."""
        return stage.kind is StageKind.MIXTURE or bool(self._cores and stage.model == UNTUNED)
