"""What changed from one mixture to another: rows, shares, epochs, templates, leaks."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openflan.errors import UserError

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
    locks, ledgers, leaks = zip(*(_read(folder) for folder in (left, right)), strict=True)
    rows = [_rows(folder) for folder in (left, right)]
    names = sorted(set(locks[0]["tasks"]) | set(locks[1]["tasks"]))
    edges = sorted(set(leaks[0]) | set(leaks[1]))
    counts = {edge: (leaks[0].get(edge, 0), leaks[1].get(edge, 0)) for edge in edges}
    settings = _settings(locks[0]["recipe"], locks[1]["recipe"])
    return MixtureChange(
        same=locks[0]["key"] == locks[1]["key"],
        tasks=[_task(name, locks, ledgers, rows) for name in names],
        tokenizer_changed=locks[0]["tokenizer"] != locks[1]["tokenizer"],
        settings=settings,
        leak_edges={edge: pair for edge, pair in counts.items() if pair[0] != pair[1]},
    )


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, int]]:
    try:
        lock, ledger, leakage = (
            json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("lock", "ledger", "leakage")
        )
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        raise UserError("no mixture", where=str(folder), how="give a run folder or its mixture/ folder") from None
    edges = {f"{edge['task']} -> {edge['held_out']}": int(edge["items"]) for edge in leakage["edges"]}
    return lock, ledger, edges


def _rows(folder: Path) -> dict[str, set[int]]:
    """Hashes of what each task's rows say."""
    with np.load(folder / "rows.npz") as held:
        return {name: set(held[name].tolist()) for name in held.files}


def _task(name: str, locks: tuple[Any, ...], ledgers: tuple[Any, ...], rows: list[dict[str, set[int]]]) -> TaskChange:
    tasks = [lock["tasks"].get(name) for lock in locks]
    held = [side.get(name, set()) for side in rows]
    both = tasks[0] is not None and tasks[1] is not None

    def pair(key: str) -> tuple[float, float]:
        left, right = (_share(ledger, name, key) for ledger in ledgers)
        return left, right

    return TaskChange(
        task=name,
        rows=(tasks[0] and tasks[0]["rows"], tasks[1] and tasks[1]["rows"]),
        rows_added=len(held[1] - held[0]),
        rows_removed=len(held[0] - held[1]),
        share=pair("drawn"),
        token_share=pair("tokens"),
        epochs=pair("epochs"),
        templates_changed=both and tasks[0]["templates"] != tasks[1]["templates"],
        source_changed=both and tasks[0]["source"] != tasks[1]["source"],
    )


def _share(ledger: dict[str, Any], name: str, key: str) -> float:
    """A task's part of the whole, or for epochs their mean over seeds."""
    if name not in ledger["tasks"]:
        return 0.0
    mine = ledger["tasks"][name][key].values()
    if key == "epochs":
        return float(np.mean(list(mine)))
    return float(sum(mine) / max(1, sum(sum(task[key].values()) for task in ledger["tasks"].values())))


def _settings(left: Any, right: Any, place: str = "") -> dict[str, tuple[Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in sorted({*left, *right}):
            found |= _settings(left.get(key), right.get(key), f"{place}.{key}" if place else key)
        return found
    return {} if left == right else {place: (left, right)}
