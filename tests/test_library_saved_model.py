"""Libraries filled by a saved model, or with weights of its own, which are found again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import soundloom
from helpers.command_line import run
from helpers.custom_stream import custom, noise
from soundloom.embedder import Stream
from soundloom.errors import (
    LibraryError,
    ModelError,
    ModelMismatchError,
)
from soundloom.library import Library
from soundloom.models import save_pretrained


@pytest.fixture(scope="module")
def model() -> Stream:
    return custom()


@pytest.fixture
def saved(model: Stream, tmp_path: Path) -> Path:
    return save_pretrained(model, tmp_path / "mine")


# Libraries.


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    import soundfile

    (tmp_path / "sounds").mkdir()
    for number in range(3):
        soundfile.write(tmp_path / "sounds" / f"{number}.wav", noise(8000, number), 8000)
    return tmp_path / "sounds"


def test_a_library_finds_its_saved_model_again(saved: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    library = Library.create("l.loom", "logmel+./mine")
    library.add(sounds)
    assert library.settings.source == f"logmel+{saved}"
    monkeypatch.chdir("/")
    again = Library.open(library.folder)
    hits = again.search(sounds / "0.wav", weights={"mine": 1, "logmel": 0}, include_query=True)
    assert hits[0].path == str(sounds / "0.wav")
    assert hits[0].similarity == pytest.approx(1, abs=1e-5)

    moved = saved.rename(saved.with_name("moved"))
    with pytest.raises(ModelError, match=r"(?s)no saved model in .*mine'.*have moved, say where to: Library.open"):
        _ = Library.open(library.folder).model
    assert Library.open(library.folder, f"logmel+{moved}").settings.source == f"logmel+{moved}"
    assert Library.open(library.folder).model.fingerprint() == library.settings.fingerprint
    save_pretrained(soundloom.load("mfcc"), moved)
    with pytest.raises(ModelMismatchError, match=r"filled by the model 'logmel\+mine', not 'logmel\+mfcc'"):
        _ = Library.open(library.folder).model


def test_a_library_of_a_model_in_hand_takes_it_again(model: Stream, sounds: Path, tmp_path: Path) -> None:
    Library.create(tmp_path / "l.loom", model).add(sounds)
    with pytest.raises(ModelError, match=r"cannot be loaded: no model 'mine'"):
        _ = Library.open(tmp_path / "l.loom").model
    assert Library.open(tmp_path / "l.loom", model).search(sounds / "1.wav")


def test_a_library_remembers_its_weights(sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = Library.create("l.loom", "coala+logmel", weights={"coala": "random"})
    assert made.settings.weights == {"coala": "random"}
    made.add(sounds)
    assert Library.open("l.loom").search(sounds / "1.wav")
    assert Library.open("l.loom", weights="random").settings.weights == "random"
    with pytest.raises(ModelError, match=r"no file .*other\.pt"):
        Library.open("l.loom", weights={"coala": "other.pt"})


def test_libraries_from_before_weights_were_written_down(sounds: Path, tmp_path: Path) -> None:
    Library.create(tmp_path / "l.loom", "logmel").add(sounds)
    file = tmp_path / "l.loom" / "library.json"
    data = json.loads(file.read_text())
    assert (data.pop("source"), data.pop("weights")) == ("logmel", "published")
    del data["checksum"]
    file.write_text(json.dumps(data))
    assert Library.open(tmp_path / "l.loom").search(sounds / "1.wav")
    file.write_text(json.dumps({**data, "weights": 3}))
    with pytest.raises(LibraryError, match="damaged"):
        Library.open(tmp_path / "l.loom")


# Commands.


def test_commands_take_saved_models(saved: Path, sounds: Path, tmp_path: Path) -> None:
    assert run("index", sounds, "-l", tmp_path / "l.loom", "--model", f"{saved}+peaks").exit_code == 0
    found = run("search", sounds / "2.wav", "-l", tmp_path / "l.loom", "--offline", "--weights", "mine=1,peaks=0")
    assert found.exit_code == 0, found.output
    assert "2.wav" in found.stdout
    assert f"{saved}+peaks" in run("info", "-l", tmp_path / "l.loom").stdout
    assert "48" in run("embed", sounds, "-o", tmp_path / "e.npz", "--model", saved).stdout
    wrong = run("index", sounds, "-l", tmp_path / "l.loom", "--model", tmp_path / "nowhere")
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("Error: no saved model in")
