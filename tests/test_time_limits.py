"""Time-outs of the suite: a test that hangs fails with its stack, its neighbours run, and the process ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

HANGING = """
import subprocess, sys, threading
import pytest
import torch  # the first fixture does it too, and it takes longer than a test may here

def test_process():
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])

def test_thread():
    thread = threading.Thread(target=threading.Event().wait)  # no daemon: it outlives the test
    thread.start()
    thread.join()

@pytest.mark.slow
def test_slow(request):
    assert request.node.get_closest_marker("timeout").args == (300.0,)

def test_neighbour():
    pass
"""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="without SIGALRM a time-out ends the whole process")
@pytest.mark.parametrize("processes", ["0", "1"])
def test_a_hanging_test_fails_alone(processes: str, tmp_path: Path) -> None:
    conftest = (TESTS / "conftest.py").read_text("utf-8").replace("EXIT_TIMEOUT = 300.0", "EXIT_TIMEOUT = 1.0")
    (tmp_path / "conftest.py").write_text(conftest, "utf-8")
    (tmp_path / "test_hanging.py").write_text(HANGING, "utf-8")
    settings = ["-c", str(TESTS.parent / "pyproject.toml"), "-o", "timeout=2", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *settings, "-n", processes, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "2 failed, 2 passed" in run.stdout, run.stdout + run.stderr
    assert "FAILED" in run.stdout
    assert run.stdout.count("Failed: Timeout (>2.0s)") >= 2
    assert "thread.join()" in run.stdout
    assert run.returncode == 1
