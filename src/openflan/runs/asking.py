"""How a model of a run is asked: all tasks here, or task by task by processes that share them (cores.py).

A task's questions are asked by one process of one thread, and its answers written by it, so they are the same whoever
does it. The tasks that take longest go first. The untuned model is asked while the mixture is still made.

Invariant: the answers do not depend on the number of processes. Cost: each process renders the questions that it asks
(0.2 ms each). Rejected: one task's questions dealt out, whose writing and deciding one process would then do for all.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openflan import ranks
from openflan.cores import CorePool, tell
from openflan.recipes.recipe import Recipe
from openflan.runs.materials import Materials, materials_here
from openflan.runs.stages import Stage

if TYPE_CHECKING:
    from openflan.evaluation.protocol import Asked

__all__ = ["AskedTasks", "Asking", "Told", "Workload", "ask", "workload"]

Told = Callable[[Stage, int, int, float, float], None]
"""Told of a stage: prompts answered and of how many, share of its work, processor seconds that it took so far."""

_WRITING = 2.4
"""A token that is written takes as long as so many that are read."""
_CHARACTERS = 4.3
"""Of a token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """What a model is asked, and about how long each task takes beside the others."""

    prompts: dict[str, int]
    """Of each task, in the order in which they are asked."""
    costs: dict[str, float]
    """Characters to read, and what is written counted as such."""

    @classmethod
    def of(cls, tasks: "Sequence[Asked]", *, tuned: bool, longest: int, room: int) -> "Workload":
        """The workload of some tasks' questions, those first that take longest.

        Args:
            tuned: of a tuned model, whose written answers end; an untuned one's are as long as they may be.
            longest: tokens that a prompt may have.
            room: tokens that a written answer may have.
        """
        costs = {one.entry.spec.name: _cost(one, tuned=tuned, longest=longest, room=room) for one in tasks}
        prompts = {one.entry.spec.name: len(one.everything) for one in tasks}
        order = sorted(costs, key=lambda task: -costs[task])
        return cls(prompts={task: prompts[task] for task in order}, costs=costs)

    @property
    def total(self) -> int:
        """Prompts of all tasks."""
        return sum(self.prompts.values())

    @property
    def cost(self) -> float:
        """Of all tasks."""
        return sum(self.costs.values())

    def share(self, done: Mapping[str, int]) -> float:
        """Share of the work, where so many prompts of each task are answered."""
        parts = (self.costs[task] * min(1.0, some / max(1, self.prompts[task])) for task, some in done.items())
        return sum(parts) / max(1, self.cost)

    def share_in_order(self, done: int) -> float:
        """The same, where tasks are asked one after the other."""
        left, answered = done, {}
        for task, size in self.prompts.items():
            answered[task] = min(size, left)
            left -= answered[task]
        return self.share(answered)


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedTasks:
    """What came of asking a model some tasks, besides the answers on disk."""

    format: str
    """Hash of the text format."""
    model: str
    """Hash of the model's content."""
    note: str
    """What is special about its family; empty where nothing is."""
    prompts: int
    ranked: int
    undecided: int
    """Of these, to options of which one begins another, told apart without their ends."""
    left_out: dict[str, int]
    """By task, rows that break its contract."""

    @classmethod
    def all_of(cls, parts: "Sequence[AskedTasks]") -> "AskedTasks":
        """What came of several processes' work."""
        first = parts[0]
        return cls(
            format=first.format,
            model=first.model,
            note=first.note,
            prompts=sum(part.prompts for part in parts),
            ranked=sum(part.ranked for part in parts),
            undecided=sum(part.undecided for part in parts),
            left_out={task: count for part in parts for task, count in part.left_out.items()},
        )


def ask(
    materials: Materials,
    stage: Stage,
    place: Path,
    *,
    tasks: Sequence[str],
    report: Callable[[int, int], None],
    team: ranks.Team = ranks.ALONE,
    keep_model: bool = False,
) -> AskedTasks:
    """Ask a model some tasks and write its answers.

    Args:
        place: where answers are written, and kept ones lie.
        report: told how many of how many prompts are answered.
        keep_model: for the next call of the kind.

    Raises:
        UserError: the model, a task's questions or a kept file is at fault.
    """
    from openflan.evaluation.answered import undecided_share
    from openflan.evaluation.answering import Keep, evaluate
    from openflan.evaluation.identity import hash_of_model
    from openflan.models.device import pick_device
    from openflan.models.family import family_of
    from openflan.models.load import load_model
    from openflan.prompts.text_format import hold_to, read_text_format

    run, seed = materials.run, stage.seed
    encoder = materials.encoder
    if seed is not None:
        hold_to(read_text_format(run.tuned_model(seed)), encoder.format, where=run.tuned_model(seed))
        encoder = materials.tuned_encoder
    key = (str(place), stage.key)
    if key not in _loaded:
        _loaded.clear()
        model = load_model(run.plan.model if seed is None else run.model_source(seed), device=pick_device())
        _loaded[key] = (model, hash_of_model(model))
    model, content = _loaded[key] if keep_model else _loaded.pop(key)
    questions = [materials.question(task, tuned=seed is not None) for task in tasks]
    dirty = None if seed is None else run.certificate.measured_in_tuning
    answers = evaluate(
        model,
        encoder,
        questions,
        run.recipe.evaluation,
        report=report,
        keep=Keep(folder=place, model=content, dirty=dirty),
        team=team,
    )
    ranked = sum(answer.kind == "ranked" for answer in answers)
    return AskedTasks(
        format=encoder.fingerprint,
        model=content,
        note=family_of(model).note,
        prompts=len(answers),
        ranked=ranked,
        undecided=round(undecided_share(answers) * ranked),
        left_out={one.entry.spec.name: one.left_out for one in questions if one.left_out},
    )


