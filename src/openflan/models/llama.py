"""The body of a Llama on CPU: what it makes of tokens before its head reads them, in a third of the passes over memory.

A small model's products are less than half of a step's time there; the rest are norms, rotations, activations and
copies, each of them several operations of torch that read and write everything anew. Here a layer is one function
(models/llama_layer.py) of the tokens that are there, end to end in one matrix, and behind the attention of the last one
only the rows go on that the head is going to read: an eighth of them in tuning.

Invariant: the model's own states and gradients but for rounding; tried on a few tokens, once a model. Models that are
no plain Llama, and calls that are no plain ones (bfloat16, checkpointed or compiled blocks, some weights frozen, long
sequences that are trained on), go the model's own way. Rejected: torch.compile of the blocks, which needs a compiler on
the user's machine and starts anew in each process.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from openflan.models.attention import BORDERS, SHORT
from openflan.models.llama_layer import Call, Next, Weights, bent, layer_of, next_of, read_by

__all__ = ["LlamaBody", "llama_body"]

_KEPT = "_openflan_body"
"""Where a model keeps its body, or None."""
_STAY = 0.75
"""Share of the sequences that are still written at which the others are put away, which copies all keys and values."""


class LlamaBody:
    """What a Llama makes of tokens before its head reads them.

    Args:
        model: a `LlamaForCausalLM`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        config = model.config
        self._heads = int(config.num_key_value_heads)
        self._groups = int(config.num_attention_heads) // self._heads

    @property
    def _layers(self) -> Any:
        return self._model.model.layers

    @property
    def trained(self) -> bool:
        """Whether all its weights are trained, by blocks that are neither compiled nor computed again."""
        return all(weight.requires_grad for layer in self._layers for weight in _weights(layer)) and not any(
            layer.gradient_checkpointing or layer._compiled_call_impl is not None for layer in self._layers
        )

    def takes(self, inputs: dict[str, Any]) -> bool:
        """Whether a call is one that is known here, of a model that is still as it was."""
        mask = inputs.get("attention_mask")
        borders = vars(self._model).get(BORDERS)
        longest = inputs["input_ids"].shape[1] if borders is None else borders.longest
        return (
            inputs.keys() <= {"input_ids", "position_ids", "attention_mask"}
            and (mask is None or (mask.ndim == 4 and mask.dtype == torch.float32))
            and not torch.is_autocast_enabled("cpu")
            and _is_plain(self._model)
            and (not torch.is_grad_enabled() or (longest <= SHORT and self.trained))
        )

    def states(self, positions: tuple[Tensor, Tensor], inputs: dict[str, Any]) -> Tensor:
        """(N, H) States of the wanted positions, as the head reads them."""
        inner = self._model.model
        ids, places = inputs["input_ids"], inputs.get("position_ids")
        sequences, tokens = ids.shape
        borders = vars(self._model).get(BORDERS)
        lengths = (
            [tokens] * sequences if borders is None else [stop - start for start, stop in pairwise(borders.places)]
        )
        places = torch.arange(tokens).expand(ids.shape) if places is None else places.expand(ids.shape)
        words = inner.embed_tokens(ids.view(1, -1))
        call = self._call(
            lengths,
            turn=self._turn(places.reshape(-1)),
            mask=inputs.get("attention_mask"),
            wanted=positions[0] * tokens + positions[1],
        )
        rows: Tensor = words[0]
        for layer in self._layers:
            last = layer is self._layers[-1]
            rows = layer_of(call, _weights(layer), rows, last=last)
        states: Tensor = inner.norm(rows)
        return states

    @property
    def writes(self) -> bool:
        """Whether it can continue prompts now: what is read has one rotation, however long the rest becomes."""
        kind = (getattr(self._model.config, "rope_parameters", None) or {}).get("rope_type", "default")
        return (
            not torch.is_autocast_enabled("cpu") and _is_plain(self._model) and kind in ("default", "linear", "llama3")
        )

    @torch.inference_mode()
    def write(
        self, prompts: Sequence[Sequence[int]], *, most: int, ended: Callable[[Sequence[int]], bool]
    ) -> list[list[int]]:
        """The likeliest next tokens after each prompt, with the one that ended them.

        Args:
            most: tokens, if nothing ends them before.
            ended: whether some tokens are a whole answer.
        """
        inner, head = self._model.model, self._model.get_output_embeddings()
        lengths = [len(prompt) for prompt in prompts]
        at = torch.tensor(lengths)
        call = self._call(
            lengths,
            turn=self._turn(torch.cat([torch.arange(size) for size in lengths])),
            mask=None,
            wanted=at.cumsum(0) - 1,
        )
        rows: Tensor = inner.embed_tokens(torch.tensor([token for prompt in prompts for token in prompt]))
        layers, room = [], call.tokens + most
        for layer in self._layers:
            weights = _weights(layer)
            rows, keys, values = read_by(call, weights, rows, last=layer is self._layers[-1])
            sides = [nn.functional.pad(side, (0, 0, 0, most)) for side in (keys, values)]
            layers.append((weights, bent(weights, call.size), sides))
        mask = torch.where(torch.arange(room) < at[:, None], 0.0, torch.finfo(torch.float32).min)
        written: list[list[int]] = [[] for _ in prompts]
        here, going = list(range(len(prompts))), set(range(len(prompts)))
        while True:
            tokens = head(inner.norm(rows)).argmax(-1)
            for number, token in zip(here, tokens.tolist(), strict=True):
                if number in going:
                    written[number].append(token)
                    if len(written[number]) == most or ended(written[number]):
                        going.remove(number)
            if not going:
                return written
            if len(going) <= len(here) * _STAY:
                left = torch.tensor([place for place, number in enumerate(here) if number in going])
                here = [number for number in here if number in going]
                tokens, at, mask = tokens[left], at[left], mask[left]
                layers = [(weights, by, [side[left] for side in sides]) for weights, by, sides in layers]
            mask[torch.arange(len(at)), at] = 0.0
            step = Next(at=at, turn=self._turn(at), mask=mask[:, None, None], scale=call.scale, eps=call.eps)
            rows = inner.embed_tokens(tokens)
            for weights, by, (keys, values) in layers:
                rows = next_of(step, weights, by, rows, keys, values)
            at = at + 1

    def _turn(self, places: Tensor) -> Tensor:
        """(N, 1, D/2) What positions turn heads by."""
        weight = self._layers[0].mlp.down_proj.weight
        cos, sin = self._model.model.rotary_emb(weight, position_ids=places.unsqueeze(0))
        half = cos.shape[-1] // 2
        return torch.complex(cos[0, :, :half], sin[0, :, :half]).unsqueeze(1)

    def _call(self, lengths: Sequence[int], *, turn: Tensor, mask: Tensor | None, wanted: Tensor) -> Call:
        """Where everything is when sequences of these lengths lie end to end."""
        attention = self._model.model.layers[0].self_attn
        heads, groups, many, longest = self._heads, self._groups, len(lengths), max(lengths)
        sizes = torch.tensor(lengths)
        starts = sizes.cumsum(0) - sizes
        within = torch.arange(longest)
        slots = starts[:, None] + torch.minimum(within, sizes[:, None] - 1)  # (B, T) what is past the end is masked
        wide = heads * (groups + 2)
        queries = slots[:, None] * wide + torch.arange(heads * groups)[:, None]
        keys = slots[:, None] * wide + torch.arange(heads * groups, heads * groups + heads)[:, None]
        into = torch.cat([queries.flatten(), keys.flatten(), keys.flatten() + heads])
        real = (within < sizes[:, None]).flatten().nonzero().squeeze(1)  # (N,) of B·T
        sequence, token = real // longest, real % longest

        def of(count: int) -> Tensor:
            """(N, count) Places in (B, count, T)."""
            return (sequence[:, None] * count + torch.arange(count)) * longest + token[:, None]

        mixed, keyed = of(heads * groups), of(heads)
        behind = many * heads * groups * longest
        back = torch.cat([mixed, keyed + behind, keyed + behind + many * heads * longest], dim=1)
        if mask is None:
            mask = torch.full((1, 1, longest, longest), torch.finfo(torch.float32).min).triu(1)
        return Call(
            turn=turn,
            mask=mask,
            into=into,
            back=back.flatten(),
            mixed=mixed,
            wanted=wanted,
            sequences=many,
            tokens=longest,
            heads=heads,
            groups=groups,
            size=attention.head_dim,
            scale=attention.scaling,
            eps=self._model.model.norm.variance_epsilon,
        )


