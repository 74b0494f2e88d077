"""What leaves tuning when clusters are held out, and why: a drawing and the same as a table.

    /hold-out?cluster=sentiment&of=catalog

From left to right: the clusters that are held out, their kin (the paper's rule), and tasks of other clusters whose text
comes from a corpus of theirs. Each edge is one reason. Cost: 10 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import openflan
from openflan.studio.views import Studio

__all__ = ["hold_out_routes"]

_OF = {"catalog": "the paper's datasets", "starter": "the starter suite", "all": "all tasks"}
_LINE, _PAD, _BOX, _APART, _TOP = 17, 12, 284, 168, 30
"""Heights and widths of the drawing, in pixels at full size."""
_MOST = 14
"""Tasks that a box names; further ones are counted."""


@dataclass(frozen=True, kw_only=True)
class _Box:
    """A cluster with tasks that leave, or a task that leaves on its own."""

    title: str
    lines: tuple[str, ...]
    column: int
    y: float
    kind: str
    """`asked`, `kin` or `shared`."""

    @property
    def x(self) -> int:
        return self.column * (_BOX + _APART)

    @property
    def height(self) -> int:
        return 2 * _PAD + _LINE * (1 + len(self.lines))

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True, kw_only=True)
class _Edge:
    """A reason."""

    start: _Box
    stop: _Box
    y: float
    """Where it begins."""
    reason: str
    kind: str

    @property
    def path(self) -> str:
        """As an SVG path: level at both ends, so that the reason can stand on the second."""
        x, to = self.start.x + _BOX, self.stop.x
        bend, level = x + 44, self.stop.middle
        return f"M{x} {self.y:.1f}C{x + 26} {self.y:.1f} {x + 18} {level:.1f} {bend} {level:.1f}H{to - 6}"


@dataclass(frozen=True, kw_only=True)
class _Leaves:
    """A line of the table."""

    name: str
    """Of the task, or of the cluster."""
    cluster: str
    by: str
    reason: str
    left: tuple[str, ...] = ()
    """From its own corpus to the shared one."""
    right: tuple[str, ...] = ()
    """From the held-out task's own corpus to the shared one."""


def hold_out_routes(studio: Studio) -> list[Route]:
    """The addresses of this page."""

    def page(request: Request) -> Response:
        tasks = studio.tasks()
        asked = request.query_params
        of = asked.get("of", "catalog")
        words = {"all": (), "starter": ("starter", "mine"), "catalog": ("catalog", "mine")}
        if of not in words:
            raise openflan.UserError(f"no tasks '{of}'", where="of", how=f"{', '.join(words)}")
        entries = tasks.select(*words[of])
        names = _clusters(tasks, entries)
        chosen = [name for name in dict.fromkeys(asked.getlist("cluster")) if name]
        division = openflan.hold_out(entries, chosen, kin="paper") if chosen else None
        boxes, edges = _drawn(division, chosen) if division else ([], [])
        return studio.page(
            request,
            "tasks/hold_out.html.j2",
            names=names,
            chosen=chosen,
            of=of,
            kinds=_OF,
            division=division,
            only=len(entries) - len(division.held_out) - len(division.condemned) - len(division.tuned)
            if division
            else 0,
            entries=entries,
            boxes=boxes,
            edges=edges,
            leaves=_table(division, chosen) if division else [],
            width=max((box.x for box in boxes), default=0) + _BOX + 2,
            height=max((box.y + box.height for box in boxes), default=0) + 4,
            size={"line": _LINE, "pad": _PAD, "box": _BOX},
            kept=[(name, list(inside)) for name, inside in groupby(sorted(division.tuned, key=_cluster), key=_cluster)]
            if division
            else [],
        )

    return [Route("/hold-out", page)]


def _cluster(entry: openflan.Entry) -> str:
    return entry.spec.code_cluster


def _clusters(tasks: openflan.Tasks, entries: Sequence[openflan.Entry]) -> dict[str, str]:
    """What may be held out: clusters, and what `misc` is made of, that these tasks have."""
    there = {name for entry in entries for name in (entry.spec.cluster, entry.spec.code_cluster)}
    return {name: what for name, what in {**tasks.clusters, **tasks.subclusters}.items() if name in there}


def _drawn(division: openflan.HoldOut, chosen: Sequence[str]) -> tuple[list[_Box], list[_Edge]]:
    """Boxes in up to three columns, and an edge a reason."""
    y = [0.0, 0.0, 0.0]
    boxes: dict[str, _Box] = {}

    def put(title: str, lines: Sequence[str], column: int, kind: str) -> _Box:
        shown = [*lines[:_MOST], f"and {len(lines) - _MOST} more"] if len(lines) > _MOST + 1 else lines
        box = _Box(title=title, lines=tuple(shown), column=column, y=y[column], kind=kind)
        y[column] += box.height + _TOP
        boxes[title] = box
        return box

    edges: list[_Edge] = []
    kin = [name for name in division.clusters if name not in chosen]
    for name in (*chosen, *kin):
        inside = [
            entry.spec.name for entry in division.held_out if name in (entry.spec.cluster, entry.spec.code_cluster)
        ]
        if name in chosen:
            put(name, inside, 0, "asked")
        elif inside:
            put(name, inside, 1, "kin")
    for name in kin:
        if name in boxes:
            start = boxes[_kin_of(name, chosen)]
            edges.append(
                _Edge(start=start, stop=boxes[name], y=start.y + _PAD + 8, reason="rule: close kin", kind="kin")
            )
    order = {entry.spec.name: place for place, entry in enumerate(division.held_out)}
    for one in sorted(division.condemned, key=lambda one: (order[one.by.spec.name], one.entry.spec.name)):
        home = next(boxes[name] for name in (one.by.spec.code_cluster, one.by.spec.cluster) if name in boxes)
        name, by = one.entry.spec.name, one.by.spec.name
        box = put(name, (f"of {one.entry.spec.code_cluster}",), home.column + 1, "shared")
        line = home.lines.index(by) if by in home.lines else len(home.lines) - 1
        edges.append(
            _Edge(
                start=home,
                stop=box,
                y=home.y + _PAD + _LINE * (line + 1) + 9,
                reason=f"text: {one.descent.corpus}",
                kind="shared",
            )
        )
    return list(boxes.values()), edges


def _kin_of(name: str, chosen: Sequence[str]) -> str:
    """The chosen cluster whose kin another is."""
    return next((one for one in chosen if name in openflan.kin_of(one)), chosen[0])


def _table(division: openflan.HoldOut, chosen: Sequence[str]) -> list[_Leaves]:
    lines = [
        _Leaves(
            name=entry.spec.name,
            cluster=entry.spec.code_cluster,
            by=next((name for name in (entry.spec.code_cluster, entry.spec.cluster) if name in chosen), "")
            or _kin_of(entry.spec.cluster, chosen),
            reason="held out" if {entry.spec.cluster, entry.spec.code_cluster} & {*chosen} else "rule: close kin",
        )
        for entry in division.held_out
    ]
    lines += [
        _Leaves(
            name=one.entry.spec.name,
            cluster=one.entry.spec.code_cluster,
            by=one.by.spec.name,
            reason=f"shared corpus: {one.descent.corpus}",
            left=one.descent.left,
            right=one.descent.right,
        )
        for one in division.condemned
    ]
    return lines
