"""The decoding process: the same bits as here, and nothing that happens to it is worse than an AudioError."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundloom.audio import AvProcess, DecodeOptions, info, read, stream
from soundloom.errors import AudioError
from soundloom.file_pool import process
from sounds import tone, write_silent_film, write_with_av

pytestmark = pytest.mark.skipif(os.name == "nt", reason="stops processes by POSIX signals")


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of stereo AAC."""
    both = np.stack([tone(440, 44100, 12), tone(1000, 44100, 12)])
    return write_with_av(tmp_path_factory.mktemp("process") / "talk.m4a", both, 44100, "aac")


def is_alive(pid: int) -> bool:
    """Whether there is such a process, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_end(pid: int, seconds: float = 10) -> bool:
    """Whether a process that is not our child ends within a time; being a zombie of another is an end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = Path(f"/proc/{pid}/stat")
        if not is_alive(pid) or (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"):
            return True
        time.sleep(0.02)
    return False


def test_the_same_bits_as_in_this_process(talk: Path) -> None:
    with AvProcess() as av:
        for region in ({}, {"start": 1.5, "end": 7.25}):
            np.testing.assert_array_equal(read(talk, 16000, **region, av=av), read(talk, 16000, **region))
        assert info(talk, av) == info(talk)


def test_no_child_is_started_for_what_libsndfile_reads(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "plain.wav", tone(440, 8000, 1), 8000)
    with AvProcess() as av:
        read(tmp_path / "plain.wav", 16000, av=av)
        assert av.pid is None


def test_one_child_for_many_files_some_of_them_bad(talk: Path, tmp_path: Path) -> None:
    silent = write_silent_film(tmp_path / "silent.mp4")
    (tmp_path / "notes.m4a").write_text("not a sound\n" * 99)
    whole = read(talk, 16000)
    with AvProcess() as av:
        np.testing.assert_array_equal(read(talk, 16000, av=av), whole)
        pid = av.pid
        with pytest.raises(AudioError, match="no sound track in it") as here:
            read(silent, 16000)
        with pytest.raises(AudioError, match="no sound track in it") as there:
            read(silent, 16000, av=av)
        assert str(there.value) == str(here.value)
        with pytest.raises(AudioError, match="this is text, not audio"):
            read(tmp_path / "notes.m4a", 16000, av=av)
        np.testing.assert_array_equal(read(talk, 16000, av=av), whole)
        assert av.pid == pid


def test_files_may_be_read_in_turn_and_left_halfway(talk: Path) -> None:
    whole = read(talk, 16000)
    with AvProcess() as av:
        left = stream(talk, 16000, av=av)
        next(left)
        pairs = list(zip(stream(talk, 16000, av=av), stream(talk, 16000, av=av), strict=True))
        left.close()
        for side in zip(*pairs, strict=True):
            np.testing.assert_array_equal(np.concatenate(side), whole)
        np.testing.assert_array_equal(read(talk, 16000, av=av), whole)


def test_threads_may_share_it(talk: Path) -> None:
    whole = read(talk, 16000)
    heard: list[np.ndarray] = []
    with AvProcess() as av:
        threads = [threading.Thread(target=lambda: heard.append(read(talk, 16000, av=av))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(heard) == 4
    for samples in heard:
        np.testing.assert_array_equal(samples, whole)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_a_crash_costs_one_file(talk: Path, how: signal.Signals) -> None:
    whole = read(talk, 16000)
    with AvProcess() as av:
        blocks = stream(talk, 16000, av=av)
        next(blocks)
        first = av.pid
        assert first is not None
        os.kill(first, how)
        with pytest.raises(AudioError, match=f"talk.m4a.*was ended by {how.name}.*probably damaged"):
            list(blocks)
        assert not is_alive(first)
        np.testing.assert_array_equal(read(talk, 16000, av=av), whole)
        assert av.pid != first


def test_a_child_that_hangs_is_ended(talk: Path) -> None:
    with AvProcess(timeout=0.3) as av:
        pid = None
        while pid is None:
            try:  # The start itself may take longer than the timeout.
                blocks = stream(talk, 16000, av=av)
                next(blocks)
                pid = av.pid
            except AudioError:
                av.timeout *= 2
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(AudioError, match="gave no answer in time"):
            list(blocks)
        assert not is_alive(pid)
        av.timeout = 60
        assert len(read(talk, 16000, av=av)) > 12 * 16000 - 10


def test_a_child_that_cannot_start_says_why(talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "soundloom.py").write_text("raise ImportError('broken on purpose')")
    with AvProcess() as av:
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(AudioError, match=r"cannot be started \(No such file"):
            read(talk, 16000, av=av)
        monkeypatch.undo()
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(AudioError, match=r"ended with code 1 \(.*broken on purpose"):
            read(talk, 16000, av=av)


def test_close_and_garbage_collection_leave_no_process(talk: Path) -> None:
    av = AvProcess()
    read(talk, 16000, av=av)
    closed = av.pid
    assert closed is not None
    av.close()
    av.close()
    assert av.pid is None
    assert not is_alive(closed)
    read(talk, 16000, av=av)
    dropped = av.pid
    assert dropped is not None
    del av
    gc.collect()
    assert not is_alive(dropped)


@pytest.mark.parametrize("ending", ["pass", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_the_child_ends_with_its_parent(talk: Path, ending: str) -> None:
    program = (
        "import json, sys\nfrom soundloom.audio import AvProcess, stream\n"
        f"av = AvProcess()\nblocks = stream({json.dumps(str(talk))}, 16000, av=av)\nnext(blocks)\n"
        f"print(av.pid, flush=True)\n{ending}\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.stderr == ""
    assert wait_for_end(int(ended.stdout))


def test_a_forked_copy_starts_a_child_of_its_own(talk: Path) -> None:
    # In a fresh interpreter: forking one that has threads is asking for trouble.
    program = (
        "import gc, os\nfrom soundloom.audio import AvProcess, read\n"
        f"av = AvProcess()\nread({json.dumps(str(talk))}, 16000, av=av)\n"
        "pid = os.fork()\n"
        f"if pid == 0:\n    old = av.pid\n    read({json.dumps(str(talk))}, 16000, av=av)\n    assert av.pid != old\n"
        "    av.close()\n    os._exit(0)\n"
        f"assert os.waitpid(pid, 0)[1] == 0\n"
        f"old = av.pid\nread({json.dumps(str(talk))}, 16000, av=av)\nassert av.pid == old\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_room_loads_neither_torch_nor_av() -> None:
    program = "import soundloom.audio, sys; print(sorted({'torch', 'av', 'librosa', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


def test_a_timeout_must_be_positive() -> None:
    with pytest.raises(ValueError, match="timeout is 0 s"):
        AvProcess(timeout=0)


@pytest.mark.parametrize("isolated", [True, False])
def test_what_libmpg123_prints_stays_off_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], isolated: bool
) -> None:
    file = tmp_path / "damaged.mp3"
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * 44100)
    soundfile.write(file, noise, 44100)
    content = file.read_bytes()
    # Within two frames of the size that is counted: libsndfile is trusted with it.
    file.write_bytes(content[:20000] + content[20200:])
    whole, _ = soundfile.read(file, dtype="float32")
    assert "resync" in capfd.readouterr().err
    with AvProcess() as av:
        samples = read(file, 44100, av=av if isolated else None)
    assert capfd.readouterr().err == ""
    np.testing.assert_allclose(samples, whole, atol=1e-6)
    assert info(file).decoder == "soundfile"


def test_mpeg_audio_of_regular_frames_needs_no_child(tmp_path: Path) -> None:
    file = tmp_path / "regular.mp3"
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, 3 * 44100), 44100)
    with AvProcess() as av:
        read(file, 16000, av=av)
        assert av.pid is None


def test_mpeg_audio_is_the_same_in_a_child(tmp_path: Path) -> None:
    file = tmp_path / "irregular.mp3"
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, (3 * 44100, 2)), 44100)
    content = file.read_bytes()
    file.write_bytes(content[:20000] + content[20200:])
    with AvProcess() as av:
        assert info(file, av) == info(file)
        assert av.pid is not None
        for region in ({}, {"start": 1.0, "end": 1.5}):
            np.testing.assert_array_equal(read(file, 44100, av=av, **region), read(file, 44100, **region))
        loudest = DecodeOptions(channels="loudest")
        np.testing.assert_array_equal(read(file, 16000, av=av, options=loudest), read(file, 16000, options=loudest))


def test_files_in_work_are_left_when_nobody_wants_the_outcomes(tmp_path: Path) -> None:
    for name, seconds in (("short.wav", 1), ("long.wav", 600)):
        soundfile.write(tmp_path / name, np.zeros(seconds * 8000), 8000)
    reached: list[int] = []
    begun = threading.Event()

    def work(name: str, av: AvProcess) -> int:
        for block in stream(tmp_path / name, 8000, av=av):
            if name == "long.wav":
                reached.append(len(block))
                begun.set()
                time.sleep(0.02)
        return 0

    outcomes = process(["short.wav", "long.wav"], work, workers=2)
    assert next(outcomes) == 0
    assert begun.wait(20)
    outcomes.close()
    assert 0 < sum(reached) < 600 * 8000 / 2
