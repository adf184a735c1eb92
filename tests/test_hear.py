"""The HEAR and X-ARES interfaces: times, sizes, bounded memory, and models that are coarser than 50 ms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import soundloom
from soundloom.embedder import Embedder, Stream, Window
from soundloom.encoders import Identity, Transformer, TransformerSettings
from soundloom.errors import ModelError, UnknownModelError
from soundloom.frontends import FramedWaveform, LogMel, LogMelSettings, PeakMap
from soundloom.hear import HearModel, get_scene_embeddings, get_timestamp_embeddings, load_model
from soundloom.hear_check import LENGTHS, check, main
from soundloom.xares import XaresEncoder


def noise(sounds: int, samples: int, seed: int = 0) -> Tensor:
    return torch.rand(sounds, samples, generator=torch.Generator().manual_seed(seed)) - 0.5


def transformer(name: str = "tokens") -> Stream:
    """Coarse (a token every 200 ms), quick, and of any length from 0.2 s on."""
    settings = TransformerSettings(bins=80, width=12, heads=2, hidden=16, depth=3, pool_after=(1, 2, 3))
    encoder = Transformer(settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in encoder.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return Stream(name, PeakMap.verma(), encoder, layers=(2, 3), pooling="mean", min_samples=3200).eval()


def at_rate(sample_rate: int) -> Stream:
    """Log-mels of any sample rate, a second at a time and so coarse."""
    settings = LogMelSettings(
        sample_rate=sample_rate, n_fft=512, win_length=512, hop_length=256, bins=8, fmin=50, fmax=sample_rate / 2
    )
    front_end = LogMel(settings)
    return Stream("odd", front_end, Coarse(), layers=(1,), pooling="mean", window=Window(frames=40, fixed=True))


class Coarse(Identity):
    """The representation averaged over its window."""

    stride = None

    def layers(self, representation: Tensor, wanted: object) -> list[Tensor]:
        return [representation.mean(dim=3, keepdim=True) for _ in wanted]


@pytest.mark.parametrize("name", ["", "logmel", "peaks", "logmel+mfcc+peaks"])
def test_models_without_weights_keep_every_rule(name: str) -> None:
    rules = list(check(load_model(name)))
    assert [rule for rule in rules if not rule.kept] == []
    assert len(rules) > 10 * len(LENGTHS)


@pytest.mark.parametrize("model", [transformer(), at_rate(22000), at_rate(11025), at_rate(44100)])
def test_coarse_models_and_odd_rates_keep_every_rule(model: Embedder) -> None:
    assert [rule for rule in check(HearModel(model), LENGTHS[:2]) if not rule.kept] == []


def test_published_architectures_keep_every_rule() -> None:
    """The smallest of them; the others differ in encoder and window only."""
    model = HearModel(soundloom.load("coala", weights="random"))
    assert model.sample_rate == 22050
    assert model.context == pytest.approx(95 * 512 / 22000)
    assert [rule for rule in check(model, LENGTHS[:1]) if not rule.kept] == []


@pytest.mark.parametrize(
    ("frames", "fill", "expected"), [(96, None, 15600 / 16000), (1024, -1.0, 1.0), (40, None, (39 * 160 + 400) / 16000)]
)
def test_a_coarse_model_hears_a_second_or_its_window(frames: int, fill: float | None, expected: float) -> None:
    window = Window(frames=frames, fixed=True, fill=fill)
    model = Stream("x", LogMel.vggish(), Coarse(), layers=(1,), pooling="mean", window=window)
    assert HearModel(model).context == pytest.approx(expected)


def test_scenes_are_the_models_embeddings() -> None:
    model = load_model("logmel")
    audio = noise(3, 16000)
    torch.testing.assert_close(get_scene_embeddings(audio, model), model.embedder(audio))
    long = noise(1, 16000 * 134)
    expected = model.embedder.embed(long[0])
    np.testing.assert_allclose(get_scene_embeddings(long, model)[0], expected, atol=1e-4, rtol=1e-4)


def test_fine_timestamps_are_means_of_frames() -> None:
    model = load_model("logmel")
    audio = noise(2, 17000)
    values, times = get_timestamp_embeddings(audio, model)
    assert times.tolist() == [[25.0 + 50 * cell for cell in range(21)]] * 2
    frames = model.embedder.frames(audio)
    for cell in range(20):  # the last also has the frames of the rest, less than 50 ms
        inside = (frames.times >= 0.05 * cell) & (frames.times < 0.05 * (cell + 1))
        torch.testing.assert_close(values[:, cell], frames.values[..., inside].mean(dim=2))


def test_coarse_timestamps_are_embeddings_of_the_second_around_them() -> None:
    model = HearModel(transformer())
    audio = noise(2, 40000)
    values, times = get_timestamp_embeddings(audio, model)
    assert values.shape == (2, 50, model.embedder.dim)
    padded = torch.nn.functional.pad(audio, (8000, 8000))
    for place in (0, 7, 25, 49):
        middle = round(float(times[0, place]) * 16)
        torch.testing.assert_close(values[:, place], model.embedder(padded[:, middle : middle + 16000]))


def test_timestamps_do_not_drift_where_a_hop_is_no_whole_number_of_samples() -> None:
    """At 22,050 Hz a hop is 1102.5 samples: after 10 s a rounded one would be 100 samples off."""
    model = HearModel(at_rate(22050))
    audio = noise(1, 22050 * 10)
    values, _ = get_timestamp_embeddings(audio, model)
    assert values.shape[1] == 200
    size = 39 * 256
    padded = torch.nn.functional.pad(audio, (size // 2, size))
    for place in (0, 1, 99, 199):
        middle = round((place + 0.5) * 1102.5)
        torch.testing.assert_close(values[:, place], model.embedder(padded[:, middle : middle + size]))


def test_blocks_of_a_long_sound_join_without_a_gap() -> None:
    """Three minutes and a rest; frames at the joints miss a little of their surroundings, nothing else differs."""
    model = load_model("logmel")
    audio = noise(1, 16000 * 190 + 1234)
    values, times = get_timestamp_embeddings(audio, model)
    assert values.shape == (1, 3801, 64)
    assert times[0, -1] == 25 + 50 * 3800
    for start, joints in ((59, 1), (119, 1), (185, 0)):
        excerpt, _ = get_timestamp_embeddings(audio[:, 16000 * start : 16000 * (start + 2)], model)
        difference = (values[:, 20 * start : 20 * (start + 2)] - excerpt).abs().amax(dim=(0, 2))
        # The cells on either side of a joint, and those at the excerpt's own ends.
        assert set(torch.nonzero(difference > 1e-4).flatten().tolist()) <= {0, 39, *[19, 20] * joints}


@pytest.mark.parametrize("samples", [1, 100, 800, 801, 3199])
@pytest.mark.parametrize("model", [load_model("logmel"), HearModel(transformer())])
def test_short_sounds_have_timestamps_within_them(model: HearModel, samples: int) -> None:
    audio = noise(1, samples)
    values, times = get_timestamp_embeddings(audio, model)
    assert values.shape == (1, max(1, samples // 800), model.timestamp_embedding_size)
    assert float(times[0, -1]) <= samples / 16
    assert torch.isfinite(values).all()
    assert torch.isfinite(get_scene_embeddings(audio, model)).all()


def test_embeddings_can_be_learned_from() -> None:
    """Made without gradients, but not in inference mode, whose tensors no loss may touch."""
    embeddings = get_scene_embeddings(noise(4, 8000), load_model("logmel"))
    probe = torch.nn.Linear(embeddings.shape[1], 2)
    probe(embeddings).square().sum().backward()
    assert probe.weight.grad is not None


def test_load_model_takes_names_folders_and_files(tmp_path: Path) -> None:
    assert load_model().embedder.name == soundloom.load().name
    saved = soundloom.save_pretrained(soundloom.load("mfcc"), tmp_path / "lr=0.1")
    for path in (saved, saved / "model.safetensors"):
        assert load_model(str(path)).embedder.fingerprint() == soundloom.load("mfcc").fingerprint()
    with pytest.raises(UnknownModelError, match="no model 'mfc'"):
        load_model("mfc")
    (tmp_path / "weights.pth").touch()
    with pytest.raises(ModelError, match="say of which, as NAME=FILE"):
        load_model(str(tmp_path / "weights.pth"))
    with pytest.raises(ModelError, match="'mfcc' has no weights"):
        load_model(f"mfcc={tmp_path / 'weights.pth'}")


def test_what_is_no_batch_is_refused() -> None:
    model = load_model()
    for audio in (torch.zeros(16000, 0), torch.zeros(0, 16000)):
        with pytest.raises(ModelError, match=r"\[sounds, samples\] and not empty"):
            model.scenes(audio)


def test_the_checker_finds_what_is_broken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["logmel"]) == 0
    assert "all rules kept" in capsys.readouterr().out
    assert main(["mfc"]) == 1
    assert "no model 'mfc'" in capsys.readouterr().err

    class Broken(HearModel):
        def timestamps(self, audio: Tensor) -> tuple[Tensor, Tensor]:
            values, times = super().timestamps(audio)
            return values.double() + len(audio), times * 2

    broken = {rule.name.partition(": ")[2] for rule in check(Broken(soundloom.load("logmel"))) if not rule.kept}
    assert broken == {
        "timestamp float32",
        "hop at most 50 ms",
        "last time within the sound",
        "timestamp alone as in a batch",
    }


@pytest.mark.slow
def test_the_checker_runs_as_a_command() -> None:
    command = [sys.executable, "-m", "soundloom.hear_check", "logmel"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok      a torch module")


def test_xares_encoders() -> None:
    encoder = XaresEncoder("logmel")
    assert isinstance(encoder, torch.nn.Module)
    out = encoder(noise(3, 16000))
    assert out.shape == (3, 20, encoder.output_dim)
    assert (encoder.sampling_rate, encoder.hop_size_in_ms) == (16000, 50)
    torch.testing.assert_close(XaresEncoder(soundloom.load("logmel"))(noise(3, 16000)), out)


def test_chunks_of_100_ms_are_coarse() -> None:
    model = HearModel(Stream("chunks", FramedWaveform(), Identity(), layers=(1,), pooling="mean"))
    assert model.context == 1.0
