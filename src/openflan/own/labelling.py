"""Tables with a label: one text and a class, two texts and how they relate, a passage and yes or no, ratings.

A label is a column of few values that is no part of the texts. What it is about shows in the texts: one covers the
other's words (does it follow?), both are of one form and share most (the same?), a passage is asked about, a short text
stands in two others (one sense?), glad and sorry words go with the classes (sentiment).

Invariant: words of labels and names of columns tip what the texts leave open. Cost: milliseconds. Rejected: training a
classifier to see which column can be told from the others, which finds metadata as easily as labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from openflan.own.places import least_options, places
from openflan.own.polarity import polarity, separation
from openflan.own.profile import OwnColumn, spread
from openflan.own.reading import Options, Reading, View, asks, capped, in_order, named_as
from openflan.own.references import word_in_both
from openflan.own.relations import Cover
from openflan.own.words import words

__all__ = ["labelling", "polar_order"]

_MANY = 20
_PASSAGE = 45
"""Words from which on a text is a passage."""
_FELT = 6.0
"""Standard errors from which classes are about feelings."""


def labelling(view: View) -> list[Reading]:
    """Readings in which a column of few values, or of numbers on a scale, is the answer."""
    readings: list[Reading] = []
    for label, score, why in _labels(view):
        reading = _structure(view, label)
        if reading is not None:
            readings.append(reading.scored(capped(score * reading.score), why))
    return sorted(readings, key=lambda reading: -reading.score)[:4]


def _labels(view: View) -> Iterator[tuple[OwnColumn, float, str]]:
    """Columns that may be a label, how likely, and why."""
    for column in view.classes:
        score, why = _label_score(view, column)
        if score > 0:
            yield column, score, why
    for column in view.numbers:
        if column.kind == "float" or named_as(column, "rating"):
            score = 0.75 if _scale(column) and column.unique < 0.9 else 0.3
            yield column, capped(score + 0.15 * named_as(column, "rating")), f"'{column.path}' holds numbers on a scale"
        elif len(view.texts) == 2 and _scale(column) and column.unique < 0.5:
            yield column, 0.72, f"'{column.path}' holds numbers on a scale"


def _label_score(view: View, column: OwnColumn) -> tuple[float, str]:
    count = column.distinct
    values = [str(value).lower() for value in column.classes]
    score, why = 0.75, f"'{column.path}' has {count} values that repeat"
    if column.kind == "int" and (count > _MANY or not _from_start(column)):
        score -= 0.35 if count > _MANY else 0.1
    if (
        column.kind == "text"
        and any(view.relations.inside(column, text) > 0.85 for text in view.texts)
        and count > 3
        and (not _mostly_places(column))
    ):
        return 0.0, "its values stand in the texts"
    telling = any(_begin(values, kind) for kind in ("inference", "same", "feelings", "grammar"))
    if telling or set(values) <= words("labels", "yes_no"):
        score, why = score + 0.2, f"'{column.path}' has the values {', '.join(values[:4])}"
    elif column.kind == "bool" or (column.kind == "int" and _from_start(column)):
        score += 0.1
    elif column.kind == "text" and least_options(column.classes) is None:
        score += 0.12
    if named_as(column, "label", "rating", "key"):
        score += 0.08
    elif named_as(column, "about"):
        score -= 0.3
    if max(column.counts.values()) > 0.95 * column.present:
        score -= 0.2
    if column.present < 0.5 * view.rows:
        score -= 0.3
    return score, why


def _begin(values: Sequence[str], kind: str) -> bool:
    """Whether one of a label's values begins like those of a kind of label."""
    initials = {"e", "n", "c"} if kind == "inference" else None
    return set(values) == initials or any(value.startswith(tuple(words("labels", kind))) for value in values)


def _mostly_places(column: OwnColumn) -> bool:
    """Whether nearly all rows say a letter or a number: a choice among what the text lists."""
    often = [value for value in column.classes if column.counts[value] > 0.01 * column.present]
    return len(often) > 1 and least_options(often, 26) is not None


def _from_start(column: OwnColumn) -> bool:
    """Whether whole numbers are 0, 1, 2, … or 1, 2, 3, …, or few and evenly apart."""
    values = sorted(int(value) for value in column.classes)
    steps = {b - a for a, b in pairwise(values)}
    return len(steps) == 1 and (values[0] in (0, 1, -1))


