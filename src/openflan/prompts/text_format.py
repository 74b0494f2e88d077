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

from openflan.recipes.parts import PromptsPart
from openflan.records import FileRecord, Record, read_record, write_record

__all__ = ["Frame", "TextFormat", "read_text_format", "write_text_format"]

_FILE = "openflan.json"


class Frame(Record):
    """Token ids around an input and after a target."""

    before: tuple[int, ...] = ()
    """BOS, where the tokenizer's rule starts a text with it; what a chat template puts before a user's turn."""
    after: tuple[int, ...] = ()
    """EOS, where the model's encoder is used to texts that end with it (T5); what a chat template puts after a turn."""
    target_end: tuple[int, ...] = ()
    """What ends a target."""
    stops: tuple[int, ...] = ()
    """Ids of which any one ends an answer that is generated."""

    @property
    def around(self) -> int:
        """Tokens that every input has besides its text."""
        return len(self.before) + len(self.after)


class TextFormat(FileRecord):
    """What `openflan.json` holds. A base model's may name the settings alone."""

    VERSION: ClassVar[int] = 1

    prompts: PromptsPart
    """How rows become texts, as a recipe names it."""
    frame: Frame | None = None
    tokenizer: str | None = None
    """Hash of the tokenizer's vocabulary and rules."""
    encoder: str | None = None
    """Hash of settings, frame and tokenizer together."""


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
