"""The head of a run folder: `run.json`, which says who laid it out, of which recipe, and which results are whole.

Invariant: a folder of another layout is refused before anything in it is read. Rejected: a version in every file of
the folder.
"""

import json
from pathlib import Path
from typing import Self

from pydantic import ValidationError

import openflan
from openflan.errors import UserError
from openflan.records import Record
from openflan.runs.stages import RunPlaces
from openflan.stage import FORMAT, write_atomically

__all__ = ["RunHead"]


class RunHead(Record):
    """`run.json`."""

    format: int = FORMAT
    """Version of the folder's layout."""
    openflan: str = openflan.__version__
    """Who wrote it."""
    recipe: str
    """Hash of the recipe's settings."""
    folder: str
    """Where relative paths in the recipe start."""
    results: str | None = None
    """Key of the results and the page that are there; None before they are."""

    @classmethod
    def read(cls, run: Path) -> Self | None:
        """The head of a run folder; None where there is none.

        Raises:
            UserError: another version of openflan laid the folder out, or the file is damaged.
        """
        path = RunPlaces(run).head
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            fields = None
        if isinstance(fields, dict) and fields.get("format") != FORMAT:
            raise UserError(
                f"a run folder of format {fields.get('format')} (openflan {fields.get('openflan', 'unknown')});"
                f" this openflan {openflan.__version__} writes format {FORMAT}",
                where=str(run),
                how="move or delete the folder, or choose another --out",
            )
        try:
            return cls.model_validate_json(json.dumps(fields))
        except ValidationError:
            how = "delete it and run the recipe again; whole stages are kept"
            raise UserError("no whole head of a run", where=str(path), how=how) from None

    def write(self, run: Path) -> None:
        """Write it into a run folder."""
        write_atomically(RunPlaces(run).head, self.model_dump_json(indent=1, exclude_none=True))
