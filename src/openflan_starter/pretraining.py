"""Pretraining of a small causal language model on rows of packed tokens, on one machine's CPUs.

What it is for: the base model that ships with the package, and anybody's variant of it. Rows of a fixed length come in
order; the schedule counts tokens, never seconds. Optimizer, loss and checkpoints are those of tuning: matrices of the
blocks are stepped by Muon, which learns to bind names to facts in about half the tokens AdamW needs, embeddings and
norms by AdamW. Weights are float32 masters; the forward runs under bfloat16 autocast where that is asked for.

Invariant: killed and resumed = straight, bit for bit on one machine: nothing but weights, the optimizer's state and the
number of steps decides what comes next. Cost: see `pretraining.json` beside the shipped model.
Rejected: the loop of tuning (`training/loop.py`): it reads examples from a store and counts their targets, and a base
has neither; Hugging Face Trainer: seconds of start and no bit-exact resume.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from openflan import ranks
from openflan.errors import UserError
from openflan.models.attention import set_attention
from openflan.models.head_loss import Head
from openflan.stage import fingerprint_of, write_atomically
from openflan.training.checkpoint import Progress, restore_newest, save_checkpoint
from openflan.training.muon import MuonWithAdamW

__all__ = ["Pretraining", "new_model", "next_token_loss", "pretrain", "rate_at"]

Probe = Callable[[torch.nn.Module], Mapping[str, float]]

_CHUNK = 4 << 20
"""Bytes of logits at once: what stays in a core's cache. All logits of a step are 61 MB and take half as long again."""

_NOT_WEIGHTS = ("checkpoint_every", "log_every", "probe_every")
"""Settings that the weights do not depend on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretraining:
    """How a base model is pretrained."""

    tokens: int
    """Tokens in all."""
    rows_per_step: int = 20
    learning_rate: float = 3e-3
    """Of AdamW (embeddings, norms)."""
    muon_rate: float = 4e-3
    """Of Muon (matrices of the blocks), in units of AdamW's update size."""
    warmup_tokens: int = 500_000
    decay_share: float = 0.2
    """The last share of the tokens over which the rate falls to zero, linearly; before that it is constant."""
    weight_decay: float = 0.05
    clip: float = 1.0
    bfloat16: bool = True
    checkpoint_every: int = 5_000_000
    """Tokens between two checkpoints, and so on."""
    log_every: int = 200_000
    probe_every: int = 2_000_000
    seed: int = 0

    def steps(self, row_length: int) -> int:
        """Optimizer steps in all."""
        return math.ceil(self.tokens / (self.rows_per_step * row_length))


def new_model(*, vocabulary: int, hidden: int, layers: int, heads: int, seed: int, eos: int, bos: int, pad: int) -> Any:
    """A fresh Llama with tied embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=-(-hidden * 8 // 3 // 32) * 32,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=1_024,
        tie_word_embeddings=True,
        initializer_range=0.02,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
        attn_implementation="eager",
    )
    torch.manual_seed(seed)
    return LlamaForCausalLM(config)


def rate_at(tokens: int, plan: Pretraining) -> float:
    """The learning rate's factor after this many tokens: warm-up, constant, then linearly to zero."""
    decay_from = plan.tokens * (1 - plan.decay_share)
    up = min(1.0, (tokens + 1) / max(1, plan.warmup_tokens))
    down = min(1.0, max(0.0, (plan.tokens - tokens) / max(1.0, plan.tokens - decay_from)))
    return up * down


def next_token_loss(model: Any, rows: Tensor, *, bfloat16: bool) -> Tensor:
    """Mean next-token loss over rows of tokens (R, T), in nats."""
    targets = rows[:, 1:].flatten()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        states = model.model(input_ids=rows, use_cache=False).last_hidden_state[:, :-1].flatten(0, 1)
        total, _ = Head(linear=model.lm_head).loss(states, targets, chunk=_CHUNK)
    return total / len(targets)


def _averaged(model: torch.nn.Module, loss: Tensor, team: int) -> Tensor:
    """Average gradients and loss over the processes, in one message."""
    if team == 1:
        return loss
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    packed = torch.cat([*(grad.flatten() for grad in grads), loss.reshape(1)])
    dist.all_reduce(packed)
    packed /= team
    start = 0
    for grad in grads:
        grad.copy_(packed[start : start + grad.numel()].view_as(grad))
        start += grad.numel()
    return packed[-1]


