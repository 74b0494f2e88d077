"""What leaves tuning when clusters are held out, and why: a drawing and the same as a table.

    /hold-out?cluster=sentiment&of=catalog

From left to right: the clusters that are held out, their kin (the paper's rule), and tasks of other clusters whose text
comes from a corpus of theirs. Each edge is one reason, and a task may have several. Cost: 10 ms.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
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
_LINE, _PAD, _BOX, _APART, _TOP = 17, 12, 284, 200, 30
"""Heights and widths of the drawing, in pixels at full size."""
_WIDTH = 32
"""Letters of a title that a box has room for."""


@dataclass(frozen=True, kw_only=True)
class _Box:
    """A cluster with the tasks that leave with it, or a task that leaves on its own."""

    title: tuple[str, ...]
    """In as many lines as it needs."""
    lines: tuple[str, ...]
    heights: tuple[int, ...]
    """Of the title and the lines, each counted in lines: as many as edges that end there."""
    column: int
    y: float
    kind: str
    """`asked`, `kin` or `shared`."""

    @property
    def x(self) -> int:
        return self.column * (_BOX + _APART)

    @property
    def height(self) -> int:
        return 2 * _PAD + _LINE * sum(self.heights)

    @property
    def heading(self) -> list[tuple[str, float]]:
        """The lines of the title, each with the height at which it is written."""
        return [(line, self.level(0, place) + 5) for place, line in enumerate(self.title)]

    @property
    def written(self) -> list[tuple[str, float]]:
        """The other lines, each with the height at which it is written."""
        return [(line, self.level(place) + 5) for place, line in enumerate(self.lines, 1)]

    def level(self, place: int, edge: int = 0) -> float:
        """The height at which an edge of a line begins or ends.

        Args:
            place: of the line; the title is 0.
            edge: which of those that end there.
        """
        return self.y + _PAD + _LINE * (sum(self.heights[:place]) + edge) + 8

    def place(self, task: str) -> int:
        """The line of a task; the title's where the box is the task's own."""
        return self.lines.index(task) + 1 if task in self.lines else 0


@dataclass(frozen=True, kw_only=True)
class _Edge:
    """A reason."""

    x: int
    y: float
    """Where it begins."""
    to: int
    level: float
    """Where it ends."""
    reason: str
    kind: str

    @property
    def path(self) -> str:
        """As an SVG path: level at both ends, so that the reason can stand on the second."""
        x, level = self.x, self.level
        return f"M{x} {self.y:.1f}C{x + 26} {self.y:.1f} {x + 18} {level:.1f} {x + 44} {level:.1f}H{self.to - 6}"


def hold_out_routes(studio: Studio) -> list[Route]:
    """The addresses of this page."""

    def page(request: Request) -> Response:
        tasks = studio.tasks()
        query = request.query_params
        of = query.get("of", "catalog")
        words = {"all": (), "starter": ("starter", "mine"), "catalog": ("catalog", "mine")}
        if of not in words:
            raise openflan.UserError(f"no tasks '{of}'", where="of", how=f"{', '.join(words)}")
        entries = tasks.select(*words[of])
        names = _clusters(tasks, entries)
        chosen = [name for name in dict.fromkeys(query.getlist("cluster")) if name]
        division = openflan.hold_out(entries, chosen, kin="paper") if chosen else None
        boxes, edges = _drawn(division) if division else ([], [])
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
            leaves=_table(division) if division else [],
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


def _drawn(division: openflan.HoldOut) -> tuple[list[_Box], list[_Edge]]:
    """Boxes in up to three columns, and an edge a reason.

    A box that an edge reaches from two columns before lies below all that stands between them.
    """
    reasons = defaultdict[str, list[openflan.LeaveReason]](list)
    for one in division.reasons:
        if one.rule == "corpus":
            reasons[one.entry.spec.name].append(one)
    y = [0.0, 0.0, 0.0]
    boxes: dict[str, _Box] = {}
    edges: list[_Edge] = []

    def put(title: str, lines: list[str], column: int, kind: str, heights: list[int], below: float = 0.0) -> _Box:
        place = max(y[column], below)
        words = tuple(_lines(title) if kind == "shared" else textwrap.wrap(title.replace("_", " "), _WIDTH))
        fits = (max(heights[0], len(words)), *heights[1:])
        box = _Box(title=words, lines=tuple(lines), heights=fits, column=column, y=place, kind=kind)
        y[column] = box.y + box.height + _TOP
        boxes[title] = box
        return box

    def draw(box: _Box, place: int, leave_reasons: list[openflan.LeaveReason]) -> None:
        for edge, one in enumerate(leave_reasons):
            start = home(one)
            line = start.place(one.by.spec.name) if one.by is not None else 0
            words, kind = (one.words, "kin") if one.descent is None else (f"text: {one.descent.corpus}", "shared")
            at, level = start.level(line), box.level(place, edge)
            edges.append(_Edge(x=start.x + _BOX, y=at, to=box.x, level=level, reason=words, kind=kind))

    def home(one: openflan.LeaveReason) -> _Box:
        return boxes[one.cluster] if one.by is None else boxes[homes[one.by.spec.name]]

    def columns_of(leave_reasons: list[openflan.LeaveReason]) -> list[int]:
        return sorted({home(one).column for one in leave_reasons}, reverse=True)

    homes: dict[str, str] = {}
    kin = [name for name in division.clusters if name not in division.asked]
    for name in (*division.asked, *kin):
        inside = [
            entry.spec.name
            for entry in division.held_out
            if name in (entry.spec.cluster, entry.spec.code_cluster) and entry.spec.name not in homes
        ]
        homes |= dict.fromkeys(inside, name)
        if name in division.asked:
            put(name, inside, 0, "asked", [1] * (len(inside) + 1))
        elif inside:
            own = {one.cluster: one for one in division.reasons if one.rule == "kin" and one.entry.spec.name in inside}
            box = put(name, inside, 1, "kin", [len(own), *(max(1, len(reasons[task])) for task in inside)])
            draw(box, 0, list(own.values()))
            for task in inside:
                draw(box, box.place(task), reasons[task])
    order = {name: place for place, name in enumerate(homes)}
    for name, leave_reasons in sorted(
        ((one.entry.spec.name, reasons[one.entry.spec.name]) for one in division.condemned),
        key=lambda one: (columns_of(one[1]), min(order[reason.by.spec.name] for reason in one[1] if reason.by)),
    ):
        columns = columns_of(leave_reasons)
        below = y[1] if len(columns) > 1 else 0.0
        lines = [f"of {leave_reasons[0].entry.spec.code_cluster}"]
        draw(put(name, lines, columns[0] + 1, "shared", [1, max(1, len(leave_reasons) - 1)], below), 0, leave_reasons)
    return list(boxes.values()), edges


def _lines(name: str) -> list[str]:
    """A name in lines that end between its words."""
    return [line.replace("_ ", "_") for line in textwrap.wrap(name.replace("_", "_ "), _WIDTH)]


def _table(division: openflan.HoldOut) -> list[tuple[openflan.Entry, list[openflan.LeaveReason]]]:
    """What leaves, each with its reasons."""
    return [(first, list(own)) for first, own in groupby(division.reasons, key=lambda one: one.entry)]
