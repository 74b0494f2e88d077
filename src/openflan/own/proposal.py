"""The recipe that is proposed for a user's own tasks: what is tuned on, what is held out, and what that will prove.

    kinds of own tasks    held out                 mixed in             proves on the own data
    three or more         one of them              nothing              that it carries over to a kind it never saw
    one or two            a cluster of others      tasks of others      that the model learnt the own tasks

A kind is a cluster with its kin, which leave tuning together (section 2.2 of Wei et al. 2022).

Invariant: the recipe reads back as it was written, and no own task leaves tuning but for being held out. Rejected: to
hold out one of two kinds, which leaves one to tune on: with one or two kinds nothing carried over in our study of
clusters (docs/findings.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.mixture.holdout import HoldOut, hold_out
from openflan.own.companions import Companions, choose_companions
from openflan.own.tuning import OwnTexts, tuning_of
from openflan.recipes.safe_yaml import as_yaml
from openflan.runs.scope import scope_of
from openflan.study.outcome import NO_FIGURE
from openflan.tasks.catalog import Entry
from openflan.tasks.local import find_data

__all__ = ["Proposal", "check_named", "propose"]

_FEWEST_LEFT = 2
"""Kinds of own tasks that are left to tune on when one is held out."""
_ENOUGH_ROWS = 50
"""Test rows from which a held-out cluster's gain has an interval that says something."""
_SHARE = 0.5
"""Of the examples that own tasks have where others are mixed in."""
_ORDER = (
    "natural_language_inference", "reading_comprehension", "sentiment", "commonsense", "coreference", "closed_book_qa",
    "paraphrase", "struct_to_text", "translation", "summarization", "misc",
)  # fmt: skip
"""Clusters of others by how well they serve to be held out; inference is what gains most, in the paper and here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What is proposed for some own tasks."""

    recipe: dict[str, Any]
    """Content of a recipe file."""
    study: dict[str, Any] | None
    """Content of a study file that holds out each own kind in turn; None where they are too few."""
    held_out: str
    """The cluster that is held out; empty where none can be."""
    companions: Companions | None
    """The tasks of others that are mixed in."""
    why: tuple[str, ...]
    """What was decided and why, a sentence each; the last says what the hold-out will prove, and what not."""

    @property
    def recipe_text(self) -> str:
        """The recipe file."""
        head = "# What is tuned on, what is held out and what is measured; `openflan run` on this folder runs it.\n"
        return head + as_yaml(self.recipe)

    @property
    def study_text(self) -> str | None:
        """The study file."""
        return None if self.study is None else as_yaml(self.study)


def check_named(folder: Path, *, model: str | None, data: str | Path | None) -> None:
    """Refuse what `propose` would refuse, before anything is written.

    Args:
        folder: where relative paths start.
        model: as for `propose`.
        data: as for `propose`.

    Raises:
        UserError: there is no such model or no such folder of data.
    """
    _ = OwnTexts(tasks=(), model=model or "starter", folder=folder).source
    find_data(None if data is None else str(data))


def propose(
    folder: Path, tasks: Sequence[Entry], *, model: str | None = None, data: str | Path | None = None
) -> Proposal:
    """Propose a recipe for own tasks, and a study where there are kinds enough to hold out each in turn.

    Args:
        folder: where both will stand, with the task files in `tasks/` below it.
        tasks: the own tasks.
        model: hub id or folder of the model to tune; the embedded base where it is None.
        data: a folder of others' rows, as after `--data`.

    Raises:
        UserError: the model, the folder of data or a table's rows are at fault.
    """
    chosen = model or "starter"
    rows = OwnTexts(tasks=tuple(tasks), model=chosen, folder=folder)
    kinds = _kinds_to_hold_out(rows)
    if kinds:
        division = _without(tasks, kinds[0])
        only = {"use": ["mine"], "folders": ["tasks"], "hold_out": [kinds[0]]}
        scope = scope_of(division.tuned, division.held_out)
        left = list(dict.fromkeys(entry.spec.code_cluster for entry in division.tuned))
        why = (
            f"Your tasks are of {len({e.spec.code_cluster for e in tasks})} kinds, so one can be held out:"
            f" {_plain(kinds[0])}, whose answers are easy to measure and which leaves most rows to tune on"
            f" ({_listed(left)} stay).",
            scope,
        )
        study = _rotating(tasks, kinds) if len(kinds) > 1 else None
        recipe = _recipe(rows, only, share=1.0)
        return Proposal(recipe=recipe, study=study, held_out=kinds[0], companions=None, why=why)
    place = str(Path(data).absolute()) if data not in (None, "twins") else data
    companions = choose_companions(tasks, data=place, embedded=chosen == "starter")
    cluster, division = _of_others(tasks, companions.tasks)
    used: dict[str, Any] = {
        "use": ["mine", *companions.use],
        "folders": ["tasks"],
        "hold_out": [cluster] if cluster else [],
    }
    if companions.data is not None:
        used["data"] = companions.data
    return Proposal(
        recipe=_recipe(rows, used, share=_SHARE),
        study=None,
        held_out=cluster,
        companions=companions,
        why=(*_mixed(tasks, companions, cluster), scope_of(division.tuned, division.held_out)),
    )


