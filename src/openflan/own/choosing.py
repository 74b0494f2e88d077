"""Tables whose answer is one of several candidates that stand in the row: a column each, or a list in a cell.

Two things tell candidates: the answer is the text of one of them, row by row; or it says a place (0, 1, …; 1, 2, …; A,
B, …; the columns' own names), and as many columns as there are places are peers: texts of one form, so that none could
be told from another by its length, its beginning or its end. What is left over asks.

Invariant: names count for little; peers are told from a question by form. Cost: milliseconds. Rejected: columns by
name alone (`choice1`), which an export calls `col_c`.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from openflan.own.places import (
    MOST_PLACES,
    in_said_order,
    least_options,
    places,
    tells_the_option,
    unsure_places,
)
from openflan.own.profile import OwnColumn
from openflan.own.reading import ALMOST_EMPTY, Options, Reading, View, asks, capped, in_order, name_stem, named_as
from openflan.own.references import is_pronoun, option_words, sentence_about, word_in_both

__all__ = ["choosing"]

_PEERS = {2: 0.3}
"""How unlike two candidates may be, by how many there are."""
_PEERS_OF_MORE = 0.45
_PEERS_BY_NAME = 1.0
_RARE = 0.01
"""Share of the rows up to which an answer may be one that the table has no candidate for."""


def choosing(view: View) -> list[Reading]:
    """Readings in which a row's own candidates are chosen from."""
    readings = [*_texts_of_lists(view), *_places_in_lists(view), *_texts_of_columns(view), *_places_of_columns(view)]
    return sorted(readings, key=lambda reading: -reading.score)[:3]


def _texts_of_lists(view: View) -> Iterator[Reading]:
    """The answer is a text that stands in the row's list."""
    for options in _option_lists(view):
        for answer in view.columns:
            if answer is options or answer.kind not in ("text", "int", "float"):
                continue
            both = zip(answer.values, options.values, strict=True)
            pairs = [
                (str(a).strip(), [str(one).strip() for one in those]) for a, those in both if a is not None and those
            ]
            inside = sum(text in items for text, items in pairs) / max(1, len(pairs))
            if len(pairs) > 0.9 * view.rows and inside > 0.99 and answer.stored == "text":
                yield _reading(
                    view, answer, Options(form="list", columns=(options,)), 0.97, "the answer stands in the list"
                )


def _places_in_lists(view: View) -> Iterator[Reading]:
    """The answer says a place in the row's list."""
    for options in _option_lists(view):
        lengths = [len(value) for value in options.values if value]
        if max(lengths) > MOST_PLACES:
            continue
        labels = _labels_beside(view, options)
        for answer in view.columns:
            if answer in (options, labels) or not answer.classes:
                continue
            if labels is not None:
                pairs = zip(answer.values, labels.values, strict=True)
                if all(a is None or (ls and str(a) in map(str, ls)) for a, ls in pairs):
                    yield _reading(view, answer, Options(form="list", columns=(options,), labels=labels), 0.97,
                                   f"the answer stands in '{labels.path}'")  # fmt: skip
                    continue
            keys = places(answer.classes, max(lengths))
            if keys is None and (keys := unsure_places(answer.classes, min(lengths))) is not None:
                unsure = Options(form="list", columns=(options,), keys=keys)
                why = f"'{answer.path}' counts the items of '{options.path}'"
                yield _unsure_start(_reading(view, answer, unsure, 0.85, why))
                continue
            if keys is None or not _all_there(answer, options, keys):
                continue
            score = 0.95 if len(answer.classes) >= min(max(lengths), 3) else 0.85
            why = f"'{answer.path}' counts the items of '{options.path}' from {keys[0]}"
            yield _reading(view, answer, Options(form="list", columns=(options,), keys=keys), score, why)


def _unsure_start(reading: Reading) -> Reading:
    return replace(reading, doubts={**reading.doubts, "start": ("neither the first nor the last number occurs", 0.4)})


def _all_there(answer: OwnColumn, options: OwnColumn, keys: Sequence[Any]) -> bool:
    """Whether every row's answer is a place that its list has."""
    place = {key: number for number, key in enumerate(keys)}
    pairs = [(place.get(a), len(o)) for a, o in zip(answer.values, options.values, strict=True) if a is not None and o]
    return all(number is not None and number < length for number, length in pairs)


