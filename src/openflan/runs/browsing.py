"""Answers to look at: the wrong ones, the unsure ones, those that change with the template, what tuning lost.

    page = browse_answers("runs/starter-1a2b3c4d", model="seed-0", show="lost", task="rte", limit=20)
    for answer in page.answers:
        print(answer.prompt, answer.answer, answer.untuned.answer)

Invariant: what is shown is what was stored, decided as the run's results count it. Cost: 30 ms the first time for 2,000
answers of a task, then 5 ms a page; prompts are read for the page alone. Rejected: a data frame of all answers, 2 kB
each, which a page of twenty does not need.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from openflan.errors import UserError, did_you_mean
from openflan.evaluation.answered import Answered
from openflan.evaluation.calibration import option_probabilities
from openflan.evaluation.paged import NO_TEMPLATE, AnswerColumns, answer_columns, fetch_answers
from openflan.evaluation.scores import Ends, Score
from openflan.prompts.render import BASELINE
from openflan.recipes.parts import EvaluationPart
from openflan.runs.compare import Answers, place_of
from openflan.runs.sides import places_of
from openflan.runs.stages import UNTUNED, RunPlaces
from openflan.runs.stored import StoredRun

__all__ = ["UNSURE", "AnswersPage", "BrowsedAnswer", "BrowsedOption", "browse_answers"]

AnswersShown = Literal["all", "wrong", "unsure", "disagree", "lost", "gained"]
"""Which answers: wrong ones; those that are hardly likelier than the next option; rows that are answered otherwise
under another template; untuned right and tuned wrong; untuned wrong and tuned right."""

UNSURE = 0.2
"""An answer is unsure where the likeliest option is less than this ahead of the next, in probability."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BrowsedOption:
    """One option of a prompt."""

    text: str
    probability: float
    """Given that one of the options is the answer."""
    logprob: float
    """In nats, as it was stored."""
    chosen: bool
    right: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class BrowsedAnswer:
    """One answer of a model."""

    task: str
    cluster: str
    row: int
    """Place in the source split."""
    template: int | None
    """Its number; None for the task's baseline, a text to continue."""
    turn: int
    """By how many places the prompt lists its options turned."""
    prompt: str
    """What the model read."""
    answer: str
    """What it chose or wrote."""
    expected: str
    options: tuple[BrowsedOption, ...]
    """In class order; empty where it wrote."""
    value: float
    """Its score, 0 to 1."""
    metric: str
    cut: bool
    """Whether the prompt was too long for the model and lost a part."""
    untuned: "BrowsedAnswer | None" = None
    """The untuned model's answer to the same prompt, beside a tuned one's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswersPage:
    """Some answers, of those that were asked for."""

    answers: tuple[BrowsedAnswer, ...]
    start: int
    """Number of the first, from 0."""
    total: int
    """How many there are."""
    by_task: Mapping[str, int]
    """How many of each task, whatever task was asked for; tasks without any have 0."""
    templates: tuple[int, ...]
    """Of the task that was asked for; none where that is every task."""
    models: tuple[str, ...]
    """That answers are there of."""


def browse_answers(
    run: str | Path | Answers,
    *,
    model: str = UNTUNED,
    show: str = "all",
    task: str | None = None,
    template: int | None = None,
    row: int | None = None,
    start: int = 0,
    limit: int = 20,
) -> AnswersPage:
    """Some of a model's answers to test rows, each with its prompt and the probability of each option.

    Args:
        run: a run or its folder, or what `evaluate` made.
        model: `untuned`, `seed-0` …; of what `evaluate` made, there is one.
        show: `all`, `wrong` (of written answers, those that score under a half), `unsure` (the least sure first),
            `disagree` (a row's answers under its templates differ), `lost` or `gained` by tuning.
        task: of this task alone.
        template: under this template alone; -1 is the baseline.
        row: to this row alone, by its place in the source split.
        start: number of the first, from 0.
        limit: at most so many.

    Raises:
        UserError: there are no such answers, a file is damaged, or `show` needs a tuned model.
    """
    folder = place_of(run)
    if show not in get_args(AnswersShown):
        how = did_you_mean(show, get_args(AnswersShown)) or f"one of {', '.join(get_args(AnswersShown))}"
        raise UserError(f"no kind of answers '{show}'", where="show", how=how)
    models = places_of(folder, untuned=True)
    if model not in models and not RunPlaces(folder).is_run:
        model = next(iter(models))
    if model not in models:
        raise UserError(f"no answers of '{model}'", where=str(folder), how=f"there are those of {', '.join(models)}")
    before = models.get(UNTUNED) if model != UNTUNED else None
    if show in ("lost", "gained") and before is None:
        how = "choose a tuned model of a run that asked its untuned one too"
        raise UserError(f"'{show}' is what tuning changed", where=model, how=how)
    rule = _rule(folder)
    paths = {path.stem: path for path in sorted(models[model].glob("[!.]*.parquet"))}
    if task is not None and task not in paths:
        raise UserError(f"no answers to '{task}'", where=str(models[model]), how=did_you_mean(task, paths))
    of_task = {name: answer_columns(path, score=rule.score, ends=rule.ends) for name, path in paths.items()}
    chosen: dict[str, NDArray[np.int64]] = {}
    for name, columns in of_task.items():
        other = None if before is None else _columns(before / f"{name}.parquet", rule)
        numbers = _shown(columns, show, other)
        numbers = numbers if template is None else numbers[columns.template[numbers] == template]
        chosen[name] = numbers if row is None else numbers[columns.row[numbers] == row]
    wanted = [name for name in paths if task in (None, name)]
    picked = _picked(of_task, chosen, wanted, least_sure_first=show == "unsure", start=start, limit=limit)
    return AnswersPage(
        answers=tuple(_answers(picked, of_task, models[model], before, rule)),
        start=start,
        total=sum(len(chosen[name]) for name in wanted),
        by_task={name: len(some) for name, some in chosen.items()},
        templates=() if task is None else tuple(n for n in np.unique(of_task[task].template).tolist() if n >= 0),
        models=tuple(models),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rule:
    """How answers are decided."""

    score: Score = "sum"
    ends: Ends = "as_tuned"


def _rule(folder: Path) -> _Rule:
    """As the run's results count them, or what `evaluate` wrote down."""
    if RunPlaces(folder).is_run:
        part = StoredRun.open(folder).recipe.evaluation
        return _Rule(score=part.score, ends=part.ends)
    settings = _settings(folder)
    return _Rule(score=settings.score, ends=settings.ends)


def _settings(folder: Path) -> EvaluationPart:
    try:
        stated = json.loads((folder / "results.json").read_text(encoding="utf-8"))["settings"]
        return EvaluationPart.model_validate({name: stated[name] for name in ("score", "ends")})
    except (OSError, ValueError, KeyError, TypeError):
        return EvaluationPart()


def _columns(path: Path, rule: _Rule) -> AnswerColumns | None:
    return answer_columns(path, score=rule.score, ends=rule.ends) if path.is_file() else None


def _shown(columns: AnswerColumns, show: str, untuned: AnswerColumns | None) -> NDArray[np.int64]:
    """Numbers of the answers that are to be shown, in the order of the file."""
    right = columns.value >= 0.5
    match show:
        case "wrong":
            mask = ~right
        case "unsure":
            mask = columns.margin < UNSURE
        case "disagree":
            return _disagreeing(columns)
        case "lost" | "gained":
            if untuned is None:
                return np.zeros(0, dtype=np.int64)
            pair = _partners(columns, untuned)
            was_right = (untuned.value >= 0.5)[np.maximum(pair, 0)]
            mask = (pair >= 0) & ((was_right & ~right) if show == "lost" else (~was_right & right))
        case _:
            mask = np.ones(len(right), dtype=bool)
    return np.flatnonzero(mask)


def _disagreeing(columns: AnswerColumns) -> NDArray[np.int64]:
    """All answers to the rows that are not answered alike under every template, a row's together."""
    own = np.flatnonzero(columns.template != NO_TEMPLATE)
    if not len(own):
        return own
    order = own[np.lexsort((columns.template[own], columns.turn[own], columns.row[own]))]
    cell = columns.row[order] * 64 + columns.turn[order]
    first = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]])
    answer = columns.answer[order]
    differ = np.minimum.reduceat(answer, first) != np.maximum.reduceat(answer, first)
    shown: NDArray[np.int64] = order[np.repeat(differ, np.diff(np.r_[first, len(order)]))]
    return shown


