"""A layer of a Llama, forward and back, in as few passes over memory as torch allows.

    norm          its weights go into the matrix behind it, once; what is left is a scaling of rows
    projections   queries, keys and values are one product; sums come with the product before them
    rotation      pairs of numbers are complex ones, times one of length 1 (the matrix has its rows in that order)
    attention     heads are looked up into sequences of one length, and looked up again from what they attend to
    way back      what is needed no more takes what is new: it is in the cache

Legend: N tokens that are there, B sequences, T tokens of the longest, H width, F inner width, K heads of keys, G heads
of queries that share one, D numbers of a head.
Invariant: what autograd makes of transformers' own layer, but for rounding. Cost: of a step of 4,096 tokens and 1.3
million weights, two thirds are products. Rejected: a function an operation, each of which is right but all of which
together read everything twice.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from openflan.models.attention import SHORT
from openflan.models.products import product, product_added, sum_of_products

__all__ = ["Bent", "Call", "Next", "Weights", "bent", "layer_of", "next_of", "read_by"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What the layers of a call share. Places are rows of D numbers: a token's heads follow each other."""

    turn: Tensor
    """(N, 1, D/2) complex numbers of length 1, by a token's position."""
    mask: Tensor
    """(1 or B, 1, T, T) numbers to add to scores."""
    into: Tensor
    """Places in (N, (K·G + 2·K)·D) of the queries (B, K, G, T), the keys (B, K, T) and the values of sequences."""
    back: Tensor
    """(N·(K·G + 2·K),) Where in these each place is."""
    mixed: Tensor
    """(N·K·G,) Where in (B, K, G, T) each place of what heads attended to is."""
    wanted: Tensor
    """Tokens that the head is going to read."""
    sequences: int
    tokens: int
    """T."""
    heads: int
    """K."""
    groups: int
    """G."""
    size: int
    """D."""
    scale: float
    eps: float

    @property
    def rows(self) -> list[int]:
        """How many of the places in `into` are queries, keys and values."""
        keys = self.sequences * self.heads * self.tokens
        return [keys * self.groups, keys, keys]


class Weights(NamedTuple):
    """Those of a layer: matrices are (out, in)."""

    norm1: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    mixed: Tensor
    norm2: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor


class Bent(NamedTuple):
    """Matrices with the weights of the norm before them in."""

    plain: Tensor
    """Of queries, keys and values, pairs of rows as neighbours, without the norm's weights."""
    heads: Tensor
    gate: Tensor
    up: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Next:
    """What the layers share where one token more of each sequence is read."""

    at: Tensor
    """(B,) Its position."""
    turn: Tensor
    """(B, 1, D/2), as in `Call`."""
    mask: Tensor
    """(B, 1, 1, S) numbers to add to scores with the S tokens that there is room for."""
    scale: float
    eps: float


class _Kept(NamedTuple):
    """What the way back through a layer needs of the way forward."""

    plain: Tensor
    heads: Tensor
    gate_by: Tensor
    up_by: Tensor
    """As `Bent` has them."""
    one: Tensor
    """(N, H) Rows after the first norm, and its factors (N, 1)."""
    one_by: Tensor
    queries: Tensor
    keys: Tensor
    values: Tensor
    shares: Tensor
    """(B·K, G·T, T) Of each token in what another becomes."""
    mixed: Tensor
    two: Tensor
    two_by: Tensor
    gate: Tensor
    up: Tensor
    opened: Tensor
    """The gate after its activation."""
    inner: Tensor


def layer_of(call: Call, weights: Weights, rows: Tensor, *, last: bool) -> Tensor:
    """What a layer makes of its rows, (N, H).

    Args:
        last: only the rows that are wanted are to go on.
    """
    if not torch.is_grad_enabled():
        return _forward(call, last, rows, weights)[0]
    output: Tensor = _Layer.apply(call, last, rows, *weights)  # type: ignore[no-untyped-call]
    return output


def bent(w: Weights, size: int) -> Bent:
    """The matrices of a layer as its rows are multiplied by.

    Args:
        size: D.
    """
    plain = torch.cat([_paired(w.query, size), _paired(w.key, size), w.value])
    return Bent(plain=plain, heads=plain * w.norm1, gate=w.gate * w.norm2, up=w.up * w.norm2)


