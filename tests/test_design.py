"""Notes and pages speak of what there is: every link, path and, in docs/design, dotted name leads somewhere."""

import importlib
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

ROOT = Path(__file__).parents[1]
NOTES = sorted((ROOT / "docs" / "design").glob("*.md"))
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((ROOT / "docs").glob("*.md"))]
PLACES = (ROOT, ROOT / "src", ROOT / "src" / "openflan", ROOT / "src" / "openflan_starter")
ROOMS = {path.stem for path in (ROOT / "src" / "openflan").iterdir() if path.suffix in ("", ".py")} | {"openflan"}


def words(note: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", note.read_text(encoding="utf-8"), flags=re.DOTALL))


def is_there(path: str) -> bool:
    if "/" not in path and not (ROOT / path).is_file():
        return any(True for top in ("src", "tests", "benchmarks") for _ in (ROOT / top).rglob(path))
    return any(True for place in PLACES for _ in place.glob(path.rstrip("/")))


def is_setting(name: str) -> bool:
    """Whether a dotted name is a key of a recipe."""
    from openflan.recipes.recipe import Recipe

    here: type[BaseModel] | None = Recipe
    for part in name.split("."):
        if here is None or part not in here.model_fields:
            return False
        kind = here.model_fields[part].annotation
        here = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return True


def is_name(name: str) -> bool:
    """Whether a dotted name is a module of the package, or something in one."""
    parts = name.removeprefix("openflan.").split(".")
    for size in range(len(parts), -1, -1):
        try:
            thing = importlib.import_module(".".join(["openflan", *parts[:size]]))
        except ModuleNotFoundError:
            continue
        for part in parts[size:]:
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    return False


@pytest.mark.parametrize("note", [*NOTES, *PAGES], ids=lambda path: path.stem)
def test_links_and_paths_exist(note):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", note.read_text(encoding="utf-8"))
    assert not [link for link in links if not (note.parent / link).exists()]
    paths = [word for word in words(note) if re.fullmatch(r"[\w./*-]+\.(py|md|yaml|ipynb)", word)]
    assert not [path for path in paths if not is_there(path) and not path.startswith("desk/")]


@pytest.mark.parametrize("note", NOTES, ids=lambda path: path.stem)
def test_names_exist(note):
    named = [re.sub(r"\(.*", "", word) for word in words(note)]
    dotted = [name for name in named if re.fullmatch(r"[a-z_]+(\.\w+)+", name) and name.split(".")[0] in ROOMS]
    files = (".py", ".md", ".yaml", ".json", ".jsonl", ".html", ".csv", ".svg", ".toml", ".parquet")
    assert not [n for n in dotted if not n.endswith(files) and not is_name(n) and not is_setting(n)]


def test_the_first_note_names_a_dozen_things():
    """So that the check above has something to check."""
    assert sum(word.split(".")[0] in ROOMS for word in words(NOTES[0])) > 12
