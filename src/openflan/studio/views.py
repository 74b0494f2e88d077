"""What all pages share: the folders, a few things kept in memory, and the way a page is rendered.

Invariant: what is kept is bounded (`_KEPT` things, the least used go), and made anew when a task file changes.
Cost: a page takes 1 ms to render beside what it shows.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

import openflan
from openflan.studio.folders import StudioFolders

__all__ = ["MENU", "Studio"]

Thing = TypeVar("Thing")

_KEPT = 48
"""Things in memory, such as the first rows of a task."""

MENU = (("/", "Tasks"), ("/template", "Template"), ("/mixture", "Mixture"), ("/runs", "Runs"), ("/ask", "Ask"))
"""The parts of the studio: address and name."""


class Studio:
    """The folders, what is kept of them, and pages.

    Args:
        folders: what the studio was started with.
    """

    def __init__(self, folders: StudioFolders) -> None:
        self.folders = folders
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()
        self.menu: tuple[tuple[str, str], ...] = MENU
        self._environment = Environment(
            loader=PackageLoader("openflan", "studio/templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def tasks(self) -> openflan.Tasks:
        """The catalog with the user's tasks, as their files are now.

        Raises:
            UserError: a task file is at fault, or a link that leads out of the folders.
        """
        state = self.state()
        for path, _ in state:
            self.folders.confined(path)
        return self.kept(("tasks", state), lambda: openflan.Tasks(self.folders.folders))

    def kept(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """A thing that is made when it is first asked for, and kept while it is asked for often enough.

        Args:
            key: all that it depends on.
            make: makes it.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                cached: Thing = self._kept[key]
                return cached
        thing = make()
        with self._lock:
            self._kept[key] = thing
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return thing

    def rows(self, task: openflan.Task, split: str) -> openflan.PagedRows:
        """The rows of a task's split, of which a page is read at a time.

        Args:
            task: the task.
            split: as for `Task.rows`.

        Raises:
            UserError: there is no such split, or its rows lie outside the folders.
        """
        shipped = task.path.parent if task.collection != "mine" else None  # its twin is no file of the user's
        for path in task.files(split, data=self.folders.data):  # type: ignore[arg-type]
            if path.parent != shipped:
                self.folders.confined(path)
        key = ("rows", str(task.path), task.name, task.spec.fingerprint, split)
        return self.kept(key, lambda: task.paged(split, data=self.folders.data))  # type: ignore[arg-type]

    def changed(self) -> None:
        """Forget what was kept, for files were written."""
        with self._lock:
            self._kept.clear()

    def page(self, request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A page, or a part of one, from a template.

        Args:
            request: what it answers.
            template: under `templates/`.
            status: HTTP's.
            context: what the template names.
        """
        shared = {"path": request.url.path, "menu": self.menu, "version": openflan.__version__}
        text = self._environment.get_template(template).render({**shared, **context})
        return HTMLResponse(text, status_code=status)

    def error(self, request: Request, error: Exception, *, status: int = 422) -> HTMLResponse:
        """What went wrong, in one line on a page; the line alone where htmx asks for a part.

        Args:
            request: what it answers.
            error: what went wrong.
            status: HTTP's.
        """
        part = request.headers.get("HX-Request") == "true"
        return self.page(request, "_error.html.j2" if part else "error.html.j2", status=status, error=error)

    def state(self) -> tuple[tuple[str, int], ...]:
        """The task files of the user's folders and when each was written."""
        paths = (path for folder in self.folders.folders if folder.is_dir() for path in sorted(folder.rglob("*.yaml")))
        return tuple((str(path), _written(path)) for path in paths)


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # gone in between
        return 0