def _scale(column: OwnColumn) -> bool:
    """Whether numbers lie on a scale that people rate on."""
    values = [float(value) for value in column.counts]
    return bool(values) and any(
        min(values) >= low and max(values) <= high for low, high in ((0, 1), (-1, 1), (0, 5), (0, 10), (0, 100))
    )


def _structure(view: View, label: OwnColumn) -> Reading | None:
    """What the texts beside a label are to each other."""
    aside = dict(view.aside)
    texts = [column for column in view.texts if column is not label]
    explained = [column for column in texts if named_as(column, "explanation", *(["remark"] if len(texts) > 2 else []))]
    if len(explained) < len(texts):
        aside.update({column.path: "reads like an explanation of the label" for column in explained})
        texts = [column for column in texts if column not in explained]
    others = [column for column in view.classes if column is not label and column.kind == "text"]
    spans = [one for one in others if texts and view.relations.inside(one, texts[0]) > 0.85]
    reading = _of_texts(view, label, texts, spans, aside)
    if reading is None:
        return None
    placed = {label.path, *(column.path for column in reading.parts.values())}
    extras = [column for column in (*texts, *others) if column.path not in placed and not named_as(column, "about")]
    for column in view.columns:
        if column.path not in placed and column not in extras:
            aside.setdefault(column.path, "no text, and not the label")
    return replace(reading, extras=tuple(in_order(extras, view.all)), aside=aside)


def _of_texts(
    view: View, label: OwnColumn, texts: Sequence[OwnColumn], spans: Sequence[OwnColumn], aside: dict[str, str]
) -> Reading | None:
    if not texts:
        lists = [column for column in view.lists if column is not label]
        fields = lists or [
            column for column in (*view.classes, *view.numbers) if column is not label and column.kind != "float"
        ]
        if not fields:
            return None
        return _read(view, label, "classification", {"text": fields[0]}, "misc", 0.5, "there is no text beside it")
    two = _two_and_more(view, label, texts, spans)
    if two is not None:
        return two
    if all(_stands_over(label, short, texts[0]) for short in texts[1:]):
        return replace(_one_text(view, label, texts[0]), headings=tuple(texts[1:]))
    if len(texts) == 2:
        return _two_texts(view, label, *texts)
    return _two_texts(view, label, *texts[:2]).scored(0.6, f"there are {len(texts)} texts")


def _two_and_more(
    view: View, label: OwnColumn, texts: Sequence[OwnColumn], spans: Sequence[OwnColumn]
) -> Reading | None:
    """Three texts: a word and two sentences, a sentence and two spans of it, a passage with question and answer."""
    if len(label.classes) not in (2, 3):
        return None
    relations = view.relations
    for word in (*texts, *spans):
        rest = [one for one in texts if one is not word and one.mean_words > 2]
        if len(rest) == 2 and word_in_both(word, *rest) > 0.6:
            first, second = in_order(rest, view.all)
            parts = {"word": word, "first": first, "second": second}
            return _read(view, label, "word_sense", parts, "misc", 0.98, f"'{word.path}' stands in both sentences",
                         subcluster="word_sense")  # fmt: skip
    sentence = texts[0]
    inner = [one for one in (*texts[1:], *spans) if relations.inside(one, sentence) > 0.75 and one.mean_words < 6]
    if len(inner) == 2 and len(texts) + len(spans) == 3:
        candidate, pronoun = sorted(inner, key=lambda column: -column.mean_length)
        if pronoun.mean_length < 8 and pronoun.distinct < 60:
            parts = {"text": sentence, "candidate": candidate, "pronoun": pronoun}
            why = f"'{candidate.path}' and '{pronoun.path}' stand in '{sentence.path}'"
            return _read(view, label, "pronoun", parts, "coreference", 0.95, why)
    if len(texts) == 3:
        question = max(texts, key=asks)
        passage = max((one for one in texts if one is not question), key=lambda column: column.mean_words)
        answer = next(one for one in texts if one not in (question, passage))
        if asks(question) > 0.5 and asks(answer) < 0.3:
            parts = {"passage": passage, "question": question, "candidate": answer}
            why = f"'{question.path}' asks, '{passage.path}' is longer, '{answer.path}' answers"
            return _read(view, label, "answer_judgement", parts, "reading_comprehension", 0.95, why)
    return None


