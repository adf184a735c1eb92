"""Damage, odd model files, and interrupts at the start: small versions of the benchmarks of the same names."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import soundloom
from helpers.damage import damage_file, odd_model
from helpers.library_factory import clustered, filled
from soundloom.embedder import Stream
from soundloom.encoders import Transformer, TransformerSettings, initialise
from soundloom.errors import ModelError, SoundloomError
from soundloom.frontends import LogMel, LogMelSettings
from soundloom.library import Library
from soundloom.library.verification import verify_library
from soundloom.tagger import Tagger
from soundloom.tags import Vocabulary

PATHS = [f"/s/{number:02d}.wav" for number in range(40)]
VECTORS = clustered(4, 10)


def answers(folder: Path) -> list[Callable[[], object]]:
    """What a library is asked; every answer depends on its rows, its tags or its index."""
    library = Library.open(folder)
    return [
        lambda: [(hit.path, hit.similarity) for hit in library.search_embedding(VECTORS[3] + 0.1, 20)],
        lambda: [hit.path for hit in library.search_embedding(VECTORS[3], 20, where="array_has(tags, 'dog')")],
        lambda: sorted(library.files()),
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object]]:
    folder = tmp_path_factory.mktemp("damage") / "whole.loom"
    library = filled(folder, PATHS, VECTORS, tags={PATHS[3]: ["dog"], PATHS[14]: ["dog", "cat"]})
    library.index()
    return folder, [ask() for ask in answers(folder)]


@pytest.mark.parametrize("first", range(0, 30, 6))
def test_a_damaged_library_answers_rightly_or_in_one_line(
    whole: tuple[Path, list[object]], tmp_path: Path, first: int
) -> None:
    intact, expected = whole
    for seed in range(first, first + 6):
        folder = tmp_path / f"{seed}.loom"
        shutil.copytree(intact, folder)
        damage = damage_file(folder, random.Random(seed))
        found = [str(finding.path) for finding in verify_library(folder)]
        assert found, f"verify does not find: {damage}"
        error = ""
        try:
            for ask, answer in zip(answers(folder), expected, strict=True):
                assert ask() == answer, damage
        except SoundloomError as refused:
            error = str(refused)
        assert "\n" not in error, damage
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with weights, saved."""
    frontend = LogMel(
        LogMelSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, bins=24, fmin=30, fmax=3999)
    )
    encoder = Transformer(TransformerSettings(bins=24, width=12, depth=2, heads=2, hidden=16, pool_after=(2,)))
    initialise(encoder, seed=7)
    stream = Stream("mine", frontend, encoder, layers=(1, 2), pooling="mean", window=None, min_samples=400)
    return soundloom.save_pretrained(stream.eval(), tmp_path_factory.mktemp("odd") / "mine")


@pytest.mark.parametrize("first", range(0, 50, 10))
def test_an_odd_model_loads_or_is_refused_in_one_line(saved: Path, tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 10):
        odd = tmp_path / f"{seed}"
        shutil.copytree(saved, odd)
        done = odd_model(odd, random.Random(seed))
        error = ""
        try:
            soundloom.from_pretrained(odd)
        except SoundloomError as refused:
            error = str(refused)
        assert len(error) < 1500, done
        assert "\n" not in error, done


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": 1, "format": 1}', "{", '{"format": NaN}', "[1]"])
def test_an_odd_vocabulary_or_tagger_is_refused_in_one_line(saved: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "vocabulary.json"
    file.write_text(text)
    with pytest.raises(ModelError, match=r"vocabulary\.json") as refused:
        Vocabulary.load(file)
    assert "\n" not in str(refused.value)
    model = tmp_path / "model"
    shutil.copytree(saved, model)
    (model / "tagger.json").write_text(text)
    shutil.copy(model / "model.safetensors", model / "tagger.safetensors")
    with pytest.raises(ModelError, match="tagger") as refused:
        Tagger.load(model)
    assert "\n" not in str(refused.value)


INTERRUPTED = """
import os, signal, sys
import click
from soundloom.cli.error_door import one_line
with one_line("index", debug=False):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000): pass
    except KeyboardInterrupt:
        raise SystemError("initialization of an extension module raised without reporting an error")
"""

AT_THE_START = """
import importlib.abc, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *_):
        if name == "soundloom.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
from soundloom.__main__ import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("program", [INTERRUPTED, AT_THE_START], ids=["extension", "start"])
def test_an_interrupt_during_imports_is_one_line(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{program}"],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr.strip() == "interrupted"


def test_an_address_of_weights_is_refused_as_one() -> None:
    from soundloom.cli.common_options import parse_files

    with pytest.raises(SoundloomError, match="is an address"):
        parse_files(["s3://bucket/model.pth"])
    with pytest.raises(SoundloomError, match="is an address"):
        parse_files(["cnn14=s3://bucket/model.pth"])