_loaded: dict[tuple[str, str], tuple[Any, str]] = {}
"""The model that was asked last, in a process that is asked again."""


class Asking:
    """Evaluations that the processes of a pool are at."""

    def __init__(self, pool: CorePool, report: Told) -> None:
        self._pool = pool
        self._report = report
        self._begun: dict[Stage, _Begun] = {}

    def begin(self, materials: Materials, stage: Stage, place: Path) -> None:
        """Let a model be asked everything; nothing where that has begun.

        Raises:
            UserError: rows or templates of a task are at fault.
        """
        if stage in self._begun:
            return
        begun = _Begun(load=workload(materials, tuned=stage.seed is not None))
        self._begun[stage] = begun
        for task in begun.load.prompts:
            job = self._pool.do(_ask_task, materials.run.folder, materials.run.recipe, stage, place, task)
            job.add_done_callback(begun.end)
            begun.jobs.append(job)

    def has_begun(self, stage: Stage) -> bool:
        """Whether processes are at an evaluation."""
        return stage in self._begun

    def listen(self) -> None:
        """Pass on how far the processes are."""
        news = self._pool.heard()
        for stage, begun in self._begun.items():
            if own := [value for topic, value in news if topic == str(stage)]:
                for task, done, seconds in own:
                    begun.done[task], begun.seconds[task] = done, seconds
                answered = sum(min(done, begun.load.prompts[task]) for task, done in begun.done.items())
                spent = sum(begun.seconds.values())
                self._report(stage, answered, begun.load.total, begun.load.share(begun.done), spent)

    def finish(self, stage: Stage) -> tuple[AskedTasks, float]:
        """What came of an evaluation that was begun, and the seconds that it took.

        Raises:
            UserError: what asking raised, or a process was killed.
        """
        begun = self._begun[stage]
        outcome = AskedTasks.all_of(self._pool.results(begun.jobs, meanwhile=self.listen))
        del self._begun[stage]
        return outcome, begun.ended - begun.began


@dataclass(kw_only=True, slots=True)
class _Begun:
    """An evaluation that processes are at."""

    load: Workload
    jobs: "list[Future[AskedTasks]]" = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    ended: float = 0.0
    done: dict[str, int] = field(default_factory=dict)
    """Prompts of each task that are answered."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Processor seconds of each task so far."""

    def end(self, _job: "Future[AskedTasks]") -> None:
        """One more job is done."""
        self.ended = time.perf_counter()


def workload(materials: Materials, *, tuned: bool) -> Workload:
    """What a model of a run is asked."""
    recipe = materials.run.recipe
    longest, room = recipe.prompts.max_input_tokens, recipe.evaluation.max_new_tokens
    return Workload.of(materials.asked(tuned=tuned), tuned=tuned, longest=longest, room=room)


def _cost(task: "Asked", *, tuned: bool, longest: int, room: int) -> float:
    """About how long a task takes, in characters to read."""
    read = sum(min(len(prompt.input), longest * _CHARACTERS) for prompt, _ in task.everything)
    if task.entry.spec.is_classification:
        return read
    answers = [len(text) / _CHARACTERS for prompt, _ in task.everything for text in prompt.answer.references]
    written = min(room, max(answers, default=0)) if tuned else room  # a batch is done when its last answer is
    return read + _WRITING * _CHARACTERS * written * len(task.everything)


def _ask_task(folder: Path, recipe: Recipe, stage: Stage, place: Path, task: str) -> AskedTasks:
    """In a process of the pool: ask a model one task."""
    materials = materials_here(folder, recipe)
    materials.question(task)
    last, began = 0.0, time.process_time()

    def report(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > 0.5:
            tell(str(stage), (task, done, time.process_time() - began))
            last = time.monotonic()

    outcome = ask(materials, stage, place, tasks=[task], report=report, keep_model=True)
    tell(str(stage), (task, outcome.prompts, time.process_time() - began))  # with deciding and writing
    return outcome
