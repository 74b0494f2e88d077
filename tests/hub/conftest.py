"""A hub on this machine and processes that know no other."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from hub_server import Hub


@pytest.fixture(scope="session")
def session_hub():
    with Hub() as hub:
        yield hub


@pytest.fixture
def hub(session_hub):
    """The hub, empty and in order."""
    for table in (session_hub.repositories, session_hub.renamed, session_hub.requests, session_hub.break_after):
        table.clear()
    session_hub.delay, session_hub.down = 0.0, False
    yield session_hub
    session_hub.delay, session_hub.down = 0.0, False


class Client:
    """A process with its own environment and Hugging Face cache; `client(function, …)` runs the function there."""

    def __init__(self, endpoint: str, home: Path, *, offline: bool = False) -> None:
        settings = {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "1" if offline else "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        before = dict(os.environ)
        for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
            del os.environ[name]
        os.environ.update(settings)
        try:
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
            self._pool.submit(os.getpid).result()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def __call__(self, function, *arguments, **named):
        return self._pool.submit(function, *arguments, **named).result(timeout=120)

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("hf_home")


@pytest.fixture(scope="session")
def client(session_hub, home):
    """A process that reaches the hub."""
    there = Client(session_hub.endpoint, home)
    yield there
    there.close()


@pytest.fixture(scope="session")
def offline_client(session_hub, home):
    """A process in offline mode with the same cache."""
    there = Client(session_hub.endpoint, home, offline=True)
    yield there
    there.close()
