"""The studio in Debian's Chromium, over a real socket; a page may put nothing on the console.

Where playwright or Chromium is not installed these tests are skipped and say so (`.ci/run` installs Chromium).
"""

import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from studio_windows import Visitor

pytest.importorskip("playwright", reason="the studio's browser tests need playwright (openflan[dev])")
pytest.importorskip("uvicorn", reason="the studio is an extra: pip install openflan[studio]")

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser, for all tests."""
    path = next((program for name in NAMES if (program := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium here: `apt-get install chromium`, as .ci/run does")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, as a script."""
    spec = find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("no axe-core here: pip install openflan[dev]")
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def visit(chromium, axe) -> Iterator[Callable[..., Visitor]]:
    """Opens a window on a studio; what its pages put on the console fails the test."""
    contexts, messages = [], []

    def open_window(address: str, *, width: int = 1400, scheme: str = "light") -> Visitor:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.set_default_timeout(60_000)
        contexts.append(context)
        context.add_init_script(axe)
        page = context.new_page()
        page.on("console", lambda message: messages.append(f"{page.url}: {message.text}"))
        page.on("pageerror", lambda error: messages.append(f"{page.url}: {error}"))
        page.on("requestfailed", lambda request: messages.append(f"failed: {request.url} {request.failure}"))
        page.on("request", lambda request: request.url.startswith((address, "data:")) or messages.append(request.url))
        return Visitor(page, address, messages)

    yield open_window
    for context in contexts:
        context.close()
    ignored = ("ERR_ABORTED",)  # a poll that was under way when the page was left
    assert [line for line in messages if not any(word in line for word in ignored)] == []
