"""What a model reads of a prompt, token by token, without the model: a tokenizer and a text format are enough.

    reader = PromptReader("starter")
    read = reader.read(openflan.Tasks()["rte"].prompts()[0])

Invariant: the tokens that are not cut are those that training takes of the same prompt in the same format. Cost: the
tokenizer is loaded once, in hundredths of a second where the model's record names it (the starter, all that openflan
tuned), else with transformers' import some 3 s; a prompt takes a millisecond.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from openflan.evaluation.model import format_of, source_of
from openflan.models.load import load_encoder
from openflan.prompts.cutting import lost_part
from openflan.prompts.render import Prompt

__all__ = ["PromptReader", "ReadPrompt", "ReadToken"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadToken:
    """A token of a prompt."""

    id: int
    text: str
    """The text that it adds; empty where it ends within a character."""
    part: Literal["frame", "input", "target"]
    """What it belongs to; the frame stands around every text (begin, end, the roles of a chat)."""
    learnt: bool
    """Whether the loss counts it: the target and what ends it. The input is masked."""
    cut: bool
    """Whether the model does not get it, for the text is too long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadPrompt:
    """A prompt and its target as tokens."""

    tokens: tuple[ReadToken, ...]
    """All in order, those that are cut where they stood."""
    target_start: int
    """Place of the first token after the input."""
    input_tokens: int
    """Of the whole input with its frame, before anything is cut."""
    input_limit: int
    target_tokens: int
    """Of the whole target with what ends it."""
    target_limit: int

    @property
    def cut(self) -> bool:
        """Whether something is cut."""
        return any(token.cut for token in self.tokens)


class PromptReader:
    """A tokenizer and a text format, to see prompts as a model would; no weights are read.

    Args:
        name: whose, as for `Model`.
        prompts: settings of the text format that are to differ, as for `Model`.

    Raises:
        UserError: as `Model`.
    """

    def __init__(self, name: str | Path = "starter", *, prompts: Mapping[str, Any] | None = None) -> None:
        self.name: str = str(name)
        """As it was named."""
        source = source_of(self.name)
        part, tokenizer = format_of(source, source.positions, changes=prompts, in_chat=True)
        self._encoder = load_encoder(source, part, tokenizer=tokenizer)

    def read(self, prompt: Prompt) -> ReadPrompt:
        """The tokens of a prompt and its target, with what is masked, learnt and cut.

        Args:
            prompt: one of `Task.prompts`.
        """
        encoder, part = self._encoder, self._encoder.part
        before, after, end = (
            list(ids) for ids in (encoder.frame.before, encoder.frame.after, encoder.frame.target_end)
        )
        text = prompt.input + encoder.separator
        whole, target = encoder.raw([text, prompt.target])
        cut = encoder.inputs([prompt])[0][len(before) :]
        cut = cut[: len(cut) - len(after)]
        start, end_of_lost = lost_part(whole, cut)
        lost, rest = whole[start:end_of_lost], whole[end_of_lost:]
        instead = cut[start : len(cut) - len(rest)]
        room = part.max_target_tokens - len(end)
        tokens = [
            *self._tokens(before, "frame"),
            *self._tokens(whole[:start], "input"),
            *self._tokens(lost, "input", cut=True),
            *self._tokens(instead, "input"),
            *self._tokens(rest, "input"),
            *self._tokens(after, "frame"),
        ]
        target_start = len(tokens)
        tokens += [
            *self._tokens(target[:room], "target", learnt=True),
            *self._tokens(target[room:], "target", cut=True),
            *self._tokens(end, "frame", learnt=True),
        ]
        return ReadPrompt(
            tokens=tuple(tokens),
            target_start=target_start,
            input_tokens=len(before) + len(whole) + len(after),
            input_limit=part.max_input_tokens,
            target_tokens=len(target) + len(end),
            target_limit=part.max_target_tokens,
        )

    def _tokens(
        self, ids: Sequence[int], part: Literal["frame", "input", "target"], *, learnt: bool = False, cut: bool = False
    ) -> list[ReadToken]:
        texts = self._encoder.pieces(ids) if ids else []
        return [
            ReadToken(id=token, text=text, part=part, learnt=learnt, cut=cut)
            for token, text in zip(ids, texts, strict=True)
        ]

    def __repr__(self) -> str:
        return f"PromptReader({self.name!r})"
