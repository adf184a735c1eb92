"""Embedders: the promises about batches, lengths, windows, parts and bits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

import soundloom
from soundloom.embedder import Embedder, ShortAudioWarning, Stream, Window, Woven
from soundloom.encoders.base import Encoder
from soundloom.encoders.identity import Identity
from soundloom.errors import AudioError, ModelError, UnknownModelError
from soundloom.frontends.mel import LogMel
from soundloom.models import MODELS, parse


def noise(seconds: float, seed: int = 0, rate: int = 16000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.uniform(-0.5, 0.5, round(seconds * rate)) * np.hanning(round(seconds * rate))).astype(np.float32)


FREE = [name for name, row in MODELS.items() if row.checkpoint is None]
"""The models that need no weights."""


@pytest.fixture(scope="module", params=[*FREE, "logmel+mfcc", "mfcc+peaks"])
def model(request: pytest.FixtureRequest) -> Embedder:
    return soundloom.load(request.param)


class Halving(Encoder):
    """A small encoder with time: layer 1 is the input, layer 2 its pairwise maximum over time."""

    available = (1, 2)
    stride = 2

    def layers(self, representation: Tensor, wanted: Sequence[int]) -> list[Tensor]:
        self.check_wanted(wanted)
        pooled = torch.nn.functional.max_pool2d(representation, (1, 2))
        return [representation if layer == 1 else pooled for layer in wanted]


def test_rows_of_a_ragged_batch_are_as_if_alone(model: Embedder) -> None:
    lengths = torch.tensor([16000, 9000, 16000, 12345])
    batch = torch.zeros(4, 16000)
    for row, length in enumerate(lengths.tolist()):
        batch[row, :length] = torch.from_numpy(noise(1.0, row))[:length]
    together = model(batch, lengths)
    assert together.shape == (4, model.dim)
    # Reductions divide by small deviations, which magnifies what a batch's products round otherwise than a row's.
    close = 1e-5 if model.name == "loom" else 1e-6
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(together[row], model(batch[row : row + 1, :length])[0], atol=close, rtol=close)


def test_embed_is_the_same_to_the_bit_in_any_thread_and_order(model: Embedder) -> None:
    sounds = [noise(seconds, seed) for seed, seconds in enumerate((1.0, 0.3, 2.2, 1.0))]
    alone = [model.embed_samples(sound).tobytes() for sound in sounds]
    again = [model.embed_samples(sound).tobytes() for sound in reversed(sounds)]
    with ThreadPoolExecutor(3) as threads:
        threaded = [vector.tobytes() for vector in threads.map(model.embed_samples, sounds * 3)]
    assert again[::-1] == alone
    assert threaded == alone * 3


def test_parts_are_the_parts_own_embeddings() -> None:
    woven = soundloom.load("logmel+mfcc+peaks")
    sound = torch.from_numpy(noise(1.5))[None]
    assert woven.name == "logmel+mfcc+peaks"
    assert [columns.stop - columns.start for columns in woven.parts.values()] == [128, 120, 80]
    for name, columns in woven.parts.items():
        torch.testing.assert_close(woven(sound)[:, columns], soundloom.load(name)(sound))


def test_weaving_wovens_unravels_them() -> None:
    inner = Woven([soundloom.load("logmel"), soundloom.load("mfcc")])
    outer = Woven([inner, soundloom.load("peaks")])
    assert list(outer.parts) == ["logmel", "mfcc", "peaks"]
    with pytest.raises(ModelError, match="different names"):
        Woven([inner, soundloom.load("mfcc")])
    with pytest.raises(ModelError, match="two parts or more"):
        Woven([soundloom.load("mfcc")])


def test_parts_at_different_rates_hear_the_same_sound() -> None:
    coala = Stream("coala-mel", LogMel.coala(), Identity(), layers=(1,), pooling="mean")
    vggish = Stream("vggish-mel", LogMel.vggish(), Identity(), layers=(1,), pooling="mean")
    woven = Woven([vggish, coala])
    assert woven.sample_rate == 22000

    def swelling_tone(rate: int) -> Tensor:
        times = torch.arange(rate, dtype=torch.float64) / rate
        return (torch.sin(torch.pi * times) ** 2 * torch.sin(2 * torch.pi * 1000 * times)).float()[None]

    heard = woven(swelling_tone(22000))[:, woven.parts["vggish-mel"]]
    torch.testing.assert_close(heard, vggish(swelling_tone(16000)), atol=0.01, rtol=0)


def test_frames_have_times_within_the_sound(model: Embedder) -> None:
    values, times = model.embed_frames(noise(1.5))
    assert values.shape == (len(times), model.frame_dim)
    assert values.dtype == np.float32
    assert (np.diff(times) > 0).all()
    assert times[0] >= 0
    assert times[-1] <= 1.5
    assert len(times) > (1 if model.name == "loom" else 30)  # whose slowest part hears a second at a time


def test_an_event_shows_at_its_time() -> None:
    sound = np.zeros(32000, np.float32)
    sound[20000:20200] = noise(200 / 16000)
    for name in ("logmel", "mfcc"):
        values, times = soundloom.load(name).embed_frames(sound)
        loudest = times[values.max(axis=1).argmax()] if name == "logmel" else times[values[:, 0].argmax()]
        assert loudest == pytest.approx(20100 / 16000, abs=0.05)


def test_woven_frames_meet_on_the_coarsest_grid() -> None:
    woven = soundloom.load("logmel+mfcc")
    coarse, times = soundloom.load("mfcc").embed_frames(noise(1.0))
    values, woven_times = woven.embed_frames(noise(1.0))
    np.testing.assert_array_equal(woven_times, times)
    np.testing.assert_array_equal(values[:, 64:], coarse)


def test_short_sounds_are_padded_with_a_notice() -> None:
    model = soundloom.load("logmel")
    with pytest.warns(ShortAudioWarning, match=r"a sound of 0.000 s is shorter than the 0.025 s that logmel needs"):
        vector = model.embed(np.ones(1, np.float32))
    assert np.isfinite(vector).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_embeddings_are_of_float32(dtype: torch.dtype) -> None:
    model = soundloom.load("mfcc").to(dtype)
    with pytest.raises(ModelError, match=rf"'mfcc' was made {dtype}: embeddings are of float32, use model\.float\(\)"):
        model.embed(np.zeros(16000, np.float32))


def test_silence_has_an_embedding(model: Embedder) -> None:
    assert np.isfinite(model.embed(np.zeros(16000, np.float32))).all()


def windowed(window: Window, encoder: Encoder, min_samples: int | None = None) -> Stream:
    last = encoder.available[-1:]
    return Stream(
        "windowed", LogMel.vggish(), encoder, layers=last, pooling="mean", window=window, min_samples=min_samples
    )


@pytest.mark.parametrize("fill", [None, 0.7])
def test_fixed_windows_are_cut_filled_and_weighted_by_duration(fill: float | None) -> None:
    model = windowed(Window(frames=48, fixed=True, fill=fill), Halving())
    sound = torch.from_numpy(noise(1.2))[None]  # 118 frames: two windows and 22 frames of a third
    frames = model.frames(sound)

    if fill is None:
        representation = model.frontend(torch.nn.functional.pad(sound, (0, 8000)))[..., :144]
    else:
        representation = torch.nn.functional.pad(model.frontend(sound), (0, 144 - 118), value=fill)
    expected, weights = [], []
    for window in representation.split(48, dim=-1):
        layer = torch.nn.functional.max_pool2d(window, (1, 2))[:, 0]
        for frame in range(24):
            first = len(expected) * 2
            expected.append(layer[..., frame])
            weights.append(min(1.0, max(0.0, (118 - first) / 2)))
    values = torch.stack(expected, dim=-1)
    kept = np.array(weights) > 0
    assert kept.sum() == 59
    torch.testing.assert_close(frames.values, values[..., kept])
    np.testing.assert_allclose(frames.weights.numpy(), np.array(weights)[kept], atol=1e-6)
    np.testing.assert_allclose(frames.times.numpy(), 0.0125 + 0.005 + 0.02 * np.arange(59), atol=1e-9)
    mean = (values[0].numpy() * weights).sum(-1) / np.sum(weights)
    np.testing.assert_allclose(model(sound)[0].numpy(), mean, atol=1e-5)


@pytest.mark.parametrize(("frames", "windows"), [(96, [48, 48]), (100, [48, 52]), (110, [48, 48, 14]), (30, [30])])
def test_a_rest_is_heard_at_its_length_unless_too_short(frames: int, windows: list[int]) -> None:
    model = windowed(Window(frames=48, fixed=False), Identity(), min_samples=400 + 9 * 160)
    sound = torch.from_numpy(noise((400 + (frames - 1) * 160) / 16000))[None]
    cut = [(first, piece.shape[1] * [piece.shape[-1]]) for first, piece in model.windows(sound, frames)]
    assert [size for _, sizes in cut for size in sizes] == windows
    heard = model.frames(sound)
    torch.testing.assert_close(heard.values, model.frontend(sound)[:, 0])
    torch.testing.assert_close(heard.times, model.frontend.times(frames))


def test_windows_of_a_batch_stay_with_their_rows() -> None:
    model = windowed(Window(frames=48, fixed=True), Halving())
    batch = torch.stack([torch.from_numpy(noise(1.2, seed)) for seed in range(3)])
    together = model.frames(batch).values
    for row in range(3):
        torch.testing.assert_close(together[row : row + 1], model.frames(batch[row : row + 1]).values)


def test_several_layers_are_fused_on_the_encoders_frames() -> None:
    model = Stream("fused", LogMel.vggish(), Halving(), layers=(1, 2), pooling="mean+max", min_samples=560)
    frames = model.frames(torch.from_numpy(noise(1.0))[None])
    assert frames.values.shape == (1, 128, 49)
    assert model.dim == 128


def test_a_long_file_is_embedded_block_by_block(tmp_path: Path) -> None:
    model = soundloom.load("logmel")
    sound = noise(140.0)
    soundfile.write(tmp_path / "long.wav", sound, 16000, subtype="FLOAT")
    blocks = [model.embed_samples(sound[start : start + 960000]) for start in (0, 960000, 1920000)]
    expected = np.average(blocks, axis=0, weights=[60, 60, 20])
    np.testing.assert_allclose(model.embed(tmp_path / "long.wav"), expected, atol=1e-5)


def test_regions_of_files_and_of_arrays_agree(tmp_path: Path) -> None:
    model = soundloom.load("logmel")
    sound = noise(3.0)
    soundfile.write(tmp_path / "sound.wav", sound, 16000, subtype="FLOAT")
    from_file = model.embed(tmp_path / "sound.wav", start=1.0, end=2.0)
    np.testing.assert_allclose(from_file, model.embed(sound, start=1.0, end=2.0), atol=1e-5)
    np.testing.assert_allclose(from_file, model.embed(sound[16000:32000]), atol=1e-5)
    _, times = model.embed_frames(tmp_path / "sound.wav", start=1.0, end=2.0)
    assert 1.0 <= times[0] < times[-1] <= 2.0


def test_gradients_flow_to_the_waveform() -> None:
    model = soundloom.load("logmel+mfcc")
    waveform = torch.from_numpy(noise(0.5))[None].requires_grad_()
    model(waveform).square().sum().backward()
    assert waveform.grad is not None
    assert torch.isfinite(waveform.grad).all()
    assert waveform.grad.abs().sum() > 0


def test_embed_leaves_mode_and_threads_as_they_were() -> None:
    model = soundloom.load("logmel").train()
    threads = torch.get_num_threads()
    model.embed(noise(0.2))
    assert model.training
    assert torch.get_num_threads() == threads


def test_fingerprint_tells_models_apart() -> None:
    fingerprints = {soundloom.load(name).fingerprint() for name in (*FREE, "logmel+mfcc", "mfcc+logmel")}
    assert len(fingerprints) == len(FREE) + 2
    assert soundloom.load("logmel").fingerprint() == soundloom.load("logmel").fingerprint()
    mean = Stream("logmel", LogMel.jansen(), Identity(), layers=(1,), pooling="mean")
    assert mean.fingerprint() not in fingerprints
    coala = Stream("logmel", LogMel.coala(), Identity(), layers=(1,), pooling="mean,deviation")
    assert coala.fingerprint() not in fingerprints


def test_what_is_no_batch_is_refused() -> None:
    model = soundloom.load("logmel")
    with pytest.raises(ModelError, match=r"lengths must be 2 numbers from 1 to 800, got \[800, 801\]"):
        model(torch.zeros(2, 800), torch.tensor([800, 801]))
    with pytest.raises(AudioError, match=r"no region from 2\.0 s to the end, the sound is 1\.000 s long"):
        model.embed(np.zeros(16000, np.float32), start=2.0)
    with pytest.raises(AudioError, match=r"nowhere\.wav"):
        model.embed("nowhere.wav")


def test_streams_refuse_unknown_layers_and_poolings() -> None:
    with pytest.raises(ModelError, match="x: there is no layer 2: those of Identity are 1"):
        Stream("x", LogMel.vggish(), Identity(), layers=(2,), pooling="mean")
    with pytest.raises(ModelError, match="no pooling 'median'"):
        Stream("x", LogMel.vggish(), Identity(), layers=(1,), pooling="median")
    with pytest.raises(ValueError, match="no customary embedding"):
        Stream("x", LogMel.vggish(), Identity(), layers=None, pooling="mean")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("logmell", "no model 'logmell': did you mean 'logmel'?"),
        ("mine", "One of your own is named package.module:object, or registered by a package that is installed"),
        ("", "'' is not a model's name"),
        ("logmel+", "'' should be a word"),
        ("logmel#", "'logmel#' should be a word"),
        ("logmel#5", "'logmel' has no numbered layers"),
        ("logmel#1#1", "names a layer twice"),
        ("mfcc+mfcc", "names the same part twice"),
    ],
)
def test_unknown_names_are_explained(name: str, message: str) -> None:
    with pytest.raises(UnknownModelError, match=message.replace("?", r"\?")):
        soundloom.load(name)


def test_names_are_read_as_the_papers_write_them() -> None:
    assert [(part.word, part.layers) for part in parse("cnn14#3#6 + pitch")] == [("cnn14", (3, 6)), ("pitch", ())]
