"""What may share a forward without changing a model's answers: tried on a few tokens when a model is loaded.

Most decoders obey a mask and positions, so prompts and options share one sequence; others (ALiBi, state spaces,
positions that count from the padding id) must have a sequence an option; some are moved by padding, a few by whatever
else is in the batch. A list of such families is never whole, so each model is tried: the same tokens alone, as its own
forward takes them, and as openflan would batch them. The most frugal way that agrees is taken, and one that agrees with
none is refused by name, as is a model that sees later tokens (BERT loads as one that writes text) and would read the
answers.

    together   prompts and options in one sequence, told apart by mask and positions
    padded     a sequence an option, padded on the right
    equal      only sequences of one length
    single     one sequence at a time

Invariant: what passes gives the log-probabilities of each sequence alone but for rounding. The model and torch's random
state are left as they were. Cost: five forwards of a dozen tokens, 50 ms for the starter, half a second for a model of
270 million, and nothing where the process has tried a model of the same files. Rejected: names of families that are
known to work; trying at the first batch, when hours of mixing are done.
"""

import inspect
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openflan.errors import UserError
from openflan.models.attention import additive_mask, set_attention
from openflan.models.batching import Batching
from openflan.models.head import WHOLE_LOGITS, fewer_words, logits_at, uncached, unwrapped
from openflan.models.limits import positions_of
from openflan.models.llama import llama_body

__all__ = ["Family", "decoder_start", "encoded", "family_of"]

_NATS = 3e-4
"""Difference of log-probabilities that is rounding where they are of ordinary size."""
_RELATIVE = 2e-5
"""The same as a part of the distance from the likeliest token to the unlikeliest: 20 nats in a made model, 70 in a
real one, whose logits round that much more coarsely."""
_LEAK = 0.02
"""Difference that later tokens make where no rounding does."""
_KEPT = "_openflan_family"
_OUTCOME = (_KEPT, WHOLE_LOGITS)
"""What a trial leaves on a model."""
_LONG, _SHARED, _SHORT = 16, 10, 5
"""Tokens of the longest sequence that is tried, of what two of them share at their start, and of the shortest. With
AVX-512 a large head takes 2.6 times as long for 15 tokens as for 16, since it takes fewer than 16 one by one."""

