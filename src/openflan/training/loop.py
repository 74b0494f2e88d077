"""The training loop: steps of whole examples, target-only loss, checkpoints, a log of every step.

A step takes the examples that the store's order names (training/stepping.py). Accelerate stands underneath: the same
call works in one process and under `torchrun` or `accelerate launch`, with DDP or FSDP2 (training/ranks.py).

Invariant: killed and resumed = straight, bit for bit, on the same machine; dropout is seeded by step, so there is
no random state to save. Cost: about 19 thousand tokens a second at 1.3 million parameters on two CPU cores; what a step
costs grows with neither the length of the run nor the size of the mixture (benchmarks/step_time.py).
Rejected: one padded batch a step, which is mostly padding, and a packed row with a dense mask, which is quadratic.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from openflan.errors import UserError
from openflan.mixture.store import TokenStore
from openflan.models.device import pick_precision
from openflan.models.family import family_of
from openflan.models.head import unwrapped
from openflan.ranks import is_first, spread, wait, world
from openflan.recipes.parts import TrainingPart
from openflan.training.checkpoint import Progress, restore_newest, save_checkpoint
from openflan.training.gradients import Gradients, InOrder, OnCores, Sharers, Together, few_weights
from openflan.training.metrics import Look, MetricsLog, StepReport
from openflan.training.optimizer import learning_rate, make_optimizer
from openflan.training.peak import Work, device_peak
from openflan.training.shape import Shape
from openflan.training.stepping import Stepper
from openflan.training.trackers import check_trackers, open_trackers

__all__ = ["Evaluate", "StepReport", "tune"]

ReportStep = Callable[[StepReport], None]
Evaluate = Callable[[Any], Look]
"""Looks at the model."""


def tune(
    model: Any,
    store: TokenStore,
    part: TrainingPart,
    folder: Path,
    *,
    seed: int,
    report: ReportStep,
    identity: Mapping[str, str] | None = None,
    evaluate: Evaluate | None = None,
    say: Callable[[str], None] = lambda _text: None,
    sharers: Sharers | None = None,
) -> Progress:
    """Tune a model on a mixture, going on from the newest checkpoint in `folder`.

    Args:
        model: a transformers language model in float32, on its device; tuned in place.
        folder: where checkpoints and `metrics.jsonl` are kept.
        report: told of every step, on the first rank.
        identity: hashes of what the result depends on, by name; a checkpoint made from others is refused.
        evaluate: scores the model every `part.evaluate_every` steps.
        say: told what the user should know.
        sharers: processes that share the work, where the model is small and on CPU.

    Raises:
        UserError: the model sees what it must not, the loss is not finite, a checkpoint is another run's, the disk is
            full, or memory is too small.
    """
    check_trackers(part)
    autocast = pick_precision(part.precision, model.device) == "bfloat16"
    accelerator = Accelerator(
        cpu=model.device.type == "cpu", log_with=list(part.trackers) or None, project_dir=str(folder)
    )
    inner = unwrapped(model)
    if note := family_of(inner).note:
        say(note)
    plain = world() == 1 and not part.compile and not part.gradient_checkpointing
    shape = Shape.of(inner, reduced=autocast, plain=plain)
    _prepare(inner, part)
    work = Work.of(inner)
    whole = spread(model, accelerator, part.sharding)
    optimizer = make_optimizer(whole, part.optimizer, reduced=autocast)
    known = identity or {}
    progress = restore_newest(folder / "checkpoints", whole, optimizer, identity=known, say=say)
    steps = store.steps(seed)
    model.train()
    began = time.perf_counter() - progress.seconds
    with (
        open_trackers(accelerator, part, folder),
        MetricsLog(folder / "metrics.jsonl", keep=progress.step, writes=is_first()) as log,
        _gradients(whole, accelerator, store, shape, part, autocast=autocast, sharers=sharers) as gradients,
    ):
        stepper = Stepper(
            whole,
            accelerator.device,
            optimizer,
            store,
            part,
            shape=shape,
            gradients=gradients,
            seed=seed,
            micro_batch_tokens=progress.micro_batch_tokens or part.micro_batch_tokens,
            work=work,
            peak=device_peak(accelerator.device, reduced=autocast) * (sharers.pool.size if sharers else 1),
            say=say,
        )
        for step in range(progress.step, part.steps):
            line = stepper.step(step, steps, learning_rate(part.optimizer, step, part.steps))
            if evaluate is not None and part.evaluate_every and (step + 1) % part.evaluate_every == 0:
                model.eval()
                if is_first():
                    look = evaluate(model)
                    line = line.model_copy(update={"evaluation": look.scores, "measures": look.measures})
                model.train()
                wait()
            if is_first():
                log.write(line)
                report(line)
            if part.trackers:
                accelerator.log(line.numbers(), step=line.step)
            fewer = stepper.micro_batch_tokens
            progress = Progress(
                step=step + 1,
                seconds=time.perf_counter() - began,
                micro_batch_tokens=fewer if fewer < part.micro_batch_tokens else None,
            )
            if progress.step % part.checkpoint_every == 0 and progress.step < part.steps:
                log.flush()
                save_checkpoint(
                    folder / "checkpoints", whole, optimizer, progress, identity=known, keep=part.keep_checkpoints
                )
    model.eval()
    wait()
    if is_first():
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return progress


@contextmanager
def _gradients(
    model: Any,
    accelerator: Accelerator,
    store: TokenStore,
    shape: Shape,
    part: TrainingPart,
    *,
    autocast: bool,
    sharers: Sharers | None,
) -> Iterator[Gradients]:
    """What makes a step's gradients: one way for a model, a recipe and its ranks, however many cores there are."""
    if world() > 1 or part.compile or not few_weights(model):
        yield Together(model, shape, accelerator, autocast=autocast, plain=not part.compile)
    elif sharers is None:
        yield InOrder(model, shape, autocast=autocast)
    else:
        plain = not part.gradient_checkpointing
        prepare = partial(_prepare, part=part)
        with closing(
            OnCores(model, sharers, store=store.folder, prepare=prepare, autocast=autocast, plain=plain)
        ) as on_cores:
            yield on_cores


def _prepare(model: Any, part: TrainingPart) -> None:
    """Set up a model as the recipe's training part says, in place; neither setting changes results but for rounding.

    Blocks are compiled, not the whole model, which would start anew for each shape and break at the hook before its
    head.

    Raises:
        UserError: the model's family can't do it.
    """
    if part.gradient_checkpointing:
        if not model.supports_gradient_checkpointing:
            what = f"{type(model).__name__} can't compute activations again"
            raise UserError(what, where="training.gradient_checkpointing", how="set it to false")
        model.activation_checkpointing_enable({"use_reentrant": False})
    if part.compile:
        blocks = set(getattr(model, "_no_split_modules", None) or ())
        if not blocks:
            what = f"{type(model).__name__} does not name its blocks"
            raise UserError(what, where="training.compile", how="set it to false")
        for module in model.modules():
            if type(module).__name__ in blocks:
                module.compile(dynamic=True)
