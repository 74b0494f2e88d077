"""How numbers and names are written on the page.

Scores from 0 to 1 are shown as points of 100 with one decimal, gains with their sign. The one rule that matters:
whether a gain counts as shown is read from its interval, in one place, so that words, colours and plots agree.

Rejected: more decimals, which suggest a precision that no interval here has.
"""

import math
from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup, escape

__all__ = [
    "NONE",
    "GainShown",
    "breakable",
    "count",
    "cut_name",
    "duration",
    "energy",
    "listed",
    "outcome",
    "outcome_words",
    "p_value",
    "percent",
    "plain_name",
    "points",
    "setting_text",
    "shorten",
    "signed",
    "span",
    "with_code",
]

GainShown = Literal["gain", "none", "loss"]

NONE = "\N{EN DASH}"
"""Stands where there is no number."""

_MINUS = "\N{MINUS SIGN}"

_WORDS: dict[GainShown, str] = {"gain": "gain", "none": "no gain shown", "loss": "worse"}


def outcome(gain_ci95: tuple[float, float]) -> GainShown:
    """What a gain's interval shows: an interval that includes 0 shows nothing."""
    low, high = gain_ci95
    if low > 0:
        return "gain"
    return "loss" if high < 0 else "none"


def outcome_words(gain_ci95: tuple[float, float]) -> str:
    """`outcome` in plain words."""
    return _WORDS[outcome(gain_ci95)]


def points(score: float) -> str:
    """A score from 0 to 1 as points: 0.5131 → 51.3."""
    return NONE if math.isnan(score) else f"{100 * score:.1f}"


def signed(difference: float) -> str:
    """A difference of scores with its sign: 0.051 → +5.1."""
    text = points(abs(difference))
    if text in ("0.0", NONE):
        return text
    return ("+" if difference > 0 else _MINUS) + text


def span(pair: tuple[float, float], *, sign: bool = False) -> str:
    """An interval in words: `48.1 to 55.0`."""
    low, high = (signed(end) if sign else points(end) for end in pair)
    return f"{low} to {high}"


def count(number: float) -> str:
    """A whole number with thousands set apart."""
    return f"{round(number):,}"


def plain_name(name: str) -> str:
    """A cluster's name as one would write it in a sentence."""
    return name.replace("_", " ")


def cut_name(name: str, letters: int) -> str:
    """A name of at most so many letters."""
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def breakable(name: str) -> Markup:
    """A task's name that may break after its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def listed(words: Sequence[object]) -> str:
    """`a, b and c`."""
    texts = [str(word) for word in words]
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def with_code(text: str) -> Markup:
    """A sentence in which words between backticks are set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup().join(
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part) for n, part in enumerate(parts)
    )


def setting_text(value: object) -> str:
    """A setting as one would type it: `[a, b]`."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(setting_text, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """A time as hours, minutes and seconds, of which at most two are told."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    parts = [(whole // 3600, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    written = [f"{value} {unit}" for value, unit in parts if value]
    return " ".join(written[:2])


def energy(joules: float) -> str:
    """Energy in watt-hours: 5,400 J → 1.5 Wh."""
    return f"{joules / 3600:,.1f} Wh"


def percent(share: float) -> str:
    """A share as whole percent; what is neither nothing nor everything never reads as 0 or 100."""
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def p_value(p: float) -> str:
    """A p-value with two digits that tell: 0.0312, 0.42, <0.001."""
    return "<0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def shorten(text: str, limit: int = 1_600) -> str:
    """A long text without its middle; how much was left out is said."""
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit // 3
    return f"{text[:head]}\n[… {count(len(text) - head - tail)} characters left out …]\n{text[-tail:]}"
