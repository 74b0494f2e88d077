"""The one error a user is meant to read.

`UserError` says what was wrong, where, and how to mend it, in one line; the CLI prints it without a traceback
and exits with 2. Everything else that escapes is our bug and keeps its traceback, but for what Ctrl-C led to.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

__all__ = ["UserError", "did_you_mean", "interrupts_shown", "strict_error"]


class UserError(Exception):
    """Something the user can mend.

    Args:
        what: what is wrong, in the user's words.
        where: file, key, row or template it was found in.
        how: what to do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, how: str | None = None) -> None:
        self.what = what
        self.where = where
        self.how = how
        super().__init__(": ".join(part for part in (where, what) if part) + (f"; {how}" if how else ""))


@contextmanager
def interrupts_shown() -> Iterator[None]:
    """Let a Ctrl-C that another error hides be the Ctrl-C that it was.

    A library that Ctrl-C reaches as it leaves a context may raise another error in its place: torch, "trying to pop
    from empty mode stack" while a model is loaded, which looks like a broken model.

    Raises:
        KeyboardInterrupt: the block raised an error that a Ctrl-C led to.
    """
    try:
        yield
    except Exception as error:
        first: BaseException = error
        while first.__context__ is not None and not isinstance(first, KeyboardInterrupt):
            first = first.__context__
        if isinstance(first, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A remedy that names the nearest known word, or None where nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else None


def strict_error(error: "ValidationError", where: str, model: "type[BaseModel]") -> UserError:
    """The first pydantic complaint as one line: key, what is wrong, the nearest known key."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    path = ".".join(place).replace("..", ".")
    if first["type"] == "extra_forbidden":
        keys = _keys_at(model, place[:-1])
        return UserError(
            f"unknown key '{path}'",
            where=where,
            how=did_you_mean(place[-1], keys) or f"known here: {', '.join(keys)}",
        )
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "missing":
        return UserError(f"key '{path}' is missing", where=where, how=f"add '{place[-1]}:'")
    given = first.get("input")
    shown = f" (it is {given!r})" if isinstance(given, str | int | float | bool) else ""
    return UserError(
        f"{path + ': ' if path else ''}{message}{shown}",
        where=where,
        how="mend that value",
    )


def _keys_at(model: "type[BaseModel]", place: list[str]) -> list[str]:
    """Field names of the pydantic model that a path of keys leads to."""
    current: Any = model
    for part in place:
        fields = getattr(current, "model_fields", {})
        if part in fields:
            current = fields[part].annotation
        candidates = [current, *getattr(current, "__args__", ())]
        for candidate in list(candidates):
            candidates += list(getattr(candidate, "__args__", ()))
        models = [c for c in candidates if hasattr(c, "model_fields")]
        if models:
            current = models[0]
    return sorted(getattr(current, "model_fields", {}))
