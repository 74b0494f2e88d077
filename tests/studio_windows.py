"""The studio over a real socket, and windows on it: what a page holds, what axe-core finds on it, how wide it is."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openflan

SERIOUS = ("serious", "critical")


@contextmanager
def served(folders: openflan.StudioFolders) -> Iterator[str]:
    """The address of a studio that listens on a free port."""
    import uvicorn

    config = uvicorn.Config(openflan.make_app(folders), host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(timeout=5)


class Visitor:
    """A person at a browser window, and what the console told them.

    Args:
        told: what pages put on the console, without a fault that a test waits for.
    """

    def __init__(self, page: Any, address: str, messages: list[str]) -> None:
        self.page, self.address, self.messages = page, address, messages

    def go(self, path: str) -> Any:
        """Open a page of the studio and wait until it is whole."""
        self.page.goto(self.address + path)
        self.page.wait_for_load_state()
        return self.page

    def findings(self) -> list[str]:
        """What axe-core finds wrong with the page as it is now, from serious on."""
        violations = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [
            f"{one['id']} ({one['impact']}): {node['html'][:140]}"
            for one in violations
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]

    @property
    def too_wide(self) -> int:
        """By how many pixels the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def photograph(self, place: Path | None, name: str) -> None:
        """Keep how the page looks, where a place is given."""
        if place is not None:
            place.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=place / f"{name}.png", full_page=True)
