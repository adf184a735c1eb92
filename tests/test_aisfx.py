"""aiSFX against the arithmetic of its published package, written out with librosa, with random weights in a wheel."""

from __future__ import annotations

import zipfile
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from torch.nn import functional

import soundloom
from soundloom.embedder import Stream
from soundloom.encoders import AiSFX, initialise
from soundloom.errors import ModelError
from soundloom.models.aisfx import read_weights

RATE = 44100


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as published: a pair of the state and the data sets, with numpy scalars in it, inside a wheel."""
    folder = tmp_path_factory.mktemp("aisfx")
    encoder = AiSFX()
    initialise(encoder, 7)
    random = torch.Generator().manual_seed(8)
    for name, buffer in encoder.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1, generator=random)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=random)
    state = {f"embedding_net.{key}": value for key, value in encoder.state_dict().items()}
    torch.save((state | {"fc.0.0.weight": torch.ones(3, 2)}, {"ucs": (np.int64(0), 78)}), folder / "checkpoint.pth")
    with zipfile.ZipFile(folder / "aisfx.whl", "w") as archive:
        archive.write(folder / "checkpoint.pth", "aisfx/models/checkpoint.pth")
        archive.writestr("aisfx/__init__.py", "raise SystemExit('run')")
    return folder / "aisfx.whl"


def sound(seconds: float) -> np.ndarray:
    random = np.random.default_rng(0)
    samples = 0.2 * random.standard_normal(round(seconds * RATE))
    return (samples * np.linspace(0.1, 1, len(samples))).astype(np.float32)


def published(wheel: Path, samples: np.ndarray) -> np.ndarray:
    """The published package's embeddings, a row a block."""
    scaled = samples / (np.abs(samples).max() or 1)
    mel = librosa.feature.melspectrogram(
        y=scaled, sr=RATE, n_mels=96, norm=1.0, fmin=0.0, fmax=22050.0, htk=True, hop_length=1024, win_length=2048,
        pad_mode="constant",
    )  # fmt: skip
    spectrogram = (np.log10(mel * 10000 + 1) / 9.457798957824707).T
    count = max(1, (len(spectrogram) - 100) // 50 + 1)
    filled = np.vstack([spectrogram, np.zeros((100, 96))])
    x = torch.tensor(np.stack([filled[50 * i : 50 * i + 100] for i in range(count)]), dtype=torch.float32)[:, None]
    state = read_weights(wheel)
    for block in range(1, 5):
        for half in (1, 2):
            x = functional.conv2d(x, state[f"conv_block{block}.conv{half}.weight"], padding=1)
            key = f"conv_block{block}.bn{half}"
            names = ("running_mean", "running_var", "weight", "bias")
            x = functional.relu(functional.batch_norm(x, *(state[f"{key}.{name}"] for name in names), training=False))
        x = functional.max_pool2d(x, 2) if block < 4 else x
    return np.asarray(x.mean(dim=3).amax(dim=2))


@pytest.mark.parametrize(("seconds", "blocks"), [(0.7, 1), (2.4, 1), (5.1, 3)])
def test_the_embedding_is_the_mean_of_the_package_s_blocks(wheel: Path, seconds: float, blocks: int) -> None:
    model = soundloom.load("aisfx", weights=wheel)
    samples = sound(seconds)
    expected = published(wheel, samples)
    assert len(expected) == blocks
    ours = model.embed(samples, RATE)
    assert np.linalg.norm(ours - expected.mean(axis=0)) / np.linalg.norm(expected.mean(axis=0)) < 1e-5
    frames, times = model.embed_frames(samples, RATE)
    np.testing.assert_allclose(frames, expected, rtol=1e-3, atol=1e-4)
    assert len(times) == blocks
    # Loudness does not matter, and silence is no division by zero.
    np.testing.assert_allclose(model.embed(0.1 * samples, RATE), ours, rtol=1e-3, atol=1e-4)
    assert np.isfinite(model.embed(np.zeros(RATE, np.float32), RATE)).all()


def test_weights_are_read_from_the_wheel_or_the_checkpoint_inside(wheel: Path, tmp_path: Path) -> None:
    fused = soundloom.load("aisfx#2#4", weights=wheel)
    assert isinstance(fused, Stream)
    assert fused.dim == 128 * 24 + 512 * 12
    inside = soundloom.load("aisfx#2#4", weights=wheel.with_name("checkpoint.pth"))
    assert inside.fingerprint() == fused.fingerprint()
    (tmp_path / "none.whl").write_bytes(b"no wheel")
    with pytest.raises(ModelError, match="neither the wheel of aisfx nor its checkpoint"):
        read_weights(tmp_path / "none.whl")
    torch.save({"fc.weight": torch.ones(2)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="holds no weights of aisfx"):
        read_weights(tmp_path / "other.pth")