def llama_body(model: Any) -> LlamaBody | None:
    """The body of a model, where it is a plain Llama on CPU; found and tried once a model."""
    if _KEPT not in vars(model):
        vars(model)[_KEPT] = None  # while it is tried the model goes its own way
        vars(model)[_KEPT] = _tried(model)
    body: LlamaBody | None = vars(model)[_KEPT]
    return body


def _is_plain(model: Any) -> bool:
    """Whether a model is made of nothing but what is known here; adapters and hooks come and go."""
    from transformers import LlamaForCausalLM

    if type(model) is not LlamaForCausalLM or "forward" in vars(model):  # or it is wrapped
        return False
    if model.device.type != "cpu" or model.dtype != torch.float32:
        return False
    if any(part._forward_pre_hooks or part._forward_hooks for part in model.modules()):
        return False
    config = model.config
    plain = config.hidden_act == "silu" and not config.attention_dropout and len(model.model.layers) > 0
    linear = (part for layer in model.model.layers for side in _linear(layer) for part in side)
    return plain and all(type(part) is nn.Linear and part.bias is None for part in linear)


def _linear(layer: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The matrices of a layer: of its attention, and behind it."""
    attention, inner = layer.self_attn, layer.mlp
    return (
        (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj),
        (inner.gate_proj, inner.up_proj, inner.down_proj),
    )


def _tried(model: Any) -> LlamaBody | None:
    """The body of a model, where its states and gradients are the model's own on a few tokens."""
    if not _is_plain(model):
        return None
    body = LlamaBody(model)
    with _plainly(), _all_trained(model) as weights:
        ids = torch.arange(14).view(2, 7) % model.config.vocab_size
        wanted = (torch.tensor([0, 1, 0]), torch.tensor([6, 2, 3]))
        own = model.model(input_ids=ids, use_cache=False).last_hidden_state[wanted]
        ours = body.states(wanted, {"input_ids": ids})
        factor = torch.linspace(-1, 1, own.numel()).view_as(own)
        theirs = torch.autograd.grad((own * factor).sum(), weights)
        grads = torch.autograd.grad((ours * factor).sum(), weights)
    pairs = [(own.detach(), ours.detach()), *zip(theirs, grads, strict=True)]
    return body if all(float((one - two).norm()) <= 1e-3 * float(one.norm()) + 1e-6 for one, two in pairs) else None


@contextmanager
def _plainly() -> Iterator[None]:
    """As a step of training computes, whatever is under way."""
    with torch.inference_mode(mode=False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        yield


@contextmanager
def _all_trained(model: Any) -> Iterator[list[Tensor]]:
    """The weights of the layers, all trained meanwhile."""
    weights = list(model.model.layers.parameters())
    before = [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(True)
        yield weights
    finally:
        for weight, trained in zip(weights, before, strict=True):
            weight.requires_grad_(trained)


def _weights(layer: Any) -> Weights:
    """The weights of a layer as they stand."""
    attention, inner = _linear(layer)
    query, key, value, mixed = (part.weight for part in attention)
    gate, up, down = (part.weight for part in inner)
    one, two = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
    return Weights(norm1=one, query=query, key=key, value=value, mixed=mixed, norm2=two, gate=gate, up=up, down=down)
