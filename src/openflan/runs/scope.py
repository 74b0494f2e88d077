"""Scope: what a run's hold-out says of the user's own data, and what it does not.

A gain on a held-out cluster is evidence for kinds of task that tuning never saw. Whether it is evidence on the user's
data depends on whose the held-out rows are; the same sentences stand in a plan, in results and on the page.

Invariant: a function of which tasks are tuned on and measured, so that it can be told before a run and after it.
"""

from collections.abc import Sequence

from openflan.tasks.catalog import Entry

__all__ = ["scope_of"]


def scope_of(tuned: Sequence[Entry], held_out: Sequence[Entry]) -> str:
    """What the held-out clusters say of the own tasks; empty where there are none.

    Args:
        tuned: tasks that are tuned on.
        held_out: tasks that are measured as held out.
    """
    learnt = [entry for entry in tuned if entry.own]
    unseen = [entry for entry in held_out if entry.own]
    if not learnt and not unseen:
        return ""
    if unseen:
        return (
            f"Held out is a kind of task of your own ({_kinds(unseen)}): a gain there says that what the model learnt"
            " carries over to a kind of your data that it was not tuned on. It says so of this kind; of the others only"
            " holding out each in turn can tell."
        )
    rows = (
        "Your own tasks are measured on rows like those that they were tuned on, which shows whether the model learnt"
        " these tasks, not whether it could do others."
    )
    if not held_out:
        return f"No cluster is held out. {rows}"
    return (
        f"Held out is no kind of task of your own, but {_kinds(held_out)}: a gain there says that the model learnt to"
        " follow instructions of a kind that it was not tuned on, not that it would do a new kind of task on your data."
        f" To show that takes three kinds of your own, of which one is held out. {rows}"
    )


def _kinds(entries: Sequence[Entry]) -> str:
    return ", ".join(dict.fromkeys(entry.spec.code_cluster.replace("_", " ") for entry in entries))
