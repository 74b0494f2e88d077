"""What changed from one mixture to another: rows, shares, epochs, templates, leaks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from openflan.mixture.certificate import read_certificate
from openflan.mixture.ledger import Ledger, LockedTask, MixtureLock, read_ledger, read_lock, read_row_hashes

__all__ = ["MixtureChange", "TaskChange", "compare_mixtures"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskChange:
    """One task in both mixtures; None where it is in one only."""

    task: str
    rows: tuple[int | None, int | None]
    rows_added: int
    rows_removed: int
    share: tuple[float, float]
    """Share of the examples drawn."""
    token_share: tuple[float, float]
    epochs: tuple[float, float]
    """Mean over seeds."""
    templates_changed: bool
    source_changed: bool

    @property
    def changed(self) -> bool:
        """Whether anything but rounding differs."""
        same = all(abs(b - a) < 1e-9 for a, b in (self.share, self.token_share, self.epochs))
        return not same or bool(self.rows_added or self.rows_removed) or self.templates_changed or self.source_changed


@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureChange:
    """Two mixtures side by side."""

    same: bool
    """Whether the two are one and the same."""
    tasks: list[TaskChange]
    tokenizer_changed: bool
    settings: dict[str, tuple[Any, Any]]
    """Settings of the recipe that differ, by dotted key."""
    leak_edges: dict[str, tuple[int, int]]
    """Held-out items hit, by `training task -> held-out task`, where the counts differ."""


def compare_mixtures(left: Path, right: Path) -> MixtureChange:
    """Compare two mixture folders.

    Raises:
        UserError: one of them is no mixture.
    """
    one, other = _Side.read(left), _Side.read(right)
    edges = sorted({*one.edges, *other.edges})
    counts = {edge: (one.edges.get(edge, 0), other.edges.get(edge, 0)) for edge in edges}
    return MixtureChange(
        same=one.lock.key == other.lock.key and one.lock.text.encoder == other.lock.text.encoder,
        tasks=[_task(name, one, other) for name in sorted({*one.lock.tasks, *other.lock.tasks})],
        tokenizer_changed=one.lock.tokenizer != other.lock.tokenizer,
        settings=_settings(one.lock.recipe, other.lock.recipe),
        leak_edges={edge: pair for edge, pair in counts.items() if pair[0] != pair[1]},
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """One of the two mixtures."""

    lock: MixtureLock
    ledger: Ledger
    edges: dict[str, int]
    """Held-out items hit, by pair of tasks."""
    rows: dict[str, set[int]]
    """By task, hashes of what its rows say."""

    @classmethod
    def read(cls, mixture: Path) -> "_Side":
        return cls(
            lock=read_lock(mixture),
            ledger=read_ledger(mixture),
            edges={f"{edge.task} -> {edge.held_out}": edge.items for edge in read_certificate(mixture).edges},
            rows={name: set(hashes.tolist()) for name, hashes in read_row_hashes(mixture).items()},
        )

    def share(self, name: str, of: Literal["drawn", "tokens"]) -> float:
        """A task's part of the whole mixture's examples or tokens."""
        sums = {task: sum(getattr(entry, of).values()) for task, entry in self.ledger.tasks.items()}
        return float(sums.get(name, 0) / max(1, sum(sums.values())))

    def epochs(self, name: str) -> float:
        """How often a task's rows are seen, in the mean over seeds."""
        task = self.ledger.tasks.get(name)
        return float(np.mean(list(task.epochs.values()))) if task else 0.0


def _task(name: str, one: _Side, other: _Side) -> TaskChange:
    before, after = one.lock.tasks.get(name), other.lock.tasks.get(name)
    rows = one.rows.get(name, set()), other.rows.get(name, set())
    return TaskChange(
        task=name,
        rows=(None if before is None else before.rows, None if after is None else after.rows),
        rows_added=len(rows[1] - rows[0]),
        rows_removed=len(rows[0] - rows[1]),
        share=(one.share(name, "drawn"), other.share(name, "drawn")),
        token_share=(one.share(name, "tokens"), other.share(name, "tokens")),
        epochs=(one.epochs(name), other.epochs(name)),
        templates_changed=_differs("templates", before, after),
        source_changed=_differs("source", before, after),
    )


def _differs(field: str, left: LockedTask | None, right: LockedTask | None) -> bool:
    """Whether a task that both mixtures have differs in something."""
    return left is not None and right is not None and getattr(left, field) != getattr(right, field)


def _settings(left: Any, right: Any, place: str = "") -> dict[str, tuple[Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict):
        changed: dict[str, tuple[Any, Any]] = {}
        for key in sorted({*left, *right}):
            changed |= _settings(left.get(key), right.get(key), f"{place}.{key}" if place else key)
        return changed
    return {} if left == right else {place: (left, right)}
