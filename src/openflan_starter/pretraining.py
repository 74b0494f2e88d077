"""Pretraining of a small causal language model on shards of packed tokens, on one machine.

What it is for: the base model that ships with the package, and anybody's variant of it. Rows of a fixed length
come from uint16 `.npy` shards in order; the schedule counts tokens, never seconds.

Matrices of the blocks are stepped by Muon (orthogonalised momentum), which learns to bind names to facts in
about half the tokens AdamW needs; embeddings and norms by AdamW. Weights are float32 masters; the forward runs
under bf16 autocast where that is asked for.

Invariant: killed and resumed = straight, bit for bit on one machine: the checkpoint holds weights, both
optimizers and the number of tokens, and nothing else decides what comes next.
Cost: see `pretraining.json` beside the shipped model. Rejected: the trainer's loop (`training/loop.py`): it has no
packed full-sequence loss, and a base needs no ledger; Hugging Face Trainer: seconds of start and no bit-exact resume.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from openflan import ranks
from openflan.errors import UserError
from openflan.training.muon import Muon

__all__ = [
    "Pretraining",
    "new_model",
    "old_model",
    "pretrain",
    "rank_continuations",
    "rate_at",
    "save_model",
    "shard_rows",
]

Probe = Callable[[torch.nn.Module], Mapping[str, float]]


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
    log_every: int = 200_000
    probe_every: int = 2_000_000
    seed: int = 0


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


def old_model(folder: Path) -> Any:
    """A model to go on from, its weights in float32.

    Raises:
        UserError: there is no model.
    """
    from openflan.models.load import find_model, load_model
    from openflan.recipes.parts import ModelPart

    if not (folder / "config.json").is_file():
        raise UserError("no model there", where=str(folder), how="give a folder that `openflan starter pretrain` made")
    source = find_model(ModelPart(path=str(folder.resolve())), folder)
    model = load_model(source, device=torch.device("cpu"))
    model.set_attn_implementation("eager")  # as a new one: faster than the fused kernel at these lengths
    return model


def shard_rows(folder: Path, *, wait: float = 0.0) -> Callable[[int], NDArray[np.uint16]]:
    """Row `i` over all shards in the folder, in the order of their names.

    Args:
        wait: seconds to wait for a shard that is still being written; 0 raises at once.
    """
    shards: list[NDArray[np.uint16]] = []

    def row(index: int) -> NDArray[np.uint16]:
        passed = 0
        for number in range(10_000):
            if number == len(shards):
                path = folder / f"{number:05d}.npy"
                deadline = time.monotonic() + wait
                while not path.exists():
                    if time.monotonic() >= deadline:
                        raise FileNotFoundError(f"{path}: the shards hold only {passed} rows")
                    time.sleep(0.5)
                shards.append(np.load(path, mmap_mode="r"))
            if index < passed + len(shards[number]):
                found: NDArray[np.uint16] = shards[number][index - passed]
                return found
            passed += len(shards[number])
        raise AssertionError("more than 10,000 shards")

    return row


def rate_at(tokens: int, plan: Pretraining) -> float:
    """The learning rate's factor after this many tokens: warm-up, constant, then linearly to zero."""
    decay_from = plan.tokens * (1 - plan.decay_share)
    up = min(1.0, (tokens + 1) / max(1, plan.warmup_tokens))
    down = min(1.0, max(0.0, (plan.tokens - tokens) / max(1.0, plan.tokens - decay_from)))
    return up * down


