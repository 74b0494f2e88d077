"""Commands that are verbs with one thing they mostly do: `openflan mix RECIPE`, and beside it `openflan mix diff`."""

from typing import Any

from typer.core import TyperGroup

__all__ = ["with_default"]


def with_default(name: str) -> type[TyperGroup]:
    """A group of commands that runs `name` unless the first word is another of its commands."""

    class Group(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if not args or (args[0] not in self.commands and args[0] != "--help"):
                args = [name, *args]
            return super().parse_args(ctx, args)

    return Group
