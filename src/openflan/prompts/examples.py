"""Examples: what the draws of a task become: rows under templates, in a style, with or without solved examples.

Invariant: an example is a pure function of (task, rows, settings, draw, the other rows of its piece); no state, no
order of calls matters. Cost: 20 µs an example without solved ones.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openflan.errors import UserError
from openflan.hashing import Integers
from openflan.prompts.exemplars import ExemplarMaker, FewShotQuestion
from openflan.prompts.render import Prompt, TaskRenderer
from openflan.prompts.styles import choose_shots, choose_styles, choose_template
from openflan.recipes.parts import PromptsPart
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow

__all__ = ["Count", "ExampleMaker", "ExampleRules", "TrainingExample", "fitting_rows"]

Count = Callable[[Sequence[str]], list[int]]
"""Tokens of texts, each on its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingExample:
    """A prompt to train on and how it came about."""

    prompt: Prompt
    style: int = 0
    """Which of the recipe's styles."""
    exemplars: tuple[int, ...] = ()
    """Places in the source split of the solved examples, in the order in which they stand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleRules:
    """Where examples are made as the released code makes them, and what becomes of rows that can't be."""

    cyclic: bool = False
    """Templates by row number, as the released code assigns them, not by hash as the paper says."""
    self_exemplars: bool = False
    """A row may stand among its own solved examples."""
    skip_faulty: bool = False
    """Leave out a row that can't be rendered."""
    templates: int | None = None
    """So many templates of a task are used, the first that fit a row; all if None."""


def fitting_rows(entry: Entry, rows: Sequence[SourceRow], *, templates: int | None = None) -> Sequence[SourceRow]:
    """Those of a task's rows that some template fits: where each has a condition, it is they who choose the rows.

    Args:
        templates: so many templates are used; all if None.

    Raises:
        UserError: none fits any row.
    """
    if not _conditional(entry, all):
        return rows
    renderer = TaskRenderer(entry, templates=templates)
    fitting = [row for row in rows if _fits(renderer, row)]
    if not fitting:
        how = "add a template without 'when', or leave the task out"
        raise UserError(f"no template of '{entry.spec.name}' fits any of its rows", where=str(entry.path), how=how)
    return fitting


def _conditional(entry: Entry, quantity: Callable[[Iterable[bool]], bool]) -> bool:
    """Whether any, or all, of a task's templates fit some rows only."""
    whole = entry.spec.answer.by_template is not None
    return whole or quantity(template.when is not None for template in entry.spec.templates)


def _fits(renderer: TaskRenderer, row: SourceRow) -> bool:
    try:
        return bool(renderer.applicable(row))
    except UserError:
        return True  # a fault, which is raised or skipped where the row is drawn


class ExampleMaker:
    """Makes a task's examples.

    Args:
        rows: the task's usable rows.
        count: what the budget of solved examples is counted with.
        start: tokens that every prompt begins with.
    """

    def __init__(
        self,
        entry: Entry,
        rows: Sequence[SourceRow],
        part: PromptsPart,
        rules: ExampleRules = ExampleRules(),
        *,
        count: Count,
        start: int = 0,
    ) -> None:
        self.entry = entry
        self.rows = rows
        self.renderer = TaskRenderer(entry, templates=rules.templates)
        self._part = part
        self._rules = rules
        self._count = count
        self._budget = part.exemplar_budget - start
        self._conditional = _conditional(entry, any)
        self._everything = list(range(len(entry.spec.templates)))[: rules.templates]

    def examples(
        self, rows: NDArray[np.int64], tickets: Integers, *, pool: NDArray[np.int64]
    ) -> list[TrainingExample | None]:
        """The examples that some draws' rows and tickets stand for; None where a faulty row is left out.

        Args:
            rows: indices into the usable rows, one a draw.
            tickets: the draws' 64-bit hashes.
            pool: indices of the rows that solved examples are taken from.

        Raises:
            UserError: a row can't be rendered under the chosen template, or no template fits it.
        """
        styles = choose_styles(self._part, tickets).tolist()
        examples: list[TrainingExample | None] = []
        for row, ticket, style in zip(rows.tolist(), tickets.tolist(), styles, strict=True):
            try:
                examples.append(self._example(self.rows[row], ticket, style))
            except UserError:
                if not self._rules.skip_faulty:
                    raise
                examples.append(None)
        if any(max(style.all_shots) for style in self._part.tuning_styles):
            self._add_exemplars(examples, rows.tolist(), tickets.tolist(), pool)
        return examples

    def _example(self, row: SourceRow, ticket: int, style: int) -> TrainingExample:
        """A row's example without solved ones."""
        wanted = self._part.tuning_styles[style]
        fitting = self.renderer.applicable(row) if self._conditional else self._everything
        if wanted.form != "instruction":
            fitting = self.renderer.asking(row, wanted)
        if not fitting:
            raise UserError(
                "no template fits: every 'when' fails",
                where=f"{self.entry.path}, row {row.index + 1}",
                how="add a template without 'when', or drop such rows",
            )
        if self._rules.cyclic:
            number = fitting[row.index % len(fitting)]
        else:
            inverted = self.renderer.inverted(fitting) if self._part.inversion_rate is not None else []
            number = choose_template(fitting, inverted, ticket, inversion_rate=self._part.inversion_rate)
        return TrainingExample(prompt=self.renderer.render(row, number, style=wanted, key=ticket), style=style)

    def _add_exemplars(
        self,
        examples: list[TrainingExample | None],
        rows: Sequence[int],
        tickets: Sequence[int],
        pool: NDArray[np.int64],
    ) -> None:
        """Put solved examples before those prompts whose style wants them."""
        maker = ExemplarMaker(
            self.renderer,
            [self.rows[row] for row in pool.tolist()],
            count=self._count,
            budget=self._budget,
            separator=self._part.separator,
            careless=self._rules.self_exemplars,
            skip=self._rules.skip_faulty,
        )
        places, questions = [], []
        for place, example in enumerate(examples):
            if example is None:
                continue
            style = self._part.tuning_styles[example.style]
            if shots := choose_shots(style, tickets[place]):
                row = self.rows[rows[place]]
                questions.append(
                    FewShotQuestion(row=row, prompt=example.prompt, style=style, shots=shots, key=tickets[place])
                )
                places.append(place)
        for place, (prompt, exemplars) in zip(places, maker.add(questions), strict=True):
            example = examples[place]
            assert example is not None
            examples[place] = replace(example, prompt=prompt, exemplars=exemplars)
