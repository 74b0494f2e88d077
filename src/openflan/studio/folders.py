"""The folders that the studio was started with: the only doors to the disk.

Invariant: what lies outside them, or behind a link that leads out of them, is refused; only the user's task folder is
written to. Rejected: paths in addresses, checked where they are used: here they are names of what is listed.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import openflan

__all__ = ["StudioFolders"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudioFolders:
    """What the studio may read, and the one folder that it may write to."""

    runs: Path = Path("runs")
    """Holds run folders and studies."""
    folders: tuple[Path, ...] = ()
    """Folders of the user's own task files; the first is written to."""
    data: str | None = None
    """A folder with `<task>/<split>.*` files, several as in PATH, or `twins`."""
    model: str | None = None
    """The model that is asked where no run is chosen."""

    def __post_init__(self) -> None:
        """Let twins stand in for what a folder of data lacks: no page asks the hub."""
        data = self.data or os.environ.get("OPENFLAN_DATA")
        if data and data != "hub" and data.split(os.pathsep)[-1] != "twins":
            object.__setattr__(self, "data", f"{data}{os.pathsep}twins")

    @property
    def writable(self) -> Path | None:
        """The folder that is written to; None where there is none."""
        return next(iter(self.folders), None)

    @property
    def rows(self) -> list[Path]:
        """The folders of data."""
        parts = str(self.data or "").split(os.pathsep)
        return [Path(one) for one in parts if one not in ("", "twins", "hub")]

    def to_write(self) -> Path:
        """The folder that is written to.

        Raises:
            UserError: the studio was started without one.
        """
        if self.writable is None:
            how = "start it with one of yours: openflan studio --folder DIR"
            raise openflan.UserError("the studio has no folder to write to", how=how)
        return self.writable

    def confined(self, path: str | Path) -> Path:
        """A path inside one of the folders, links followed.

        Args:
            path: absolute, or from the working folder.

        Raises:
            UserError: it lies outside all of them, or a link in it leads out.
        """
        try:
            whole = Path(path).resolve()
            whole.exists()
        except (OSError, ValueError):  # too long, or no name of a file at all
            raise openflan.UserError("is no name of a file", where=ascii(Path(path).name)[:60]) from None
        led = openflan.links_out(path, self._readable())
        if led is not None:
            how = "start it with the folder that this is in"
            raise openflan.UserError(
                "lies outside the folders that the studio was started with", where=led.name, how=how
            )
        return whole

    def in_runs(self, pattern: str) -> list[Path]:
        """What the folder of runs holds by a pattern, but for what leads out of all folders.

        Args:
            pattern: as `Path.glob` takes it.
        """
        paths = sorted(self.runs.glob(pattern)) if self.runs.is_dir() else []
        return [path for path in paths if openflan.links_out(path, self._readable()) is None]

    def _readable(self) -> Iterable[Path]:
        yield self.runs
        yield from self.folders
        yield from self.rows
        if self.model is not None and Path(self.model).is_dir():
            yield Path(self.model)
