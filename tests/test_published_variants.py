"""Variants beside which published scores stand, against the papers' own arithmetic written out slowly."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor
from torch.nn import functional

import soundloom
from soundloom.corpora import load as load_corpus
from soundloom.embedder import Stream, Window
from soundloom.encoders import AST, CNN14, ASTSettings, CNN14Settings, initialise
from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.evaluation.extraction import clip_extractor, extract_features
from soundloom.evaluation.reference_scores import PUBLISHED
from soundloom.evaluation.task_statistics import with_task_statistics
from soundloom.frontends import MFCC, Fbank, FbankSettings, LogMel, MFCCSettings
from soundloom.models import MODELS, from_pretrained, save_pretrained

RATE = 16000
State = dict[str, Tensor]


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    samples = 0.1 * random.standard_normal(round(seconds * rate))
    return (samples * np.linspace(0.2, 1, len(samples))).astype(np.float32)


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def with_statistics(encoder: torch.nn.Module) -> torch.nn.Module:
    """Statistics of batch normalisation that are not 0 and 1."""
    generator = torch.Generator().manual_seed(5)
    for name, buffer in encoder.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.2, generator=generator)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=generator)
    return encoder.eval()


# VGGish: whole examples, mean plus maximum.


def vggish_examples(waveform: np.ndarray) -> list[np.ndarray]:
    """Log-mel examples of 96 frames; those that are not whole are left out."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    mel = lambda hertz: 1127.0 * np.log(1 + hertz / 700.0)  # noqa: E731
    edges = np.linspace(mel(125.0), mel(7500.0), 66)
    spots = mel(np.arange(257) * RATE / 512)
    bands = np.zeros((257, 64))
    for band in range(64):
        rising = (spots - edges[band]) / (edges[band + 1] - edges[band])
        falling = (edges[band + 2] - spots) / (edges[band + 2] - edges[band + 1])
        bands[:, band] = np.maximum(0, np.minimum(rising, falling))
    bands[0] = 0
    frames = []
    for first in range(0, len(waveform) - 400 + 1, 160):
        magnitudes = np.abs(np.fft.rfft(waveform[first : first + 400].astype(np.float64) * hann, 512))
        frames.append(np.log(magnitudes @ bands + 0.01))
    return [np.stack(frames[first : first + 96]) for first in range(0, len(frames) - 95, 96)]


def vggish_layers(state: State, example: np.ndarray) -> dict[int, Tensor]:
    """Every layer that Niizumi 2022 numbers: [C, T, F], or [D] of the dense ones."""
    x, found = torch.tensor(example, dtype=torch.float32)[None, None], {}
    pools, convolutions, number = (2, 5, 10, 15), (0, 3, 6, 8, 11, 13), 0
    for index in range(16):
        if index in convolutions:
            x = functional.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1)
            continue
        x = functional.max_pool2d(x, 2) if index in pools else functional.relu(x)
        number = index + 1
        found[number] = x[0]
    x = x.permute(0, 2, 3, 1).flatten(1)
    for index, number in ((0, 18), (2, 20), (4, 22)):
        x = functional.relu(
            functional.linear(x, state[f"embeddings.{index}.weight"], state[f"embeddings.{index}.bias"])
        )
        found[number] = x[0]
    return found


@pytest.mark.slow
def test_vggish_pools_whole_examples_by_mean_plus_maximum() -> None:
    waveform = noise(2.2)  # two examples, and a rest
    plain = soundloom.load("vggish-niizumi", weights="random")
    fused = soundloom.load("vggish-niizumi#10#15", weights="random")
    assert isinstance(plain, Stream)
    examples = vggish_examples(waveform)
    assert len(examples) == 2
    layers = [vggish_layers(plain.encoder.state_dict(), example) for example in examples]
    last = np.stack([each[22].numpy() for each in layers])
    assert difference(plain.embed(waveform, RATE), last.max(axis=0) + last.mean(axis=0)) < 1e-5
    frames = []
    for each in layers:
        # 24 and 12 time steps to 6.
        pooled = (functional.max_pool2d(each[layer][None], (kernel, 1))[0] for layer, kernel in ((10, 4), (15, 2)))
        aligned = [layer.transpose(1, 2).flatten(0, 1) for layer in pooled]  # [C F, T]
        frames.append(torch.cat(aligned))
    joined = torch.cat(frames, dim=1).numpy()
    assert difference(fused.embed(waveform, RATE), joined.max(axis=1) + joined.mean(axis=1)) < 1e-5
    # What is dropped is not there; a sound that is shorter than an example is filled.
    np.testing.assert_array_equal(plain.embed(waveform, RATE), plain.embed(waveform[: 2 * 96 * 160 + 240], RATE))
    assert np.isfinite(plain.embed(waveform[:8000], RATE)).all()


