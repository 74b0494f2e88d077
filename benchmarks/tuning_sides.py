"""The two sides of every tuning benchmark: openflan's loop and TRL's trainer over one token store.

Both take a model in float32 and the same examples in the same number of optimizer steps; the clock runs from the end of
the first step to the end of the last. What TRL is given is told in `train_vs_trl.py`.

Invariant: neither side knows what it is measured for; scripts differ in models, stores and settings alone.
"""

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from side_by_side import Clock, Facts

if TYPE_CHECKING:
    from openflan.mixture.store import TokenStore
    from openflan.recipes.parts import TrainingPart
    from openflan.training.loop import StepReport

__all__ = ["Variant", "mean_loss", "tune_ours", "tune_trl"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One way to set TRL up."""

    kind: str
    """`padded` or `packed`."""
    attention: str
    tokens: int
    """Tokens of a micro-batch, about; of a row, where `packed`."""
    rows: int = 1
    """Packed rows of a micro-batch."""

    @property
    def name(self) -> str:
        """How the record calls it."""
        return f"{self.kind}-{self.attention}-{self.tokens}" + (f"x{self.rows}" if self.rows > 1 else "")


def tune_ours(model: Any, store: "TokenStore", part: "TrainingPart", folder: Path) -> Facts:
    """One run of openflan's training loop.

    Args:
        model: as the loop takes it, an adapter on it where one is tuned.
        folder: for the run's own folder.
    """
    import torch

    from openflan.models.device import pick_precision
    from openflan.training.loop import tune

    lines: list[StepReport] = []
    clocks: list[Clock] = []
    ends: list[Facts] = []
    messages: list[str] = []

    def report(line: "StepReport") -> None:
        lines.append(line)
        if len(lines) == 1:
            clocks.append(Clock())
        if len(lines) == part.steps:
            ends.append(clocks[0].read())

    own = folder / f"ours-{time.monotonic_ns()}"
    own.mkdir()
    tune(model, store, part, own, seed=0, report=report, say=messages.append)
    tokens = sum(line.tokens for line in lines[1:])
    return {
        "tokens_per_second": round(tokens / ends[0]["seconds"], 1),
        "tokens": tokens,
        "steps": len(lines),
        "precision": pick_precision(part.precision, model.device),
        "device": model.device.type,
        "threads": torch.get_num_threads(),
        "step_losses": [round(line.loss, 4) for line in lines],
        "said": messages,
        **ends[0],
    }


def tune_trl(
    model: Any,
    tokenizer: Any,
    store: "TokenStore",
    part: "TrainingPart",
    variant: Variant,
    folder: Path,
    *,
    steps: int | None = None,
) -> Facts:
    """One run of TRL's trainer over the same examples.

    Args:
        tokenizer: for its padding token; examples arrive tokenised.
        folder: for the run's own folder.
        steps: fewer than the part says.
    """
    import torch
    import transformers
    from datasets import Dataset

    from openflan.models.device import pick_precision

    sft: Any = importlib.import_module("trl")
    numbers = [int(number) for step in store.steps(0)[: steps or part.steps] for number in step]
    steps = steps or part.steps
    device = model.device
    precision = pick_precision(part.precision, device)
    model.set_attn_implementation(variant.attention)
    ids = [store.tokens(number).tolist() for number in numbers]
    starts = [store.target_start(number) for number in numbers]
    masks = [[0] * start + [1] * (len(own) - start) for own, start in zip(ids, starts, strict=True)]
    transformers.logging.disable_progress_bar()
    importlib.import_module("datasets").disable_progress_bars()
    rule = part.optimizer
    common: dict[str, Any] = {
        "output_dir": str(folder / "trl"),
        "max_steps": steps,
        "optim": "adafactor" if rule.name == "adafactor" else "adamw_torch_fused",
        "learning_rate": rule.learning_rate,
        "adam_beta1": 0.9,
        "adam_beta2": 0.95,
        "weight_decay": rule.weight_decay,
        "max_grad_norm": rule.clip_norm,
        "lr_scheduler_type": "constant",
        "bf16": precision == "bfloat16",
        "use_cpu": device.type == "cpu",
        "completion_only_loss": True,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
        "report_to": "none",
        "seed": 0,
    }
    sizes = _sizes(variant, ids, steps)
    trainer = sft.SFTTrainer(
        model=model,
        args=sft.SFTConfig(**common, **sizes),
        train_dataset=Dataset.from_dict({"input_ids": ids, "completion_mask": masks}),
        processing_class=tokenizer,
    )
    clocks: list[Clock] = []
    ends: list[Facts] = []

    class Watch(transformers.TrainerCallback):  # type: ignore[misc]
        """Starts the clock after the first step and reads it after the last."""

        def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            if state.global_step == 1:
                clocks.append(Clock())
            if state.global_step == state.max_steps:
                ends.append(clocks[0].read())

    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(Watch())
    trainer.train()
    log = [line for line in trainer.state.log_history if "num_tokens" in line]
    tokens = int(log[-1]["num_tokens"] - log[0]["num_tokens"])
    model.eval()
    return {
        "tokens_per_second": round(tokens / ends[0]["seconds"], 1),
        "tokens": tokens,
        "steps": len(log),
        "setting": variant.name,
        "micro_batch": sizes["per_device_train_batch_size"],
        "accumulated": sizes["gradient_accumulation_steps"],
        "max_length": sizes["max_length"],
        "precision": precision,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "step_losses": [round(line["loss"], 4) for line in log],
        **ends[0],
    }


def _sizes(variant: Variant, ids: Sequence[Sequence[int]], steps: int) -> dict[str, Any]:
    """Batch settings under which TRL's steps hold about as many tokens as ours."""
    longest, tokens = max(map(len, ids)), sum(map(len, ids))
    if variant.kind == "packed":
        # Rows of the longest example or a little more: dense attention costs the square of a row's length.
        length = max(longest, variant.tokens)
        rows = max(1, round(tokens / length / 0.97 / steps))
        batch = min(variant.rows, rows)
        accumulated = max(1, round(rows / batch))
        return {
            "packing": True,
            "packing_strategy": "bfd",
            "max_length": length,
            "per_device_train_batch_size": batch,
            "gradient_accumulation_steps": accumulated,
        }
    examples = len(ids) // steps
    at_once = max(1, variant.tokens * len(ids) // tokens)
    accumulated = max(1, -(-examples // at_once))
    return {
        "max_length": longest,
        "train_sampling_strategy": "group_by_length",
        "per_device_train_batch_size": max(1, examples // accumulated),
        "gradient_accumulation_steps": accumulated,
    }


def mean_loss(model: Any, store: "TokenStore", *, prompts: int = 200) -> float:
    """Mean loss a target token over the first prompts of the store, in float32."""
    import torch

    from openflan.models.batching import group_by_length
    from openflan.training.loss import collate, target_loss

    examples = [(store.tokens(n), store.target_start(n)) for n in range(min(prompts, len(store.lengths)))]
    total, count = 0.0, 0
    with torch.inference_mode():
        for group in group_by_length([len(ids) for ids, _ in examples], padded_tokens=8_192):
            _, losses = target_loss(model, collate([examples[n] for n in group], model.device))
            total += float(losses.double().sum())
            count += len(losses)
    return round(total / count, 4)
