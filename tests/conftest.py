"""Material that many tests share: tiny models, a folder of a user's tasks, and real data where it is at hand."""

import gc
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))  # read when torch is first imported

from pathlib import Path

import pytest

from little_models import FAMILIES, write_model
from little_runs import watched_run, write_recipe
from little_tasks import write_tasks

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real datasets (`data/`) and models (`models/`)."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no real data at {SHARED}; name the folder in OPENFLAN_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def real_rows() -> Path | None:
    """Folder of real datasets, or None where it is not at hand and twins must do."""
    return SHARED / "data" if (SHARED / "data").is_dir() else None


@pytest.fixture(scope="session")
def my_tasks(tmp_path_factory) -> Path:
    """A user's folder: three tasks to tune on, inference and paraphrase to hold out. Don't write to it."""
    return write_tasks(tmp_path_factory.mktemp("my_tasks"))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A tiny random model of a family (see `little_models.FAMILIES`), saved once a session. Don't write to it."""
    root = tmp_path_factory.mktemp("models")

    def of(family: str) -> Path:
        folder = root / family
        return folder if folder.exists() else write_model(folder, family)

    return of


@pytest.fixture(scope="session")
def tiny_llama(model_folder) -> Path:
    """Folder of a tiny Llama whose tokenizer adds BOS."""
    return model_folder("llama")


@pytest.fixture(scope="session", params=FAMILIES)
def any_model(request, model_folder) -> Path:
    """Folder of a tiny model, one family after the other."""
    return model_folder(request.param)


@pytest.fixture(scope="session")
def looked_at(tmp_path_factory, my_tasks, tiny_llama):
    """A measured run, and at each of its events how its folder was listed. Don't write to it."""
    folder = tmp_path_factory.mktemp("looked_at")
    return watched_run(folder, write_recipe(folder, my_tasks, tiny_llama))


@pytest.fixture
def openflan(monkeypatch, capsys):
    """Run a command; returns exit code, stdout and stderr."""
    from openflan.cli.main import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["openflan", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def ctrl_c_while_loading(monkeypatch):
    """Ctrl-C as torch shows it where it comes at the end of one of its contexts: as another error."""
    import torch
    from transformers import LlamaForCausalLM

    def load(*_arguments: object, **_options: object) -> None:
        with torch.device("cpu"):
            torch.overrides._pop_mode()
            raise KeyboardInterrupt

    monkeypatch.setattr(LlamaForCausalLM, "from_pretrained", load)


def pytest_configure():
    """Search for garbage once in a million objects (imports and parsed tasks hold none) and don't wait for the disk.

    A search costs a tenth of a second once torch is there; at every 50,000 objects it was a twentieth of the suite.

    What is written outlives a killed process without `fsync`, which is for power cuts; a little run calls it 120 times.
    Processes that tests start do wait for it, and `test_stage.py` asks when it is called.
    """
    gc.set_threshold(1_000_000, 5, 5)
    os.fsync = lambda _descriptor: None


@pytest.hookimpl(trylast=True)  # when what is slow is out
def pytest_collection_modifyitems(items):
    """What needs something that takes seconds once a process begins one worker's half, the hub's tests the other's.

    `--dist worksteal` gives each of two workers half of the tests and takes from the end of a half what is moved.
    """

    def needs(module) -> str:
        mine = [item for item in items if item.module is module]
        if any(getattr(thing, "__module__", "") == "processes" for thing in vars(module).values()):
            return "fork server"
        used = {name for item in mine for name in item.fixturenames}
        return "run" if "looked_at" in used else "hub" if "session_hub" in used else ""

    needed = {module: needs(module) for module in {item.module for item in items}}
    of = {need: [item for item in items if needed[item.module] == need] for need in ("fork server", "run", "hub", "")}
    first = [*of["fork server"], *of["run"]]
    rest = max(0, len(items) // 2 - len(first))
    items[:] = [*first, *of[""][:rest], *of["hub"], *of[""][rest:]]


def pytest_collection_finish():
    """Leave what thousands of tests are made of out of every later search for garbage."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure():
    """Leave all of it out of the five searches that pytest ends with, too."""
    gc.freeze()