_FAILURES = (TypeError, ValueError, KeyError, IndexError, AttributeError, AssertionError, RuntimeError)
"""What a family's own code raises where it can't be called in some way."""
_FAR = 120
"""Tokens of a sequence beside which another is mostly padding."""
_WORDS = 16_384
"""Words, spread over the vocabulary, that are compared at least: what moves a state moves the logits of all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """How a model wants to be called."""

    name: str
    """Its class."""
    batching: Batching
    """The most that may share a forward."""
    steady: int | None = None
    """Tokens up to which a sequence does not care how long the longest beside it is; None where it never does."""

    def batching_for(self, longest: int) -> Batching:
        """The most that may share a forward where the longest sequence has so many tokens."""
        if self.batching in ("single", "equal") or self.steady is None or longest <= self.steady:
            return self.batching
        return "equal"

    @property
    def note(self) -> str:
        """What a user should know; empty where nothing is slower than usual."""
        match self.batching:
            case "equal":
                return f"{self.name} is moved by padding: only sequences of one length share a forward"
            case "single":
                return f"{self.name} is moved by what else is in a batch: it reads one sequence at a time"
            case _:
                return ""


def family_of(model: Any, *, folder: Path | None = None) -> Family:
    """How a model wants to be called; tried once a model.

    Args:
        folder: that it was just loaded from as it is; models of the same files are tried once a process.

    Raises:
        UserError: it sees later tokens, its decoder has nothing to begin with, or no way of calling it is right.
    """
    inner = unwrapped(model)
    if _KEPT not in vars(inner):
        files = None if folder is None else (inner.device.type, *_files_in(folder))
        if files is None or files not in _tried:
            with _quietly(inner):
                family = Family(name=type(inner).__name__, batching=_batching(inner), steady=_steady(inner.config))
            vars(inner)[_KEPT] = family
        if files is not None:
            outcome = _tried.setdefault(files, {name: vars(inner)[name] for name in _OUTCOME if name in vars(inner)})
            vars(inner).update(outcome)
            llama_body(inner)  # tried by the first forward, which may not be one of training
    kept: Family = vars(inner)[_KEPT]
    return kept


_tried: dict[Hashable, dict[str, Any]] = {}
"""What trying models of the same files on a kind of device left on the first of them."""


def _files_in(folder: Path) -> Iterator[Hashable]:
    """The files of a folder as they are now, by place, size and time."""
    for path in sorted(folder.iterdir()):
        stat = path.stat()
        yield str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns


def decoder_start(model: Any) -> int:
    """What the decoder of a model of two halves reads first.

    Raises:
        UserError: its configuration does not say.
    """
    generation = getattr(model, "generation_config", None)
    for config in (model.config, generation, model.config.get_text_config(decoder=True)):
        start = getattr(config, "decoder_start_token_id", None)
        if start is not None:
            return int(start)
    name = type(model).__name__
    raise UserError(
        f"{name} does not say what its decoder begins with",
        where="model.path",
        how="set decoder_start_token_id in its config.json",
    )


def encoded(model: Any, prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """What a model of two halves takes besides its decoder's tokens: prompts, padded, and the encoder's states of them.

    Returns:
        `input_ids` and `attention_mask`, each (B, T), and `encoder_outputs`.
    """
    longest = max(map(len, prompts))
    ids = torch.tensor([[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts], device=model.device)
    real = torch.tensor([[1] * len(p) + [0] * (longest - len(p)) for p in prompts], device=model.device)
    set_attention(model, longest)
    outputs = model.get_encoder()(input_ids=ids, attention_mask=real)
    states = type(outputs)(last_hidden_state=outputs.last_hidden_state)
    return {"input_ids": ids, "attention_mask": real, "encoder_outputs": states}


def _steady(config: Any) -> int | None:
    """Where all of a batch is rotated otherwise once one sequence is longer (LongRoPE's two sets of factors)."""
    rope = getattr(config.get_text_config(), "rope_parameters", None) or {}
    kinds = [rope, *(kind for kind in rope.values() if isinstance(kind, dict))]  # some differ from layer to layer
    sizes = [kind.get("original_max_position_embeddings") for kind in kinds if kind.get("rope_type") == "longrope"]
    return min((int(size) for size in sizes if size is not None), default=None)


def _batching(model: Any) -> Batching:
    """What may share a forward, tried with a head of few words; with all of them where a forward wants those."""
    trial = _Halves(model) if model.config.is_encoder_decoder else _Decoder(model)
    with fewer_words(model, _WORDS) as fewer:
        try:
            return trial.batching()
        except UserError:
            if not fewer:
                raise
    vars(model).pop(WHOLE_LOGITS, None)
    return trial.batching()


@contextmanager
def _quietly(model: Any) -> Iterator[None]:
    """No gradients, no dropout, no bfloat16, and the random state as before."""
    was_training = model.training
    model.eval()
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices), torch.autocast(model.device.type, enabled=False):
            yield
    finally:
        model.train(was_training)