def test_only_fixed_windows_drop_a_rest() -> None:
    assert repr(Window(frames=96, fixed=True, drop=True)) == "Window(frames=96, fixed=True, fill=None, drop=True)"
    assert repr(Window(frames=96, fixed=True)) == "Window(frames=96, fixed=True, fill=None)"
    with pytest.raises(ModelError, match="leave out drop"):
        Window(frames=96, fixed=False, drop=True)


# CNN14: the clip at once, kernels of 16, 8, 4 and 2.


def cnn14_layers(state: State, log_mel: Tensor) -> dict[int, Tensor]:
    """Blocks, each max-pooled over time by the kernel of the published code: [C, T, F]."""

    def normalised(x: Tensor, key: str) -> Tensor:
        stored = (state[f"{key}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *stored, training=False)

    x = normalised(log_mel.T[None, :, :, None].transpose(1, 2), "bn0").transpose(1, 3)  # [1, 1, T, F]
    found = {}
    for number, kernel in ((1, 16), (2, 8), (3, 4), (4, 2), (5, 1), (6, 1)):
        for half in (1, 2):
            x = functional.conv2d(x, state[f"conv_block{number}.conv{half}.weight"], padding=1)
            x = functional.relu(normalised(x, f"conv_block{number}.bn{half}"))
        x = functional.avg_pool2d(x, 2) if number < 6 else x
        found[number] = functional.max_pool2d(x, (kernel, 1))[0]
    return found


@pytest.mark.parametrize("seconds", [0.45, 0.7, 0.95, 2.5, 11.3])
def test_cnn14_takes_a_clip_at_once_and_pools_by_fixed_kernels(seconds: float) -> None:
    settings = CNN14Settings(widths=(4, 6, 8, 10, 12, 14), dim=9, common_rate=True)
    encoder = CNN14(settings)
    initialise(encoder, 3)
    with_statistics(encoder)
    frontend, waveform = LogMel.panns(16000), noise(seconds)
    layers = cnn14_layers(encoder.state_dict(), frontend(torch.from_numpy(waveform)[None])[0, 0])
    for wanted in ([3, 6], [1, 2, 4, 5]):
        fused = Stream("cnn14", frontend, encoder, layers=wanted, pooling="mean+max", min_samples=4960).eval()
        frames = torch.cat([layers[layer].transpose(1, 2).flatten(0, 1) for layer in wanted])
        expected = (frames.amax(dim=1) + frames.mean(dim=1)).numpy()
        assert difference(fused.embed(waveform, RATE), expected) < 1e-5
    plain = Stream("cnn14", frontend, encoder, layers=None, pooling="mean", min_samples=4960).eval()
    frames = layers[6].mean(dim=2)
    state = encoder.state_dict()
    clip = functional.relu(
        functional.linear(frames.amax(dim=1) + frames.mean(dim=1), state["fc1.weight"], state["fc1.bias"])
    )
    assert difference(plain.embed(waveform, RATE), clip.numpy()) < 1e-5


@pytest.mark.slow
def test_cnn14_niizumi_is_built_so(tmp_path: Path) -> None:
    model = soundloom.load("cnn14-niizumi#3#6", weights="random")
    assert isinstance(model, Stream)
    assert isinstance(model.encoder, CNN14)
    assert (model.window, model.pooling, model.encoder.settings.common_rate) == (None, "mean+max", True)
    assert model.fingerprint() != soundloom.load("cnn14#3#6", weights="random").fingerprint()
    save_pretrained(model, tmp_path / "saved")
    again = from_pretrained(tmp_path / "saved")
    np.testing.assert_array_equal(again.embed(noise(0.7), RATE), model.embed(noise(0.7), RATE))


# AST: the clip at its own length, the mean of two tokens, normalised by the task.

SMALL = ASTSettings(width=16, hidden=24, depth=3, heads=2, layer_token="mean")


def ast_layers(state: State, features: Tensor) -> list[Tensor]:
    """Mean of both special tokens after every block and the final norm, of features [T, 128] at their own length."""
    trunk = "audio_spectrogram_transformer"
    stored = {key.removeprefix(f"{trunk}."): value.double() for key, value in state.items()}

    def dense(x: Tensor, key: str) -> Tensor:
        return x @ stored[f"{key}.weight"].T + stored[f"{key}.bias"]

    def norm(x: Tensor, key: str) -> Tensor:
        return functional.layer_norm(x, (16,), stored[f"{key}.weight"], stored[f"{key}.bias"], 1e-12)

    columns = (len(features) - 16) // 10 + 1
    weight, bias = (stored[f"embeddings.patch_embeddings.projection.{name}"] for name in ("weight", "bias"))
    patches = functional.conv2d(features.T.double()[None, None], weight, bias, stride=10)[0]  # [D, 12, T']
    positions = stored["embeddings.position_embeddings"][0]
    grid = positions[2:].T.reshape(16, 12, 101)
    if columns <= 101:
        first = 101 // 2 - columns // 2
        grid = grid[:, :, first : first + columns]
    else:
        grid = functional.interpolate(grid[None], size=(12, columns), mode="bilinear")[0]
    special = torch.stack([stored["embeddings.cls_token"][0, 0], stored["embeddings.distillation_token"][0, 0]])
    x = torch.cat([special + positions[:2], (patches + grid).flatten(1).T])
    found = []
    for block in range(3):
        at = f"encoder.layer.{block}"
        y, mixed = norm(x, f"{at}.layernorm_before"), []
        query, key, value = (dense(y, f"{at}.attention.attention.{name}") for name in ("query", "key", "value"))
        for head in range(2):
            some = slice(8 * head, 8 * head + 8)
            mixed.append((query[:, some] @ key[:, some].T / 8**0.5).softmax(dim=1) @ value[:, some])
        x = x + dense(torch.cat(mixed, dim=1), f"{at}.attention.output.dense")
        hidden = functional.gelu(dense(norm(x, f"{at}.layernorm_after"), f"{at}.intermediate.dense"))
        x = x + dense(hidden, f"{at}.output.dense")
        found.append(norm(x, "layernorm")[:2].mean(dim=0))
    return found


@pytest.mark.parametrize("seconds", [0.5, 2.3, 12.0])
def test_ast_takes_a_clip_at_its_length_and_the_mean_of_both_tokens(seconds: float) -> None:
    encoder = AST(SMALL)
    initialise(encoder, 3)
    frontend, waveform = Fbank(FbankSettings(mean=-6.5, deviation=3.5)), noise(seconds)
    expected = ast_layers(encoder.state_dict(), frontend(torch.from_numpy(waveform)[None])[0, 0].T)
    fused = Stream("ast", frontend, encoder, layers=[1, 3], pooling="mean", min_samples=2800).eval()
    assert difference(fused.embed(waveform, RATE), torch.cat([expected[0], expected[2]]).numpy()) < 1e-5
    plain = Stream("ast", frontend, encoder, layers=None, pooling="mean", min_samples=2800).eval()
    assert difference(plain.embed(waveform, RATE), expected[2].numpy()) < 1e-5


def test_a_task_s_statistics_are_those_of_its_training_clips(tmp_path: Path) -> None:
    values = []
    for number, part in enumerate(["train", "train", "train", "test"]):
        path = tmp_path / "sounds" / part / "dog" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, (number + 1) * noise(1, seed=number), RATE, subtype="FLOAT")
        if part == "train":
            raw = Fbank(FbankSettings(mean=0.0, deviation=0.5))
            values.append(raw(torch.from_numpy((number + 1) * noise(1, seed=number))[None]).numpy())
    rows = "".join(f"{part}/dog/{n}.wav,{part},dog\n" for n, part in enumerate(["train"] * 3 + ["test"]))
    (tmp_path / "sounds" / "list.csv").write_text(f"path,split,label\n{rows}")
    corpus = load_corpus(str(tmp_path / "sounds" / "list.csv"))

    def extract(extractor: object) -> object:
        return extract_features(corpus, extractor, cache=tmp_path / "cache", workers=1)  # type: ignore[arg-type]

    encoder = AST(SMALL)
    initialise(encoder, 3)
    model = Stream(
        "ast", Fbank(FbankSettings(of_task=True)), encoder, layers=None, pooling="mean", min_samples=2800
    ).eval()
    fitted = with_task_statistics(model, extract)  # type: ignore[arg-type]
    assert isinstance(fitted, Stream)
    assert isinstance(fitted.frontend, Fbank)
    assert fitted.frontend.settings.mean == pytest.approx(np.mean(values), rel=1e-5)
    assert fitted.frontend.settings.deviation == pytest.approx(np.std(values), rel=1e-4)
    assert clip_extractor(fitted).identity != clip_extractor(model).identity
    others = soundloom.load("logmel+mfcc")
    assert with_task_statistics(others, extract) is others  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="not normalised by a mean"):
        LogMel.vggish().normalised_by(0, 1)


