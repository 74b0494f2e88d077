"""One optimizer step: whole examples, cut into micro-batches that memory holds, shared out among ranks.

    examples of the step ─► groups of like lengths ─► dealt to ranks ─► gradients add up ─► clip ─► optimizer

Invariant: the gradient is that of the mean loss over the step's target tokens, whatever the micro-batches or ranks, to
float rounding; a step that ran out of memory is done again from its start with half the micro-batch. Rejected: the
mean of micro-batch means (weighs tokens of short targets more); skipping a step that does not fit.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from openflan.errors import UserError
from openflan.mixture.store import TokenStore
from openflan.ranks import everyones, world
from openflan.recipes.parts import TrainingPart
from openflan.training.gradients import Cut, Gradients
from openflan.training.loss import Example
from openflan.training.metrics import StepReport
from openflan.training.peak import Work
from openflan.training.shape import Shape
from openflan.training.table_steps import step_tables

__all__ = ["Stepper"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fetched:
    """What a step is about."""

    prompts: list[int]
    examples: list[Example]
    tasks: list[str]


class Stepper:
    """Takes optimizer steps.

    Args:
        model: as ranks train it (`ranks.spread`).
        shape: how examples go through it.
        gradients: makes those of a step.
        micro_batch_tokens: padded tokens that go through the model at once.
        work: operations that training the model costs.
        peak: operations a second that the device does at most.
        say: told when memory ran out.
    """

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        optimizer: torch.optim.Optimizer,
        store: TokenStore,
        part: TrainingPart,
        *,
        shape: Shape,
        gradients: Gradients,
        seed: int,
        micro_batch_tokens: int,
        work: Work,
        peak: float,
        say: Callable[[str], None],
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._store = store
        self._part = part
        self._shape = shape
        self._gradients = gradients
        self._seed = seed
        self._work = work
        self._peak = peak
        self._say = say
        self._device = device
        self._ready: dict[int, _Fetched] = {}
        self.micro_batch_tokens = micro_batch_tokens

    def step(self, number: int, steps: Sequence[NDArray[Any]], rate: float) -> StepReport:
        """Take a step (from 0).

        Args:
            steps: of each, its prompts of the store.

        Raises:
            UserError: the gradient is not finite, or a single example does not fit in memory.
        """
        started = time.perf_counter()
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        step = self._fetched(number, steps)
        fetched = time.perf_counter() - started
        examples = step.examples
        lengths = [len(ids) for ids, _ in examples]
        target_tokens = sum(len(ids) - start for ids, start in examples)

        def meanwhile() -> None:
            if number + 1 < len(steps):
                self._fetched(number + 1, steps)

        while True:
            groups = self._shape.groups(lengths, self.micro_batch_tokens)
            try:
                cut = Cut(number=number, seed=self._seed, prompts=step.prompts, examples=examples, groups=groups)
                sums = self._gradients.of(cut, meanwhile=meanwhile)
                break
            except torch.OutOfMemoryError as error:
                self._smaller(max(lengths), error)
        norm = self._clip(number)
        self._optimizer.step()
        step_tables(self._optimizer, self._gradients.of_tables)
        self._optimizer.zero_grad(set_to_none=True)
        by_task = self._by_task(step.tasks, examples, sums)
        tokens = sum(len(ids) - len(self._shape.prefix) for ids, _ in examples)
        seconds = time.perf_counter() - started
        return StepReport(
            step=number + 1,
            loss=sum(total for total, _ in by_task.values()) / target_tokens,
            learning_rate=rate,
            grad_norm=norm,
            tokens=tokens,
            target_tokens=target_tokens,
            examples=len(examples),
            fill=tokens / self._part.tokens_per_batch,
            seconds=seconds,
            waited=fetched,
            mfu=self._work.of_step([(start, len(ids) - start) for ids, start in examples])
            / (seconds * self._peak * world()),
            task_loss={task: total / count for task, (total, count) in sorted(by_task.items())},
            evaluation={},
        )

    def _fetched(self, number: int, steps: Sequence[NDArray[Any]]) -> _Fetched:
        """A step's examples, kept until the step after it is fetched."""
        if number not in self._ready:
            prompts = steps[number].tolist()
            examples = [self._shape.example(self._store, prompt) for prompt in prompts]
            tasks = [self._store.task(prompt) for prompt in prompts]
            self._ready = {last: step for last, step in self._ready.items() if last == number - 1}
            self._ready[number] = _Fetched(prompts=prompts, examples=examples, tasks=tasks)
        return self._ready[number]

    def _smaller(self, longest: int, error: BaseException) -> None:
        """Halve the micro-batch after memory ran out."""
        where = "training.micro_batch_tokens"
        if world() > 1:
            how = f"set it lower (it is {self.micro_batch_tokens}) and start again: the last checkpoint stays"
            raise UserError("a rank ran out of memory", where=where, how=how) from error
        if self.micro_batch_tokens <= longest:
            how = "lower prompts.max_input_tokens, or take a smaller model"
            raise UserError(f"an example of {longest} tokens does not fit in memory", where=where, how=how) from error
        self._optimizer.zero_grad(set_to_none=True)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self.micro_batch_tokens = max(longest, self.micro_batch_tokens // 2)
        self._say(f"out of memory: going on with {where}={self.micro_batch_tokens}, which changes no result")

    def _clip(self, number: int) -> float:
        trained = [p for p in self._model.parameters() if p.requires_grad]
        norm: Any = torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
        size = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
        tables = self._gradients.of_tables
        if tables:
            size = sum((size**2, *(table.square() for table in tables))) ** 0.5
            norm = torch.tensor(size)
        if not size < float("inf"):
            rate = self._part.optimizer.learning_rate
            what = f"the gradient is not finite at step {number}"
            raise UserError(what, where="training.optimizer.learning_rate", how=f"lower it (it is {rate})")
        longest = self._part.optimizer.clip_norm
        if longest is not None and size > longest - 1e-6:  # else a pass over all gradients would change nothing
            torch.nn.utils.clip_grads_with_norm_(trained, longest, norm)
            for table in tables:
                table.scale(longest / (size + 1e-6))
        return size

    def _by_task(
        self, tasks: Sequence[str], examples: Sequence[Example], sums: dict[int, float]
    ) -> dict[str, tuple[float, int]]:
        """Summed loss and target tokens of each task, of all ranks."""
        totals: dict[str, float] = defaultdict(float)
        counts: dict[str, int] = defaultdict(int)
        for mine in everyones(sums):
            for member, loss in mine.items():
                ids, start = examples[member]
                totals[tasks[member]] += loss
                counts[tasks[member]] += len(ids) - start
        return {task: (totals[task], counts[task]) for task in totals}