def pretrain(
    model: Any,
    row: Callable[[int], NDArray[np.uint16]],
    plan: Pretraining,
    *,
    work: Path,
    probe: Probe | None = None,
    on_checkpoint: Callable[[Any, int], None] | None = None,
    on_line: Callable[[Mapping[str, float]], None] | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> dict[str, float]:
    """Pretrain the model in place; goes on from the work folder's checkpoint where there is one.

    Args:
        row: the rows of tokens by index, all of one length.
        work: folder of the checkpoint and of `loss.jsonl`.
        probe: measures the model now and then; its figures go to the log.
        on_checkpoint: called with the model and the number of tokens after each checkpoint.
        on_line: called with each line of the log.
        say: told of a checkpoint that is damaged and passed over.

    Under `torchrun` (`ranks.begin`) the processes share the rows of each step and their gradients are averaged; the
    first process alone logs, probes and writes.

    Returns:
        The last line of the log.

    Raises:
        UserError: the rows of a step can't be shared evenly among the processes, or the checkpoint is of another model
            or of other settings.
    """
    rank, team = ranks.rank(), ranks.world()
    if plan.rows_per_step % team:
        what = f"{plan.rows_per_step} rows a step can't be shared by {team} processes"
        raise UserError(what, how="choose a number of rows that the processes divide")
    length = len(row(0))
    optimizer = MuonWithAdamW(
        model,
        learning_rate=plan.learning_rate,
        matrix_rate=plan.muon_rate,
        weight_decay=plan.weight_decay,
        dtype=torch.bfloat16 if plan.bfloat16 else torch.float32,
    )
    peaks = [group["lr"] for group in optimizer.param_groups]
    identity = _identity(model, plan, length)
    progress = restore_newest(work / "checkpoints", model, optimizer, identity=identity, say=say)
    per_step = plan.rows_per_step * length
    log = _Log(work / "loss.jsonl", until=progress.step * per_step)
    losses: list[float] = []
    began = time.monotonic() - progress.seconds
    since, at = time.monotonic(), progress.step * per_step
    model.train()
    for step in range(progress.step, plan.steps(length)):
        first = step * plan.rows_per_step
        own = range(first + rank, first + plan.rows_per_step, team)
        rows = torch.from_numpy(np.stack([row(index) for index in own]).astype(np.int64))
        set_attention(model, length)
        loss = next_token_loss(model, rows, bfloat16=plan.bfloat16)
        torch.autograd.backward(loss)
        loss = _averaged(model, loss.detach(), team)
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        before, done = step * per_step, (step + 1) * per_step
        factor = rate_at(before, plan)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss))

        def due(every: int, before: int = before, done: int = done) -> bool:
            return done // every > before // every or done >= plan.tokens

        if rank == 0 and due(plan.log_every):
            line = {"tokens": done, "loss": round(sum(losses) / len(losses), 4), "rate": round(factor, 4)}
            line["tokens_per_second"] = round((done - at) / max(1e-9, time.monotonic() - since))
            if probe is not None and due(plan.probe_every):
                model.eval()
                line |= probe(model)
                model.train()
            losses, since, at = [], time.monotonic(), done
            log.add(line)
            if on_line is not None:
                on_line(line)
        if due(plan.checkpoint_every):
            progress = Progress(step=step + 1, seconds=time.monotonic() - began)
            save_checkpoint(work / "checkpoints", model, optimizer, progress, identity=identity, keep=1)
            if rank == 0 and on_checkpoint is not None:
                on_checkpoint(model, done)
    return log.last


def _identity(model: Any, plan: Pretraining, row_length: int) -> dict[str, str]:
    """Hashes of what the weights depend on, by name."""
    settings = {name: value for name, value in asdict(plan).items() if name not in _NOT_WEIGHTS}
    shapes = {name: list(parameter.shape) for name, parameter in model.named_parameters()}
    return {"settings": fingerprint_of([settings, row_length]), "model": fingerprint_of(shapes)}


class _Log:
    """`loss.jsonl`, which the first process writes; what a killed run logged beyond its checkpoint is left out."""

    def __init__(self, path: Path, *, until: int) -> None:
        self._path = path
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        lines = [line for line in lines if line["tokens"] <= until]
        self.last: dict[str, float] = lines[-1] if lines else {"tokens": 0}
        if ranks.is_first():
            write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines))

    def add(self, line: dict[str, float]) -> None:
        """Add a line."""
        self.last = line
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