def _one_text(view: View, label: OwnColumn, text: OwnColumn) -> Reading:
    values = [str(value).lower() for value in label.classes]
    reads_polar, order = polar_order(label, text)
    feelings = _begin(values, "feelings")
    yes_no = set(values) <= words("labels", "yes_no") or label.kind == "bool"
    rating = _is_rating(label, reads_polar, order)
    kind, cluster, subcluster, why = "classification", "text_classification", None, "one text and its class"
    if rating:
        kind, why = "rating", "one text and a number on a scale"
    if feelings or (reads_polar > _FELT and len(label.classes) <= _MANY and not yes_no):
        cluster, why = "sentiment", f"{why}; glad and sorry words go with it" if reads_polar > _FELT else why
    elif yes_no and asks(text) > 0.6:
        kind, cluster, why = "question_yes_no", "closed_book_qa", "a question, and yes or no"
    elif yes_no:
        cluster, subcluster, why = "misc", "fact_verification", "a text, and yes or no"
    elif _begin(values, "grammar"):
        cluster, subcluster = "misc", "linguistic_acceptability"
    elif asks(text) > 0.75 and len(label.classes) > 2:
        cluster, subcluster, why = "misc", "question_classification", "questions and their class"
    doubts = {}
    if cluster != "sentiment" or not feelings:
        doubts["cluster"] = ("what the classes are about shows in no words", 0.6)
    return _read(view, label, kind, {"text": text}, cluster, 0.97, why, subcluster=subcluster, doubts=doubts)


def _stands_over(label: OwnColumn, short: OwnColumn, long: OwnColumn) -> bool:
    """Whether a short text is the heading of a long one, so that the label is of both together."""
    values = [str(value).lower() for value in label.classes]
    if _begin(values, "inference") or asks(short) > 0.3 or asks(long) > 0.6:
        return False
    ratio = long.mean_words / max(0.5, short.mean_words)
    if named_as(short, "heading") and ratio > 1.5 and not named_as(long, "premise"):
        return True
    return ratio > 3 and (len(values) > 3 or polar_order(label, long)[0] > _FELT)


def _is_rating(label: OwnColumn, polar: float, order: Sequence[object]) -> bool:
    if not label.classes:
        return True
    if label.kind not in ("int", "float") or len(label.classes) < 3:
        return False
    values = sorted(float(value) for value in label.classes)
    seen = [value for value in order if value in label.classes]
    ordered = len(seen) > 2 and seen[0] == values[0] and seen[-1] == values[-1]
    if named_as(label, "rating") and (len(values) > 3 or ordered):
        return True
    return len(values) >= 5 and ((polar > _FELT and ordered) or (values[0] == 1 and len(values) in (5, 7, 10)))


def polar_order(label: OwnColumn, text: OwnColumn) -> tuple[float, list[object]]:
    """How far a label's classes lie apart in glad and sorry words, and their order from sorry to glad."""
    scores: dict[object, list[float]] = {}
    for place, units in zip(spread(len(text.values)), text.units, strict=True):
        value = label.values[place]
        if value is not None and units:
            scores.setdefault(value, []).append(polarity(units))
    return separation(scores)


