"""Plans that are counted: rows read, held against held-out ones and tokenised, while the pages go on.

Each is made in a process of its own, so that no page waits for it and what it read leaves memory with it. One is made
at a time; another takes its place.

Invariant: the pages' process reads no row for it; the last counts are kept, older ones are forgotten. Cost: what
`openflan plan` takes, a few seconds to minutes. Rejected: a thread, which the pages would share an interpreter with.
"""

import multiprocessing
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import openflan

__all__ = ["ExactCount", "ExactCounts", "RecipeToCount"]

_KEPT = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeToCount:
    """What is planned: a recipe and changes to it."""

    path: Path
    settings: Mapping[str, Any]
    data: str | None

    def plan(self) -> openflan.MixturePreview:
        """The plan, from the rows.

        Raises:
            UserError: as `Run.plan`.
        """
        given = openflan.Run(self.path, data=self.data)
        return openflan.Run(given.recipe, settings=dict(self.settings)).plan()


@dataclass(kw_only=True, slots=True)
class ExactCount:
    """What becomes of a count."""

    begun: float = field(default_factory=time.monotonic)
    took: float | None = None
    """Seconds; None while it goes on."""
    plan: openflan.MixturePreview | None = None
    fault: str = ""

    @property
    def seconds(self) -> float:
        """So far, or in all."""
        return time.monotonic() - self.begun if self.took is None else self.took


class ExactCounts:
    """Counts, by what they depend on."""

    def __init__(self) -> None:
        self._counts: OrderedDict[Hashable, ExactCount] = OrderedDict()
        self._lock = threading.Lock()
        self._working: tuple[Hashable, SpawnProcess] | None = None

    def look(self, key: Hashable) -> ExactCount | None:
        """A count that was asked for; None where it was not, was ended for another, or is forgotten.

        Args:
            key: all that it depends on.
        """
        with self._lock:
            return self._counts.get(key)

    def start(self, key: Hashable, recipe: RecipeToCount) -> ExactCount:
        """Begin a count, or look at one that was begun; one of something else that goes on is ended.

        Args:
            key: all that it depends on.
            recipe: what is planned.
        """
        with self._lock:
            existing = self._counts.get(key)
            if existing is not None and not existing.fault:
                return existing
            self._end()
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_plan, args=(recipe, theirs), daemon=True)
            process.start()
            theirs.close()
            count = self._counts[key] = ExactCount()
            self._working = key, process
            while len(self._counts) > _KEPT:
                self._counts.popitem(last=False)
        threading.Thread(target=self._wait, args=(key, count, process, ours), daemon=True).start()
        return count

    def _end(self) -> None:
        """End the count that goes on, if any."""
        if self._working is not None:
            key, process = self._working
            process.terminate()
            self._counts.pop(key, None)
            self._working = None

    def _wait(self, key: Hashable, count: ExactCount, process: SpawnProcess, pipe: Connection) -> None:
        try:
            plan, fault = pipe.recv()
        except (EOFError, OSError):
            plan, fault = None, "the count was ended before it was done"
        pipe.close()
        process.join()
        count.plan, count.fault, count.took = plan, fault, count.seconds
        with self._lock:
            if self._working is not None and self._working[0] == key:
                self._working = None


def _plan(recipe: RecipeToCount, pipe: Connection) -> None:
    """What the process does."""
    try:
        pipe.send((recipe.plan(), ""))
    except openflan.UserError as error:
        pipe.send((None, str(error)))
    except Exception as error:  # the page says it; there is no terminal to write to
        pipe.send((None, f"{type(error).__name__}: {error}"))