class _Trial:
    """Sequences with their log-probabilities as the family's own forward gives them."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.name = type(model).__name__
        config = model.config.get_text_config(decoder=True)
        words = min(int(config.vocab_size), 1_000)
        named = [v for c in (config, model.config) for n, v in vars(c).items() if n.endswith("_token_id")]
        special = {token for value in named for token in (value if isinstance(value, list) else [value])}
        ids = [token for token in range(2, words) if token not in special][: 3 * _LONG] or list(range(words))
        ids = (ids * _LONG)[: 3 * _LONG]
        self.long = ids[:_LONG]
        self.other = [*ids[:_SHARED], *ids[_LONG : 2 * _LONG - _SHARED]]
        self.short = ids[2 * _LONG : 2 * _LONG + _SHORT]

    def tensor(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Rows padded with 0 on the right."""
        longest = max(map(len, rows))
        return torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=self.model.device)

    def refuse(self, what: str) -> UserError:
        """The family's name in one line."""
        return UserError(
            f"{self.name} {what}", where="model.path", how="take another decoder-only or encoder-decoder model"
        )

    def agrees(self, way: Callable[[], list[Tensor]], expected: Sequence[Tensor]) -> bool:
        """Whether a way of calling gives what is expected; one that fails does not."""
        try:
            results = way()
        except _FAILURES as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            return False
        return all(_near(one, two) for one, two in zip(results, expected, strict=True))

    def refuse_leak(self, start: Tensor, whole: Tensor) -> None:
        """Refuse a model for which what comes after the start makes another thing of it."""
        if not _near(start, whole[: len(start)], _LEAK):
            raise self.refuse("sees later tokens, so it would read the answers")

    def hooked_or_whole(self, way: Callable[[], list[Tensor]], expected: Sequence[Tensor]) -> bool:
        """Whether a way of calling is right with logits at chosen positions alone, or with all of them."""
        if self.agrees(way, expected):
            return True
        vars(self.model)[WHOLE_LOGITS] = True
        return self.agrees(way, expected)

    def alone(self, call: Callable[[], Any]) -> Tensor:
        """(T, words) Log-probabilities of one sequence by the family's own forward."""
        try:
            logits = call().logits
            if logits.ndim != 3 or logits.shape[0] != 1:
                raise ValueError(f"logits of shape {tuple(logits.shape)}")
        except _FAILURES as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            first = (str(error).splitlines() or [type(error).__name__])[0][:160]
            raise self.refuse(f"can't be asked with tokens alone ({first})") from error
        logprobs = _logprobs(logits[0].float())
        if logprobs.isnan().any():
            raise self.refuse("gives no numbers for a plain sequence of tokens")
        return logprobs


