"""One table becomes one task: read, recognised, asked about where unsure, drafted, tried and written.

Invariant: a task file that is there is never written over unless that is asked for, and what is written passes
`openflan tasks check`. Cost: one reading of the table. Rejected: asking everything; what is sure is listed, not asked.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.own.drafting import DraftedTask, draft, try_task
from openflan.own.profile import OwnColumn
from openflan.own.questions import UNSURE, Ask, TableGuess
from openflan.own.reading import Reading, View
from openflan.own.recognise import Recognised, alike, recognise
from openflan.own.tables import OwnTable, TableFiles, read_table, tables_of
from openflan.own.wording import Wording, word_labels
from openflan.recipes.safe_yaml import as_yaml
from openflan.stage import write_atomically
from openflan.tasks.catalog import Entry
from openflan.tasks.clusters import CLUSTERS, cluster_fault
from openflan.tasks.readers import KINDS, is_rows

__all__ = ["OwnTask", "draft_task", "make_task"]

_READINGS = 4
_FALLEN_BACK = 0.5
"""Confidence in a reading that is taken because the likeliest one does not work."""
_SHOWN = 12
"""Labels that are asked about one by one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnTask:
    """A task that was made of a table, or was there already."""

    entry: Entry
    kind: str
    """What was recognised; empty for a task that was there already."""
    confidence: float
    """From 0 to 1, how sure the kind is."""
    rows: int
    form: str = ""
    """How a table of cells is written, in words: separator and encoding."""
    guesses: tuple[TableGuess, ...] = ()
    """What was guessed, the least sure first."""
    aside: tuple[str, ...] = ()
    """Columns that the task does not read, each with the reason."""
    warnings: tuple[str, ...] = ()
    """What was seen in the rows and what was done about it, a line each."""
    new: bool = True
    """Whether this call wrote it."""
    text: str = field(default="", repr=False)
    """What its file says; empty for a task that was there already."""

    @property
    def unsure(self) -> tuple[TableGuess, ...]:
        """Guesses that were not sure and that nobody confirmed."""
        return tuple(guess for guess in self.guesses if not guess.asked and guess.confidence < UNSURE)


def make_task(
    files: TableFiles,
    *,
    out: Path,
    ask: Ask | None = None,
    cluster: str | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    force: bool = False,
    write: bool = True,
) -> OwnTask:
    """Write a task file for a table, or only say what it would be.

    Raises:
        UserError: a file is in the way, the table can't be read, or no task can be made of it that passes its check.
    """
    path = out / f"{files.name}.yaml"
    if path.exists() and not force:
        raise UserError("is already there", where=str(path), how="give another --name, or --force")
    table = read_table(files, encoding=encoding, separator=separator)
    recognised = recognise(table.columns)
    if recognised.readings and (rest := table.answered(recognised.best.answer.path)) is not table:
        table, recognised = rest, recognise(rest.columns)
    if not recognised.readings:
        raise UserError(
            "no column to ask with and another to answer",
            where=f"{files.shown} has {', '.join(column.path for column in table.columns) or 'no columns'}",
            how="write the task by hand: docs/tasks.md shows one",
        )
    questions = _Questions(files.name, ask)
    reading = _choose(recognised, questions)
    entry, drafted, final_reading = _first_that_works(table, recognised, reading, questions, path, cluster)
    warnings = drafted.warnings
    guesses = sorted(questions.guesses, key=lambda guess: guess.confidence)
    notes = [str(guess) for guess in guesses if guess.confidence < UNSURE]
    remarks = [*notes, *warnings, "licence: say under which the rows may be used"]
    text = _text_of(drafted.spec, remarks, files.shown)
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    return OwnTask(
        entry=entry,
        kind=final_reading.kind,
        confidence=recognised.confidence if alike(final_reading, recognised.best) else _FALLEN_BACK,
        rows=len(table.rows),
        form="" if table.form is None else str(table.form),
        guesses=tuple(guesses),
        aside=tuple(f"{name}: {reason}" for name, reason in final_reading.aside.items()),
        warnings=tuple(warnings),
        new=write,
        text=text,
    )


