"""A small collection with tags that can be heard, and a COALA trained on it: beeps and hisses."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from filelock import FileLock

from soundloom.corpora import Corpus, clip_table
from soundloom.one_thread import one_thread
from soundloom.recipes.coala import PRESETS, CoalaRecipe
from soundloom.tags import VocabularySettings
from sounds import tone

RATE = 16000


def beeps_and_hisses(folder: Path, count: int = 12) -> Corpus:
    """So many beeps, tagged as beeping tones, and as many hisses, tagged as noises; labels say which."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    paths, labels, tags = [], [], []
    for number in range(count):
        for label in ("beep", "hiss"):
            path = folder / f"{label}_{number:02}.wav"
            if label == "beep":
                wave = tone(400 + 60 * number, RATE, 1.0)
            else:
                wave = (chance.normal(0, 0.1, RATE)).astype(np.float32)
            soundfile.write(path, wave, RATE)
            paths.append(str(path))
            labels.append(label)
            tags.append(["Beeps", "electronic"] if label == "beep" else ["Hissing noise"])
    table = clip_table(paths, labels, tags=tags, folds=[1 + place // 2 % 3 for place in range(len(paths))])
    return Corpus(
        name="mine", root=folder, task="single-label", classes=("beep", "hiss"), table=table, split_origin="listed"
    )


def copy_trained(folder: Path, factory: pytest.TempPathFactory) -> None:
    """Fill a folder with ``sounds`` and ``run``, a model trained on them once for all processes that test."""
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tagged"
    shared.mkdir(exist_ok=True)
    with FileLock(shared / "lock"):
        if not (shared / "run" / "tags.safetensors").is_file():
            with pytest.MonkeyPatch.context() as patch, one_thread:
                patch.setenv("SOUNDLOOM_HOME", str(shared / "home"))
                quick("small-e-c").run(beeps_and_hisses(shared / "sounds"), shared / "run")
    for name in ("sounds", "run"):
        shutil.copytree(shared / name, folder / name)


def quick(preset: str, steps: int = 8) -> CoalaRecipe:
    """A recipe that is over in seconds."""
    recipe = PRESETS[preset]
    training = replace(
        recipe.training, steps=steps, batch=8, warmup=1, validate_every=steps, rate=1e-3, device="cpu", log_every=4
    )
    # Half of any batch has the same tags.
    objective = replace(recipe.objective, same_tags_repel=False)
    return replace(
        recipe, objective=objective, vocabulary=VocabularySettings(fewest_sounds=2), validation=0.25, training=training
    )
