"""One optimizer step: whole examples, cut into micro-batches that memory holds, shared out among ranks.

    examples of the step ─► groups of like lengths ─► dealt to ranks ─► gradients add up ─► clip ─► optimizer

Invariant: the gradient is that of the mean loss over the step's target tokens, whatever the micro-batches or ranks, to
float rounding; a step that ran out of memory is done again from its start with half the micro-batch. Rejected: the
mean of micro-batch means (weighs tokens of short targets more); skipping a step that does not fit.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from openflan.errors import UserError
from openflan.hashing import hash_integers
from openflan.mixture.store import TokenStore
from openflan.models.adapters import soft_prompt
from openflan.models.batching import fill_rows, group_by_length
from openflan.models.family import Family, decoder_start, family_of
from openflan.models.flat import can_be_flat
from openflan.models.head_loss import Head
from openflan.ranks import deal, everyones, rank, world
from openflan.recipes.parts import TrainingPart
from openflan.training.loss import Example, Layout, MicroBatch, collate, collate_halves, laid_out, target_loss
from openflan.training.metrics import StepReport
from openflan.training.peak import Work

__all__ = ["Shape", "Stepper"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """How examples go through a model."""

    layout: Layout = "padded"
    head: Head | None = None
    """Where it is known, logits are made some at a time."""
    prefix: tuple[int, ...] = ()
    """Ids of a soft prompt, which come before every input."""
    start_id: int | None = None
    """What the decoder of a model of two halves reads first; None for decoder-only models."""
    family: Family | None = None
    """What may share a micro-batch; anything where it is None."""

    @classmethod
    def of(cls, model: Any, *, reduced: bool = False) -> "Shape":
        """What suits a model on its device.

        Args:
            reduced: matrix products run in bfloat16.
        """
        family = family_of(model)
        flat = model.device.type == "cuda" and can_be_flat(model, reduced=reduced)
        return cls(
            layout="flat" if flat else "padded",
            head=Head.of(model),
            prefix=tuple(soft_prompt(model)),
            start_id=decoder_start(model) if model.config.is_encoder_decoder else None,
            family=family,
        )

    def groups(self, lengths: Sequence[int], tokens: int) -> list[list[int]]:
        """Examples cut into micro-batches of at most `tokens` tokens."""
        batching = self.family.batching_for(max(lengths)) if self.family is not None else "padded"
        if self.layout == "flat" and batching != "equal":
            return fill_rows(lengths, padded_tokens=tokens)
        return group_by_length(lengths, padded_tokens=tokens, batching=batching)

    def collate(self, examples: Sequence[Example], device: torch.device) -> MicroBatch:
        """Examples as the model takes them."""
        if self.start_id is not None:
            return collate_halves(examples, device, start_id=self.start_id)
        return collate(examples, device, layout=self.layout)


class Stepper:
    """Takes optimizer steps.

    Args:
        model: as ranks train it (`ranks.spread`).
        shape: how examples go through it.
        micro_batch_tokens: padded tokens that go through the model at once.
        work: operations that training the model costs.
        peak: operations a second that the device does at most.
        say: told when memory ran out.
    """

    def __init__(
        self,
        model: nn.Module,
        accelerator: Any,
        optimizer: torch.optim.Optimizer,
        store: TokenStore,
        part: TrainingPart,
        *,
        shape: Shape,
        seed: int,
        autocast: bool,
        micro_batch_tokens: int,
        work: Work,
        peak: float,
        say: Callable[[str], None],
    ) -> None:
        self._model = model
        self._accelerator = accelerator
        self._optimizer = optimizer
        self._store = store
        self._part = part
        self._shape = shape
        self._seed = seed
        self._autocast = autocast
        self._work = work
        self._peak = peak
        self._say = say
        self._device = accelerator.device
        self.micro_batch_tokens = micro_batch_tokens

    def step(self, number: int, prompts: NDArray[Any], rate: float) -> StepReport:
        """Take a step (from 0) over some prompts of the store.

        Raises:
            UserError: the gradient is not finite, or a single example does not fit in memory.
        """
        started = time.perf_counter()
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        numbers = prompts.tolist()
        examples = [self._example(prompt) for prompt in numbers]
        fetched = time.perf_counter() - started
        target_tokens = sum(len(ids) - start for ids, start in examples)
        while True:
            torch.manual_seed(int(hash_integers(self._seed, number, rank())) & 0xFFFFFFFF)  # dropout
            try:
                sums, padded = self._gradients(examples, target_tokens)
                break
            except torch.OutOfMemoryError as error:
                self._smaller(max(len(ids) for ids, _ in examples), error)
        norm = self._clip(number)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        by_task = self._by_task([self._store.task(prompt) for prompt in numbers], examples, sums)
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
            waited=fetched + padded,
            mfu=self._work.of_step([(start, len(ids) - start) for ids, start in examples])
            / (seconds * self._peak * world()),
            task_loss={task: total / count for task, (total, count) in sorted(by_task.items())},
            evaluation={},
        )

    def _example(self, prompt: int) -> Example:
        ids, start = self._store.tokens(prompt), self._store.target_start(prompt)
        prefix = self._shape.prefix
        return (np.concatenate([prefix, ids]).astype(np.int32), start + len(prefix)) if prefix else (ids, start)

    def _gradients(self, examples: Sequence[Example], target_tokens: int) -> tuple[dict[int, float], float]:
        """Gradients of the step's mean loss; this rank's examples' summed losses, and seconds spent padding."""
        lengths = [len(ids) for ids, _ in examples]
        groups = self._shape.groups(lengths, self.micro_batch_tokens)
        sizes = [len(group) * max(lengths[member] for member in group) for group in groups]
        mine = deal(sizes, world())[rank()]
        sums: dict[int, float] = {}
        padded = 0.0
        for place, group in enumerate(mine):
            members = groups[group] if group >= 0 else [min(range(len(lengths)), key=lengths.__getitem__)]
            began = time.perf_counter()
            batch = self._shape.collate([examples[member] for member in members], self._device)
            padded += time.perf_counter() - began
            last = place == len(mine) - 1
            waiting = nullcontext() if last or world() == 1 else self._accelerator.no_sync(self._model)
            with waiting, laid_out(self._model, batch):
                with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
                    total, losses = target_loss(self._model, batch, self._shape.head)
                weight = world() / target_tokens if group >= 0 else 0.0
                self._accelerator.backward(total * weight)
            if group >= 0:
                each = torch.zeros(len(members), device=losses.device)
                each.index_add_(0, batch.members, losses)
                sums.update(zip(members, each.tolist(), strict=True))
        return sums, padded

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
        norm: Any = torch.nn.utils.clip_grad_norm_(trained, self._part.optimizer.clip_norm or float("inf"))
        size = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
        if not size < float("inf"):
            rate = self._part.optimizer.learning_rate
            what = f"the gradient is not finite at step {number}"
            raise UserError(what, where="training.optimizer.learning_rate", how=f"lower it (it is {rate})")
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
