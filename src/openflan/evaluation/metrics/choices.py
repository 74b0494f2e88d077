"""What the metrics over all ranked answers are given."""

from dataclasses import dataclass

__all__ = ["Choices"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """The answers to a task under one template; all tuples have one length."""

    right: tuple[int, ...]
    """Place of each row's answer among the options."""
    chosen: tuple[int, ...]
    """Place of the option that the model chose."""
    options: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...] = ()
    """Which rows belong together (one question's candidates); empty where rows stand alone."""
