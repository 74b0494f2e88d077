"""Is any evaluation row in the pretraining text? Looked up in the text itself, not promised by the generator.

The context of every evaluation row (its story, premise, sentence, question) is searched word for word, in any
place of any document; case and punctuation do not count, so a hit is found even where it crosses a sentence end.

Invariant: an empty `hits` means that no document read holds the words of any row's context in sequence.
Cost: 20 µs a document, besides making it. Rejected: comparing hashes of whole documents, which misses a premise
inside a longer story: exactly the leak that prototyping had.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from openflan_starter.rows import TASKS, context_of, rows

__all__ = ["EvaluationText", "Freshness", "StaleRow", "check_freshness", "evaluation_texts"]

_WORDS = re.compile(r"\w+")
_KEY = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationText:
    """What must be in no pretraining document."""

    task: str
    split: str
    row: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StaleRow:
    """An evaluation text found in a document."""

    row: EvaluationText
    document: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """What the check has seen."""

    documents: int
    texts: int
    hits: tuple[StaleRow, ...]


def evaluation_texts(
    tasks: Iterable[str] = TASKS, splits: Iterable[str] = ("validation", "test", "confirm")
) -> Iterator[EvaluationText]:
    """The contexts of the evaluation rows."""
    chosen = tuple(splits)
    for task in tasks:
        for split in chosen:
            for number, row in enumerate(rows(task, split)):
                yield EvaluationText(task=task, split=split, row=number, text=context_of(task, row))


def check_freshness(documents: Iterable[str], texts: Iterable[EvaluationText]) -> Freshness:
    """Search the documents for the texts."""
    by_start: dict[tuple[str, ...], list[tuple[list[str], EvaluationText]]] = defaultdict(list)
    n_texts = 0
    for wanted in texts:
        words = _WORDS.findall(wanted.text.lower())
        by_start[tuple(words[:_KEY])].append((words, wanted))
        n_texts += 1
    lengths = sorted({len(start) for start in by_start})
    hits: list[StaleRow] = []
    number = -1
    for number, document in enumerate(documents):
        words = _WORDS.findall(document.lower())
        for length in lengths:
            for i, start in enumerate(zip(*(words[j:] for j in range(length)), strict=False)):
                for sought, wanted in by_start.get(start, ()):
                    if words[i : i + len(sought)] == sought:
                        hits.append(StaleRow(row=wanted, document=number))
    return Freshness(documents=number + 1, texts=n_texts, hits=tuple(hits))
