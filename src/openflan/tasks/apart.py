"""Roles for the rows of a user's own table: no text, passage or group stands in two, and answers keep their shares.

Rows that share a text (without case and kinds of blanks) in one of the columns named, whichever that is, belong
together and go to one role as one. What is short (a word, an id) counts only within its own column. With `run`, so do
rows that share as many words on end, which is what the leak certificate looks for: twins of one sentence. Where a role
has a file of its own, or a column says the roles, rows stay where they are: rows to train on that share a text with
rows to measure on are left out.

    rows 1, 4 share a passage; 4, 9 share a question    one group: 1, 4, 9
    groups, shuffled by the seed                        test until its share of each answer is full, then validation

Invariant: a pure function of the rows and the rule. Cost: 5 µs a row and column. Rejected: a shuffle and two cuts,
which put the two questions of one passage on both sides; a table of row numbers, which the next edit makes wrong.
"""

import random
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from openflan.records import Record
from openflan.tasks.columns import strings_in
from openflan.tasks.splits import Role
from openflan.writing import WORD, plain_text, units_of, weight_of

__all__ = ["Apart", "SaidRoles", "groups_of", "keys_of", "part_rows"]

_SHORT = 4
"""Words that a text must have to be compared with other columns'."""
_ROLES: tuple[Role, ...] = ("test", "validation", "train")


class SaidRoles(Record):
    """A column that says which role a row has."""

    column: str
    roles: dict[str, Role] = Field(min_length=1)
    """What stands there to the role; rows with anything else are left out."""

    def of(self, row: Mapping[str, Any]) -> Role | None:
        """A row's role; None where it has none.

        Args:
            row: as it stands in the file.
        """
        return self.roles.get(str(_at(row, self.column)).strip())