class _Decoder(_Trial):
    """A decoder-only model."""

    def batching(self) -> Batching:
        model = self.model
        sequences = [self.long, self.other, self.short]
        expected = [self._own(ids) for ids in sequences]
        self.refuse_leak(expected[0][:_SHARED], expected[1])
        if not self.hooked_or_whole(lambda: self._apart(sequences), expected):
            if not self.agrees(lambda: self._apart([self.long]), expected[:1]):
                raise self.refuse("computes another thing each time it is called")
            self.refuse_leak(self._own(self.long[:_SHORT]), expected[0])
            return "equal" if self.agrees(lambda: self._apart(sequences[:2]), expected[:2]) else "single"
        if "position_ids" in inspect.signature(model.forward).parameters and self.agrees(
            self._together, [*expected, expected[2]]
        ):
            return "together"
        return self._far_off()

    def _far_off(self) -> Batching:
        """Where more is computed at once from some length on (xLSTM), padding shows in longer sequences."""
        positions = positions_of(self.model) or _FAR
        ids = (self.long * _FAR)[: min(_FAR, positions)]
        some = ids[: len(ids) // 3]
        alone = self._own(some)
        if self.agrees(lambda: self._apart([some, ids])[:1], [alone]):
            return "padded"
        self.refuse_leak(alone, self._own(ids))
        return "equal"

    def _own(self, ids: Sequence[int]) -> Tensor:
        return self.alone(lambda: self.model(input_ids=self.tensor([ids]), **uncached(self.model)))

    def _apart(self, sequences: Sequence[Sequence[int]]) -> list[Tensor]:
        """A row a sequence."""
        return _at(self.model, [list(range(len(ids))) for ids in sequences], input_ids=self.tensor(sequences))

    def _together(self) -> list[Tensor]:
        """What two sequences share, what is their own, and a third in one row; beside it one that is padded."""
        other = self.other[_SHARED:]
        row = [*self.long, *other, *self.short]
        size = len(row)
        sees = torch.tril(torch.ones(2, size, size, dtype=torch.bool, device=self.model.device))
        sees[0, _LONG:, _SHARED:_LONG] = False
        sees[0, _LONG + len(other) :, : _LONG + len(other)] = False
        places = [*range(_LONG), *range(_SHARED, _SHARED + len(other)), *range(_SHORT)]
        whole, padded = _at(
            self.model,
            [list(range(size)), list(range(_SHORT))],
            input_ids=self.tensor([row, self.short]),
            position_ids=torch.tensor([places, list(range(size))], device=self.model.device),
            attention_mask=additive_mask(sees),
        )
        first, own, others, last = torch.split(whole, [_SHARED, _LONG - _SHARED, len(other), _SHORT])
        return [torch.cat([first, own]), torch.cat([first, others]), last, padded]


class _Halves(_Trial):
    """An encoder with a decoder."""

    def batching(self) -> Batching:
        model = self.model
        start = decoder_start(model)
        self.targets = [[start, *ids] for ids in (self.long[:-1], self.other[:-1], self.short[:-1])]
        pairs = [(self.long, self.targets[0]), (self.long, self.targets[1]), (self.short, self.targets[2])]
        expected = [self._own(*pair) for pair in pairs]
        self.refuse_leak(expected[0][: _SHARED + 1], expected[1])
        if not self.hooked_or_whole(lambda: self._apart(pairs), expected):
            if not self.agrees(lambda: self._apart(pairs[:1]), expected[:1]):
                raise self.refuse("computes another thing each time it is called")
            self.refuse_leak(self._own(self.long, self.targets[0][:_SHORT]), expected[0])
            return "single"
        if getattr(model.config, "expert_capacity", None) is not None:
            return "single"  # an expert takes so many tokens, whose ever they are (Switch, NLLB-MoE)
        if hasattr(model.config, "relative_attention_num_buckets") and self.agrees(self._together, expected):
            return "together"
        return "padded"

    def _own(self, source: Sequence[int], target: Sequence[int]) -> Tensor:
        inputs = {"input_ids": self.tensor([source]), "decoder_input_ids": self.tensor([target])}
        return self.alone(lambda: self.model(**inputs, **uncached(self.model)))

    def _apart(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[Tensor]:
        sources, targets = ([pair[half] for pair in pairs] for half in (0, 1))
        return _at(
            self.model,
            [list(range(len(ids))) for ids in targets],
            **encoded(self.model, sources),
            decoder_input_ids=self.tensor(targets),
        )

    def _together(self) -> list[Tensor]:
        first, second, third = self.targets
        row = [*first, *second]
        size = len(row)
        sees = torch.zeros(2, size, size, dtype=torch.bool, device=self.model.device)
        one = torch.ones(size, size, dtype=torch.bool, device=self.model.device).tril()
        sees[0, : len(first), : len(first)] = one[: len(first), : len(first)]
        sees[0, len(first) :, len(first) :] = one[: len(second), : len(second)]
        sees[1] = one
        logprobs = _at(
            self.model,
            [list(range(size)), list(range(len(third)))],
            **encoded(self.model, [self.long, self.short]),
            decoder_input_ids=self.tensor([row, third]),
            decoder_attention_mask=additive_mask(sees),
        )
        return [logprobs[0][: len(first)], logprobs[0][len(first) :], logprobs[1]]


def _at(model: Any, places: Sequence[Sequence[int]], **inputs: Any) -> list[Tensor]:
    """Log-probabilities at some places of each row."""
    sequences = [number for number, own in enumerate(places) for _ in own]
    tokens = [token for own in places for token in own]
    where = (torch.tensor(sequences, device=model.device), torch.tensor(tokens, device=model.device))
    logits = logits_at(model, where, **inputs)
    return list(torch.split(_logprobs(logits), [len(own) for own in places]))


def _logprobs(logits: Tensor) -> Tensor:
    """Log-probabilities among words spread over the vocabulary."""
    return logits[:, :: max(1, logits.shape[-1] // _WORDS)].log_softmax(-1)


def _near(one: Tensor, two: Tensor, nats: float = _NATS) -> bool:
    """Whether two (T, V) log-probabilities differ by rounding alone, row by row."""
    if one.shape != two.shape:
        return False
    spread = two.amax(-1) - two.amin(-1)
    return bool(((one - two).abs().amax(-1) <= (_RELATIVE * spread).clamp(min=nats)).all())
