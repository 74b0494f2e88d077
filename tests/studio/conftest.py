"""The studio on a user's folder, as a browser would talk to it."""

from pathlib import Path

import pytest

import openflan

pytest.importorskip("starlette", reason="the studio is an extra: pip install openflan[studio]")

from starlette.testclient import TestClient

HERE = "http://127.0.0.1:7860"


def client_for(folders: openflan.StudioFolders, **more) -> TestClient:
    """A browser at the studio's own pages."""
    return TestClient(openflan.make_app(folders, **more), base_url=HERE, headers={"Origin": HERE})


@pytest.fixture
def folder(tmp_path) -> Path:
    """The user's folder, empty."""
    place = tmp_path / "mine"
    place.mkdir()
    return place


@pytest.fixture
def client_of(folder):
    """Makes a client of a studio on the user's folder."""

    def make(*, token: str | None = None, **more) -> TestClient:
        return client_for(openflan.StudioFolders(**{"folders": (folder,), **more}), token=token)

    return make


@pytest.fixture
def client(client_of, tmp_path) -> TestClient:
    """A client of a studio on the user's folder, without runs."""
    return client_of(runs=tmp_path / "runs")


@pytest.fixture
def reading_client(tmp_path) -> TestClient:
    """A client of a studio that may not write."""
    return client_for(openflan.StudioFolders(runs=tmp_path / "runs"))


@pytest.fixture(scope="module")
def run(looked_at) -> openflan.Run:
    """A measured run."""
    return looked_at[0]


@pytest.fixture
def here(client_of, run):
    """A client of a studio on the folder of a measured run."""
    return client_of(runs=run.folder.parent)