def _partners(columns: AnswerColumns, other: AnswerColumns) -> NDArray[np.int64]:
    """For each answer, the number of the other model's answer to the same prompt; -1 where there is none."""
    if not len(other.key):
        return np.full(len(columns.key), -1)
    order = np.argsort(other.key, kind="stable")
    keys = other.key[order]
    at = np.minimum(np.searchsorted(keys, columns.key), len(keys) - 1)
    return np.where(keys[at] == columns.key, order[at], -1)


def _picked(
    of_task: Mapping[str, AnswerColumns],
    chosen: Mapping[str, NDArray[np.int64]],
    wanted: Sequence[str],
    *,
    least_sure_first: bool,
    start: int,
    limit: int,
) -> list[tuple[str, int]]:
    """Task and number of the answers on a page."""
    if not wanted:
        return []
    numbers = np.concatenate([chosen[name] for name in wanted])
    tasks = np.repeat(np.arange(len(wanted)), [len(chosen[name]) for name in wanted])
    if least_sure_first:
        margins = np.concatenate([of_task[name].margin[chosen[name]] for name in wanted])
        order = np.argsort(margins, kind="stable")
        numbers, tasks = numbers[order], tasks[order]
    part = slice(max(0, start), max(0, start) + max(0, limit))
    return [(wanted[task], number) for task, number in zip(tasks[part].tolist(), numbers[part].tolist(), strict=True)]


