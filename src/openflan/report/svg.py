"""Figures as inline SVG that follows the page: its colours, its typeface, its width.

A figure is drawn in the colours of `Ink`; in the SVG each becomes a CSS variable with that colour to fall back on, so
one drawing is legible on light, dark and paper. Text stays text. Identifiers carry the figure's name, because many
drawings share one document.

Invariant: the same figure gives the same bytes: identifiers are salted with its name, and no date is written.
Cost: 10 to 40 ms a figure. Rejected: PNG, which has one background and one size; a script that draws in the browser.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from textwrap import wrap
from typing import Any

import matplotlib.style
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

__all__ = ["NARROW", "WIDE", "Ink", "canvas", "draw", "to_svg", "write_label"]

WIDE, NARROW = 940, 350
"""Width of figures for screens and paper, and for phones, in CSS pixels."""


class Ink:
    """The palette; each colour is a CSS variable of the page with the name in lower case."""

    INK = "#1d1d1b"
    MUTED = "#66635c"
    RULE = "#dcd9d1"
    PAPER = "#fdfdfb"
    UNTUNED = "#8b867a"
    TUNED = "#1f5c99"
    LOSS = "#a3481a"
    THIRD = "#2f7a4d"
    FOURTH = "#7a4b98"


_VARIABLES = {value: f"var(--{name.lower()}, {value})" for name, value in vars(Ink).items() if name.isupper()}
_COLOUR = re.compile("|".join(_VARIABLES))
_HEAD = re.compile(r"^.*?<svg[^>]*?viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)
_LEFT_OUT = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)
_FAMILY = re.compile(r"font: ([\d.]+)px [^;\"]*|font-family: [^;\"]*;? ?")
_REFERENCE = re.compile(r"(\bid=\"|url\(#|href=\"#)")

_SETTINGS = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 13,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.edgecolor": Ink.RULE,
    "axes.labelcolor": Ink.MUTED,
    "xtick.color": Ink.RULE,
    "ytick.color": Ink.RULE,
    "xtick.labelcolor": Ink.MUTED,
    "ytick.labelcolor": Ink.MUTED,
    "text.color": Ink.INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


@contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
    """An empty figure in page units (CSS pixels at full width), whatever the user's matplotlib settings."""
    with matplotlib.style.context(["default", _SETTINGS]):
        yield Figure(figsize=(width / 72, height / 72), dpi=72)


def draw(figure: Figure, points: Sequence[tuple[float, float]], **style: Any) -> None:
    """Draw a line through points in page units, without the axes, whose making takes ten times as long."""
    width, height = figure.get_size_inches() * 72
    places = [(x / width, y / height) for x, y in points]
    figure.add_artist(Line2D(*zip(*places, strict=True), **style))


def write_label(axes: Any, x: float, y: float, label: str, *, letters: int = 28, **style: Any) -> None:
    """Write a label on two lines at most, each its own text, so that the page's typeface keeps them aligned.

    Args:
        letters: of a line.
    """
    lines = wrap(label, letters, max_lines=2, placeholder=" …")
    for number, line in enumerate(lines):
        axes.text(x, y + 16 * (number - (len(lines) - 1) / 2), line, va="center", **{"size": 12.5, **style})


def to_svg(figure: Figure, *, name: str, described: str) -> Markup:
    """A figure as SVG to put into HTML.

    Args:
        name: unique on the page; letters, digits and hyphens.
        described: what the figure shows, for readers who do not see it.
    """
    with matplotlib.rc_context({"svg.hashsalt": name}):
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    head = _HEAD.match(text)
    if head is None:
        raise AssertionError("matplotlib wrote an SVG without a viewBox")
    width = head[1].split()[2]
    body = _LEFT_OUT.sub("", text[head.end() :])
    body = _FAMILY.sub(lambda match: f"font-size: {match[1]}px" if match[1] else "", body)
    body = _COLOUR.sub(lambda match: _VARIABLES[match[0]], body)
    body = _REFERENCE.sub(lambda match: f"{match[1]}{name}-", body)
    body = re.sub(r"\n\s*", "\n", body)
    return Markup(
        f'<svg viewBox="{head[1]}" style="width: {width}px" role="img" aria-label="{escape(described)}">{body.strip()}'
    )
