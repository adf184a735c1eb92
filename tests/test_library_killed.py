"""Libraries whose process was killed while files were added, and while they were made."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers.tones import contents, write_tone
from soundloom.library import Library


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(tmp_path: Path, tones: Path) -> None:
    for number in range(60):
        write_tone(tones / f"many-{number:02d}.wav", 100 + 7 * number, seconds=2.5)
    reference = Library.create(tmp_path / "reference.loom", "logmel+mfcc")
    reference.add(tones)
    victim = tmp_path / "victim.loom"
    Library.create(victim, "logmel+mfcc")
    script = (
        "import sys, soundloom.library.indexing.file_rows as writer; writer._FLUSH_SECONDS = 0.0; "
        "from soundloom.library import Library; library = Library.open(sys.argv[1]); library.model; "
        "print('go', flush=True); library.add(sys.argv[2])"
    )
    rng = np.random.default_rng(0)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", script, victim, tones], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0.05, 0.5))
            process.send_signal(signal.SIGKILL)
        rows = contents(Library.open(victim))
        assert set(rows) <= set(contents(reference))
        assert len({row[:2] for row in rows}) == len(rows)
    library = Library.open(victim)
    library.add(tones)
    assert contents(library) == contents(reference)


def test_killed_while_it_is_made_it_can_be_made_again(tmp_path: Path, tones: Path) -> None:
    folder = tmp_path / "sounds.loom"
    folder.mkdir()
    (folder / "library.json.writing").write_text('{"model":')
    assert Library.create(folder, "mfcc").add(tones).new == 6
    assert not (folder / "library.json.writing").exists()