def read_by(call: Call, w: Weights, rows: Tensor, *, last: bool) -> tuple[Tensor, Tensor, Tensor]:
    """As `layer_of`, nothing of it trained, with the keys and values of the sequences, each (B, K, T, D)."""
    output, activations = _forward(call, last, rows, w)
    keys, values = (
        side.view(call.sequences, call.heads, call.tokens, call.size) for side in (activations.keys, activations.values)
    )
    return output, keys, values


def next_of(step: Next, w: Weights, b: Bent, rows: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """What a layer makes of one token more of each sequence, (B, H), whose key and value it adds.

    Args:
        keys: (B, K, S, D) those there are; as are `values`.
    """
    many, heads, _, size = keys.shape
    one, _ = _normed(rows, step.eps)
    projected = one @ b.heads.T
    _turn(projected, step.turn, len(w.query) + len(w.key))
    query, key, value = torch.split(projected, [len(w.query), len(w.key), len(w.value)], dim=1)
    every = torch.arange(many)
    keys[every, :, step.at] = key.view(many, heads, size)
    values[every, :, step.at] = value.view(many, heads, size)
    scores = query.view(many, heads, -1, size) @ keys.transpose(2, 3)
    mixed = torch.softmax(scores.mul_(step.scale).add_(step.mask), -1) @ values
    between = torch.addmm(rows, mixed.view(many, -1), w.mixed.T)
    two, _ = _normed(between, step.eps)
    inner = nn.functional.silu(two @ b.gate.T).mul_(two @ b.up.T)
    return torch.addmm(between, inner, w.down.T)


class _Layer(torch.autograd.Function):
    """A layer, (N, H) to (N, H), or to the rows that are wanted."""

    @staticmethod
    def forward(ctx: Any, call: Call, last: bool, rows: Tensor, *weights: Tensor) -> Tensor:
        output, activations = _forward(call, last, rows, Weights(*weights))
        ctx.call, ctx.last = call, last
        ctx.save_for_backward(*weights, *activations)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        split = len(Weights._fields)
        weights, activations = Weights(*ctx.saved_tensors[:split]), _Kept(*ctx.saved_tensors[split:])
        rows, grads = _backward(ctx.call, ctx.last, grad, weights, activations)
        return None, None, rows, *grads


def _forward(call: Call, last: bool, rows: Tensor, w: Weights) -> tuple[Tensor, _Kept]:
    """What a layer makes of its rows."""
    plain, heads_by, gate_by, up_by = bent(w, call.size)
    one, one_by = _normed(rows, call.eps)
    heads = product(one, heads_by.T)
    _turn(heads, call.turn, len(w.query) + len(w.key))
    apart = torch.split(heads.view(-1, call.size).index_select(0, call.into), call.rows)
    queries, keys, values = (side.view(call.sequences * call.heads, -1, call.size) for side in apart)
    mixed, shares = _attended(call, queries, keys, values)
    places = call.mixed
    if last:
        places, rows = places[call.wanted], rows[call.wanted]
    mixed = mixed.view(-1, call.size).index_select(0, places.flatten()).view(len(rows), -1)
    between = product_added(rows, mixed, w.mixed.T)
    two, two_by = _normed(between, call.eps)
    gate, up = product(two, gate_by.T), product(two, up_by.T)
    opened = nn.functional.silu(gate)
    inner = opened * up
    output = product_added(between, inner, w.down.T)
    return output, _Kept(
        plain=plain,
        heads=heads_by,
        gate_by=gate_by,
        up_by=up_by,
        one=one,
        one_by=one_by,
        queries=queries,
        keys=keys,
        values=values,
        shares=shares,
        mixed=mixed,
        two=two,
        two_by=two_by,
        gate=gate,
        up=up,
        opened=opened,
        inner=inner,
    )


def _attended(call: Call, queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """What heads attend to, (B, K·G, T, D), and the shares; long sequences, on which nothing is trained, have none."""
    if call.tokens > SHORT:
        query, key, value = (side.view(call.sequences, -1, call.tokens, call.size) for side in (queries, keys, values))
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=call.mask, scale=call.scale, enable_gqa=call.groups > 1
        )
        return mixed.contiguous(), mixed
    scores = _times(queries, keys.transpose(1, 2), call.scale).view(call.sequences, -1, call.tokens, call.tokens)
    shares = torch.softmax(scores.add_(call.mask), -1).view(len(queries), -1, call.tokens)
    return torch.bmm(shares, values), shares


def _backward(call: Call, last: bool, grad: Tensor, w: Weights, k: _Kept) -> tuple[Tensor, Weights]:
    """Gradients of a layer's rows and weights."""
    d_inner = product(grad, w.down)
    d_up = torch.mul(d_inner, k.opened, out=k.opened)
    d_gate = torch.ops.aten.silu_backward.grad_input(d_inner.mul_(k.up), k.gate, grad_input=k.gate)
    by_gate, by_up = sum_of_products(d_gate, k.two), sum_of_products(d_up, k.two)
    norm2 = (by_gate * w.gate).sum(0).add_((by_up * w.up).sum(0))
    between = _norm_back(product_added(product(d_gate, k.gate_by), d_up, k.up_by), k.two, k.two_by, grad)

    places = call.mixed[call.wanted] if last else call.mixed
    d_mixed = torch.zeros_like(k.queries)
    d_mixed.view(-1, call.size).index_copy_(0, places.flatten(), product(between, w.mixed).view(-1, call.size))
    d_shares = torch.bmm(d_mixed, k.values.transpose(1, 2))
    d_scores = torch._softmax_backward_data(d_shares, k.shares, -1, k.shares.dtype)
    d_apart = grad.new_empty(len(call.into), call.size)
    d_queries, d_keys, d_values = torch.split(d_apart, call.rows)
    _times(d_scores, k.keys, call.scale, out=d_queries.view(k.queries.shape))
    _times(d_scores.transpose(1, 2), k.queries, call.scale, out=d_keys.view(k.keys.shape))
    torch.bmm(k.shares.transpose(1, 2), d_mixed, out=d_values.view(k.values.shape))
    d_heads = d_apart.index_select(0, call.back).view(len(k.one), -1)
    _turn(d_heads, call.turn.conj(), len(w.query) + len(w.key))
    rest = torch.zeros_like(k.one).index_add_(0, call.wanted, between) if last else between
    d_rows = _norm_back(product(d_heads, k.heads), k.one, k.one_by, rest)
    by_heads = sum_of_products(d_heads, k.one)
    norm1 = (by_heads * k.plain).sum(0)
    query, key, value = torch.split(by_heads.mul_(w.norm1), [len(w.query), len(w.key), len(w.value)])
    return d_rows, Weights(
        norm1=norm1,
        query=_unpaired(query, call.size),
        key=_unpaired(key, call.size),
        value=value,
        mixed=sum_of_products(between, k.mixed),
        norm2=norm2,
        gate=by_gate.mul_(w.norm2),
        up=by_up.mul_(w.norm2),
        down=sum_of_products(grad, k.inner),
    )


def _times(one: Tensor, two: Tensor, scale: float, out: Tensor | None = None) -> Tensor:
    """Products of matrices, times a number."""
    product = one.new_empty(len(one), one.shape[1], two.shape[2]) if out is None else out
    return torch.baddbmm(product, one, two, beta=0, alpha=scale, out=product)


def _turn(heads: Tensor, turn: Tensor, width: int) -> None:
    """Turn the first numbers of each row, in pairs, in place."""
    torch.view_as_complex(heads[:, :width].view(len(heads), -1, turn.shape[-1], 2)).mul_(turn)


def _paired(weight: Tensor, size: int) -> Tensor:
    """Rows of a matrix so that the two that are turned together are neighbours, head by head."""
    return weight.view(-1, 2, size // 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def _unpaired(weight: Tensor, size: int) -> Tensor:
    return weight.view(-1, size // 2, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def _normed(rows: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Rows scaled to a mean square of one, and the factors (N, 1)."""
    size = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    factor = size.square_().div_(rows.shape[1]).add_(eps).rsqrt_()
    return rows * factor, factor


def _norm_back(grad: Tensor, normed: Tensor, factor: Tensor, rest: Tensor) -> Tensor:
    """The gradient of rows that were scaled, on top of another gradient of theirs."""
    along = (grad * normed).sum(-1, keepdim=True).div_(-normed.shape[1])
    return torch.addcmul(rest, grad.addcmul_(normed, along), factor)