def _option_lists(view: View) -> list[OwnColumn]:
    """Columns of lists with two items or more that differ."""
    option_lists = []
    asking = {column.path for column in view.texts if column.questions > 0.3}
    splits = [one for one in view.split_lists if one.path not in asking and len(view.texts) > 1]
    for column in (*view.lists, *splits):
        lists = [value for value in column.sample if value]
        plain = column.kind == "texts" and all(len(value) >= 2 for value in lists)
        if plain and lists and len({str(value) for value in lists}) > 1 and len(lists) > 0.9 * len(column.sample):
            option_lists.append(column)
    return option_lists


def _labels_beside(view: View, options: OwnColumn) -> OwnColumn | None:
    """A list of marks for the options: A, B, C, D in every row, as long as the list of options."""
    for column in view.lists:
        if column is not options and column.kind == "texts":
            pairs = [(len(a), len(b)) for a, b in zip(column.sample, options.sample, strict=True) if a and b]
            short = all(len(str(item)) <= 3 for value in column.sample[:50] if value for item in value)
            if short and pairs and all(a == b for a, b in pairs):
                return column
    return None


def _texts_of_columns(view: View) -> Iterator[Reading]:
    """The answer is the text of one of several columns."""
    pool = [column for column in view.columns if column.kind in ("text", "int", "float")]
    if len(pool) < 3:
        return
    for answer in pool:
        if len(answer.classes) in range(2, 4) and answer.kind != "text":
            continue
        shares = {one.path: view.relations.equal(answer, one) for one in pool if one is not answer}
        peers = [one for one in pool if 0.02 < shares.get(one.path, 0) < 0.98 and one.distinct > 3]
        total = sum(shares[one.path] for one in peers)
        if len(peers) < 2 or not 0.95 < total < 1.2 or answer.stored != "text":
            continue
        if max(view.relations.equal(a, b) for a, b in itertools.combinations(peers, 2)) > 0.2:
            continue
        texts = [{str(one.values[n]).strip() for one in peers} for n in range(view.rows)]
        exact = [str(a).strip() in texts[n] for n, a in enumerate(answer.values) if a is not None]
        if sum(exact) > 0.99 * len(exact):
            options = Options(form="columns", columns=tuple(in_order(peers, view.all)))
            yield _reading(view, answer, options, 0.97, "the answer is the text of one of the candidates")


def _places_of_columns(view: View) -> Iterator[Reading]:
    """The answer says which of several columns is right."""
    for answer in view.classes:
        pool = [column for column in view.columns if column is not answer and _may_be_option(view, column)]
        by_name = _named_by(answer, pool)
        alike = itertools.combinations((column for _, column in by_name), 2)
        if by_name and max(view.relations.distance(a, b) for a, b in alike) < _PEERS_BY_NAME:
            options = Options(
                form="columns", columns=tuple(column for _, column in by_name), keys=tuple(key for key, _ in by_name)
            )
            yield _reading(view, answer, options, 0.97, f"'{answer.path}' names the right column")
            continue
        often = tuple(value for value in answer.classes if answer.counts[value] > _RARE * answer.present)
        least = least_options(often)
        if least is None or least > MOST_PLACES or len(pool) < least:
            continue
        pool = [column for column in pool if not _repeats_others(view, column, pool)]
        peers, unlike = _peers(view, [column for column in pool if column.kind == "text"], least)
        if not peers and any(asks(column) > 0.4 for column in view.texts):
            peers, unlike = _peers(view, [column for column in pool if column.kind != "text"], least)
        if not peers:
            continue
        peers = _more_peers(view, peers, pool)
        keys = places(often, len(peers))
        unsure = keys is None
        keys = unsure_places(often, len(peers)) if keys is None else keys
        if keys is None:
            continue
        peers, ordered = in_said_order(peers, view.all)
        why = f"'{answer.path}' says a place, and {', '.join(one.path for one in peers)} are texts of one form"
        options = Options(form="columns", columns=tuple(peers), keys=keys)
        reading = _reading(view, answer, options, _score_of_peers(view, answer, peers, pool, unlike), why)
        if not ordered:
            doubt = ("their names do not say in which order the answer counts them", 0.4)
            reading = replace(reading, doubts={**reading.doubts, "order": doubt})
        yield _unsure_start(reading) if unsure else reading


