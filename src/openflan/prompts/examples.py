"""Examples: what one draw of a task becomes: a row under a template, in a style, with or without solved examples.

Invariant: an example is a pure function of (task, rows, settings, draw); no state, no order of calls matters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from openflan.errors import UserError
from openflan.prompts.render import Prompt, TaskRenderer
from openflan.recipe import PromptsPart
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow

__all__ = ["Example", "ExampleMaker"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A prompt to train on and how it came about."""

    prompt: Prompt
    style: int = 0
    """Which of the recipe's styles."""
    exemplars: tuple[int, ...] = ()
    """Places in the source split of the solved examples, in the order in which they stand."""


class ExampleMaker:
    """Makes a task's examples.

    Args:
        rows: the task's usable rows.
        cyclic: templates by row number, as the released code assigns them, not by hash as the paper says.
    """

    def __init__(self, entry: Entry, rows: Sequence[SourceRow], part: PromptsPart, *, cyclic: bool = False) -> None:
        self.entry = entry
        self.rows = rows
        self.renderer = TaskRenderer(entry, options=part.options)
        self._cyclic = cyclic
        self._conditional = any(template.when is not None for template in entry.spec.templates)
        self._everything = list(range(len(entry.spec.templates)))

    def example(self, row: int, ticket: int) -> Example:
        """The example that a draw's row and ticket stand for.

        Args:
            row: index into the usable rows.
            ticket: the draw's 64-bit hash.

        Raises:
            UserError: the row can't be rendered under the chosen template, or no template fits it.
        """
        chosen = self.rows[row]
        fitting = self.renderer.applicable(chosen) if self._conditional else self._everything
        if not fitting:
            raise UserError(
                "no template fits: every 'when' fails",
                where=f"{self.entry.path}, row {chosen.index + 1}",
                how="add a template without 'when', or drop such rows",
            )
        number = fitting[(chosen.index if self._cyclic else ticket) % len(fitting)]
        return Example(prompt=self.renderer.render(chosen, number))