def draft_task(
    table: Path,
    *,
    name: str | None = None,
    out: Path | None = None,
    cluster: str | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    force: bool = False,
    ask: Ask | None = None,
    write: bool = True,
) -> OwnTask:
    """Write a task file for a table: what its columns are to each other guessed, seed templates filled in.

    Args:
        table: a file of rows that `tasks new` reads.
        name: the task's; by default the table's.
        out: folder of the task file; by default the table's.
        cluster: the task's, where the guess is wrong.
        encoding: byte encoding of the table, where it is not UTF-8.
        separator: what stands between its cells, where more than one would fit.
        force: write over a file.
        ask: answers what is unsure; without it guesses are taken and listed.
        write: whether to write it; else nothing is, and what it would say is in the task that is given back.

    Raises:
        UserError: there is no such table, no such cluster, a file is in the way, the table can't be read as it is
            written, or no task can be guessed that passes its own check; nothing is written then.
    """
    if not is_rows(table):
        raise UserError("no such file", where=str(table), how=f"give one of {KINDS}")
    if cluster is not None and (fault := cluster_fault(cluster)):
        what, _, how = fault.partition("; ")
        raise UserError(what, where="cluster", how=how)
    files, *more = tables_of(table)
    if more:
        sheets = ", ".join(f"'{one.sheet}'" for one in (files, *more))
        raise UserError(
            f"has {len(more) + 1} sheets with rows: {sheets}", where=str(table),
            how=f"`openflan init {table.parent}` makes a task of each; or save one as a file of its own",
        )  # fmt: skip
    if name is not None:
        files = replace(files, name=name)
    return make_task(
        files,
        out=out or table.parent,
        ask=ask,
        cluster=cluster,
        encoding=encoding,
        separator=separator,
        force=force,
        write=write,
    )


class _Questions:
    """Collects what is guessed about a table, and asks where it is unsure."""

    def __init__(self, table: str, ask: Ask | None) -> None:
        self.table, self._ask = table, ask
        self.guesses: list[TableGuess] = []

    def take(
        self,
        about: str,
        question: str,
        guess: str,
        *,
        confidence: float,
        choices: Sequence[str] = (),
        why: str = "",
        check: Callable[[str], str | None] = lambda _: None,
    ) -> str:
        """The guess, or what the table's owner says in its place; asked again while that can't be."""
        table_guess = TableGuess(
            table=self.table,
            about=about,
            question=question,
            choices=tuple(choices),
            answer=guess,
            confidence=round(confidence, 2),
            why=why,
        )
        if self._ask is not None and confidence < UNSURE:
            reply = self._ask(table_guess)
            while reply is not None and (fault := check(reply)):
                reply = self._ask(replace(table_guess, question=f"{fault}\n{question}"))
            table_guess = replace(table_guess, answer=guess if reply is None else reply, confidence=1.0, asked=True)
        self.guesses.append(table_guess)
        return table_guess.answer

    def mend(self, about: str, answer: str, why: str) -> None:
        """Put another answer, of which nobody is sure, in the place of a guess."""
        self.guesses = [
            replace(guess, answer=answer, confidence=_FALLEN_BACK, why=why, asked=False)
            if guess.about == about
            else guess
            for guess in self.guesses
        ]


def _first_that_works(
    table: OwnTable,
    recognised: Recognised,
    first: Reading,
    questions: _Questions,
    path: Path,
    cluster: str | None,
) -> tuple[Entry, DraftedTask, Reading]:
    """The task of a reading that passes its check: of the one that was chosen, else of the next.

    Raises:
        UserError: none does; the fault is the chosen one's.
    """
    fault: UserError | None = None
    for reading in (first, *(other for other in recognised.readings[:_READINGS] if other is not first)):
        count = len(questions.guesses)
        try:
            entry, drafted, final_reading = _draft(table, recognised.view, reading, questions, path, cluster)
        except UserError as error:
            fault = fault or error
            del questions.guesses[count:]
            continue
        if fault is not None:
            kinds = (one.kind.replace("_", " ") for one in (reading, first))
            drafted.warnings.append("read as {}, for as {} it does not work: {}".format(*kinds, fault))
            questions.mend("kind", describe(reading), f"as {describe(first)} it does not work")
        return entry, drafted, final_reading
    assert fault is not None, "a reading was tried"
    raise fault


def _draft(
    table: OwnTable, view: View, reading: Reading, questions: _Questions, path: Path, cluster: str | None
) -> tuple[Entry, DraftedTask, Reading]:
    """The task of a reading, tried; what is to be said about it; the reading as it was taken."""
    reading = _extras(_order(_start(reading, questions), questions), questions)
    wording = _wording(view, reading, questions)
    cluster = cluster or _cluster(reading, questions)
    drafted = draft(table, view, reading, wording, folder=path.parent, cluster=cluster)
    return try_task(drafted, path), drafted, reading


def _text_of(content: dict[str, Any], notes: Sequence[str], shown: str) -> str:
    lines = "".join(f"#   {' '.join(note.split())}\n" for note in notes)
    return f"# Written by openflan from {shown}. Look at:\n{lines}{as_yaml(content)}"