def _may_be_option(view: View, column: OwnColumn) -> bool:
    """Whether a column may hold candidates: texts or numbers, or classes that another column has too."""
    if column.kind not in ("text", "int", "float"):
        return False
    if column.kind != "text":
        return column.distinct > 12
    values = set(column.classes)
    others = (set(one.classes) for one in view.classes if one is not column)
    return (
        not values or column.distinct > 12 or any(len(values & other) > 0.5 * len(values | other) for other in others)
    )


def _repeats_others(view: View, column: OwnColumn, pool: Sequence[OwnColumn]) -> bool:
    """Whether a column always has the text of one of several others: the right candidate's, beside its place."""
    shares = [view.relations.equal(column, other) for other in pool if other is not column]
    return max(shares, default=0) < 0.95 and sum(shares) > 0.9


def _named_by(answer: OwnColumn, pool: Sequence[OwnColumn]) -> list[tuple[Any, OwnColumn]]:
    """Columns that the answer calls by their names, with what it calls them."""
    if answer.kind != "text":
        return []
    called = {column.path.lower(): column for column in pool}
    named = [(value, called[str(value).lower()]) for value in answer.classes if str(value).lower() in called]
    return named if len(named) == len(answer.classes) else []


def _peers(view: View, pool: Sequence[OwnColumn], count: int) -> tuple[list[OwnColumn], float]:
    """The columns that are likest each other in form, and how unlike the two are that are least alike."""
    short = sorted(pool, key=lambda column: -column.present)[:MOST_PLACES]
    full = [column for column in short if column.present > 0.3 * view.rows]
    stems = [name_stem(column.path) for column in short]
    shared = {stem for stem, end in stems if end and sum(other == stem for other, _ in stems) < len(pool)}

    def unlike(one: OwnColumn, other: OwnColumn) -> float:
        (a, end_a), (b, end_b) = name_stem(one.path), name_stem(other.path)
        bonus = 0.25 if a == b and end_a and end_b and a in shared else 0.0
        if min(one.present, other.present) < 0.3 * view.rows:
            bonus += 1.0
        return max(0.0, view.relations.distance(one, other) - bonus)

    best: tuple[float, list[OwnColumn]] = (9.0, [])
    for columns in (full, short):
        for group in itertools.combinations(columns, count):
            worst = max(unlike(a, b) for a, b in itertools.combinations(group, 2))
            best = min(best, (worst, list(group)), key=lambda peers: peers[0])
        if best[0] <= _PEERS.get(count, _PEERS_OF_MORE):
            return best[1], best[0]
    return [], best[0]


def _more_peers(view: View, peers: list[OwnColumn], pool: Sequence[OwnColumn]) -> list[OwnColumn]:
    """The peers, and further columns like them: called like them, or a fifth option that few rows have."""
    stems = {name_stem(column.path)[0] for column in peers}
    telling = len(stems) == 1 and not all(name_stem(column.path)[0] in stems for column in pool)
    more = []
    nearly = [one for one in view.all if view.aside.get(one.path) == ALMOST_EMPTY and one.kind == "text" and telling]
    for one in (*pool, *nearly):
        apart = max(view.relations.distance(one, peer) for peer in peers)
        rare = one.present < 0.3 * view.rows
        called = telling and name_stem(one.path)[0] in stems and (rare or apart < _PEERS_BY_NAME)
        if one not in peers and (called or (not telling and rare and apart < 1.5 and len(peers) > 2)):
            more.append(one)
    return [*peers, *more]


def _score_of_peers(
    view: View, answer: OwnColumn, peers: Sequence[OwnColumn], pool: Sequence[OwnColumn], unlike: float
) -> float:
    """How surely the columns are candidates."""
    rest = [column for column in pool if column not in peers and column.kind == "text"]
    called = sum(named_as(column, "choices") for column in peers) == len(peers) or _numbered(peers, pool)
    score = 0.8 + 0.1 * called - 0.3 * unlike
    if len(peers) > 2:
        score += 0.1
    nearest = min((view.relations.distance(one, peer) for one in rest for peer in peers), default=0.0)
    score += min(0.1, 0.2 * max(0.0, nearest - unlike))
    if not rest:
        odd = answer.kind == "text" or 0 not in answer.classes
        score -= 0.15 if called or len(peers) > 2 else 0.3 if odd else 0.5
    if sentence_about(view, Options(form="columns", columns=tuple(peers)), rest) is not None:
        score += 0.1
    if len(peers) == 2 and any(word_in_both(one, *peers) > 0.6 for one in rest):
        score -= 0.4
    return capped(score)


