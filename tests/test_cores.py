"""Cores: pieces of work go to processes of one thread, and what goes wrong in one is told here."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import cores_jobs
from openflan.cores import CorePool, thread_count
from openflan.errors import UserError

PROMPTLY = 20.0


@pytest.fixture(scope="module")
def pool():
    with CorePool(2, ready=cores_jobs.ready) as processes:
        yield processes


def test_a_job_is_done_by_a_process_of_one_thread_that_was_made_ready(pool):
    facts = pool.result(pool.do(cores_jobs.describe))
    assert facts == {"threads": "1", "ready": True}


def test_what_a_job_tells_is_heard(pool):
    pool.heard()
    pool.results([pool.do(cores_jobs.say, "evaluation untuned", n) for n in range(3)], meanwhile=lambda: None)
    assert sorted(pool.heard()) == [("evaluation untuned", n) for n in range(3)]


def test_an_error_of_a_job_is_one_here(pool):
    with pytest.raises(UserError, match="row 3: no answer"):
        pool.results([pool.do(cores_jobs.refuse)], meanwhile=lambda: None)


def test_a_script_that_guards_nothing_is_not_run_again_by_its_processes(tmp_path):
    """Processes that Python spawns run the caller's script anew unless it says `if __name__ == "__main__"`."""
    script = tmp_path / "script.py"
    script.write_text(
        "from functools import partial\nfrom openflan.cores import CorePool\nprint('once')\n"
        "with CorePool(1, ready=partial(int)) as pool:\n    print(pool.result(pool.do(max, 1, 2)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["once", "2"]


def test_a_killed_process_is_said_and_the_others_end():
    with pytest.raises(UserError, match="a process at work was killed"), CorePool(2, ready=partial(int)) as pool:
        pool.results([pool.do(cores_jobs.die)], meanwhile=lambda: None)


def test_processes_end_with_the_one_that_started_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\nfrom functools import partial\nfrom openflan.cores import CorePool\n"
        "pool = CorePool(1, ready=partial(int))\n"
        "print(pool.result(pool.do(os.getpid)), flush=True)\npool.do(time.sleep, 600)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.kill()
    until = time.monotonic() + PROMPTLY
    while Path(f"/proc/{worker}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.parametrize(("stated", "expected"), [("3", 3), ("2,1", 2)])
def test_auto_is_what_the_environment_says(monkeypatch, stated, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", stated)
    assert thread_count() == expected
    assert thread_count(5) == 5


def test_auto_is_no_more_than_the_usable_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert 1 <= thread_count() <= (os.cpu_count() or 1)
