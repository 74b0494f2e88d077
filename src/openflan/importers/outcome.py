"""What an import found: tasks that can be written, and what was left out with the reason.

Invariant: every template of a file is in exactly one of the two lists. Rejected: an exception at the first template
that can't be imported, which hides the other eleven.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from openflan.errors import UserError, strict_error
from openflan.tasks.spec import TaskSpec

__all__ = ["ImportOutcome", "Imported", "Refused", "imported", "task_name"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A template, or a whole file, that can't be imported."""

    what: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """A task that can be written."""

    spec: TaskSpec
    data: Mapping[str, Any]
    """The task file's content."""
    templates: tuple[str, ...] = ()
    """The templates' names in their own file, in order."""
    notes: tuple[str, ...] = ()
    """What its new owner should look at."""
    rows: Sequence[Mapping[str, Any]] = ()
    """Rows that the file itself held."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOutcome:
    """The outcome of reading one file."""

    tasks: tuple[Imported, ...] = ()
    refused: tuple[Refused, ...] = ()


def imported(data: Mapping[str, Any], *, where: str, **more: Any) -> Imported:
    """A task from the content of its file.

    Raises:
        UserError: the content is no task.
    """
    try:
        spec = TaskSpec.model_validate_json(json.dumps(data, ensure_ascii=False))
    except ValidationError as error:
        raise strict_error(error, where, TaskSpec) from None
    except UnicodeEncodeError:
        raise UserError("holds half a character (a lone surrogate)", where=where, how="mend the file") from None
    return Imported(spec=spec, data=data, **more)


def task_name(*parts: str | None) -> str:
    """A task's name made of a stranger's words."""
    text = "_".join(part for part in parts if part).lower()
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")[:80] or "task"
