"""Where cleaning steps are registered under the names that specs use."""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["STEPS", "UNROLL", "Row", "step", "unroll"]

Row = Mapping[str, Any]
Step = Callable[[Row], Row | None]
Unroll = Callable[[Row], list[dict[str, Any]]]

STEPS: dict[str, Step] = {}
"""Every cleaning step by the name that `rows` in a spec uses."""

UNROLL: dict[str, Unroll] = {}
"""Steps that make several rows of one, by the name that `source.unroll` uses."""


def step(function: Step) -> Step:
    """Register a cleaning step under its own name."""
    STEPS[function.__name__] = function
    return function


def unroll(function: Unroll) -> Unroll:
    """Register a step that makes several rows of one under its own name."""
    UNROLL[function.__name__] = function
    return function
