"""One encoder of text: the only place where prompts become tokens.

Training, scoring, generation and `ask` all call `TextEncoder`, so a model is asked as it was taught. Input and
target are tokenised apart, the separator belongs to the input, and EOS ends the target; no token can span the
join, whatever the tokenizer. Too long an input loses the end of its longest field (the passage, the article), so that
instruction, question and options stay.

Invariant: encoder.inputs(x) + encoder.targets(y) are the tokens of (x, y) in every stage; `fingerprint` tells two
formats apart and travels with token store, checkpoint and results. Cost: the tokenizer's own.
Rejected: tokenising input and target jointly and cutting by length, where a token that spans the join makes the
answer empty (a long-standing failure of evaluation harnesses).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from openflan.errors import UserError
from openflan.prompts.chat_frame import chat_frame
from openflan.prompts.cutting import shortened, spans_of
from openflan.prompts.engines import EngineComparison, FastEngine, FoundEngine, TokenRuns, find_engine, joined
from openflan.prompts.render import Prompt
from openflan.prompts.text_format import TextFormat, TextFrame
from openflan.recipes.parts import PromptsPart
from openflan.stage import fingerprint_of

__all__ = ["Encoded", "EncodedPrompts", "EncoderRules", "TextEncoder"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """A prompt as tokens."""

    ids: list[int]
    """Input, then target where there is one."""
    target_start: int
    cut: bool
    """Whether input or target were too long and lost a part."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EncodedPrompts:
    """Prompts as tokens, end to end."""

    tokens: TokenRuns
    target_start: NDArray[np.int64]
    """Tokens of each input."""
    cut: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderRules:
    """All that a text encoder is made of, as plain data that can be sent to another process."""

    vocabulary: str
    """The fast tokenizer's own JSON."""
    frame: TextFrame
    part: PromptsPart
    ends: bool = False
    """Whether the model is known to end an answer as targets end: it was tuned so."""

    @property
    def tokenizer(self) -> str:
        """Hash of the tokenizer's vocabulary and rules."""
        return fingerprint_of(self.vocabulary)

    @classmethod
    def of(
        cls, tokenizer: Any, part: PromptsPart, *, two_texts: bool = False, ends: Collection[int] = ()
    ) -> "EncoderRules":
        """The rules of a fast transformers tokenizer.

        Args:
            two_texts: whether input and target are texts of their own, as an encoder-decoder model has them.
            ends: token ids that the model's configuration names as ends of a text.

        Raises:
            UserError: chat is wanted and the tokenizer has no template for it.
        """
        vocabulary = tokenizer.backend_tokenizer.to_str()
        eos: tuple[int, ...] = () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
        stops = dict.fromkeys([*eos, *ends])
        if part.chat:
            chat = chat_frame(tokenizer, ends=stops)
            target_end = chat.end if chat.end and chat.end_text is None else (*chat.end, *eos)
            frame = TextFrame(
                before=chat.before,
                after=chat.after,
                target_end=target_end,
                stops=tuple(dict.fromkeys([*stops, *target_end[-1:]])),
                stop_texts=() if chat.end_text is None else (chat.end_text,),
                template=fingerprint_of(tokenizer.chat_template),
            )
            return cls(vocabulary=vocabulary, frame=frame, part=part, ends=chat.end != ())
        stops |= dict.fromkeys(_end_of_turn(tokenizer, stops))
        bos, added = tokenizer.bos_token_id, _adds(tokenizer)
        frame = TextFrame(
            before=(bos,) if bos is not None and added[0] == bos else (),
            after=eos if two_texts and added[-1] == tokenizer.eos_token_id else (),
            target_end=eos,
            stops=tuple(stops),
        )
        return cls(vocabulary=vocabulary, frame=frame, part=part, ends=frame.after != ())


