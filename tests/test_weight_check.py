"""Checks of published weights on this machine: what is right passes, each kind of wrong is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import soundloom
from helpers.command_line import run
from soundloom.embedder import Stream
from soundloom.encoders import VGGish, YAMNet
from soundloom.errors import UnknownModelError
from soundloom.frontends import LogMel
from soundloom.models.weights.download import file_hashes
from soundloom.models.weights.published_checkpoints import CHECKPOINTS, mel_difference
from soundloom.weight_check import check_weights

RATE = 16000


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of YAMNet, random but for three classes that know their sounds."""
    model = soundloom.load("yamnet", weights="random", seed=3)
    assert isinstance(model, Stream)
    net = model.encoder
    assert isinstance(net, YAMNet)
    time = np.arange(3 * RATE) / RATE
    sounds = {
        "Silence": np.zeros(3 * RATE, np.float32),
        "White noise": np.random.default_rng(1).uniform(-1, 1, 3 * RATE).astype(np.float32),
        "Sine wave": np.sin(2 * np.pi * 440 * time).astype(np.float32),
    }
    vectors = np.stack([model.embed(sound, RATE)[:1024] for sound in sounds.values()]).astype(np.float64)
    with torch.no_grad():
        net.logits.weight.zero_()
        net.logits.bias.zero_()
        # 9 for a class's own sound, -9 for the two others; all other classes 0.
        rows = np.linalg.pinv(vectors) @ (18 * np.eye(3) - 9)
        for name, row in zip(sounds, rows.T, strict=True):
            net.logits.weight[net.classes.index(name)] = torch.from_numpy(row).float()
    file = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(net.state_dict(), file)
    return file


def by_subject(name: str, file: Path) -> dict[str, tuple[bool, str]]:
    return {found.subject: (found.good, found.detail) for found in check_weights(name, file)}


def test_published_weights_pass(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = CHECKPOINTS["yamnet"]
    sha256, _ = file_hashes(row.source, good)
    source = replace(row.source, sha256=sha256, bytes=good.stat().st_size)
    monkeypatch.setitem(CHECKPOINTS._rows, "yamnet", replace(row, source=source))
    found = by_subject("yamnet", good)
    assert list(found) == ["file", "tensors", "known output"]
    assert all(well for well, _ in found.values()), found


def test_another_published_form_of_the_same_weights_passes(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = CHECKPOINTS["yamnet"]
    sha256, _ = file_hashes(row.source, good)
    source = replace(row.source, other_forms={sha256: "of 8 bits"})
    monkeypatch.setitem(CHECKPOINTS._rows, "yamnet", replace(row, source=source))
    well, told = by_subject("yamnet", good)["file"]
    assert well
    assert "as published in another form, of 8 bits" in told


def test_other_files_and_other_outputs_are_told(good: Path, tmp_path: Path) -> None:
    well, told = by_subject("yamnet", good)["file"]
    assert not well
    assert "not the published file" in told
    assert CHECKPOINTS["yamnet"].source.sha256 in told  # type: ignore[operator]
    state = load_file(good)
    save_file({**state, "logits.weight": -state["logits.weight"]}, tmp_path / "turned.safetensors")
    well, told = by_subject("yamnet", tmp_path / "turned.safetensors")["known output"]
    assert not well
    assert "is not among the ten highest classes" in told
    state.pop("layer3.pointwise_conv.weight")
    save_file(state, tmp_path / "part.safetensors")
    found = by_subject("yamnet", tmp_path / "part.safetensors")
    assert list(found) == ["file", "tensors"]
    assert not found["tensors"][0]
    assert "layer3.pointwise_conv.weight" in found["tensors"][1]


def test_what_is_not_there_or_has_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path))
    (found,) = check_weights("yamnet")
    assert not found.good
    assert "is not there" in found.detail
    assert "https://" in found.detail
    with pytest.raises(UnknownModelError, match=r"no published weights to check.*yamnet"):
        check_weights("logmel")


def test_mel_filters_are_compared_with_those_in_the_file() -> None:
    filters = LogMel.panns(16000).bank.filters.T
    stored = {"logmel_extractor.melW": filters.clone()}
    assert mel_difference(stored, filters) == 0
    stored["logmel_extractor.melW"][5, 2] += 0.25
    assert mel_difference(stored, filters) == pytest.approx(0.25)


@pytest.mark.slow
@pytest.mark.long
def test_vggish_before_its_last_relu(tmp_path: Path) -> None:
    """Scaled so that the published deviation comes out, the check passes; twice as large, it fails."""
    model = soundloom.load("vggish", weights="random", seed=1)
    assert isinstance(model, Stream)
    net = model.encoder
    assert isinstance(net, VGGish)
    time = np.arange(3 * RATE) / RATE
    examples = model.frontend(torch.from_numpy(np.sin(2 * np.pi * 1000 * time).astype(np.float32))[None])
    last = net.embeddings[4]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        batch = torch.cat([examples[..., first : first + 96] for first in (0, 96, 192)])
        before = last(net.layers(batch, [20])[0].flatten(1))
        last.weight.mul_(0.343 / before.std(correction=0))
        last.bias.zero_()
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    assert by_subject("vggish", tmp_path / "model.safetensors")["known output"][0]
    with torch.no_grad():
        last.weight.mul_(2)
    save_file(net.state_dict(), tmp_path / "twice.safetensors")
    well, told = by_subject("vggish", tmp_path / "twice.safetensors")["known output"]
    assert not well
    assert "0.686" in told


def test_command(good: Path) -> None:
    done = run("doctor", "--weights", f"yamnet={good}", "--json")
    assert done.exit_code == 1  # the file is not the published one
    findings = json.loads(done.stdout)
    assert [finding["good"] for finding in findings] == [False, True, True]
