"""What a process whose HF_ENDPOINT is the test's hub is asked to do; every function runs there."""

import contextlib
import io
import json
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from catalog_repositories import marks

from openflan.errors import UserError
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.sources import load_rows
from openflan.tasks.spec import TaskSpec


def rows(entry: Entry, role: str, limit: int | None = None) -> list[tuple[int, dict[str, Any]]]:
    """Index and fields of a role's rows."""
    with _no_torch():
        return [(row.index, row.fields) for row in load_rows(entry, role, limit=limit)]  # type: ignore[arg-type]


def places(entry: Entry, role: str) -> list[int]:
    """Index of each of a role's rows."""
    with _no_torch():
        return [row.index for row in load_rows(entry, role)]  # type: ignore[arg-type]


def places_at_once(entry: Entry, role: str, threads: int) -> tuple[list[list[int]], bool]:
    """Index of each of a role's rows as some threads read them, and whether `datasets` still knows of torch."""
    from datasets import config

    with ThreadPoolExecutor(threads) as pool:
        every = list(pool.map(lambda _: places(entry, role), range(threads)))
    return every, config.TORCH_AVAILABLE


def marked(entry: Entry, role: str) -> list[tuple[int, set[tuple[str, int]]]]:
    """Index of a role's rows and the files and places that their marks name."""
    with _no_torch():
        return [(row.index, marks(row.fields)) for row in load_rows(entry, role)]  # type: ignore[arg-type]


def refusal(entry: Entry, role: str, token: str | None = None) -> str:
    """The one line that a user sees in place of rows."""
    with _signed_in(token):
        try:
            load_rows(entry, role)  # type: ignore[arg-type]
        except UserError as error:
            return " ".join(str(error).split())
    return "no refusal"


def rows_and_warnings(entry: Entry, role: str) -> tuple[int, str]:
    """Number of rows, and what was said on the way."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger("openflan").addHandler(handler)
    try:
        return len(load_rows(entry, role)), stream.getvalue()  # type: ignore[arg-type]
    finally:
        logging.getLogger("openflan").removeHandler(handler)


@contextlib.contextmanager
def _no_torch() -> Any:
    """Rows are read without torch, which takes seconds to import."""
    before = "torch" in sys.modules
    yield
    assert before or "torch" not in sys.modules, "reading rows imported torch"


@contextlib.contextmanager
def _signed_in(token: str | None) -> Any:
    if token is None:
        yield
        return
    os.environ["HF_TOKEN"] = token
    try:
        yield
    finally:
        del os.environ["HF_TOKEN"]


def catalog_entry(name: str) -> Entry:
    """A task of the catalog."""
    return open_catalog(collections=["catalog"]).entries[name]


def own_entry(source: dict[str, Any], **more: Any) -> Entry:
    """A task of a user's own on a hub dataset with columns `text` and `label`."""
    spec = {
        "name": "mine",
        "cluster": "sentiment",
        "source": source,
        "splits": {"train": "train"},
        "columns": {"text": "string", "label": {"classes": ["bad", "good"]}},
        "answer": {"field": "label", "options": ["bad", "good"]},
        "metrics": ["accuracy"],
        "templates": [{"input": "{{text}}"}],
        **more,
    }
    return Entry(spec=TaskSpec.model_validate_json(json.dumps(spec)), path=Path("mine.yaml"), collection="mine")


def run_and_publish(recipe: Path, to: str, token: str | None) -> str:
    """Run a recipe whole and publish it to a hub id; its address, or the one line of a refusal."""
    import openflan

    run = openflan.Run(recipe, runs=recipe.parent / "runs")
    run.work()
    with _signed_in(token):
        try:
            return run.publish(to).place
        except UserError as error:
            return " ".join(str(error).split())


def model_files(name: str, cache: Path | None = None) -> list[str]:
    """Names of a hub model's parameters, loaded by its id; the one line of a refusal in place of them."""
    if cache is not None:
        os.environ["OPENFLAN_CACHE"] = str(cache)
    import torch

    from openflan.models.load import find_model, load_model
    from openflan.recipes.parts import ModelPart

    try:
        source = find_model(ModelPart(path=name), Path(name))
        return sorted(dict(load_model(source, device=torch.device("cpu")).named_parameters()))
    except UserError as error:
        return [" ".join(str(error).split())]
