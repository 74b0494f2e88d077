"""Processes of their own that cost a tenth of a second: forked from one that has imported what they need.

    command = Command("run", recipe, "--out", out)     # `openflan run …`, beside this process
    command.kill(); command.wait(); command.stderr     # as of a subprocess
    together(two_ranks.main, settings)                 # two that find each other, as `torchrun` starts them
    fork_pools(monkeypatch)                            # those of a `CorePool`, too

Starting Python with torch and transformers takes 3 to 4 s of a core, the fork of a process that holds them 0.1 s; and a
process that is killed in such a test is killed at work and not while it imports. The server is started once a session.
"""

import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Command", "fork_pools", "together", "torchrun"]

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "openflan.cli.main",
        "openflan.run",
        "openflan.report.write",
        "openflan.study.running",
        "openflan.training.loop",
        "openflan.training.handover",
        "openflan.evaluation.answering",
        "transformers.models.llama.modeling_llama",
        "accelerate",
        "datasets",
        "rouge_score.rouge_scorer",
    ]
)
_PATIENCE = 240


class Command:
    """`openflan` with some arguments in a process of its own.

    Args:
        arguments: what stands after `openflan`.
        largest_file: bytes that a file may grow to; beyond, every write fails as on a full disk.
        environment: variables that are other than here.
    """

    def __init__(self, *arguments: object, largest_file: int | None = None, **environment: str) -> None:
        self._said = Path(tempfile.mkdtemp(prefix="openflan-said-"))
        words = [str(argument) for argument in arguments]
        self._process = _SERVER.Process(target=_command, args=(words, self._said, largest_file, environment))
        self._process.start()

    @property
    def alive(self) -> bool:
        """Whether it is at work."""
        return self._process.is_alive()

    @property
    def stdout(self) -> str:
        """What it printed so far."""
        return self._read("stdout")

    @property
    def stderr(self) -> str:
        """What it said so far."""
        return self._read("stderr")

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        os.kill(self._process.pid or 0, signal.SIGINT)

    def kill(self) -> None:
        """As the system does; it is gone when this returns."""
        self._process.kill()
        self.wait()

    def wait(self) -> int:
        """Its exit code, when it has ended."""
        self._process.join(_PATIENCE)
        assert self._process.exitcode is not None, f"still at work after {_PATIENCE} s"
        return self._process.exitcode

    def _read(self, name: str) -> str:
        path = self._said / name
        return path.read_text(encoding="utf-8") if path.exists() else ""


def together(work: Callable[..., None], *arguments: Any) -> None:
    """Call a function in two processes that find each other, a thread each, and wait for both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="openflan-said-"))
    ranks = [_SERVER.Process(target=_rank, args=(number, port, folder, work, arguments)) for number in (0, 1)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(_PATIENCE)
    ended = [process.exitcode for process in ranks]
    for process in ranks:
        process.kill()
    assert ended == [0, 0], "\n".join([str(ended), *(path.read_text() for path in folder.glob("*/stderr"))])[-4_000:]


def fork_pools(monkeypatch: Any) -> None:
    """Let a pool's processes be forked from the same server."""
    from openflan import cores

    monkeypatch.setattr(cores, "_START", "forkserver")


def torchrun(*command: object) -> subprocess.CompletedProcess[str]:
    """Run a command in two processes that `torchrun` starts, a thread each."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return subprocess.run(
        [*launch, *map(str, command)],
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )


def _say_into(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)


def _command(words: list[str], folder: Path, largest_file: int | None, environment: dict[str, str]) -> None:
    from openflan.cli.main import main

    _say_into(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a terminal, however the tests were started
    os.environ.update(environment)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.argv = ["openflan", *words]
    main()


def _rank(number: int, port: int, folder: Path, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    import torch

    _say_into(folder / str(number))
    torch.set_num_threads(1)
    os.environ.update(
        {
            "RANK": str(number),
            "LOCAL_RANK": str(number),
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
    )
    work(*arguments)