# COALA: ten seconds, faint noise, four patches; MFCC at 22,000 Hz.


@pytest.mark.parametrize("seconds", [1.5, 9.99, 12.0])
def test_coala_fills_to_ten_seconds_and_pools_whole_patches(seconds: float) -> None:
    mean = soundloom.load("coala-favory", weights="random")
    both = soundloom.load("coala-evar", weights="random")
    assert isinstance(mean, Stream)
    # scikit-learn's scaler, of columns: the frames of a patch of frequency x time.
    generator = np.random.default_rng(5)
    scale, shift = generator.uniform(0.04, 0.06, 96), generator.uniform(0.7, 0.9, 96)
    for model in (mean, both):
        model.encoder.frame_scale.copy_(torch.tensor(scale))  # type: ignore[union-attr]
        model.encoder.frame_shift.copy_(torch.tensor(shift))  # type: ignore[union-attr]
    waveform = noise(seconds, 22000)
    filled = waveform
    if seconds <= 10:
        drawn: Tensor = mean.frontend.noise  # type: ignore[union-attr, assignment]
        assert drawn.min() >= 0
        assert 4.99e-4 < drawn.max() <= 5e-4
        filled = np.zeros(220_000, np.float32)
        filled[: len(waveform)] = waveform
        filled += drawn.numpy()
    log_mel = np.log(
        librosa.feature.melspectrogram(
            y=filled, sr=22000, n_fft=1024, hop_length=512, n_mels=96, power=1.0, pad_mode="reflect"
        )
        + np.finfo(np.float32).eps
    )
    patches = [log_mel[:, first : first + 96] * scale + shift for first in range(0, log_mel.shape[1] - 95, 96)]
    assert len(patches) == (4 if seconds <= 10 else 5)
    inputs = torch.tensor(np.stack(patches), dtype=torch.float32)[:, None]
    with torch.inference_mode():
        embedded = mean.encoder.audio_encoder(inputs).flatten(1).numpy()  # type: ignore[union-attr, operator]
    assert difference(mean.embed(waveform, 22000), embedded.mean(axis=0)) < 1e-5
    assert difference(both.embed(waveform, 22000), embedded.mean(axis=0) + embedded.max(axis=0)) < 1e-5