class Apart(Record):
    """How rows are given roles so that no two roles share a text."""

    seed: int = Field(default=0, ge=0)
    """Of the order in which groups of rows are dealt out."""
    columns: tuple[str, ...] = Field(min_length=1)
    """Columns no text of which may stand in two roles."""
    even: str | None = None
    """Column whose values each role has in like shares: the label."""
    validation: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of the rows to choose by, where they share a file with training rows."""
    test: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of the rows to measure on, where they share a file with training rows."""

    run: int | None = Field(default=None, ge=_SHORT)
    """So many words on end, of any punctuation, may not stand in two roles either; None: whole texts alone count."""
    said: SaidRoles | None = None
    """The column that says a row's role, where one does; a role that it does not name is dealt out of the training
    rows."""

    @model_serializer(mode="wrap")
    def _as_ever(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = plain(self)
        return {key: value for key, value in content.items() if value is not None or key not in ("said", "run")}

    @model_validator(mode="after")
    def _some_left(self) -> "Apart":
        if self.validation + self.test > 0.8:
            raise ValueError("validation and test leave less than a fifth of the rows to train on")
        return self


def part_rows(
    rule: Apart, files: Mapping[str, Sequence[Mapping[str, Any]]], roles: Mapping[Role, str]
) -> dict[Role, list[int]]:
    """The places, within its file, of each role's rows.

    Args:
        files: rows of each file, by the name of its split.
        roles: the split that a role's rows are in; several roles may share one, which is then dealt out.
    """
    pools = [pool for split, rows in files.items() for pool in _pools(rule, split, rows, roles)]
    given: dict[Role, list[int]] = {}
    taken: set[Hashable] = set()
    for pool in sorted(pools, key=lambda pool: _ROLES.index(pool.roles[-1])):
        rows = files[pool.split]
        keys = {place: keys_of(rule, rows[place]) for place in pool.places}
        free = [place for place in pool.places if taken.isdisjoint(keys[place])]
        groups = [[free[n] for n in members] for members in groups_of([keys[place] for place in free])]
        for role, places in _deal(rule, groups, pool.roles, rows).items():
            given[role] = sorted(places)
        taken.update(name for place in free for name in keys[place])
    return given


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pool:
    """Rows of a file, by their places, that some roles share."""

    split: str
    roles: tuple[Role, ...]
    places: Sequence[int]


def _pools(rule: Apart, split: str, rows: Sequence[Mapping[str, Any]], roles: Mapping[Role, str]) -> list[_Pool]:
    """A file's rows as they are to be dealt out: all together, or those of each role that a column says."""
    sharing = tuple(role for role in _ROLES if roles.get(role) == split)
    if rule.said is None or not sharing:
        return [_Pool(split=split, roles=sharing, places=range(len(rows)))] if sharing else []
    by_role: dict[Role, list[int]] = {}
    for place, row in enumerate(rows):
        role = rule.said.of(row)
        if role is not None and role in sharing:
            by_role.setdefault(role, []).append(place)
    home = next((role for role in reversed(_ROLES) if role in by_role), None)
    return [
        _Pool(
            split=split,
            roles=tuple(one for one in sharing if one == role or (role == home and one not in by_role)),
            places=places,
        )
        for role, places in by_role.items()
    ]


def keys_of(rule: Apart, row: Mapping[str, Any]) -> list[Hashable]:
    """What a row is known by: its texts in the columns that are kept apart, or their runs of words."""
    keys: list[Hashable] = []
    for name in rule.columns:
        value = _at(row, name)
        for text in [str(value)] if isinstance(value, int | float) else strings_in(value):
            if rule.run is not None and len(units := units_of(text)) >= _SHORT:
                keys += _runs(units, rule.run)
            elif plain := plain_text(text):
                keys.append(plain if plain.count(" ") >= _SHORT - 1 else f"{name}\0{plain}")
    return keys


def _runs(units: list[str], words: int) -> list[Hashable]:
    """Hashes of each run of words; of all of them where they are fewer."""
    if weight_of(units) <= WORD * words:
        return [hash(tuple(units))]
    mean = max(1, round(words * WORD * len(units) / weight_of(units)))
    return list(map(hash, zip(*(units[start:] for start in range(mean)), strict=False)))


def _at(row: Mapping[str, Any], path: str) -> Any:
    """The value at a path: a column's, or one below it."""
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def groups_of(keys: Sequence[Iterable[Hashable]]) -> list[list[int]]:
    """Rows that share a key, directly or by others between them; in the order of their first rows."""
    parent = list(range(len(keys)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    first: dict[Hashable, int] = {}
    for number, names in enumerate(keys):
        for name in names:
            other = first.setdefault(name, number)
            if other != number:
                one, two = root(other), root(number)
                parent[max(one, two)] = min(one, two)
    members: dict[int, list[int]] = {}
    for number in range(len(keys)):
        members.setdefault(root(number), []).append(number)
    return list(members.values())


def _deal(
    rule: Apart, groups: list[list[int]], roles: Sequence[Role], rows: Sequence[Mapping[str, Any]]
) -> dict[Role, list[int]]:
    """Groups dealt out to the roles that share a file."""
    if len(roles) < 2:
        return {role: [n for members in groups for n in members] for role in roles}
    label = {n: str(_at(rows[n], rule.even)) if rule.even else "" for members in groups for n in members}
    totals = Counter(label.values())
    measured: dict[Role, float] = {"test": rule.test, "validation": rule.validation}
    shares = {role: share for role, share in measured.items() if role in roles}
    room = {role: Counter({name: count * share for name, count in totals.items()}) for role, share in shares.items()}
    wanted = {role: max(1.0, share * len(label)) for role, share in shares.items()}
    given: dict[Role, list[int]] = {role: [] for role in roles}
    rest = list(groups)
    random.Random(rule.seed).shuffle(rest)
    for even in (True, False):  # first so that each label has its share, then whatever is there
        left = []
        for members in rest:
            counts = Counter(label[n] for n in members)
            fitting = (
                role
                for role in shares
                if len(given[role]) + len(members) <= wanted[role] + 0.5
                and (not even or all(count <= room[role][name] + 0.5 for name, count in counts.items()))
            )
            role = next(fitting, None)
            if role is None:
                left.append(members)
                continue
            given[role] += members
            room[role].subtract(counts)
        rest = left
    given["train" if "train" in roles else roles[-1]] += [n for members in rest for n in members]
    return given