def _answers(
    picked: Sequence[tuple[str, int]],
    of_task: Mapping[str, AnswerColumns],
    folder: Path,
    before: Path | None,
    rule: _Rule,
) -> list[BrowsedAnswer]:
    """The answers themselves, with the untuned model's beside them."""
    browsed: dict[tuple[str, int], BrowsedAnswer] = {}
    for name in dict.fromkeys(task for task, _ in picked):
        numbers = np.array([number for task, number in picked if task == name])
        columns = of_task[name]
        answers = _fetched(folder / f"{name}.parquet", columns.place[numbers], rule)
        untuned: dict[int, Answered] = {}
        other = None if before is None else _columns(before / f"{name}.parquet", rule)
        if before is not None and other is not None:
            pair = _partners(columns, other)[numbers]
            there = np.flatnonzero(pair >= 0)
            answered = _fetched(before / f"{name}.parquet", other.place[pair[there]], rule)
            untuned = dict(zip(there.tolist(), answered, strict=True))
        for place, (number, answer) in enumerate(zip(numbers.tolist(), answers, strict=True)):
            beside = untuned.get(place)
            browsed[name, number] = _browsed(
                answer, rule.score, None if beside is None else _browsed(beside, rule.score)
            )
    return [browsed[one] for one in picked]


def _fetched(path: Path, places: NDArray[np.int64], rule: _Rule) -> list[Answered]:
    return fetch_answers(path, places.tolist(), score=rule.score, ends=rule.ends)


def _browsed(answer: Answered, score: Score, untuned: BrowsedAnswer | None = None) -> BrowsedAnswer:
    shares = option_probabilities(answer, score)
    chosen = answer.options.index(answer.answer) if answer.kind == "ranked" else -1
    return BrowsedAnswer(
        task=answer.task,
        cluster=answer.cluster,
        row=answer.row,
        template=None if answer.template == BASELINE else answer.template,
        turn=answer.turn,
        prompt=answer.prompt,
        answer=answer.answer,
        expected=answer.expected,
        options=tuple(
            BrowsedOption(
                text=text, probability=share, logprob=logprob, chosen=place == chosen, right=place in answer.gold
            )
            for place, (text, share, logprob) in enumerate(zip(answer.options, shares, answer.scores, strict=True))
        )
        if shares
        else (),
        value=answer.value,
        metric=answer.metric,
        cut=answer.cut,
        untuned=untuned,
    )
