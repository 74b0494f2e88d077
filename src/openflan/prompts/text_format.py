"""The text format of a model: how a question becomes tokens, and how an answer ends. One record, one file.

    <model>/openflan.json   what a model was tuned in, and what it is asked in
    <mixture>/lock.json     the same record of the tuning set

A fact is looked at once, in the tokenizer, the model's configuration and its chat template, and kept: a template that
says the date says the day of tuning ever after. Every later stage is held against the record.

Invariant: equal records give equal tokens for equal texts. Rejected: asking tokenizer and template anew at each stage,
which on another day gives another prompt than the model was tuned on.
"""

from pathlib import Path
from typing import ClassVar

from openflan.errors import UserError
from openflan.recipes.parts import PromptsPart
from openflan.records import FileRecord, Record, read_record, write_record

__all__ = ["TextFormat", "TextFrame", "hold_to", "read_text_format", "write_text_format"]

_FILE = "openflan.json"


class TextFrame(Record):
    """Token ids around an input and after a target."""

    before: tuple[int, ...] = ()
    """BOS, where the tokenizer's rule starts a text with it; what a chat template puts before a user's turn."""
    after: tuple[int, ...] = ()
    """EOS, where the model's encoder is used to texts that end with it (T5); what a chat template puts after a turn."""
    target_end: tuple[int, ...] = ()
    """What ends a target."""
    stops: tuple[int, ...] = ()
    """Ids of which any one ends an answer that is generated."""
    stop_texts: tuple[str, ...] = ()
    """Words that end one, where a chat template ends answers with words."""
    template: str | None = None
    """Hash of the chat template that this was rendered from."""

    @property
    def around(self) -> int:
        """Tokens that every input has besides its text."""
        return len(self.before) + len(self.after)


class TextFormat(FileRecord):
    """What `openflan.json` holds.

    A base model's names the settings alone, or frame and tokenizer too, so that they need not be looked at again; it
    has no `encoder`, and nothing is held against it.
    """

    VERSION: ClassVar[int] = 1

    prompts: PromptsPart
    """How rows become texts, as a recipe names it."""
    frame: TextFrame | None = None
    tokenizer: str | None = None
    """Hash of the tokenizer's vocabulary and rules."""
    encoder: str | None = None
    """Hash of settings, frame and tokenizer together."""
    ends: bool = False
    """Whether the model is known to end an answer so: it was tuned on such targets."""


def read_text_format(model: Path) -> TextFormat | None:
    """The record in a model's folder; None where there is none.

    Raises:
        UserError: it is damaged or of another version.
    """
    path = model / _FILE
    how = "put back the file that came with the model, or tune it again"
    return read_record(path, TextFormat, what="text format", how=how) if path.is_file() else None


def write_text_format(model: Path, record: TextFormat) -> None:
    """Write the record into a model's folder."""
    write_record(model / _FILE, record)


def hold_to(record: TextFormat | None, format_: TextFormat, *, where: Path) -> None:
    """See to it that a model was tuned in the text format that it is to be asked in.

    Args:
        record: the model's own.
        where: its folder.

    Raises:
        UserError: it was not; what differs is named.
    """
    if record is not None and record.encoder == format_.encoder:
        return
    differing = ["there is no record of it"] if record is None else _differing(record, format_)
    what = f"the model was tuned in another text format than it would be asked in ({'; '.join(differing)})"
    raise UserError(what, where=str(where), how="remove the run folder and run the recipe again")


def _differing(one: TextFormat, other: TextFormat) -> list[str]:
    """What two formats differ in, in words."""
    settings, others = one.prompts.model_dump(), other.prompts.model_dump()
    named = [
        f"prompts.{name} {settings[name]!r}, not {others[name]!r}"
        for name in settings
        if settings[name] != others[name]
    ]
    frame, other_frame = one.frame or TextFrame(), other.frame or TextFrame()
    parts = {"before": "what stands before an input", "after": "what follows it", "target_end": "the end of a target"}
    parts |= {"stops": "the tokens that end an answer", "stop_texts": "the words that end an answer"}
    named += [words for part, words in parts.items() if getattr(frame, part) != getattr(other_frame, part)]
    return [*named, *(["the tokenizer"] if one.tokenizer != other.tokenizer else [])]
