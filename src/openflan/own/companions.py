"""Companions: tasks of others that are mixed with a user's own where these are of too few kinds to hold one out.

They come from a folder of data, if one is named; else from the hub, if it answers; else from the starter world, which
needs neither. The embedded base, which knows no other English, is given the starter's unless a folder is named.

Invariant: no row is read; the choice depends on what is at hand and on nothing else. Rejected: the whole catalog, which
downloads 62 datasets to help three tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.local import find_data
from openflan.tasks.sources import must_be_fetched, rows_at_hand
from openflan.tasks.splits import Role

__all__ = ["CompanionSource", "Companions", "choose_companions"]

CompanionSource = Literal["hub", "folder", "starter"]

_CHOSEN = (
    "rte", "cb", "snli", "glue_mrpc", "sst2", "yelp_polarity_reviews", "bool_q", "squad_v1", "cosmos_qa", "copa",
    "hellaswag", "arc_easy", "natural_questions", "winogrande", "common_gen", "ag_news_subset", "gigaword", "cola",
    "wic",
)  # fmt: skip
"""One to three tasks a cluster of the catalog, short to read and not many gigabytes."""
_FEWEST_CLUSTERS = 4
_ROLES: tuple[Role, ...] = ("train", "test")
_PATIENCE = 3
"""Seconds to wait for the hub."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Companions:
    """Tasks to mix in."""

    tasks: tuple[Entry, ...]
    source: CompanionSource
    use: tuple[str, ...]
    """As `tasks.use` of a recipe names them."""
    data: str | None
    """As `tasks.data` names the folder that they are read from; None where nothing need be said."""


def choose_companions(own: Sequence[Entry], *, data: str | None, embedded: bool) -> Companions:
    """Tasks to mix with some own ones.

    Args:
        own: whose names may not be taken twice.
        data: a folder with `<task>/<split>.*` files, as after `--data`; by default what OPENFLAN_DATA names.
        embedded: whether the embedded base is tuned.

    Raises:
        UserError: there is no such folder.
    """
    place = find_data(data)
    names = {entry.spec.name for entry in own}
    if place is None and embedded:
        return _starter()
    catalog = [
        entry for entry in open_catalog(collections=["catalog"]).entries.values() if entry.spec.name not in names
    ]
    if place is not None:
        there = [e for e in catalog if _both(e) and all(rows_at_hand(e, role, data=place) for role in _ROLES)]
        some = [entry for entry in there if entry.spec.name in _CHOSEN]
        chosen = some if len({entry.spec.cluster for entry in some}) >= _FEWEST_CLUSTERS else there
        if len({entry.spec.cluster for entry in chosen}) > 1:
            return _named(chosen, "folder", data=data)
    if place is None and _hub_answers():
        return _named(
            [e for e in catalog if e.spec.name in _CHOSEN and _both(e) and not must_be_fetched(e)], "hub", data=None
        )
    return _starter()


def _named(tasks: Sequence[Entry], source: CompanionSource, *, data: str | None) -> Companions:
    names = tuple(sorted(entry.spec.name for entry in tasks))
    return Companions(tasks=tuple(tasks), source=source, use=names, data=data)


def _starter() -> Companions:
    tasks = tuple(open_catalog(collections=["starter"]).entries.values())
    return Companions(tasks=tasks, source="starter", use=("starter",), data=None)


def _both(entry: Entry) -> bool:
    """Whether it can be tuned on as well as measured."""
    return all(role in entry.spec.splits for role in _ROLES)


def _hub_answers() -> bool:
    """Whether the hub can be reached, and is not switched off (HF_HUB_OFFLINE)."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    from huggingface_hub import get_session

    try:
        return get_session().head(constants.ENDPOINT, timeout=_PATIENCE).status_code < 500
    except Exception:  # whatever the client raises, there is no hub
        return False
