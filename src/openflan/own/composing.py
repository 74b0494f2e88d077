"""Tables whose answer is written: a question's answer, a span of a passage, a summary, a translation, a text from data.

Which of two texts is the answer shows in what they are: a question is answered, a short text that the long one covers
sums it up, a list of words or facts becomes a sentence, two languages are translations. Where both directions make
sense it is asked.

Invariant: an answer is never a question part as well. Cost: milliseconds, two seconds once where a language is to be
told.
Rejected: the longest column as the source, always: a story from its title is the other way round.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations

from openflan.own.profile import OwnColumn
from openflan.own.reading import Reading, View, as_list, asks, capped, in_order, named_as

__all__ = ["composing"]

Doubts = dict[str, tuple[str, float]]
_LABELS = 60
"""Different items up to which the items of lists are labels."""


def composing(view: View) -> list[Reading]:
    """Readings in which the answer is written."""
    readings = [
        *_labels_of_lists(view),
        *_answers(view),
        *_figures(view),
        *_translations(view),
        *_of_data(view),
        *_shorter_or_alike(view),
        *_instructions(view),
    ]
    return sorted(readings, key=lambda reading: -reading.score)[:4]


def _reading(
    view: View, kind: str, answer: OwnColumn, parts: dict[str, OwnColumn], cluster: str, score: float, why: str, *,
    subcluster: str | None = None, doubts: Doubts | None = None, out: dict[str, str] | None = None,
) -> Reading:  # fmt: skip
    """A reading; what is left may belong to the question, or is set aside."""
    aside = {**view.aside, **(out or {})}
    placed = {answer.path, *(column.path for column in parts.values())}
    extras = []
    for column in view.columns:
        if column.path in placed or column.path in aside:
            continue
        if view.relations.equal(answer, column) > 0.95:
            aside[column.path] = f"says the same as '{answer.path}'"
        elif named_as(column, "explanation", "remark"):
            aside[column.path] = "reads like an explanation of the answer"
        elif named_as(column, "about") or column.kind not in ("text", "texts"):
            aside[column.path] = "says something about the row, and nothing that the answer needs"
        elif column.kind == "texts":
            aside[column.path] = "a list beside the answer"
        else:
            extras.append(column)
    return Reading(
        kind=kind, answer=answer, parts=parts, cluster=cluster, subcluster=subcluster, score=capped(score), why=(why,),
        doubts=doubts or {}, aside=aside, extras=tuple(in_order(extras, view.all)),
    )  # fmt: skip


def _pool(view: View) -> list[OwnColumn]:
    """Columns that may be an answer or what it is made of: texts, and numbers that are no classes."""
    return [*view.texts, *(column for column in view.numbers if column.kind == "int" or column.unique < 0.9)]


def _labels_of_lists(view: View) -> Iterator[Reading]:
    """A list of a few labels is the answer: several classes of one text."""
    texts = view.texts
    for labels in (*view.lists, *view.split_lists):
        items = {str(item) for value in labels.values if value for item in value}
        counts = sum(len(value) for value in labels.values if value)
        short = all(len(item) <= 60 for item in items)
        if (
            labels.kind != "texts"
            or not texts
            or not 2 <= len(items) <= _LABELS
            or not short
            or counts < 4 * len(items)
        ):
            continue
        lengths = {len(value) for value in labels.values if value}
        if (len(lengths) > 1 or lengths == {1}) and not _always_together(labels):
            why = f"'{labels.path}' holds one or more of {len(items)} labels"
            yield _reading(view, "tagging", labels, {"text": texts[0]}, "text_classification", 0.93, why)


def _always_together(labels: OwnColumn) -> bool:
    """Whether two items stand in the same rows alone: halves of one label with a separator in it, `Sci/Tech`."""
    rows: dict[str, list[int]] = {}
    for number, value in enumerate(labels.values):
        for item in dict.fromkeys(map(str, value or ())):
            rows.setdefault(item, []).append(number)
    return len({tuple(numbers) for numbers in rows.values()}) < len(rows)


def _answers(view: View) -> Iterator[Reading]:
    """A question, with a passage or without, and its answer."""
    pool = _pool(view)
    for question in view.texts:
        asking = asks(question)
        if question.same_start > 0.6 and question.mean_words > 4:
            asking = max(asking, 0.6)  # a request in the same words each time
        if asking < 0.5 and not (named_as(question, "question") and asking > 0.2):
            continue
        rest = [column for column in pool if column is not question and asks(column) < 0.5]
        lists = [column for column in view.lists if column.kind == "texts" and column.first_text]
        for answer in (*rest, *lists):
            others = [one for one in rest if one is not answer]
            score = 0.72 + 0.15 * asking + 0.05 * named_as(answer, "target", "key")
            long = max(25, 2.5 * question.mean_words, 2 * answer.mean_words)
            passage = next((one for one in others if one.mean_words > long), None)
            short = None if passage else _short_passage(view, question, answer, others)
            if passage is not None or short is not None:
                yield _from_passage(view, question, answer, passage or short or question, score, sure=short is None)
            else:
                yield _from_memory(view, question, answer, others, score)


def _from_passage(
    view: View, question: OwnColumn, answer: OwnColumn, passage: OwnColumn, score: float, *, sure: bool
) -> Reading:
    """A question that a passage answers."""
    first = answer.firsts if answer.kind == "texts" else answer
    inside = view.relations.inside(first, passage)
    long = passage.unique < 0.9 or passage.mean_words > 60
    score += 0.12 * (inside > 0.5) - 0.05 * (not long and inside < 0.5)
    why = f"'{question.path}' asks, {inside:.0%} of the answers stand in '{passage.path}'"
    parts = {"passage": passage, "question": question}
    doubts: Doubts = {} if sure else {"kind": (f"'{passage.path}' is short for a passage", 0.7)}
    return _reading(view, "passage_question", answer, parts, "reading_comprehension", score, why, doubts=doubts)


def _from_memory(
    view: View, question: OwnColumn, answer: OwnColumn, others: Sequence[OwnColumn], score: float
) -> Reading:
    """A question without a passage; a longer text beside the answer is taken for its explanation."""
    longer = [one for one in others if one.mean_words > 1.5 * answer.mean_words]
    longer = [one for one in longer if view.relations.cover(one, question).lift > 0.02]
    out = {one.path: "reads like an explanation of the answer" for one in longer}
    doubt = f"'{longer[0].path}' may explain the answer, or belong to the question" if longer else ""
    doubts: Doubts = {"columns": (doubt, 0.6)} if longer else {}
    short = answer.mean_words < 8
    score += 0.08 * short - 0.05 * len(longer) - 0.1 * (answer.mean_words > 60)
    figures = sum(not text.strip("+-.,0123456789 ") for text in answer.filled)
    number = answer.kind in ("int", "float") or figures > 0.8 * len(answer.filled)
    cluster, subcluster = ("misc", "math") if number else ("closed_book_qa", None)
    why = f"'{question.path}' asks" + (f", and '{answer.path}' is short" if short else "")
    return _reading(
        view, "question_answer", answer, {"question": question}, cluster, score, why, subcluster=subcluster,
        doubts=doubts, out=out,
    )  # fmt: skip


def _short_passage(view: View, question: OwnColumn, answer: OwnColumn, others: Sequence[OwnColumn]) -> OwnColumn | None:
    """A text hardly longer than its question in which the answer stands, and not at its end as in an explanation."""
    for one in others:
        if one.mean_words < 1.3 * question.mean_words or named_as(one, "explanation"):
            continue
        if one.kind != "text" or answer.kind == "texts" or view.relations.inside(answer, one) < 0.8:
            continue
        pairs = [(a.lower(), t.lower()) for a, t in zip(answer.texts, one.texts, strict=True) if a and t]
        at = [text.find(phrase) / max(1, len(text) - len(phrase)) for phrase, text in pairs if phrase in text]
        if sum(at) / max(1, len(at)) < (0.9 if named_as(one, "passage") else 0.7):
            return one
    return None


def _figures(view: View) -> Iterator[Reading]:
    """A text and a number, each other: a problem and its result."""
    for answer in view.numbers:
        if answer.kind == "int" and view.texts:
            parts = {"question": view.texts[0]}
            yield _reading(
                view, "question_answer", answer, parts, "misc", 0.7, "a text and a number", subcluster="math"
            )


def _translations(view: View) -> Iterator[Reading]:
    """Two texts of about one length in two languages."""
    texts = [column for column in view.texts if column.mean_words > 1.2]
    for one, other in permutations(in_order(texts, view.all), 2):
        ratio = one.mean_length / other.mean_length
        if not 0.4 < ratio < 2.5 or view.relations.cover(one, other).real > 0.45:
            continue
        left, right = view.relations.language(one), view.relations.language(other)
        if not left or not right or left == right:
            continue
        score = 0.9 + 0.04 * (view.relations.cover(one, other).lift > 0.03)
        hint = named_as(one, "source") or named_as(other, "target")
        score += 0.03 * hint - 0.03 * (named_as(one, "target") or named_as(other, "source"))
        score += 0.01 * (left == "en")
        doubts = {} if hint else {"direction": (f"from {left} into {right}, or the other way", 0.5)}
        why = f"'{one.path}' is {left}, '{other.path}' is {right}"
        yield _reading(view, "translation", other, {"text": one}, "translation", score, why, doubts=doubts)


def _of_data(view: View) -> Iterator[Reading]:
    """Words, facts or a list become a sentence that holds them."""
    for text in view.texts:
        if text.mean_words < 4 or asks(text) > 0.5 or text.same_start > 0.6:
            continue
        for data in (*view.lists, *view.texts):
            structured = data.kind in ("texts", "lists") or _has_marks(data) or _is_enumeration(data)
            if data is text or (not structured and _like_prose(data) > 0.5 * _like_prose(text)):
                continue
            if data.kind == "text" and view.relations.inside(data, text) > 0.6:
                continue
            cover = view.relations.cover(data, text)
            if cover.lift < 0.15 or _like_prose(text) < 0.15:
                continue
            score = 0.8 + 0.1 * structured + 0.1 * (cover.lift > 0.3) + 0.03 * named_as(text, "target")
            why = f"{cover.real:.0%} of the words of '{data.path}' stand in '{text.path}', which reads like a sentence"
            yield _reading(view, "data_to_text", text, {"data": data}, "struct_to_text", score, why)


def _like_prose(column: OwnColumn) -> float:
    """Share of a text's words that many texts of the column have: near 0 for keywords and facts, a third for
    sentences."""
    return column.common_words if column.kind == "text" else 0.0


def _is_enumeration(column: OwnColumn) -> bool:
    """Whether nearly all texts are short parts between the same marks: `dog, ball, park`."""
    read = as_list(column)
    if read is None or column.stops > 0.2 or asks(column) > 0.5:
        return False
    items = [len(value) for value in read.sample if value]
    return sum(count > 1 for count in items) > 0.8 * len(items)


def _has_marks(column: OwnColumn) -> bool:
    """Whether texts are made of parts between the same marks: `a | b`, `name[value]`, `key: value`."""
    marks = ("|", "[", "=", "<", "{", "->", "\t")
    return any(sum(text.count(mark) >= 2 for text in column.filled) > 0.8 * len(column.filled) for mark in marks)


def _shorter_or_alike(view: View) -> Iterator[Reading]:
    """A summary, or the same in other words."""
    texts = [column for column in view.texts if column.mean_words >= 2]
    for long, short in permutations(texts, 2):
        ratio = long.mean_words / short.mean_words
        cover = view.relations.cover(short, long)
        hint = (
            0.06 * named_as(short, "target")
            + 0.03 * named_as(long, "source")
            - 0.06 * (named_as(short, "source") and named_as(long, "target"))
        )
        hint -= 0.15 * (asks(long) > 0.6) + 0.2 * (asks(short) > 0.5) + 0.06 * named_as(short, "explanation")
        hint -= 0.2 * (short.same_start > 0.6)
        if ratio > 1.6 and cover.lift > 0.1:
            score = 0.72 + 0.1 * (ratio > 2.5) + 0.1 * (cover.lift > 0.25) + hint
            why = (
                f"'{short.path}' is {ratio:.1f} times shorter, and {cover.real:.0%} of its words stand in '{long.path}'"
            )
            yield _reading(view, "summary", short, {"text": long}, "summarization", score, why)
        elif 0.6 < ratio <= 1.6 and cover.lift > 0.3 and view.relations.equal(short, long) < 0.95:
            richer = _richer(short, long)
            score = 0.62 + 0.1 * (cover.lift > 0.5) + 0.08 * richer + hint
            formatting = abs(richer) > 0.5
            doubts = {} if formatting or hint else {"direction": (f"'{long.path}' may as well be what is written", 0.5)}
            why = f"both say nearly the same, {cover.real:.0%} of the words"
            yield _reading(view, "rewriting", short, {"text": long}, "misc" if formatting else "rewriting", score, why,
                           subcluster="formatting" if formatting else None, doubts=doubts)  # fmt: skip
        elif view.relations.language(long) and ratio > 0.3:
            target = named_as(short, "target") or named_as(long, "source", "instruction")
            score = 0.45 + 0.2 * target + 0.06 * (cover.lift > 0.05) - 0.2 * (named_as(short, "source") and not target)
            why = f"'{short.path}' is taken for what is to be written"
            doubts = {} if target else {"direction": (why, 0.5)}
            yield _reading(view, "text_to_text", short, {"text": long}, "text_to_text", score, why, doubts=doubts)


def _richer(one: OwnColumn, other: OwnColumn) -> float:
    """Whether one of two texts of the same words has what the other lacks: capitals, punctuation, blanks."""

    def marks(column: OwnColumn) -> float:
        characters = sum(map(len, column.filled)) or 1
        return sum(not c.isalnum() or c.isupper() for text in column.filled for c in text) / characters

    same = sum(a == b for a, b in zip(_letters(one), _letters(other), strict=True)) > 0.9 * len(one.texts)
    return 0.0 if not same else 1.0 if marks(one) > marks(other) else -1.0


def _letters(column: OwnColumn) -> list[str]:
    return ["".join(filter(str.isalnum, text.lower())) for text in column.texts]


def _instructions(view: View) -> Iterator[Reading]:
    """An instruction, what it is about (often nothing) and what is to be written."""
    partly = [column for column in view.texts if 0.03 < column.present / max(1, view.rows) < 0.97]
    full = [column for column in view.texts if column not in partly]
    if len(full) != 2 or len(partly) > 1 or (not partly and not any(named_as(one, "instruction") for one in full)):
        return
    for instruction, answer in permutations(full, 2):
        order = (
            instruction.capitals - answer.capitals + instruction.stops - answer.stops + asks(instruction) - asks(answer)
        )
        score = (
            0.62
            + 0.1 * named_as(instruction, "instruction")
            + 0.06 * named_as(answer, "target")
            + 0.1 * min(1.0, max(-1.0, order))
        )
        score -= 0.1 * named_as(answer, "instruction")
        parts = {"instruction": instruction, **({"text": partly[0]} if partly else {})}
        why = f"'{instruction.path}' tells what to do" + (f", '{partly[0].path}' is often empty" if partly else "")
        yield _reading(view, "instruction", answer, parts, "instructions", score, why,
                       doubts={"direction": (why, capped(0.55 + 0.3 * abs(order)))})  # fmt: skip
