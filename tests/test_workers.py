"""Child processes: what they answer, and what becomes of those that hang, crash, lie or lose their parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from soundloom.workers import ChildLostError, ChildProcess

TARGET = "helpers.worker_targets:serve"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="tells how processes end by POSIX signals")


def test_a_child_answers_whatever_its_libraries_print() -> None:
    child = ChildProcess(TARGET)
    for content in (b"", b"\0\n" * 100_000):
        assert child.ask(b"e", content, 60) == (b"e", bytearray(b"<" + content + b">"))
    assert child.stop() == "ended with code 0 (a library prints this)"
    assert child.stop() == "ended with code 0 (a library prints this)"
    with pytest.raises(ChildLostError):
        child.ask(b"e", b"", 60)


@pytest.mark.parametrize(
    ("request_kind", "how"),
    [
        (b"x", "was ended by SIGABRT"),
        (b"r", "ended with code 1 (RuntimeError: broken on purpose)"),
        (b"h", "ended with"),
    ],
)
def test_a_child_that_crashes_or_lies_is_lost_and_says_how(request_kind: bytes, how: str) -> None:
    child = ChildProcess(TARGET)
    with pytest.raises(ChildLostError, match="ended before it answered") as lost:
        child.ask(request_kind, b"", 60)
    assert not lost.value.timed_out
    assert child.stop().startswith(how)


def test_a_child_that_takes_too_long_is_killed() -> None:
    child = ChildProcess(TARGET)
    child.ask(b"e", b"", 60)
    began = time.monotonic()
    with pytest.raises(ChildLostError, match="gave no answer in time") as lost:
        child.ask(b"s", b"", 0.2)
    assert lost.value.timed_out
    assert time.monotonic() < began + 10
    assert child.stop() == "gave no answer in time and was stopped"
    assert child.process.returncode is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to this limit")
def test_the_memory_of_a_child_is_limited() -> None:
    child = ChildProcess(TARGET, memory=2**30)
    assert child.ask(b"m", str(2**28).encode(), 60)[1] == b"given"
    assert child.ask(b"m", str(2**31).encode(), 60)[1] == b"refused"
    child.stop()


def test_a_busy_child_ends_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from soundloom.workers import ChildProcess\n"
        f"child = ChildProcess({TARGET!r})\n"
        "child.ask(b'e', b'', 60)\n"
        "child.send(b's')\n"
        "print(child.process.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    pytest.fail("the child is still there")
