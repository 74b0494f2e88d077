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

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from tokenizers import Tokenizer

from openflan.errors import UserError
from openflan.prompts.chat_frame import chat_frame
from openflan.prompts.render import Prompt
from openflan.prompts.text_format import TextFormat, TextFrame
from openflan.recipes.parts import PromptsPart
from openflan.stage import fingerprint_of

__all__ = ["Encoded", "EncoderRules", "TextEncoder"]

_NOT_ENOUGH = 16
"""Characters that a field must have to be worth cutting."""


_GUESSES = 8
"""How often the length of a cut is guessed anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """A prompt as tokens."""

    ids: list[int]
    """Input, then target where there is one."""
    target_start: int
    cut: bool
    """Whether input or target were too long and lost a part."""


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
    """Turns texts into token ids for one tokenizer and one format."""

    def __init__(self, rules: EncoderRules) -> None:
        part, self.frame = rules.part, rules.frame
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
        self._backend = Tokenizer.from_str(rules.vocabulary)
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True  # "</s>" in a row is text, not the end of it
        plain = () if self.eos is None else (self.eos,)
        about: list[Any] = [
            rules.vocabulary,
            self._before,
            self.eos,
            _settings(part),
            *([self._after] if self._after else []),
        ]
        if (self.frame.target_end, self.frame.stops, self.frame.stop_texts) != (plain, plain, ()):
            about.append([self.frame.target_end, sorted(self.frame.stops), self.frame.stop_texts])
        self.fingerprint = fingerprint_of(about)
        """Hash of the format and of the tokenizer's whole vocabulary and rules."""

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

    def prompts(self, prompts: Sequence[Prompt]) -> list[Encoded]:
        """Inputs and targets of prompts, for training: [BOS] input separator target EOS."""
        known = dict.fromkeys(prompt.target for prompt in prompts)  # a classification has few
        ids_of = dict(zip(known, self.raw(list(known)), strict=True))
        tail, room = self._target_end, self.part.max_target_tokens - len(self._target_end)
        encoded = []
        for prompt, source in zip(prompts, self.encode_inputs(prompts), strict=True):
            target = ids_of[prompt.target]
            ids, too_long = source.ids + target[:room] + tail, source.cut or len(target) > room
            encoded.append(Encoded(ids=ids, target_start=source.target_start, cut=too_long))
        return encoded

    def encode_inputs(self, prompts: Sequence[Prompt | str]) -> list[Encoded]:
        """Inputs with the separator, for asking: [BOS] text separator. Too long a plain text loses its middle."""
        texts = [prompt if isinstance(prompt, str) else prompt.input for prompt in prompts]
        room = self.part.max_input_tokens - self.frame.around
        encoded = []
        for prompt, text, ids in zip(prompts, texts, self.raw([text + self.separator for text in texts]), strict=True):
            cut = len(ids) > room
            fields = {} if isinstance(prompt, str) else prompt.fields
            whole = self._before + (self._shortened(text, ids, fields) if cut else ids) + self._after
            encoded.append(Encoded(ids=whole, target_start=len(whole), cut=cut))
        return encoded

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
        return max(self._backend.get_vocab(with_added_tokens=True).values())

    def words(self, ids: Sequence[int]) -> list[str]:
        """Tokens as the vocabulary spells them."""
        return [self._backend.id_to_token(token) or "?" for token in ids]

    def raw(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts alone: nothing before, nothing after, nothing cut."""
        if not texts:
            return []
        return [encoding.ids for encoding in self._backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def _shortened(self, text: str, ids: list[int], fields: Mapping[str, Any]) -> list[int]:
        """An input's tokens without the end of its longest field, or without its middle where that is not enough.

        How many characters must go is guessed from the tokens that are too many, and guessed again until it fits.
        """
        limit = self.part.max_input_tokens - self.frame.around
        whole = text + self.separator
        for start, stop in _spans(text, fields):
            kept, size = whole, len(ids)
            gone = 0
            for _ in range(_GUESSES):
                gone += max(1, -(-(size - limit) * len(kept) // size))
                if gone >= stop - start:
                    break
                kept = whole[: stop - gone] + whole[stop:]
                shorter = self._one(kept)
                size = len(shorter)
                if size <= limit:
                    return shorter
        return _cut_middle(ids, limit)

    def _one(self, text: str) -> list[int]:
        ids: list[int] = self._backend.encode_batch_fast([text], add_special_tokens=False)[0].ids
        return ids


def _check_room(setting: str, limit: int, needed: int) -> None:
    if limit < needed:
        what = f"is {limit}, and what stands around every text takes {needed} tokens"
        raise UserError(what, where=setting, how="raise it")


def _spans(text: str, fields: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Where a row's texts stand in an input, the longest first."""
    texts = [value.strip() for value in fields.values() if isinstance(value, str) and len(value) >= _NOT_ENOUGH]
    for value in sorted(texts, key=len, reverse=True):
        start = text.rfind(value)
        if start >= 0:
            yield start, start + len(value)


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


def _cut_middle(ids: list[int], limit: int) -> list[int]:
    """Keep a third of the room for the start and the rest for the end; [0..9] at 6 gives [0, 1, 6, 7, 8, 9]."""
    head = limit // 3
    return ids[:head] + ids[len(ids) - (limit - head) :]
