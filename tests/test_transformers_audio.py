"""Models of the transformers library: layers against direct calls, equal bits, saving, refusals."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import soundloom
from helpers.tiny_transformers import FAMILIES, save
from soundloom.embedder import Stream
from soundloom.encoders import TransformersAudio
from soundloom.errors import ModelError

transformers = pytest.importorskip("transformers")

# Of the library's own front-ends, when the tests call it directly.
pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter")

FILLED = {"whisper": 30.0, "ast": 2.56, "clap": 10.0}

# A second of a tiny model; these have a long window.
SLOW = {"whisper", "clap"}


@pytest.fixture(
    scope="module", params=[pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW)) for each in FAMILIES]
)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(request.param, tmp_path_factory.mktemp("models") / request.param)


@pytest.fixture(scope="module")
def model(folder: Path) -> Stream:
    found = soundloom.load(str(folder))
    assert isinstance(found, Stream)
    return found


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("wav2vec2", tmp_path_factory.mktemp("models") / "wav2vec2")


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def encoder_of(model: Stream) -> TransformersAudio:
    assert isinstance(model.encoder, TransformersAudio)
    return model.encoder


def direct(folder: Path, waveform: np.ndarray) -> tuple[Tensor, ...]:
    """Hidden states of the published class, called as the library's documentation does."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    whole = transformers.AutoModel.from_pretrained(folder).eval()
    inputs = extractor(waveform, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    if folder.name == "clap":
        part = whole.audio_model
    else:
        part = whole.get_encoder() if whole.config.is_encoder_decoder else whole
    with torch.inference_mode():
        states: tuple[Tensor, ...] = part(**inputs, output_hidden_states=True).hidden_states
    return states


def test_layers_are_the_librarys(folder: Path, model: Stream) -> None:
    encoder = encoder_of(model)
    waveform = noise(encoder.sample_rate)
    expected = direct(folder, waveform)[1:]
    with torch.inference_mode():
        layers = encoder.layers(torch.from_numpy(waveform)[None, None, None], encoder.available)
    assert len(layers) == len(expected) >= 3
    for layer, states in zip(layers, expected, strict=True):
        if folder.name == "ast":
            # Patches are numbered frequency by frequency: 12 of them, 25 steps of time each.
            states = states[:, 2:].reshape(1, 12, 25, -1).permute(0, 3, 1, 2)
        elif folder.name == "clap":
            batch, channels, height, width = states.shape
            stripes = [states[:, :, part * height // 4 : (part + 1) * height // 4] for part in range(4)]
            states = torch.cat(stripes, dim=3)
            assert states.shape == (batch, channels, height // 4, 4 * width)
        else:
            states = states.transpose(1, 2)[:, :, None]
        steps = layer.shape[-1]
        if folder.name in FILLED:
            assert steps == max(1, int(np.ceil(states.shape[-1] / FILLED[folder.name])))
        else:
            assert steps == states.shape[-1]
        assert (layer - states[..., :steps]).abs().max() < 1e-5


def test_embeddings_have_equal_bits_alone_in_a_batch_and_in_any_order(model: Stream) -> None:
    rate = model.sample_rate
    sounds = [noise(int(rate * seconds), seed) for seed, seconds in enumerate((0.7, 1.0, 1.0))]
    first = [model.embed_samples(sound) for sound in sounds]
    for sound, expected in reversed(list(zip(sounds, first, strict=True))):
        assert np.array_equal(model.embed_samples(sound), expected)
    with torch.inference_mode():
        batched = model(torch.from_numpy(np.stack(sounds[1:]))).numpy()
    assert np.abs(batched - np.stack(first[1:])).max() < 1e-5 * max(1.0, np.abs(batched).max())


def test_sounds_of_any_length_are_taken(model: Stream) -> None:
    window = model.window
    assert window is not None
    tiny = model.embed_samples(noise(model.min_samples))
    assert np.isfinite(tiny).all()
    # A rest of a sample stays with the window before it.
    if window.frames <= 5 * model.sample_rate:
        sound = noise(window.frames + 1)
        assert np.array_equal(model.embed_samples(sound), model.embed_samples(sound))
    frames, times = model.with_layers(encoder_of(model).available[-1:]).embed_frames(noise(2 * model.sample_rate))
    assert len(frames) == len(times)
    assert (np.diff(times) > 0).all()
    assert 0 <= times[0] < times[-1] < 2.0


def test_saved_and_loaded_it_is_the_same(model: Stream, tmp_path: Path) -> None:
    fused = model.with_layers((1, 3))
    sound = noise(model.sample_rate)
    soundloom.save_pretrained(fused, tmp_path / "saved")
    again = soundloom.load(str(tmp_path / "saved"))
    assert again.fingerprint() == fused.fingerprint()
    assert np.array_equal(again.embed_samples(sound), fused.embed_samples(sound))


def test_a_fingerprint_covers_weights_configuration_and_extractor(wav2vec2: Path, tmp_path: Path) -> None:
    prints = {soundloom.load(str(wav2vec2)).fingerprint()}
    assert soundloom.load(str(wav2vec2)).fingerprint() in prints
    for file, key, value in (
        ("preprocessor_config.json", "do_normalize", False),
        ("config.json", "layer_norm_eps", 1e-3),
        ("config.json", "hidden_act", "relu"),
    ):
        other = shutil.copytree(wav2vec2, tmp_path / key)
        data = json.loads((other / file).read_text(encoding="utf-8"))
        assert data[key] != value
        (other / file).write_text(json.dumps(data | {key: value}), encoding="utf-8")
        prints.add(soundloom.load(str(other)).fingerprint())
    model = soundloom.load(str(wav2vec2))
    with torch.no_grad():
        next(model.parameters()).mul_(1.5)
    assert len(prints | {model.fingerprint()}) == 5


def test_names_fuse_and_weave(wav2vec2: Path) -> None:
    woven = soundloom.load(f"{wav2vec2}#1#3+logmel")
    assert list(woven.parts) == ["wav2vec2#1#3", "logmel"]
    assert woven.embed_samples(noise(8000)).shape == (64 + 128,)
    with pytest.raises(ModelError, match="there is no layer 4: those of TransformersAudio are 1, 2, 3"):
        soundloom.load(f"{wav2vec2}#4")


@pytest.mark.slow
def test_another_process_loads_the_same(wav2vec2: Path, tmp_path: Path) -> None:
    model = soundloom.load(f"{wav2vec2}#2")
    np.save(tmp_path / "sound.npy", noise(9000))
    script = (
        "import sys, numpy, soundloom\nmodel = soundloom.load(sys.argv[1])\n"
        "print(model.embed_samples(numpy.load(sys.argv[2])).tobytes().hex(), model.fingerprint())"
    )
    command = [sys.executable, "-c", script, f"{wav2vec2}#2", str(tmp_path / "sound.npy")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said == [model.embed_samples(noise(9000)).tobytes().hex(), model.fingerprint()]


def test_weights_in_pieces_are_the_same_model(wav2vec2: Path, tmp_path: Path) -> None:
    pieces = shutil.copytree(wav2vec2, tmp_path / "wav2vec2")
    (pieces / "model.safetensors").unlink()
    transformers.AutoModel.from_pretrained(wav2vec2).save_pretrained(pieces, max_shard_size="50KB")
    assert len(list(pieces.glob("model-*-of-*.safetensors"))) > 1
    assert soundloom.load(str(pieces)).fingerprint() == soundloom.load(str(wav2vec2)).fingerprint()


def edited(folder: Path, to: Path, **changes: Any) -> Path:
    shutil.copytree(folder, to)
    data = json.loads((to / "config.json").read_text(encoding="utf-8")) | changes
    (to / "config.json").write_text(json.dumps(data), encoding="utf-8")
    return to


def test_what_cannot_be_loaded_says_why(wav2vec2: Path, tmp_path: Path) -> None:
    foreign = edited(wav2vec2, tmp_path / "foreign", model_type="beats", auto_map={"AutoModel": "code.Beats"})
    with pytest.raises(ModelError, match=r"'beats', which needs code from its folder, and none is run: .*extending.md"):
        soundloom.load(str(foreign))
    with pytest.raises(ModelError, match=r"'beats2', which transformers .* does not have: update it"):
        soundloom.load(str(edited(wav2vec2, tmp_path / "newer", model_type="beats2")))
    pickled = edited(wav2vec2, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"there is no model.safetensors, and weights of any other form are not read"):
        soundloom.load(str(pickled))
    with pytest.raises(ModelError, match=r"cannot load .* as an audio model|do not fit its config.json"):
        soundloom.load(str(edited(wav2vec2, tmp_path / "deeper", num_hidden_layers=4)))
    silent = edited(wav2vec2, tmp_path / "silent")
    (silent / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"cannot load .* as an audio model"):
        soundloom.load(str(silent))