def _choose(recognised: Recognised, questions: _Questions) -> Reading:
    """The reading of the likeliest kind, or the one that the table's owner names."""
    best = recognised.best
    choices = {describe(best): best}
    for reading in recognised.readings:
        if len(choices) < _READINGS and not any(alike(reading, other) for other in choices.values()):
            choices[describe(reading)] = reading
    reply = questions.take(
        "kind",
        "What kind of task is this table?",
        describe(best),
        confidence=recognised.confidence,
        choices=list(choices),
        why="; ".join(best.why),
        check=_one_of(choices),
    )
    best = choices[reply]
    turned = [one for one in recognised.readings if alike(one, best) and one.answer is not best.answer]
    if "direction" not in best.doubts or not turned:
        return best
    why, sure = best.doubts["direction"]
    ways = {one.answer.path: one for one in (best, turned[0])}
    question = "Which column is to be written by the model?"
    reply = questions.take(
        "direction", question, best.answer.path, confidence=sure, choices=list(ways), why=why, check=_one_of(ways)
    )
    return ways[reply]


def describe(reading: Reading) -> str:
    """A reading in words: its kind, what answers and what asks."""
    asks = ", ".join(f"'{column.path}'" for column in dict.fromkeys((*reading.parts.values(), *reading.extras)))
    columns = reading.options.columns if reading.options else ()
    options = f" among {', '.join(column.path for column in columns)}" if columns else ""
    return f"{reading.kind.replace('_', ' ')}: '{reading.answer.path}'{options} from {asks or 'nothing else'}"


def _one_of(choices: Container[str]) -> Callable[[str], str | None]:
    return lambda reply: None if reply in choices else "choose one of the answers"


def _start(reading: Reading, questions: _Questions) -> Reading:
    """The reading with its places counted from 0 or from 1."""
    if "start" not in reading.doubts or reading.options is None:
        return reading
    why, sure = reading.doubts["start"]
    keys = reading.options.keys
    question = f"What does {keys[1]} in '{reading.answer.path}' stand for?"
    ways = ("the second candidate", "the first candidate")
    reply = questions.take("start", question, ways[0], confidence=sure, choices=ways, why=why, check=_one_of(ways))
    counted = keys if reply == ways[0] else tuple(key + 1 for key in keys)
    return replace(reading, options=replace(reading.options, keys=counted))


def _order(reading: Reading, questions: _Questions) -> Reading:
    """The reading with its candidates in the order in which the answer counts them."""
    if "order" not in reading.doubts or reading.options is None:
        return reading
    why, sure = reading.doubts["order"]
    names = [column.path for column in reading.options.columns]

    def fault(reply: str) -> str | None:
        right = sorted(part.strip() for part in reply.split(",")) == sorted(names)
        return None if right else f"name each of {', '.join(names)} once"

    keys = ", ".join(map(str, reading.options.keys))
    reply = questions.take(
        "order",
        f"Which columns do {keys} in '{reading.answer.path}' stand for, in this order?",
        ", ".join(names),
        confidence=sure,
        why=why,
        check=fault,
    )
    by_name = {column.path: column for column in reading.options.columns}
    columns = tuple(by_name[part.strip()] for part in reply.split(","))
    return replace(reading, options=replace(reading.options, columns=columns))


def _extras(reading: Reading, questions: _Questions) -> Reading:
    """The reading without those of its further columns that its owner says do not belong to the question."""
    extras: list[OwnColumn] = []
    aside = dict(reading.aside)
    why, sure = reading.doubts.get("columns", ("it says something else in different rows", 0.8))
    for column in reading.extras:
        question = f"Does '{column.path}' belong to the question?"
        reply = questions.take("columns", question, "yes", confidence=sure, choices=("yes", "no"), why=why)
        if reply == "no":
            aside[column.path] = "left out by its owner"
        else:
            extras.append(column)
    return replace(reading, extras=tuple(extras), aside=aside)


def _wording(view: View, reading: Reading, questions: _Questions) -> Wording | None:
    """Words for the label's values."""
    if reading.options is None or reading.options.form != "classes":
        return None
    wording = word_labels(view, reading)
    values, name = reading.answer.classes, reading.answer.path
    if len(values) > _SHOWN or wording.confidence >= UNSURE:
        shown = ", ".join(wording.options[:_SHOWN])
        question = f"What are the {len(values)} values of '{name}' called?"
        sure = max(wording.confidence, UNSURE)
        questions.take("options", question, shown, confidence=sure, why=wording.why)
        return wording
    words: list[str] = []

    def fault(reply: str) -> str | None:
        return "that is another value's word" if reply in words else None if reply.strip() else "say a word"

    for value, option in zip(values, wording.options, strict=True):
        guess = option if option not in words else str(value)
        question = f"What does {value!r} in '{name}' mean?"
        words.append(
            questions.take("options", question, guess, confidence=wording.confidence, why=wording.why, check=fault)
        )
    return replace(wording, options=tuple(words))


def _cluster(reading: Reading, questions: _Questions) -> str:
    """The task's cluster."""
    why, sure = reading.doubts.get("cluster", ("it goes with the kind", 0.9))
    return questions.take(
        "cluster",
        "With which kind of tasks is it held out?",
        reading.cluster,
        confidence=sure,
        choices=tuple(dict.fromkeys((reading.cluster, *CLUSTERS))),
        why=why,
        check=cluster_fault,
    )