def _optimizers(model: torch.nn.Module, plan: Pretraining) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and ".layers." in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim == 2 and ".layers." in n)]
    dtype = torch.bfloat16 if plan.bfloat16 else torch.float32
    muon = Muon(matrices, lr=plan.muon_rate, weight_decay=plan.weight_decay, dtype=dtype)
    adamw = torch.optim.AdamW(rest, lr=plan.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    for optimizer in (muon, adamw):
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return [muon, adamw]


class _HeadLoss(torch.autograd.Function):
    """Mean next-token loss through the tied head, a slice of positions at a time.

    Loss and gradients are made in the forward pass while a slice's logits are in the cache; all logits at once
    are 64 MB a step, and cost 0.22 s instead of 0.11 s on one core.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, targets: Tensor, slice_size: int) -> Tensor:
        n = len(targets)
        head = weight.to(states.dtype)
        to_states, to_weight = torch.empty_like(states), torch.zeros_like(weight)
        total = 0.0
        for start in range(0, n, slice_size):
            part, target = states[start : start + slice_size], targets[start : start + slice_size, None]
            logits = (part @ head.T).float()
            logits.sub_(logits.amax(1, keepdim=True))
            right = logits.gather(1, target)
            normal = logits.exp_().sum(1, keepdim=True)
            total += float((normal.log() - right).sum())
            logits.div_(normal * n).scatter_add_(1, target, torch.full_like(right, -1.0 / n))
            slope = logits.to(states.dtype)
            to_states[start : start + slice_size] = slope @ head
            to_weight += (slope.T @ part).float()
        ctx.save_for_backward(to_states, to_weight)
        return torch.tensor(total / n)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        to_states, to_weight = ctx.saved_tensors
        return to_states * grads[0].to(to_states.dtype), to_weight * grads[0], None, None


def _loss(model: Any, rows: Tensor, plan: Pretraining) -> Tensor:
    """Mean next-token loss over rows [R, T]."""
    with torch.autocast("cpu", torch.bfloat16, enabled=plan.bfloat16):
        states = model.model(input_ids=rows, use_cache=False).last_hidden_state[:, :-1].flatten(0, 1)
    states = states.to(torch.bfloat16 if plan.bfloat16 else torch.float32)
    loss: Tensor = _HeadLoss.apply(states, model.lm_head.weight, rows[:, 1:].flatten(), 256)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def rank_continuations(model: Any, items: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]]) -> list[int]:
    """The likelier continuation of each prompt, by the sum of its tokens' log-likelihoods."""
    model.eval()
    best: list[int] = []
    for prompt, choices in items:
        width = max(len(choice) for choice in choices)
        rows = torch.tensor([[*prompt, *choice, *[0] * (width - len(choice))] for choice in choices])
        logs = model(input_ids=rows, use_cache=False).logits.float().log_softmax(-1)
        scores = [
            sum(float(logs[i, len(prompt) - 1 + j, token]) for j, token in enumerate(choice))
            for i, choice in enumerate(choices)
        ]
        best.append(max(range(len(choices)), key=scores.__getitem__))
    return best


def save_model(model: Any, folder: Path) -> None:
    """The weights in bf16 safetensors and the configuration, each file swapped in whole."""
    import copy
    import tempfile

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        copy.deepcopy(model).to(torch.bfloat16).save_pretrained(temporary)
        for path in sorted(Path(temporary).iterdir()):
            path.chmod(0o644)
            path.replace(folder / path.name)


def _write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.replace(path)


def _resume(checkpoint: Path, model: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """Take weights and moments from the checkpoint, where there is one; the tokens done so far."""
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["tokens"])


def _steps(plan: Pretraining, length: int, done: int) -> Iterator[int]:
    """Index of the first row of each step still to do."""
    per_step = plan.rows_per_step * length
    for step in range(done // per_step, math.ceil(plan.tokens / per_step)):
        yield step * plan.rows_per_step


def _averaged(model: torch.nn.Module, loss: Tensor, team: int) -> Tensor:
    """Average gradients and loss over the processes, in one message."""
    if team == 1:
        return loss
    slopes = [p.grad for p in model.parameters() if p.grad is not None]
    packed = torch.cat([*(slope.flatten() for slope in slopes), loss.reshape(1)])
    dist.all_reduce(packed)
    packed /= team
    start = 0
    for slope in slopes:
        slope.copy_(packed[start : start + slope.numel()].view_as(slope))
        start += slope.numel()
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
) -> dict[str, float]:
    """Pretrain the model in place; resumes from the work folder's checkpoint where there is one.

    Args:
        row: the rows of tokens by index, all of one length.
        work: folder of the checkpoint and of `loss.jsonl`.
        probe: measures the model now and then; its figures go to the log.
        on_checkpoint: called with the model and the number of tokens after each checkpoint.
        on_line: called with each line of the log.

    Under `torchrun` (`ranks.begin`) the processes share the rows of each step and their gradients are averaged; the
    first process alone logs, probes and writes.

    Returns:
        The last line of the log.

    Raises:
        UserError: the rows of a step can't be shared evenly among the processes.
    """
    rank, team = ranks.rank(), ranks.world()
    if plan.rows_per_step % team:
        what = f"{plan.rows_per_step} rows a step can't be shared by {team} processes"
        raise UserError(what, how="choose a number of rows that the processes divide")
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = work / "checkpoint.pt"
    log = work / "loss.jsonl"
    length = len(row(0))
    optimizers = _optimizers(model, plan)
    done = _resume(checkpoint, model, optimizers)
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    lines = [line for line in lines if line["tokens"] <= done]  # what a killed run logged beyond its checkpoint
    if rank == 0:
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    last: dict[str, float] = lines[-1] if lines else {"tokens": 0}
    losses: list[float] = []
    since, at = time.monotonic(), done
    model.train()
    for first in _steps(plan, length, done):
        own = range(rank, plan.rows_per_step, team)
        rows = torch.from_numpy(np.stack([row(first + i) for i in own]).astype(np.int64))
        loss = _loss(model, rows, plan)
        torch.autograd.backward(loss)
        loss = _averaged(model, loss.detach(), team)
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        factor = rate_at(done, plan)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss))
        before, done = done, done + rows.numel() * team

        def due(every: int, before: int = before, done: int = done) -> bool:
            return done // every > before // every or done >= plan.tokens

        if rank == 0 and due(plan.log_every):
            last = {"tokens": done, "loss": round(sum(losses) / len(losses), 4), "rate": round(factor, 4)}
            last["tokens_per_second"] = round((done - at) / max(1e-9, time.monotonic() - since))
            if probe is not None and due(plan.probe_every):
                last |= probe(model)
                model.train()
            losses, since, at = [], time.monotonic(), done
            with log.open("a") as handle:
                handle.write(json.dumps(last) + "\n")
            if on_line is not None:
                on_line(last)
        if rank == 0 and due(plan.checkpoint_every):
            state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "tokens": done}
            _write_checkpoint(checkpoint, state)
            if on_checkpoint is not None:
                on_checkpoint(model, done)
    return last
