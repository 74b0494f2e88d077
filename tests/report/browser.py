"""Pages in headless Chromium: how wide they are, what the console says, and how they look.

A page is put into a frame of each wanted width, because a headless window is never narrower than some 500 pixels; the
page around reads the frames' measures and writes them into its own text, which `--dump-dom` prints. The page itself is
as users get it: its content policy lets no script in.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
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
_FRAME = '<iframe src="{address}" style="border:0;display:block;width:{width}px;height:{height}px"></iframe>'
_AROUND = """<!doctype html><meta charset="utf-8"><body style="margin:0">{frames}<script>
addEventListener("load", () => {{
  const told = [...document.querySelectorAll("iframe")].map((holder) => {{
    const page = holder.contentDocument, root = page.documentElement
    for (const folded of page.querySelectorAll("details")) folded.open = {opened} || folded.open
    const scrolls = (element) => element.closest(".wide-table") !== null
    const wide = [...page.body.querySelectorAll("*")].filter((element) =>
      !scrolls(element) && element.getBoundingClientRect().right > root.clientWidth + 0.5)
    return {{page: holder.getAttribute("src"), width: root.clientWidth, scroll: root.scrollWidth,
      height: root.scrollHeight, wide: wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 120))}}
  }})
  const text = document.createElement("pre")
  text.id = "told"; text.hidden = true; text.textContent = JSON.stringify(told)
  document.body.append(text)
}})
</script></body>"""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What a reader's browser makes of a page."""

    width: int
    scroll_width: int
    height: int
    wide: list[str]
    """Elements that reach beyond the page's edge; tables that scroll in a frame of their own are allowed to."""
    console: list[str]


def find_chromium() -> str | None:
    """The browser, where there is one."""
    return next((program for name in _NAMES if (program := shutil.which(name))), None)


def visit(
    browser: str, pages: Sequence[Path], widths: Sequence[int], *, opened: bool = True
) -> dict[Path, list[Visit]]:
    """Open pages, each at every width, with what is folded away opened.

    Args:
        pages: files of one folder; a file for the frames is written beside them.
    """
    around = _around([(page, width) for page in pages for width in widths], 1000, opened)
    done = _run(browser, ["--dump-dom", f"--window-size={max(widths)},1000"], around)
    match = re.search(r'<pre id="told"[^>]*>(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, f"the browser told nothing: {done.stderr[-2000:]}"
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    visits: dict[Path, list[Visit]] = {page: [] for page in pages}
    for sizes in json.loads(unescape(match[1])):
        page = next(page for page in pages if page.name == sizes["page"])
        visits[page].append(
            Visit(
                width=sizes["width"],
                scroll_width=sizes["scroll"],
                height=sizes["height"],
                wide=sizes["wide"],
                console=[line for line in console if f"/{page.name}" in line],
            )
        )
    return visits


def photograph(browser: str, page: Path, picture: Path, *, width: int, dark: bool, opened: bool = False) -> None:
    """A picture of a whole page."""
    ((seen,),) = visit(browser, [page], [width], opened=opened).values()
    around = _around([(page, width)], seen.height, opened)
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    _run(browser, [f"--screenshot={picture}", scheme, f"--window-size={max(width, 500)},{seen.height}"], around)


def _around(shown: Sequence[tuple[Path, int]], height: int, opened: bool) -> Path:
    around = shown[0][0].with_name(".around.html")
    frames = "".join(_FRAME.format(address=page.name, width=width, height=height) for page, width in shown)
    around.write_text(_AROUND.format(frames=frames, opened=str(opened).lower()), encoding="utf-8")
    return around


def _run(browser: str, arguments: list[str], page: Path) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, *_FLAGS, f"--user-data-dir={profile}", *arguments]
        return subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)


if __name__ == "__main__":
    source, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    for pixels in (400, 1400):
        for dark in (False, True):
            name = f"{source.stem}-{pixels}-{'dark' if dark else 'light'}.png"
            photograph(find_chromium() or "chromium", source, target / name, width=pixels, dark=dark, opened=True)
