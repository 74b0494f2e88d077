"""Pages in headless Chromium: how wide they are, what the console says, and how they look.

A page is put into a frame of the wanted width, because a headless window is never narrower than some 500 pixels; the
page around it reads the frame's measures and writes them into its own text, which `--dump-dom` prints. The page itself
is as users get it: its content policy lets no script in.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from html import unescape
from pathlib import Path

__all__ = ["Visit", "find_chromium", "photograph", "visit"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
)
_AROUND = """<!doctype html><meta charset="utf-8"><body style="margin:0"><iframe id="page" src="{address}"
 style="border:0;width:{width}px;height:{height}px"></iframe><script>
addEventListener("load", () => {{
  const frame = document.getElementById("page").contentDocument, root = frame.documentElement
  for (const closed of frame.querySelectorAll("details")) closed.open = {opened} || closed.open
  const inside = (element) => element.closest(".wide-table") !== null
  const wide = [...frame.body.querySelectorAll("*")].filter((element) =>
    !inside(element) && element.getBoundingClientRect().right > root.clientWidth + 0.5)
  const told = {{scroll: root.scrollWidth, client: root.clientWidth, height: root.scrollHeight,
    wide: wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 120))}}
  const text = document.createElement("pre")
  text.id = "told"; text.hidden = true; text.textContent = JSON.stringify(told)
  document.body.append(text)
}})
</script></body>"""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What a reader's browser makes of a page."""

    scroll_width: int
    client_width: int
    height: int
    wide: list[str]
    """Elements that reach beyond the page's edge; tables that scroll in a frame of their own are allowed to."""
    console: list[str]


def find_chromium() -> str | None:
    """The browser, where there is one."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def visit(browser: str, page: Path, *, width: int, height: int = 1000, opened: bool = True) -> Visit:
    """Open a page at some width, with what is folded away opened.

    Args:
        page: the file; a file for the frame is written beside it.
    """
    around = _around(page, width, height, opened)
    done = _run(browser, ["--dump-dom", f"--window-size={max(width, 600)},{height}"], around)
    found = re.search(r'<pre id="told"[^>]*>(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, f"the browser told nothing: {done.stderr[-2000:]}"
    told = json.loads(unescape(found[1]))
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Visit(
        scroll_width=told["scroll"],
        client_width=told["client"],
        height=told["height"],
        wide=told["wide"],
        console=console,
    )


def photograph(browser: str, page: Path, picture: Path, *, width: int, dark: bool, opened: bool = False) -> None:
    """A picture of a whole page."""
    height = visit(browser, page, width=width, opened=opened).height
    around = _around(page, width, height, opened)
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    size = f"--window-size={max(width, 500)},{height}"
    _run(browser, [f"--screenshot={picture}", scheme, size], around)


def _around(page: Path, width: int, height: int, opened: bool) -> Path:
    around = page.with_name(f".{page.stem}-{width}.html")
    text = _AROUND.format(address=page.name, width=width, height=height, opened="true" if opened else "false")
    around.write_text(text, encoding="utf-8")
    return around


def _run(browser: str, arguments: list[str], page: Path) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, *_FLAGS, f"--user-data-dir={profile}", "--virtual-time-budget=4000", *arguments]
        return subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)


if __name__ == "__main__":
    source, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    for pixels in (400, 1400):
        for dark in (False, True):
            name = f"{source.stem}-{pixels}-{'dark' if dark else 'light'}.png"
            photograph(find_chromium() or "chromium", source, target / name, width=pixels, dark=dark, opened=True)