def test_mfcc_of_favory_is_librosa_s_at_22_khz() -> None:
    waveform = noise(1.3, 22000)
    mfcc = librosa.feature.mfcc(y=waveform, sr=22000)
    delta, second = (librosa.feature.delta(mfcc, order=order, width=5, mode="nearest") for order in (1, 2))
    rows = np.concatenate([mfcc, delta, second])
    by_variance = np.concatenate([rows.mean(axis=1), rows.var(axis=1)])
    by_deviation = np.concatenate([rows.mean(axis=1), rows.std(axis=1)])
    assert difference(soundloom.load("mfcc-favory").embed(waveform, 22000), by_variance) < 1e-5
    assert difference(soundloom.load("mfcc-favory-deviation").embed(waveform, 22000), by_deviation) < 1e-5
    with pytest.raises(InvalidArgumentError, match="odd, three or more, got 4"):
        MFCCSettings(sample_rate=22000, coefficients=20, hop_length=512, difference_width=4)
    assert ", differences=" not in MFCC.coala().extra_repr()


def test_published_scores_of_our_own_models_stand_beside_the_papers_arithmetic() -> None:
    names = {row.model.partition("#")[0] for row in PUBLISHED} & set(MODELS)
    assert names == {
        *("vggish-niizumi", "cnn14-niizumi", "ast-niizumi", "coala-evar", "coala-favory", "mfcc-favory"),
    }
