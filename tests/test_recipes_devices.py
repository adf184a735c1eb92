"""Recipes of several trainings on several processes: all learn, one goes on with what follows."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import soundloom

RATE = 16000


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A CSV of twelve notes, six of each of two instruments."""
    rows = []
    for number in range(12):
        kind, midi = ("string", "reed")[number % 2], 50 + 2 * number
        times = np.arange(RATE) / RATE
        phase = 2 * np.pi * 440 * 2 ** ((midi - 69) / 12) * times
        wave = np.sin(phase) + (0.5 * np.sin(3 * phase) if kind == "reed" else 0.5 * np.sin(2 * phase))
        path = tmp_path / f"{kind}-{midi}.wav"
        soundfile.write(path, (0.2 * wave).astype(np.float32), RATE)
        rows.append({"path": str(path), "label": kind, "midi": str(midi)})
    table = tmp_path / "notes.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "midi"])
        writer.writeheader()
        writer.writerows(rows)
    return table


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    ("recipe", "given", "parts"),
    [
        (
            "loom",
            "--teachers mfcc --general-steps 2 --timbre-steps 2 --pitch-steps 2 --general-dim 4 --texture-dim 4 "
            "--timbre-dim 4 --copied 4 --fewest-sounds 2 --tag-steps 2 --validation 0",
            ["pitch", "timbre", "texture", "general"],
        ),
        (
            "diverse",
            "--preset small --streams pitch,timbre --epochs 0 --steps 2 --batch 4 --validation 0",
            ["pitch", "timbre"],
        ),
    ],
)
def test_two_processes_learn_and_one_goes_on(
    notes: Path, tmp_path: Path, recipe: str, given: str, parts: list[str]
) -> None:
    out = tmp_path / "model"
    done = subprocess.run(
        [sys.executable, "-m", "soundloom", "train", recipe, str(notes), "--out", str(out), "--devices", "2",
         "--threads", "1", *given.split()],
        env={**os.environ, "SOUNDLOOM_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The model is") == 1
    assert list(soundloom.load(str(out)).parts) == parts