class TextEncoder:
    """Turns texts into token ids for one tokenizer and one format.

    Args:
        backend: the tokenizer of the rules' vocabulary, where it is in memory and nobody else uses it; a large
            vocabulary takes a second to be read anew.
    """

    def __init__(self, rules: EncoderRules, *, backend: Tokenizer | None = None) -> None:
        part, self.frame = rules.part, rules.frame
        self._read = backend
        self.rules = rules
        self.part = part
        """The settings of the format."""
        self.separator = "" if part.chat else part.separator
        """What an input ends with."""
        self._before = list(self.frame.before)
        self._after = list(self.frame.after)
        self._target_end = list(self.frame.target_end)
        _check_room("prompts.max_input_tokens", part.max_input_tokens, self.frame.around + 1)
        _check_room("prompts.max_target_tokens", part.max_target_tokens, len(self._target_end))
        self._fast: FastEngine | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the format and of the tokenizer's whole vocabulary and rules."""
        frame, plain = self.frame, () if self.eos is None else (self.eos,)
        about: list[Any] = [self.rules.vocabulary, self._before, self.eos, _settings(self.part)]
        if self._after:
            about.append(self._after)
        if (frame.target_end, frame.stops, frame.stop_texts) != (plain, plain, ()):
            about.append([frame.target_end, sorted(frame.stops), frame.stop_texts])
        return fingerprint_of(about)

    @cached_property
    def _backend(self) -> Any:
        backend: Any = self._read or Tokenizer.from_str(self.rules.vocabulary)
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True  # "</s>" in a row is text, not the end of it
        return backend

    @cached_property
    def _faster(self) -> FoundEngine:
        return find_engine(self.rules.vocabulary)

    @property
    def source(self) -> str:
        """Hash of what the format is made from; unlike its own, the same on a day when a chat template says another
        date."""
        if self.frame.template is None:
            return self.fingerprint
        return fingerprint_of([self.rules.tokenizer, _settings(self.part), self.frame.template, self.frame.stops])

    @classmethod
    def of(cls, tokenizer: Any, part: PromptsPart) -> "TextEncoder":
        """The encoder of a fast transformers tokenizer.

        Raises:
            UserError: chat is wanted and the tokenizer has no template for it.
        """
        return cls(EncoderRules.of(tokenizer, part))

    @classmethod
    def recorded(cls, folder: Path, part: PromptsPart, record: TextFormat) -> "TextEncoder | None":
        """The encoder that a model's record and tokenizer file make, without transformers, which takes seconds to
        import; None where the record does not say all, or is of another tokenizer.

        Args:
            folder: the model's.
            part: the settings of the format.
            record: the format that the model was tuned in.
        """
        file = folder / "tokenizer.json"
        if record.frame is None or record.prompts.chat != part.chat or not file.is_file():
            return None
        try:
            backend = Tokenizer.from_file(str(file))
        except Exception:  # tokenizers knows no other; transformers says what is wrong
            return None
        rules = EncoderRules(vocabulary=backend.to_str(), frame=record.frame, part=part, ends=record.ends)
        return cls(rules, backend=backend) if rules.tokenizer == record.tokenizer else None

    @property
    def eos(self) -> int | None:
        """The last of the tokens that end a target."""
        return self._target_end[-1] if self._target_end else None

    @property
    def format(self) -> TextFormat:
        """The record of this format, as it is kept beside a model."""
        return TextFormat(
            prompts=self.part,
            frame=self.frame,
            tokenizer=self.rules.tokenizer,
            encoder=self.fingerprint,
            ends=self.rules.ends,
        )

    def changed(self, **rules: Any) -> "TextEncoder":
        """The same vocabulary under other rules."""
        return TextEncoder(replace(self.rules, **rules), backend=self._backend)

    def compare_engines(self, texts: Sequence[str]) -> EngineComparison:
        """Encode texts by `tokenizers` and by the faster engine, and count those that become other tokens."""
        if self._faster.engine is None:
            return EngineComparison(name=self._faster.name, refused=self._faster.refused)
        before, by_engine = self._fast, []
        for engine in (None, self._faster.engine):
            self._fast = engine
            by_engine.append(self.raw(texts))
        self._fast = before
        differ = sum(one != other for one, other in zip(*by_engine, strict=True))
        return EngineComparison(name=self._faster.name, texts=len(texts), differ=differ)

    def load_fast_engine(self) -> None:
        """Have the faster engine, if there is one, read the vocabulary now and not when it is first needed."""
        _ = self._faster

    def use(self, *, fast: bool) -> None:
        """Encode by the faster engine, where it is there, from now on, or by `tokenizers`."""
        self._fast = self._faster.engine if fast else None

    def prompts(self, prompts: Sequence[Prompt]) -> list[Encoded]:
        """Inputs and targets of prompts, for training: [BOS] input separator target EOS."""
        every = self.encode_prompts(prompts)
        facts = zip(every.tokens.lists(), every.target_start.tolist(), every.cut.tolist(), strict=True)
        return [Encoded(ids=ids, target_start=start, cut=cut) for ids, start, cut in facts]

    def encode_prompts(self, prompts: Sequence[Prompt]) -> EncodedPrompts:
        """The same as arrays, for many."""
        inputs, cut = self._fitting(prompts)
        numbers: dict[str, int] = {}  # a classification has few targets
        of_target = np.array([numbers.setdefault(prompt.target, len(numbers)) for prompt in prompts], dtype=np.int64)
        targets = self._runs(list(numbers))
        room = self.part.max_target_tokens - len(self._target_end)
        every, same = np.arange(len(prompts)), np.zeros(len(prompts), dtype=np.int64)
        around = [TokenRuns.of([ids]) for ids in (self._before, self._after, self._target_end)]
        parts = [(around[0], same), (inputs, every), (around[1], same), (targets.clipped(room), of_target)]
        return EncodedPrompts(
            tokens=joined([*parts, (around[2], same)]),
            target_start=inputs.sizes + self.frame.around,
            cut=cut | (targets.sizes > room)[of_target],
        )

    def encode_inputs(
        self, prompts: Sequence[Prompt | str], *, fields: Mapping[str, Any] | None = None
    ) -> list[Encoded]:
        """Inputs with the separator, for asking: [BOS] text separator. Too long a plain text loses its middle.

        Args:
            prompts: rendered, or plain texts.
            fields: the row that plain texts were made from, whose longest field is cut instead.
        """
        inputs, cut = self._fitting(prompts, fields or {})
        whole = [self._before + ids + self._after for ids in inputs.lists()]
        return [Encoded(ids=ids, target_start=len(ids), cut=one) for ids, one in zip(whole, cut.tolist(), strict=True)]

    def _fitting(
        self, prompts: Sequence[Prompt | str], of_texts: Mapping[str, Any] | None = None
    ) -> tuple[TokenRuns, NDArray[np.bool_]]:
        """Inputs with the separator that are no longer than they may be, and which of them lost a part for it."""
        texts = [(prompt if isinstance(prompt, str) else prompt.input) + self.separator for prompt in prompts]
        inputs = self._runs(texts)
        limit = self.part.max_input_tokens - self.frame.around
        cut = inputs.sizes > limit
        shorter = {}
        for place in np.flatnonzero(cut).tolist():
            prompt = prompts[place]
            fields = (of_texts or {}) if isinstance(prompt, str) else prompt.fields
            body = texts[place].removesuffix(self.separator)
            spans = spans_of(body, fields)
            shorter[place] = shortened(texts[place], inputs.one(place), spans, limit=limit, encode=self._one)
        return inputs.replaced(shorter), cut

    def _one(self, text: str) -> list[int]:
        return self.raw([text])[0]

    def inputs(self, prompts: Sequence[Prompt | str]) -> list[list[int]]:
        """Token ids of inputs alone."""
        return [encoded.ids for encoded in self.encode_inputs(prompts)]

    def targets(self, texts: Sequence[str], *, end: bool = True) -> list[list[int]]:
        """Token ids of target texts, with what ends a target where `end`; cut at the end where too long."""
        tail = self._target_end if end else []
        limit = self.part.max_target_tokens - len(tail)
        return [ids[:limit] + tail for ids in self.raw(texts)]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has on its own."""
        return [len(ids) for ids in self.raw(texts)]

    def answer(self, ids: Sequence[int]) -> list[int]:
        """Generated token ids as far as the first that ends an answer."""
        ends = {*self.frame.stops}
        return list(takewhile(lambda token: token not in ends, ids))

    def text(self, ids: Sequence[int], *, strip: bool = True) -> str:
        """Generated token ids as text."""
        text = str(self._backend.decode(list(ids), skip_special_tokens=True))
        return text.strip() if strip else text

    @property
    def largest(self) -> int:
        """The largest token id there is."""
        size = int(self._backend.get_vocab_size(with_added_tokens=True))
        if all(map(self._backend.id_to_token, range(size))):
            return size - 1  # so many tokens, and no id is left over: half the time of a dictionary of them
        return int(max(self._backend.get_vocab(with_added_tokens=True).values()))

    def words(self, ids: Sequence[int]) -> list[str]:
        """Tokens as the vocabulary spells them."""
        return [self._backend.id_to_token(token) or "?" for token in ids]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text that each token adds; a token that ends within a character adds none, the one after it all of it."""
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(skip_special_tokens=False)
        return [stream.step(self._backend, token) or "" for token in ids]

    def raw(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts alone: nothing before, nothing after, nothing cut."""
        if self._fast is not None:
            return self._runs(texts).lists()
        if not texts:
            return []
        return [encoding.ids for encoding in self._backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def _runs(self, texts: Sequence[str]) -> TokenRuns:
        """The same, end to end."""
        if self._fast is None:
            return TokenRuns.of(self.raw(texts))
        runs, unsafe = self._fast.runs(texts)
        if not unsafe:
            return runs
        rightly = self._backend.encode_batch_fast([texts[place] for place in unsafe], add_special_tokens=False)
        return runs.replaced({place: one.ids for place, one in zip(unsafe, rightly, strict=True)})


def _check_room(setting: str, limit: int, needed: int) -> None:
    if limit < needed:
        what = f"is {limit}, and what stands around every text takes {needed} tokens"
        raise UserError(what, where=setting, how="raise it")


def _settings(part: PromptsPart) -> dict[str, Any]:
    """The settings that decide how a text becomes tokens; what the text is (styles) is told by the prompts."""
    return part.model_dump(mode="json", include={"separator", "chat", "max_input_tokens", "max_target_tokens"})


def _end_of_turn(tokenizer: Any, ends: Collection[int]) -> tuple[int, ...]:
    """The token by which a model for chat ends a turn, also where it is asked without its template."""
    if not getattr(tokenizer, "chat_template", None):
        return ()
    try:
        chat = chat_frame(tokenizer, ends=ends)
    except UserError:  # whoever asks through the template is told
        return ()
    return chat.end[-1:] if chat.end_text is None else ()


def _adds(tokenizer: Any) -> list[int]:
    """A short text by the tokenizer's own rule, with what that puts before and after."""
    ids: list[int] = tokenizer("a")["input_ids"]
    return ids or [-1]
