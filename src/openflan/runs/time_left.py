"""How long a run still takes: one number for all that is left, stages that run side by side included.

    first       what a token of tuning and of asking, and an answer on the page, costs is measured on a few of them
                (`Costs`), what making the store costs by how long the questions took to render, and how many cores
                there are by what processes get
    then        each kind of stage by its own pace, as soon as a twentieth of it is done; a later one of the kind by
                what a whole one took

Invariant: looks at no result and changes none. Cost: measuring takes half a second, once a run. Rejected: each stage's
own time left, which says nothing of the stages after it; a table of machines; the page by what rendering took, of which
reading rows is most.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from openflan.evaluation.answered import Answered
from openflan.recipes.recipe import Recipe
from openflan.runs.asking import workload
from openflan.runs.materials import Materials
from openflan.runs.stages import UNTUNED, Stage, StageKind

__all__ = ["Costs", "Prompts", "TimeLeft", "measure_costs", "prompts_of"]

NO_BFLOAT16: Mapping[str, bool] = {"tuning": False, "asking": False}

_TRIED = 1e9
"""Weights times tokens that are tried, at most."""
_LONG = 1.0
"""Seconds that a try takes after which there is no other."""
_TYPICAL = 40
"""Tokens of an example."""
_FEWEST = 3
"""Examples that are tried of any model: of fewer, reading the weights is most."""
_TARGETS = 8
"""Of which targets."""
_RENDERED = 2e-4
"""Seconds of a prompt's rendering where the other numbers of this page were measured."""
_ROWS = 2.0
"""Reading training rows and checking them for leaks takes so many times as long as rendering all questions."""
_PACKED = 5.5e-6
"""Seconds a token of making the store."""
_ASKED = 1.1
"""Asking reads so many times the tokens of the prompts: options, padding."""
_ANSWERED = 14
"""Answers on the page that take as long as a prompt besides its forward: tokenising, deciding, writing."""
_CHARACTERS = 4.3
"""Of a token."""
_TUNED = 1.15
"""Tuning takes so many times as long as its forwards and backwards: batches, sums, the optimizer's step, saving."""
_ANSWERS = 300
"""Answers that are read for a trial."""
_FIGURES = 1_000
"""Answers that take as long as a task's figures and its share of the page's."""
_ENOUGH = 0.05
"""Share of a stage after which its own pace counts."""
_SEEN = 4.0
"""Seconds after which it is seen how much of the cores other programs leave."""


