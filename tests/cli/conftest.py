"""The command line as a function."""

import sys

import pytest

from openflan.cli.main import main


@pytest.fixture
def openflan(monkeypatch, capsys):
    """Run a command; returns exit code, stdout and stderr."""

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