def _numbered(peers: Sequence[OwnColumn], pool: Sequence[OwnColumn]) -> bool:
    """Whether the candidates are numbered or lettered, and what asks is not."""
    ends = [name_stem(column.path) for column in peers]
    same = len({stem for stem, _ in ends}) == 1 and all(end for _, end in ends)
    return same and not all(name_stem(column.path)[0] == ends[0][0] for column in pool)


def _reading(view: View, answer: OwnColumn, options: Options, score: float, why: str) -> Reading:
    """A reading once answer and options are known: what is left asks."""
    used = {
        answer.path,
        *(column.path for column in options.columns),
        *([options.labels.path] if options.labels else []),
    }
    aside = {name: reason for name, reason in view.aside.items() if name not in used}
    for column in view.columns:
        if column.path not in used and view.relations.equal(answer, column) > 0.98:
            aside[column.path] = f"says the same as '{answer.path}'"
        elif column.path not in used and tells_the_option(column, answer, options):
            aside[column.path] = "says which candidate is right, so it would give the answer away"
    rest = [column for column in view.texts if column.path not in used and column.path not in aside]
    explained = [column for column in rest if named_as(column, "explanation")]
    aside.update({column.path: "reads like an explanation of the answer" for column in explained if len(rest) > 1})
    rest = [column for column in rest if column.path not in aside]
    extras = [one for one in view.classes if one.kind == "text" and one.path not in used and one.path not in aside]
    parts, kind, cluster = _kind(view, options, rest, extras)
    placed = {column.path for column in parts.values()}
    more = [column for column in (*rest, *extras) if column.path not in placed]
    for column in (*view.numbers, *view.classes, *view.lists):
        if column.path not in used | placed and column not in more:
            aside.setdefault(
                column.path,
                "numbers that say nothing of the question" if column.kind != "texts" else "a list beside it",
            )
    doubts = {}
    if not rest and kind != "pronoun":
        doubts["kind"] = ("nothing but candidates stands there", 0.5)
    return Reading(
        kind=kind, answer=answer, parts=parts, options=options, cluster=cluster, score=score, why=(why,), doubts=doubts,
        aside=aside, extras=tuple(in_order(more, view.all)),
    )  # fmt: skip


def _kind(
    view: View, options: Options, rest: Sequence[OwnColumn], extras: Sequence[OwnColumn]
) -> tuple[dict[str, OwnColumn], str, str]:
    """What stands where, the kind and the cluster."""
    sentence = sentence_about(view, options, rest)
    pronoun = next((one for one in (*extras, *rest) if is_pronoun(view, one, rest)), None)
    has_question = any(asks(one) > 0.5 for one in rest if one is not sentence or (pronoun is None and one.blanks < 0.5))
    marked = sentence is not None and (sentence.blanks > 0.5 or pronoun is not None or len(options.columns) == 2)
    if sentence is not None and marked and not has_question:
        return {"text": sentence, **({"pronoun": pronoun} if pronoun else {})}, "pronoun", "coreference"
    if not rest:
        parts: dict[str, OwnColumn] = {}
        return parts, "multiple_choice", "commonsense"
    question = max(
        rest, key=lambda column: (asks(column) > 0.4, asks(column) + (0.3 if named_as(column, "question") else 0))
    )
    longer = [one for one in rest if one is not question and one.mean_words > 1.5 * question.mean_words]
    if len(rest) > 1 and longer and asks(question) > 0.3:
        passage = longer[0]
        spans = [view.relations.inside(one, passage) for one in options.columns] if options.form == "columns" else [0.0]
        cluster = (
            "reading_comprehension" if sum(spans) / len(spans) > 0.15 else "reading_comprehension_with_commonsense"
        )
        return {"passage": passage, "question": question}, "passage_multiple_choice", cluster
    words = option_words(options)
    if asks(question) < 0.4 and question.blanks < 0.4 and (words >= 3 or question.stops < 0.3):
        return {"text": rest[0]}, "continuation", "commonsense"
    return {"question": question}, "multiple_choice", "closed_book_qa"
