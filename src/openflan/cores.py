"""Cores: how many a run uses, and a process of one thread on each of them.

A small model's products are too short for several threads: they wait for each other at every one, and where another
program keeps a core busy they wait most of the time (docs/design/0014-side-by-side.md has figures). So whole pieces of
work, a micro-batch or a task's questions, go to processes of one thread, each piece to whoever is free.

Invariant: what a piece comes to does not depend on which process does it, or on how many there are. A process ends with
the one that started it, however that ends. Cost: a process imports its libraries, three seconds of its core.
Rejected: threads that wait spinning; forking, which a tokenizer's own threads do not survive; a rank a core under
gloo, where each step waits for the slowest.
"""

import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, ParamSpec, Self, TypeVar

from openflan.errors import UserError

__all__ = ["CorePool", "Threads", "tell", "thread_count", "torch_threads"]

P = ParamSpec("P")
T = TypeVar("T")

Threads = int | Literal["auto"]

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_START = "spawn"
_LOOK = 0.2
"""Seconds between two looks at what processes have told."""


def thread_count(threads: Threads = "auto") -> int:
    """Threads that may compute at once.

    Args:
        threads: so many; `auto` for one on each core that this process may use, or what OMP_NUM_THREADS says.
    """
    if threads != "auto":
        return threads
    stated = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if stated.isdigit() and int(stated):
        return int(stated)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        most, period = _QUOTA.read_text(encoding="utf-8").split()
        cores = min(cores, -(-int(most) // int(period)))
    return max(1, cores)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads in this process meanwhile, none of which waits spinning."""
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when the library is loaded
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class CorePool:
    """Processes of one thread, to which pieces of work go; use it as a context.

    They start at once and load their libraries while the caller does something else.

    Args:
        size: how many.
        ready: called in each of them first, to load what pieces need.
    """

    def __init__(self, size: int, *, ready: Callable[[], None]) -> None:
        self.size = size
        context = multiprocessing.get_context(_START)
        self._messages = context.SimpleQueue()
        self._pids: set[int] = set()
        self._executor = ProcessPoolExecutor(
            max_workers=size, mp_context=context, initializer=_begin, initargs=(self._messages, pickle.dumps(ready))
        )
        with _no_main_module():
            for _ in range(size):
                self._executor.submit(int)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        if kind is not None:
            self.heard()
            for pid in self._pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def do(self, job: Callable[P, T], *args: P.args, **named: P.kwargs) -> "Future[T]":
        """Have a job done by the first process that is free.

        Args:
            job: a function of a module; its arguments and result are sent.
        """
        with _errors_of_processes():
            return self._executor.submit(job, *args, **named)

    def heard(self) -> list[tuple[Any, Any]]:
        """What jobs told (`tell`) since the last call: topic and value."""
        news = []
        while not self._messages.empty():
            topic, value = self._messages.get()
            if topic is None:
                self._pids.add(value)
            else:
                news.append((topic, value))
        return news

    @property
    def processor_seconds(self) -> float:
        """Processor time that all processes have used since they started."""
        import psutil

        total = 0.0
        for pid in self._pids:
            with suppress(psutil.Error):
                times = psutil.Process(pid).cpu_times()
                total += times.user + times.system
        return total

    def results(self, futures: "Iterable[Future[T]]", *, meanwhile: Callable[[], None]) -> list[T]:
        """Results of some jobs, in their order.

        Args:
            meanwhile: called now and then while they are at work.

        Raises:
            UserError: what a job raised, or a process was killed.
        """
        every = list(futures)
        pending = set(every)
        while pending:
            done, pending = wait(pending, timeout=_LOOK, return_when=FIRST_COMPLETED)
            for future in done:
                self.result(future)
            meanwhile()
        return [self.result(future) for future in every]

    def result(self, future: "Future[T]") -> T:
        """A job's result, once it is done.

        Raises:
            UserError: as `results`.
        """
        with _errors_of_processes():
            return future.result()


def tell(topic: Any, value: Any) -> None:
    """From within a job, let the process that asked for it know something (`CorePool.heard`)."""
    if _to_asker is not None:
        _to_asker.put((topic, value))


_to_asker: Any = None


def _begin(queue: Any, ready: bytes) -> None:
    """Set up a process: one thread, deaf to Ctrl-C, which its parent hears, and gone when that is.

    Args:
        ready: pickled, for its module imports libraries. They leave no garbage worth a search, nor is any later search
            to look through them.
    """
    global _to_asker  # noqa: PLW0603 (a process pool hands its state to jobs in no other way)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _keep_memory()
    _to_asker = queue
    queue.put((None, os.getpid()))
    gc.disable()
    pickle.loads(ready)()
    gc.freeze()
    gc.enable()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _keep_memory() -> None:
    """Let glibc keep what is freed: else large tensors are mapped and cleared anew, a twentieth of a step's time."""
    trim_threshold, mmap_threshold = -1, -3
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(mmap_threshold, 1 << 30)
        library.mallopt(trim_threshold, (1 << 31) - 1)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Let processes start without the user's script, which they would run again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _errors_of_processes() -> Iterator[None]:
    """A process of a pool that was killed is an error of one line.

    Raises:
        UserError: one was.
    """
    try:
        yield
    except BrokenProcessPool:
        how = "call it again: it goes on from the last whole piece"
        raise UserError("a process at work was killed", how=how) from None