def _recipe(rows: OwnTexts, tasks: dict[str, Any], *, share: float) -> dict[str, Any]:
    """A recipe's content in the order in which one reads it."""
    tuning = tuning_of(rows, share=share)
    sizes = {"rows": 200, "own_rows": 200, "validation_rows": 0, "baseline": True}
    return {
        "name": _name(rows.folder),
        "model": tuning["model"],
        "tasks": tasks,
        "prompts": tuning["prompts"],
        **({"mixture": {"groups": {"own": {"use": ["mine"], "share": share}}}} if share < 1 else {}),
        "training": tuning["training"],
        "evaluation": {**sizes, **tuning["evaluation"]},
        "seeds": [0, 1],
    }


def _kinds_to_hold_out(rows: OwnTexts) -> list[str]:
    """Own clusters of which each may be held out, the one to begin with first; none where too few would be left."""
    order: dict[str, tuple[object, ...]] = {}
    for cluster in dict.fromkeys(entry.spec.code_cluster for entry in rows.tasks):
        try:
            division = _without(rows.tasks, cluster)
        except UserError:  # nothing is left
            continue
        left = {entry.spec.cluster for entry in division.tuned}
        measured = [entry for entry in division.held_out if "test" in entry.spec.splits]
        if len(left) < _FEWEST_LEFT or not measured or division.condemned:
            continue
        kin = len({entry.spec.cluster for entry in division.held_out}) > 1
        ranked = all(entry.spec.is_classification for entry in measured)
        tested = sum(rows.tests[entry.spec.name] for entry in measured)
        lost = sum(len(rows.rows[entry.spec.name]) for entry in division.held_out)
        order[cluster] = (kin, not ranked, tested < _ENOUGH_ROWS, lost)
    return sorted(order, key=lambda cluster: order[cluster])


def _of_others(own: Sequence[Entry], others: Sequence[Entry]) -> tuple[str, HoldOut]:
    """A cluster of others that can be held out with every own task left in tuning; none where that can't be."""
    everything = [*own, *others]
    there = {entry.spec.cluster for entry in others}
    for cluster in (*(name for name in _ORDER if name in there), ""):
        division = hold_out(everything, [cluster] if cluster else [], kin="paper")
        if all(entry in division.tuned for entry in own):
            break
    return cluster, division


def _without(tasks: Sequence[Entry], cluster: str) -> HoldOut:
    return hold_out(tasks, [cluster], kin="paper")


def _mixed(own: Sequence[Entry], companions: Companions, cluster: str) -> tuple[str, ...]:
    kinds = list(dict.fromkeys(entry.spec.code_cluster for entry in own))
    many = f"{len(kinds)} kinds" if len(kinds) > 1 else "one kind"
    where = {
        "hub": "from the hub",
        "folder": "from the folder of data",
        "starter": "from the starter world, which comes with openflan",
    }[companions.source]
    text = (
        f"Your tasks are of {many} ({_listed(kinds)}), too few to hold one out, so {len(companions.tasks)} tasks of"
        f" others are mixed in, {where}; your own have half of the examples."
    )
    if not cluster:
        return (text, "No cluster of theirs can be held out without a task of your own leaving tuning with it.")
    return (text, f"Held out of tuning is {_plain(cluster)}, with its kin.")


def _rotating(tasks: Sequence[Entry], kinds: Sequence[str]) -> dict[str, Any]:
    """A study that holds out each of some own clusters in turn."""
    values: dict[str, Mapping[str, Any]] = {
        kind: {
            "tasks.hold_out": [kind],
            "evaluation.tasks": sorted(e.spec.name for e in tasks if kind in (e.spec.cluster, e.spec.code_cluster)),
        }
        for kind in kinds
    }
    return {
        "name": "holdout",
        "title": "Each kind of your own tasks held out in turn",
        "question": "Does the model get better at a kind of your own that it never saw by being tuned on the others?",
        "figure": NO_FIGURE,
        "claims": [
            {
                "says": "Tuning on your other tasks raises the score on a kind that is held out, on average",
                "measure": "gain",
                "expect": "higher",
            }
        ],
        "plot": {
            "kind": "bar",
            "x": "cluster",
            "y": ["untuned", "tuned"],
            "y_title": "score on the held-out kind",
        },
        "settings": {
            "own": {
                "base": "recipe.yaml",
                "change": {"evaluation.own_rows": 0},
                "seeds": [0, 1],
                "axes": [{"name": "held-out", "title": "held out", "x": "place", "values": values}],
            }
        },
    }


def _name(folder: Path) -> str:
    """The folder's name as a recipe may bear it."""
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder.resolve().name.lower()).strip("-")
    return name or "own"


def _plain(cluster: str) -> str:
    return cluster.replace("_", " ")


def _listed(clusters: Sequence[str]) -> str:
    return ", ".join(map(_plain, clusters))
