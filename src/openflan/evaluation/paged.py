"""Stored answers without their texts: one task's file as a few short columns, and single answers fetched by place.

A file may hold millions of answers, whose prompts are most of it. What answers are looked for by (right or wrong, how
sure, what others say) is read first, in batches and without texts; the texts of the few that are looked at, after.

Invariant: what is fetched is what `read_answers` reads. Cost: 20 bytes an answer kept; 1 s for a million answers, and
20 ms to fetch twenty of them. Rejected: a table of all answers in memory, 2 kB each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.errors import UserError
from openflan.evaluation.answer_files import answers_of, reading
from openflan.evaluation.answered import Answered, rescored
from openflan.evaluation.arrow_numbers import numbers
from openflan.evaluation.calibration import option_probabilities
from openflan.evaluation.scores import Ends, Score
from openflan.prompts.render import BASELINE

__all__ = ["NO_TEMPLATE", "AnswerColumns", "answer_columns", "fetch_answers"]

NO_TEMPLATE = -1
"""Stands for the baseline where templates are numbers."""
_BATCH = 8_192
_SPLITS = {"test": 0, "validation": 1, "content_free": 2}
_COLUMNS = ("row", "template", "turn", "split", "kind", "value", "answer", "score", "rule")


@dataclass(frozen=True, kw_only=True, eq=False)
class AnswerColumns:
    """One task's answers to test rows, in the order of the file."""

    task: str
    place: NDArray[np.int64]
    """Of each in the file."""
    row: NDArray[np.int64]
    template: NDArray[np.int32]
    """`NO_TEMPLATE` is the baseline."""
    turn: NDArray[np.int16]
    value: NDArray[np.float32]
    ranked: NDArray[np.bool_]
    margin: NDArray[np.float32]
    """How far the likeliest option is ahead of the next, in probability; NaN where the answer was written."""
    answer: NDArray[np.int32]
    """A number for each different answer; of written answers, 1 where it scored a half or more."""

    @property
    def key(self) -> NDArray[np.int64]:
        """What tells a prompt from all others of the task."""
        key: NDArray[np.int64] = (self.row * 65_536 + self.template + 1) * 64 + self.turn
        return key


@lru_cache(maxsize=256)
def _kept(path: Path, _stamp: tuple[int, int], score: Score, ends: Ends) -> AnswerColumns:
    import pyarrow.parquet as pq

    with reading(path) as noise:
        file = pq.ParquetFile(path)
        columns = [*_COLUMNS, f"scores_{score}"]
        parts = [_columns(batch, score) for batch in file.iter_batches(_BATCH, columns=columns)]
        other = any(part.pop("other") for part in parts)
        if other or ends != "as_tuned":  # they were decided by another rule than is asked for
            parts = [
                _decided(rescored(answers_of(batch), score, noise=noise, ends=ends), score)
                for batch in file.iter_batches(_BATCH)
            ]
    if not parts:
        raise UserError("holds no answer", where=str(path), how="delete this file and measure again")
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    words: dict[str, int] = {}
    answers = np.array([words.setdefault(word, len(words)) for word in whole["answer"].tolist()], dtype=np.int32)
    tested = whole["split"] == _SPLITS["test"]
    ranked = whole["ranked"][tested]
    value = whole["value"][tested].astype(np.float32)
    return AnswerColumns(
        task=path.stem,
        place=np.flatnonzero(tested),
        row=whole["row"][tested],
        template=whole["template"][tested].astype(np.int32),
        turn=whole["turn"][tested].astype(np.int16),
        value=value,
        ranked=ranked,
        margin=whole["margin"][tested].astype(np.float32),
        answer=np.where(ranked, answers[tested], (value >= 0.5).astype(np.int32)),
    )


