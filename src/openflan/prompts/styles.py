"""Styles: how a row is asked, when not simply under a template.

A recipe may mix several styles (zero-shot or with solved examples, options shown or hidden, the ablation forms of Wei
et al. 2022, section 4.3); each draw's ticket says which it gets, and which template. `bare_text` is the input without
an instruction: the texts that the first template reads, one a line.

Invariant: a pure function of (recipe, ticket); shares are as the weights say. Cost: 0.1 µs a draw.
Rejected: one token store a style, whose share of the tokens nobody could state beforehand.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.hashing import Integers, hash_integer, hash_integers
from openflan.prompts.values import as_text
from openflan.recipes.parts import PromptsPart, StylePart
from openflan.tasks.columns import strings_in
from openflan.tasks.spec import TaskSpec

__all__ = ["bare_text", "choose_shots", "choose_styles", "choose_template", "label_fields"]

_STYLE, _SHOTS, _TEMPLATE = 1, 2, 3
"""What a ticket is hashed with for each choice."""


def choose_styles(part: PromptsPart, tickets: Integers) -> NDArray[np.int64]:
    """Which of the recipe's styles each draw has: its number in `part.tuning_styles`."""
    weights = np.array([style.weight for style in part.styles] or [1.0])
    if len(weights) == 1:
        return np.zeros(len(tickets), dtype=np.int64)
    edges = np.cumsum(weights) / weights.sum()
    place = (hash_integers(tickets, _STYLE) >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return np.minimum(np.searchsorted(edges, place, side="right"), len(weights) - 1)


def choose_shots(style: StylePart, ticket: int) -> int:
    """How many solved examples a draw asks for."""
    counts = style.all_shots
    return counts[0] if len(counts) == 1 else counts[hash_integer(ticket, _SHOTS) % len(counts)]


def choose_template(
    fitting: Sequence[int], inverted: Sequence[int], ticket: int, *, inversion_rate: float | None
) -> int:
    """The template of a draw.

    Args:
        fitting: templates that fit the row, inverted ones too.
        inverted: those of them that turn the task around.
        inversion_rate: draws under inverted templates for each other one; None makes no difference between them.
    """
    if inversion_rate is None or not inverted or len(inverted) == len(fitting):
        return fitting[ticket % len(fitting)]
    drawn = hash_integer(ticket, _TEMPLATE)
    turned = (drawn >> 11) / (1 << 53) < inversion_rate / (1 + inversion_rate)
    chosen = inverted if turned else [number for number in fitting if number not in inverted]
    return chosen[ticket % len(chosen)]


def label_fields(spec: TaskSpec) -> frozenset[str]:
    """Columns that hold the answer, or what only finding it among the options needs."""
    answer = spec.answer
    paths = [answer.field, answer.options_field, answer.keys_field]
    return frozenset(path.partition(".")[0] for path in paths if path)


def bare_text(spec: TaskSpec, fields: Mapping[str, Any], used: frozenset[str]) -> str:
    """A row's texts without any instruction, one a line, in the order of the task's columns.

    Args:
        used: names that the task's first template reads.
    """
    hidden = label_fields(spec)
    names = [name for name in spec.names if name in used and name not in hidden]
    lines = [", ".join(_texts(fields[name])) for name in names if fields.get(name) is not None]
    return "\n".join(line for line in lines if line)


def _texts(value: Any) -> list[str]:
    """The texts of a value, however deep; a number by itself is one."""
    parts = strings_in(value) if isinstance(value, Mapping | list | tuple) else [value]
    return [text for part in parts if (text := as_text(part).strip())]
