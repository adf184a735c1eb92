"""Damaged saved models, and savings that fail: what is wrong is named, and the old model stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.custom_stream import assert_same, custom
from soundloom.embedder import Stream
from soundloom.errors import (
    ModelError,
)
from soundloom.models import from_pretrained, save_pretrained
from soundloom.models.weights.download import sha256_of


@pytest.fixture(scope="module")
def model() -> Stream:
    return custom()


@pytest.fixture
def saved(model: Stream, tmp_path: Path) -> Path:
    return save_pretrained(model, tmp_path / "mine")


# Damage.


def edit(saved: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads((saved / "config.json").read_text())
    change(data)
    (saved / "config.json").write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(format=2), r"has format 2, soundloom .* reads 1"),
        (lambda data: data.pop("format"), "is not of a soundloom model: .* the key 'format'"),
        (lambda data: data.update(colour="red"), r"config.json: unknown colour\. The keys are format"),
        (lambda data: data.pop("dim"), "config.json: missing dim"),
        (lambda data: data.update(parts=[]), "parts is empty"),
        (lambda data: data.update(parts=[3]), r"parts\[0\] should be an object with the keys name, .*, got 3"),
        (lambda data: data.update(dim=7), "says 7 numbers at 8000 Hz, but its parts make 48 at 8000 Hz"),
        (lambda data: data["parts"][0].update(layers=[9]), "there is no layer 9: those of .* are 1, 2"),
        (
            lambda data: data["parts"][0].update(layers=["1"]),
            r"layers\[0\] should be a whole number, got '1'",
        ),
        (lambda data: data["parts"][0].update(pooling="median"), "no pooling 'median'"),
        (lambda data: data["parts"][0].update(min_samples=True), "min_samples should be a whole number, got True"),
        (lambda data: data["parts"][0]["window"].update(fixed=1), r"window\.fixed should be true or false, got 1"),
        (
            lambda data: data["parts"][0]["encoder"].update(type="RNN"),
            r"encoder\.type: no encoder 'RNN': .*here are",
        ),
        (lambda data: data["parts"][0]["encoder"]["settings"].update(width=13), "width must be even, got 13"),
        (lambda data: data["parts"][0]["encoder"]["settings"].update(bins=25), r"of another shape: parts\.0\.encoder"),
        (lambda data: data["parts"][0]["frontend"].update(inner=None), "Scaled needs inner front-end"),
        (lambda data: data["parts"][0]["encoder"].update(type="VGGish"), "settings: VGGish has none, got channels"),
        (
            lambda data: data["parts"][0]["frontend"]["inner"]["settings"].update(window="box"),
            r"inner\.settings\.window should be 'hann' or .*, got 'box'",
        ),
        (
            lambda data: data["parts"][0]["frontend"]["inner"]["settings"].update(fmax=5000),
            "mel filter bank needs .*, got fmin 30 and fmax 5000",
        ),
    ],
)
def test_damaged_configurations_say_where(saved: Path, change: Callable[..., object], message: str) -> None:
    edit(saved, change)
    with pytest.raises(ModelError, match=message):
        from_pretrained(saved)


def test_configurations_that_are_no_json(saved: Path) -> None:
    for text in ("{", "", "\xff"):
        (saved / "config.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(ModelError, match=r"config\.json is damaged"):
            from_pretrained(saved)
    (saved / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="not of a soundloom model"):
        from_pretrained(saved)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_missing_files_are_named(saved: Path, file: str) -> None:
    (saved / file).unlink()
    with pytest.raises(ModelError, match=f"there is no {file}"):
        from_pretrained(saved)


def test_weights_that_are_not_those_saved(saved: Path) -> None:
    file = saved / "model.safetensors"
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        file.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"model\.safetensors is not the file that config\.json was saved with"):
            from_pretrained(saved)
    file.write_bytes(whole)
    state = load_file(file)
    state.pop("parts.0.encoder.projection.bias")
    state["parts.0.encoder.projection.weight"] = torch.zeros(3, 3)
    save_file(state, file)
    edit(saved, lambda data: data.update(weights_sha256=sha256_of(file)))
    with pytest.raises(ModelError, match=r"(?s)1 missing: parts\.0\.encoder\.projection\.bias.*got \(3, 3\)"):
        from_pretrained(saved)
    file.write_bytes(b"no safetensors")
    edit(saved, lambda data: data.update(weights_sha256=sha256_of(file)))
    with pytest.raises(ModelError, match="is not a safetensors file"):
        from_pretrained(saved)


def test_a_saving_that_fails_leaves_the_old_model(saved: Path, model: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ModelError, match=r"cannot save 'mine' to .*: no space left on device"):
        save_pretrained(custom(), saved)
    monkeypatch.undo()
    assert_same(from_pretrained(saved), model)
    assert len(list(saved.iterdir())) == 3