def answer_columns(path: Path, *, score: Score, ends: Ends) -> AnswerColumns:
    """A task's answers to test rows without their texts; kept for the next call as long as the file is the same.

    Args:
        score: decide ranked answers by this normalisation.
        ends: and count the end of an answer so.

    Raises:
        UserError: there is no such file, it is damaged, or of another version.
    """
    try:
        stat = path.stat()
    except OSError:
        raise UserError("no answers there", where=str(path), how="choose a task that was asked") from None
    return _kept(path, (stat.st_mtime_ns, stat.st_size), score, ends)


def fetch_answers(path: Path, places: Sequence[int], *, score: Score, ends: Ends) -> list[Answered]:
    """The answers at some places of a file, in their order.

    Args:
        score: as for `answer_columns`.
        ends: as for `answer_columns`.

    Raises:
        UserError: the file is damaged, or of another version.
    """
    import pyarrow.parquet as pq

    wanted = sorted(set(places))
    by_place: dict[int, Answered] = {}
    with reading(path) as noise:
        file = pq.ParquetFile(path)
        first = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            here = [place for place in wanted if first <= place < first + size]
            if here:
                rows = file.read_row_group(group).take([place - first for place in here])
                answers = rescored(answers_of(rows), score, noise=noise, ends=ends)
                by_place.update(zip(here, answers, strict=True))
            first += size
    return [by_place[place] for place in places]


def _columns(batch: Any, score: Score) -> dict[str, Any]:
    """A batch as arrays."""

    def texts(name: str) -> NDArray[np.object_]:
        return np.array(batch.column(name).to_pylist(), dtype=object)

    ranked = texts("kind") == "ranked"
    split = np.array([_SPLITS.get(word, 0) for word in batch.column("split").to_pylist()], dtype=np.int8)
    return {
        "row": numbers(batch.column("row")),
        "template": np.nan_to_num(numbers(batch.column("template")), nan=NO_TEMPLATE),
        "turn": numbers(batch.column("turn")),
        "split": split,
        "ranked": ranked,
        "value": numbers(batch.column("value")),
        "answer": texts("answer"),
        "margin": _margins(batch.column(f"scores_{score}")),
        "other": bool((ranked & (texts("score") != score)).any()),
    }


def _decided(answers: Sequence[Answered], score: Score) -> dict[str, Any]:
    """The same of answers that were decided anew."""
    margins = []
    for answer in answers:
        best = sorted(option_probabilities(answer, score), reverse=True)
        margins.append(best[0] - best[1] if len(best) > 1 else np.nan)
    return {
        "row": np.array([answer.row for answer in answers], dtype=np.int64),
        "template": np.array([_number(answer) for answer in answers], dtype=np.int64),
        "turn": np.array([answer.turn for answer in answers], dtype=np.int64),
        "split": np.array([_SPLITS.get(answer.split, 0) for answer in answers], dtype=np.int8),
        "ranked": np.array([answer.kind == "ranked" for answer in answers], dtype=bool),
        "value": np.array([answer.value for answer in answers]),
        "answer": np.array([answer.answer for answer in answers], dtype=object),
        "margin": np.array(margins),
    }


def _number(answer: Answered) -> int:
    return NO_TEMPLATE if answer.template == BASELINE else answer.template


def _margins(scores: Any) -> NDArray[np.float64]:
    """Of lists of option scores, the likeliest option's probability less the next one's; NaN where there are none."""
    values = numbers(scores.flatten())
    sizes = numbers(scores.value_lengths()).astype(np.int64)
    margins = np.full(len(sizes), np.nan)
    some = sizes > 1
    if not some.any():
        return margins
    inside = np.repeat(some, sizes)
    values, sizes = values[inside], sizes[some]
    first = np.cumsum(sizes) - sizes
    best = np.maximum.reduceat(values, first)
    weights = np.exp(values - np.repeat(best, sizes))
    places = np.arange(len(values))
    likeliest = np.minimum.reduceat(np.where(weights == 1.0, places, len(values)), first)
    others = weights.copy()
    others[likeliest] = 0.0
    margins[some] = (1.0 - np.maximum.reduceat(others, first)) / np.add.reduceat(weights, first)
    return margins
