"""Jobs side by side: what they give and report, how they fail, and that none outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from helpers import pool_jobs
from soundloom.training import TrainingError
from soundloom.workers.parallel import ParallelJob, run_parallel


def doubling(*numbers: int) -> list[ParallelJob]:
    return [ParallelJob(name=str(number), work=pool_jobs.double, arguments=(number,)) for number in numbers]


def running(process: int) -> bool:
    """Whether there is such a process, a zombie not counted."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(processes: list[int]) -> bool:
    """Whether they end soon; a busy machine is given time."""
    deadline = time.monotonic() + 60
    while any(map(running, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(running, processes))


@pytest.mark.parametrize("count", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_results_come_in_the_order_of_the_jobs_and_all_that_is_told_arrives(count: int) -> None:
    told: list[Any] = []
    assert run_parallel(doubling(3, 1, 2), count, told.append) == [6, 2, 4]
    assert sorted(told) == [1, 2, 3]
    with pytest.raises(ValueError, match="there must be 1 or more"):
        run_parallel(doubling(1), 0, told.append)


@pytest.mark.parametrize("count", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_a_job_that_fails_is_named_and_the_others_are_done(count: int) -> None:
    told: list[Any] = []
    jobs = [ParallelJob(name="pitch", work=pool_jobs.fail, arguments=("no sound",)), *doubling(1, 2)]
    with pytest.raises(TrainingError, match=r"^pitch: no sound \(the others are done and kept: the same command"):
        run_parallel(jobs, count, told.append)
    assert set(told) == {"no sound", 1, 2}


def test_a_reason_is_told_once() -> None:
    jobs = [ParallelJob(name=name, work=pool_jobs.fail, arguments=("full disk",)) for name in ("a", "b")]
    with pytest.raises(TrainingError, match=r"^full disk$"):
        run_parallel(jobs, 1, lambda _: None)
    with pytest.raises(TrainingError, match=r"^a, b: full disk"):
        run_parallel([*jobs, *doubling(1)], 1, lambda _: None)


@pytest.mark.slow
def test_what_was_not_foreseen_is_told_by_name_too() -> None:
    jobs = [
        ParallelJob(name="one", work=pool_jobs.crash, arguments=()),
        ParallelJob(name="two", work=pool_jobs.die, arguments=()),
        *doubling(1),
    ]
    with pytest.raises(TrainingError) as refused:
        run_parallel(jobs, 2, lambda _: None)
    assert "one: unexpected KeyError: 'nobody thought of this'" in str(refused.value)
    assert "two: its process was ended by SIGKILL" in str(refused.value)


@pytest.mark.slow
def test_who_is_interrupted_ends_the_jobs(tmp_path: Path) -> None:
    heard: list[str] = []

    def stop(name: str) -> None:
        heard.append(name)
        if len(heard) == 2:
            raise KeyboardInterrupt

    jobs = [ParallelJob(name=name, work=pool_jobs.sleep, arguments=(str(tmp_path), name)) for name in ("a", "b", "c")]
    with pytest.raises(KeyboardInterrupt):
        run_parallel(jobs, 2, stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"], "the third was never begun"
    # They are ended and waited for, so that none is left when the interruption is heard of.
    assert not any(running(int(path.read_text())) for path in tmp_path.iterdir())


def test_who_is_killed_takes_the_jobs_along(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom helpers import pool_jobs\n"
        "from soundloom.workers.parallel import ParallelJob, run_parallel\n"
        "jobs = [ParallelJob(name=name, work=pool_jobs.sleep, arguments=(sys.argv[1], name)) for name in 'ab']\n"
        "run_parallel(jobs, 2, lambda name: print(name, flush=True))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert sorted(parent.stdout.readline().strip() for _ in range(2)) == ["a", "b"]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone([int(path.read_text()) for path in tmp_path.iterdir()])
