"""Cross-entropy over a large vocabulary, a few target tokens at a time.

16,384 targets over 256,000 words are 16.8 GB of float32 logits, and as much again for their gradient. Here the logits
of some targets are made, their loss and gradient taken, and dropped, so only the head's own gradient is ever whole:

    states (N, H) ─► some of them × head (V, H) ─► cap ─► loss and its gradient ─► into d states, d head ─► next

The gradient is taken on the way forward, for the sum of all losses; the way back only scales it.

Legend: N target tokens, H width, V vocabulary.
Invariant: equal to `cross_entropy` of the model's own logits. `Head.of` makes sure: it compares with what the model
makes of the same states, and says None where a family does more after its head than is known here.
Cost: three products as ever; besides gradients, one tensor of `_CHUNK` bytes in float32 that all chunks are written
into (new ones took a fifth of the head's time on CPU, for their pages), and up to three more elsewhere. A large table
on CPU keeps the gradients of its logits in place of its own (models/word_tables.py).
Rejected: computing chunks again on the way back, a fourth product; a kernel for one maker's devices.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from openflan.models.head import WHOLE_LOGITS, states_at, unwrapped
from openflan.models.word_tables import TableGradient, add_product

__all__ = ["Head"]

_CHUNK = {"cpu": 64 << 20, "cuda": 256 << 20}
"""Bytes of float32 logits at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What a model does to hidden states before they are logits: a linear layer, a scale, a soft cap."""

    linear: nn.Linear
    scale: float = 1.0
    cap: float | None = None
    """Logits x become cap·tanh(x / cap) (Gemma 2)."""

    @classmethod
    def of(cls, model: nn.Module) -> "Head | None":
        """The head of a model; None where its logits are made in another way."""
        inner: Any = unwrapped(model)
        linear = inner.get_output_embeddings()
        if type(linear) is not nn.Linear or WHOLE_LOGITS in vars(inner):
            return None
        config = inner.config.get_text_config()
        head = cls(
            linear=linear,
            scale=float(getattr(config, "logit_scale", None) or 1 / (getattr(config, "logits_scaling", None) or 1)),
            cap=getattr(config, "final_logit_softcapping", None),
        )
        device = linear.weight.device
        ids = torch.arange(1, 5, device=device).unsqueeze(0)
        inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if inner.config.is_encoder_decoder else {})
        was_training = inner.training
        inner.eval()
        with torch.no_grad():
            last = (torch.tensor([0], device=device), torch.tensor([3], device=device))
            states, logits = states_at(inner, last, **inputs)
            same = torch.allclose(head.logits(states), logits, rtol=1e-3, atol=1e-3)
        inner.train(was_training)
        return head if same else None

    def logits(self, states: Tensor) -> Tensor:
        """(N, H) states to (N, V) float32 logits."""
        raw = torch.nn.functional.linear(states, self.linear.weight, self.linear.bias).float()
        scaled = raw * self.scale if self.scale != 1 else raw
        return scaled if self.cap is None else self.cap * torch.tanh(scaled / self.cap)

    def loss(
        self,
        states: Tensor,
        targets: Tensor,
        *,
        chunk: int | None = None,
        into: TableGradient | None = None,
        times: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy of target tokens.

        Args:
            states: (N, H).
            targets: (N,) token ids.
            chunk: bytes of float32 logits at once; what suits the device, by default.
            into: takes the linear layer's gradient at once, times `times`; by default autograd does.
            times: what the sum is going to be multiplied by.

        Returns:
            The sum over the targets, which gradients flow through, and each target's own loss (N,), detached; in nats.
        """
        total, each = _Loss.apply(  # type: ignore[no-untyped-call]
            states,
            self.linear.weight if into is None else self.linear.weight.detach(),
            self.linear.bias,
            targets,
            self.scale,
            self.cap,
            chunk or _CHUNK.get(states.device.type, 256 << 20),
            into,
            times,
        )
        return total, each.detach()


class _Loss(torch.autograd.Function):
    """Sum of cross-entropies, with its gradient made on the way forward."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        scale: float,
        cap: float | None,
        chunk: int,
        into: TableGradient | None,
        times: float,
    ) -> tuple[Tensor, Tensor]:
        kind = states.device.type
        reduced = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        with torch.autocast(kind, enabled=False):
            return _forward(ctx, states, weight, bias, targets, scale, cap, chunk, reduced, into, times)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _each: Tensor) -> tuple[Tensor | None, ...]:
        by_states, by_weight, by_bias = ctx.grads
        ctx.grads = (None, None, None)
        grads = [None if one is None else one.mul_(grad) for one in (by_states, by_weight, by_bias)]
        if grads[0] is not None:
            grads[0] = grads[0].to(ctx.states_dtype)
        return (*grads, None, None, None, None, None, None)


def _forward(
    ctx: Any,
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    scale: float,
    cap: float | None,
    chunk: int,
    reduced: torch.dtype,
    into: TableGradient | None,
    times: float,
) -> tuple[Tensor, Tensor]:
    wanted = [
        needed and torch.is_tensor(value)
        for needed, value in zip(ctx.needs_input_grad, (states, weight, bias), strict=False)
    ]
    words = weight.detach().to(reduced)
    rows = states.detach().to(reduced)
    by_states = torch.empty_like(rows, dtype=torch.float32) if wanted[0] else None
    by_weight = None
    by_bias = torch.zeros_like(bias) if wanted[2] and bias is not None else None
    each = torch.empty(len(targets), device=states.device)
    with_grads = into is not None or any(wanted)
    chunk = max(1, chunk // (4 * len(weight)))
    stays = into if reduced == torch.float32 else None  # keeps gradients where their logits were
    space = rows.new_empty(min(chunk, len(targets)) if stays is None else 0, len(weight))
    for start in range(0, len(targets), chunk):
        some, own = rows[start : start + chunk], targets[start : start + chunk].unsqueeze(1)
        logits = torch.mm(some, words.T, out=space[: len(some)] if stays is None else stays.space(len(some)))
        logits = (logits if bias is None else logits.add_(bias)).float()
        if scale != 1:
            logits.mul_(scale)
        if cap is not None:
            logits.div_(cap).tanh_().mul_(cap)
        bent = None if cap is None or not with_grads else (logits / cap).square_().neg_().add_(1)
        most, own_logit = logits.amax(-1, keepdim=True), logits.gather(1, own)
        grad = logits.sub_(most).exp_()
        total = grad.sum(-1, keepdim=True)
        each[start : start + chunk] = (total.log() + most - own_logit).squeeze(1)
        if not with_grads:
            continue
        grad.div_(total)
        grad.scatter_add_(1, own, grad.new_full(own.shape, -1.0))
        if bent is not None:
            grad.mul_(bent)
        if scale != 1:
            grad.mul_(scale)
        if by_bias is not None:
            by_bias += grad.sum(0)
        small = grad.to(reduced)
        if by_states is not None:
            by_states[start : start + chunk] = small @ words
        if into is not None:
            into.add_product(small, some, times)
        elif by_weight is not None:
            add_product(by_weight, small, some)
        elif wanted[1]:
            by_weight = (small.T @ some).to(weight.dtype)
    ctx.grads = (by_states, by_weight, by_bias)
    ctx.states_dtype = states.dtype
    ctx.mark_non_differentiable(each)
    return each.sum(), each
