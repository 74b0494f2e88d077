"""Steps for questions with answers of several kinds (DROP, TriviaQA, SQuAD 2)."""

import re
from typing import Any

from openflan.tasks.rows.registry import Row, step

_UNANSWERABLE = "unanswerable"
_SPAN = {"span", "spans"}
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[?!.,;:](?:\s|\Z))")
_AFTER_LAST_QUESTION_MARK = re.compile(r"(?<=\?)[\s,;:]+\Z")


@step
def spans_as_answers(row: Row) -> Row:
    """Add `answers`, the accepted texts; several spans are also, and first of all, one answer with commas (DROP).

    The hub lists the parts of one answer and the answers of several annotators alike. Training rows have one
    annotator, so there the joined text is right; of test rows each single text counts too, unless the row says
    `spans`, parts of one answer.
    """
    spans, types = row["answers_spans"]["spans"], row["answers_spans"]["types"]
    texts = _different(spans)
    if len(texts) > 1 and set(types) <= _SPAN:
        joined = ", ".join(texts)
        return {**row, "answers": [joined] if "spans" in types else [joined, *texts]}
    return {**row, "answers": texts}


@step
def aliases_as_answers(row: Row) -> Row:
    """Add `answers`, the normalised value and then every normalised alias (TriviaQA)."""
    answer = row["answer"]
    return {**row, "answers": _different([answer["normalized_value"], *answer["normalized_aliases"]])}


@step
def close_up_question(row: Row) -> Row:
    """Mend the spacing of a question: single spaces, none before its marks, nothing after the last (TriviaQA)."""
    question = _SPACE_BEFORE_MARK.sub("", " ".join(row["question"].split()))
    return {**row, "question": _AFTER_LAST_QUESTION_MARK.sub("", question)}


@step
def empty_answers_to_unanswerable(row: Row) -> Row:
    """Give a question without answers the answer `unanswerable` (SQuAD 2)."""
    if row["answers"]["text"]:
        return row
    return {**row, "answers": {**row["answers"], "text": [_UNANSWERABLE]}}


def _different(texts: list[Any]) -> list[str]:
    """The texts in their order, without blank ones and repetitions."""
    return list(dict.fromkeys(stripped for text in texts if (stripped := str(text or "").strip())))