Times = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """What a run costs on this machine: processor seconds of one thread, or of a device the clock's."""

    tuning: float
    """A token of tuning."""
    asking: float
    """A token of asking."""
    answer: float
    """An answer on the page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """What the models of a run are asked."""

    untuned: tuple[int, float]
    """Of the untuned model: prompts, and characters to read, what is written counted as such."""
    tuned: tuple[int, float]
    """The same of each tuned model, which is not asked baselines."""
    rendering: float
    """Seconds that rendering them took."""
    tasks: int
    """Of which they are."""


def measure_costs(model: Any, recipe: Recipe, *, bfloat16: Mapping[str, bool] = NO_BFLOAT16) -> Costs:
    """Try a few tokens and answers.

    Args:
        model: of transformers; its gradients are dropped.
        recipe: whose settings say how often answers are resampled.
        bfloat16: whether tuning, and asking, multiplies in bfloat16.
    """
    import torch

    from openflan.models.head import logits_at

    clock = time.process_time if model.device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    weights = sum(weight.numel() for weight in model.parameters())
    rows = max(_FEWEST, min(25, int(_TRIED / weights / _TYPICAL)))
    ids = torch.arange(rows * _TYPICAL, device=model.device).view(rows, _TYPICAL) % 100 + 3
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})
    targets = torch.arange(_TYPICAL - _TARGETS, _TYPICAL, device=model.device)
    wanted = torch.arange(rows, device=model.device).repeat_interleave(_TARGETS), targets.repeat(rows)
    seconds = {"tuning": float("inf"), "asking": float("inf")}
    # as tuning and asking do, few positions through the head: of a large vocabulary it is most of a small model
    for _ in range(3):  # the first time is slower
        if _LONG < seconds["tuning"] < float("inf"):
            break
        with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=bfloat16["asking"]):
            began = clock()
            float(logits_at(model, wanted, **inputs)[0, 0])
            seconds["asking"] = min(seconds["asking"], clock() - began)
        began = clock()
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bfloat16["tuning"]):
            logits = logits_at(model, wanted, **inputs)
        torch.autograd.backward(logits.float().logsumexp(-1).sum())
        seconds["tuning"] = min(seconds["tuning"], clock() - began)
        model.zero_grad(set_to_none=True)
    return Costs(
        tuning=seconds["tuning"] / ids.numel(),
        asking=seconds["asking"] / ids.numel(),
        answer=_answer_cost(recipe.evaluation.bootstrap),
    )


@lru_cache
def _answer_cost(samples: int) -> float:
    """Processor seconds of an answer that is read and resampled, tried once in a process."""
    from openflan.evaluation.answer_files import read_answers, write_answers
    from openflan.evaluation.matrix import task_matrices
    from openflan.evaluation.task_results import spread_of

    rows, templates = _ANSWERS // 10, 10
    answers = [
        Answered(
            task="a task", cluster="its cluster", row=row, template=template, kind="ranked", metric="accuracy",
            value=float(row % 2), prompt="A question of some length, and what may be answered. " * 4, answer="yes",
            expected="yes" if row % 2 else "no", options=("yes", "no", "maybe"), gold=(1 - row % 2,),
            scores=(-1.0, -2.0 - row / rows, -3.0), option_tokens=(1, 1, 1), together=-0.1, written=0, further=(),
            others=(), group="",
        )
        for row in range(rows)
        for template in range(templates)
    ]  # fmt: skip
    least = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.parquet"
        write_answers(path, answers, key="", facts={"noise": 0.0})
        for _ in range(2):  # the first time is slower
            began = time.process_time()
            for matrix in task_matrices(read_answers(path)).values():
                spread_of(matrix, samples=samples)
            least = min(least, time.process_time() - began)
    return least / _ANSWERS


def prompts_of(materials: Materials) -> Prompts:
    """What the models of a run are asked."""
    untuned, tuned = (workload(materials, tuned=tuned) for tuned in (False, True))
    return Prompts(
        untuned=(untuned.total, untuned.cost),
        tuned=(tuned.total, tuned.cost),
        rendering=materials.rendering,
        tasks=len(untuned.prompts),
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
        costs: Costs,
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
        self._tuning = _TUNED * costs.tuning * tokens
        character, prompt = _ASKED * costs.asking / _CHARACTERS, _ANSWERED * costs.answer
        self._asking = {
            True: character * characters + prompt * count,
            False: character * tuned_characters + prompt * tuned_count,
        }
        """Processor seconds of asking the untuned model (True), and a tuned one."""
        answers = count + tuned_count * len(recipe.seeds)
        self._report = costs.answer * (answers + _FIGURES * prompts.tasks)
        self._share: dict[Stage, float] = dict.fromkeys(stages, 0.0)
        self._first: dict[Stage, tuple[float, float]] = {}
        """When a stage's progress was first heard of, and its share then."""
        self._began: dict[Stage, float] = {}
        """When a stage that has all cores began."""
        self._pace: dict[StageKind, float] = {}
        """How many times as long as was forecast a kind of stage takes, as was seen."""
        self._got = float(max(1, cores))
        """Cores that other programs leave, as was seen."""
        self._start = now()

    def began(self, stage: Stage) -> None:
        """A stage has begun."""
        if stage.kind in (StageKind.MIXTURE, StageKind.EVALUATION) and not self._first:
            self._start = self._now()
        if not self._beside(stage):
            self._began[stage] = self._now()[0]

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
        if spent is not None:
            if share > _ENOUGH:
                self._pace[stage.kind] = spent / share / self._asking[stage.model == UNTUNED]
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
        began, (_, first) = self._began.get(stage), self._first.get(stage, (0.0, 1.0))
        if began is not None and first <= _ENOUGH:  # all of it was done now, with what comes before and after progress
            self._pace[stage.kind] = (self._now()[0] - began) / self._alone(stage)
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
        seconds = {
            StageKind.TRAINING: self._tuning / self._got,
            StageKind.EVALUATION: self._asking[stage.model == UNTUNED] / self._got,
            StageKind.REPORT: self._report,
        }
        return seconds.get(stage.kind, 0.0)

    def _beside(self, stage: Stage) -> bool:
        """Whether a stage is one of the two that run side by side."""
        return stage.kind is StageKind.MIXTURE or bool(self._cores and stage.model == UNTUNED)
