"""The training loop: steps of whole examples, target-only loss, checkpoints, a log of every step.

A step takes the examples that the store's order names, groups them by length, adds up gradients over the groups
and divides by the step's target tokens. Each example attends to itself alone because it is a sequence of its own.

Invariant: killed and resumed = straight, bit for bit, on the same machine; dropout is seeded by step, so there is
no random state to save. Cost: about 22 thousand tokens a second at 2 million parameters on two CPU cores.
Rejected: one padded batch a step, which is mostly padding, and a packed row with a dense mask, which is quadratic.
"""

import json
import shutil
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from openflan.errors import UserError
from openflan.hashing import hash_integers
from openflan.mixture.store import TokenStore
from openflan.models.batching import group_by_length
from openflan.models.load import pick_precision
from openflan.recipe import TrainingPart
from openflan.training.checkpoint import Progress, restore_newest, save_checkpoint
from openflan.training.loss import collate, target_loss
from openflan.training.optimizer import learning_rate, make_optimizer

__all__ = ["StepReport", "tune"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """One line of `metrics.jsonl`."""

    step: int
    loss: float
    """Mean over the step's target tokens, in nats."""
    learning_rate: float
    grad_norm: float
    tokens: int
    """Tokens of the step, input and target."""
    target_tokens: int
    examples: int
    fill: float
    """Share of `tokens_per_batch` that the step's examples use."""
    seconds: float
    task_loss: dict[str, float]
    """Mean loss a target token, by task."""


Report = Callable[[StepReport], None]


def tune(model: Any, store: TokenStore, part: TrainingPart, folder: Path, *, seed: int, report: Report) -> Progress:
    """Tune a model on a mixture, going on from the newest checkpoint in `folder`.

    Args:
        model: a transformers causal language model in float32; tuned in place.
        folder: where checkpoints and `metrics.jsonl` are kept.

    Raises:
        UserError: the loss is not finite.
    """
    autocast = pick_precision(part.precision, model.device) == "bfloat16"
    accelerator = Accelerator(cpu=model.device.type == "cpu")
    optimizer = make_optimizer(model, part.optimizer)
    progress = restore_newest(folder / "checkpoints", model, optimizer)
    steps = store.steps(seed)
    model.train()
    log = folder / "metrics.jsonl"
    _cut_log(log, progress.step)
    began = time.perf_counter() - progress.seconds
    with log.open("a", encoding="utf-8") as file:
        for step in range(progress.step, part.steps):
            torch.manual_seed(int(hash_integers(seed, step)))  # torch's CPU generator reads the low 32 bits only
            rate = learning_rate(part.optimizer, step, part.steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            line = _step(
                model, accelerator, optimizer, store, list(steps[step]), part, step=step, rate=rate, autocast=autocast
            )
            file.write(json.dumps(_as_json(line)) + "\n")
            report(line)
            progress = Progress(step=step + 1, seconds=time.perf_counter() - began)
            if progress.step % part.checkpoint_every == 0 and progress.step < part.steps:
                file.flush()
                save_checkpoint(folder / "checkpoints", model, optimizer, progress)
    model.eval()
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return progress


def _step(
    model: Any,
    accelerator: Accelerator,
    optimizer: torch.optim.Optimizer,
    store: TokenStore,
    prompts: list[int],
    part: TrainingPart,
    *,
    step: int,
    rate: float,
    autocast: bool,
) -> StepReport:
    """One optimizer step over whole examples."""
    started = time.perf_counter()
    examples = [(store.tokens(number), store.target_start(number)) for number in prompts]
    tokens = sum(len(ids) for ids, _ in examples)
    target_tokens = sum(len(ids) - start for ids, start in examples)
    by_task: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    total = 0.0
    for group in group_by_length([len(ids) for ids, _ in examples], padded_tokens=part.micro_batch_tokens):
        batch = collate([examples[number] for number in group], model.device)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=autocast):
            losses = target_loss(model, batch)
        accelerator.backward(losses.sum() / target_tokens)
        per_example = torch.zeros(len(group), device=losses.device)
        per_example.index_add_(0, batch.positions[0], losses.detach())
        total += float(per_example.sum())
        for number, loss in zip(group, per_example.tolist(), strict=True):
            ids, start = examples[number]
            sums = by_task[store.task(prompts[number])]
            sums[0] += loss
            sums[1] += len(ids) - start
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), part.optimizer.clip_norm or float("inf")))
    if not (norm < float("inf")):
        raise UserError(
            f"the gradient is not finite at step {step}",
            where="training.optimizer.learning_rate",
            how=f"lower it (it is {part.optimizer.learning_rate})",
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return StepReport(
        step=step + 1,
        loss=total / target_tokens,
        learning_rate=rate,
        grad_norm=norm,
        tokens=tokens,
        target_tokens=target_tokens,
        examples=len(examples),
        fill=tokens / part.tokens_per_batch,
        seconds=time.perf_counter() - started,
        task_loss={task: sums[0] / sums[1] for task, sums in sorted(by_task.items())},
    )


def _as_json(line: StepReport) -> dict[str, Any]:
    rounded = {name: round(value, 4) for name, value in line.task_loss.items()}
    return {name: getattr(line, name) for name in line.__slots__} | {"task_loss": rounded}


def _cut_log(log: Path, steps: int) -> None:
    """Drop lines of steps that an interrupted run took after its last checkpoint."""
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)[:steps]
        log.write_text("".join(lines), encoding="utf-8")