def _two_texts(view: View, label: OwnColumn, one: OwnColumn, other: OwnColumn) -> Reading:
    """A longer and a shorter text and how they relate."""
    relations, values = view.relations, [str(value).lower() for value in label.classes]
    first, second = in_order((one, other), view.all)
    forward, back = relations.cover(other, one), relations.cover(one, other)
    distance, ratio = relations.distance(one, other), one.mean_words / max(0.5, other.mean_words)
    score = {"inference": 0.0, "paraphrase": 0.0, "passage_yes_no": 0.0, "pair_classification": 0.3}
    inferring = _begin(values, "inference")
    same = any(part in value for part in words("labels", "same") for value in values)
    score["inference"] += 1.0 * inferring
    score["paraphrase"] += 1.0 * (same and not inferring)
    if forward.lift > 0.12 and len(label.classes) in (0, 2, 3):
        peers, alike = distance < 0.35 and ratio < 1.35, min(forward.real, back.real)
        score["paraphrase"] += (
            0.5 * peers + 0.3 * (alike > 0.35) - 0.4 * (len(label.classes) == 3) - 0.3 * (ratio > 1.5)
        )
        score["inference"] += (
            0.45 * (not peers) + 0.25 * (forward.real > back.real + 0.1) + 0.2 * (len(label.classes) == 3)
        )
    scale = not label.classes or (label.kind == "float" and len(label.classes) > 4)
    if len(label.classes) > 3 and label.kind == "int" and _rises(forward, label):
        scale, score["paraphrase"] = True, score["paraphrase"] + 1.0
    asking = asks(other)
    yes_no = set(values) <= words("labels", "yes_no") or label.kind == "bool" or set(label.classes) in ({0, 1}, {-1, 1})
    if asking > 0.6 and asks(one) < 0.4 and ratio > 2 and yes_no:
        score["passage_yes_no"] += 1.2 if one.mean_words > _PASSAGE or one.unique < 0.8 else 0.75
    score["inference"] -= 0.4 * (asks(one) > 0.6)
    if one.mean_words > 4 and other.mean_words < 4 and relations.inside(other, one) > 0.7:
        score["pair_classification"] += 0.8
    if not named_as(one, "premise") and named_as(other, "premise") and named_as(one, "hypothesis"):
        one, other = other, one
    called = named_as(one, "premise"), named_as(other, "hypothesis")
    score["inference"] += 0.15 * called[0] + 0.25 * called[1] + 0.6 * all(called)
    kind = max(score, key=lambda key: score[key])
    if scale and kind in ("paraphrase", "inference"):
        return _read(view, label, "similarity", {"first": first, "second": second}, "paraphrase", 0.95,
                     "two texts and a number on a scale")  # fmt: skip
    second_best = sorted(score.values())[-2]
    sure = capped(0.7 + 0.5 * (score[kind] - second_best))
    has_question = max(asks(one), asks(other)) > 0.4
    if (kind != "inference" or has_question) and kind != "paraphrase" and yes_no and one.mean_words < _PASSAGE:
        sure = min(sure, 0.7)  # one of the two may explain the answer
    why = (
        f"two texts, {forward.real:.0%} of the shorter one's words stand in the other ({forward.chance:.0%} by chance)"
    )
    if kind == "inference":
        parts, cluster = {"premise": one, "hypothesis": other}, "natural_language_inference"
    elif kind == "paraphrase":
        parts, cluster = {"first": first, "second": second}, "paraphrase"
    elif kind == "passage_yes_no":
        parts, cluster = {"passage": one, "question": other}, "reading_comprehension"
    else:
        parts, cluster = {"first": first, "second": second}, "misc"
    return _read(view, label, kind, parts, cluster, 0.97, why, doubts={"kind": (why, sure)})


def _rises(cover: Cover, label: OwnColumn) -> bool:
    """Whether two texts have more in common the higher their number is."""
    shares: dict[float, list[float]] = {}
    places = spread(len(label.values))
    for place, share in cover.rows:
        if (value := label.values[places[place]]) is not None:
            shares.setdefault(float(value), []).append(share)
    means = [sum(those) / len(those) for _, those in sorted(shares.items()) if len(those) > 3]
    return len(means) > 3 and means[-1] - means[0] > 0.2 and sum(a < b for a, b in pairwise(means)) >= len(means) - 2


def _read(
    view: View, label: OwnColumn, kind: str, parts: dict[str, OwnColumn], cluster: str, score: float, why: str, *,
    subcluster: str | None = None, doubts: dict[str, tuple[str, float]] | None = None,
) -> Reading:  # fmt: skip
    scale = not label.classes or (label.kind == "float" and len(label.classes) > 4)
    form = "scale" if scale or kind in ("rating", "similarity") else "classes"
    keys = label.classes or tuple(places((0, 1), 2) or ())
    options = Options(form=form, keys=keys)  # type: ignore[arg-type]
    return Reading(
        kind=kind, answer=label, parts=parts, options=options, cluster=cluster, subcluster=subcluster, score=score,
        why=(why,), doubts=doubts or {},
    )  # fmt: skip
