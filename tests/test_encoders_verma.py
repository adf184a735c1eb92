"""The learned filters, the Neuralogram and seconds heard alone, against the paper's text as loops."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from helpers.tiny_encoder import unsettle
from soundloom.embedder import Stream, Window
from soundloom.encoders import (
    MobileNetV1,
    Neuralogram,
    NeuralogramSettings,
    Transformer,
    TransformerSettings,
    WaveformSettings,
    WaveformTransformer,
    initialise,
)
from soundloom.encoders.dropout import dropout
from soundloom.encoders.waveform_transformer import WaveformFilters, strongest
from soundloom.frontends import MFCC, LogMel, PeakMap, PerSecond, WaveformPatches
from soundloom.models import from_pretrained, save_pretrained


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def loops(patch: Tensor, filters: Tensor) -> Tensor:
    """Section 3.3 as it is written: pad with zeros to keep the length, filter, take the maximum."""
    count, length = filters.shape
    samples = len(patch)
    best = []
    for number in range(count):
        outputs = []
        for t in range(samples):
            total = 0.0
            for k in range(length):
                place = t + k - (length - 1) // 2
                if 0 <= place < samples:
                    total += float(filters[number, k]) * float(patch[place])
            outputs.append(total)
        best.append(max(outputs))
    return torch.tensor(best)


@pytest.mark.parametrize(("samples", "length"), [(12, 5), (12, 6), (12, 12), (7, 7), (9, 1), (1, 1)])
def test_the_strongest_outputs_are_those_of_slow_loops(samples: int, length: int) -> None:
    patches, filters = drawn(3, samples), drawn(4, length, seed=1)
    expected = torch.stack([loops(patch, filters) for patch in patches])
    torch.testing.assert_close(strongest(patches, filters), expected)
    torch.testing.assert_close(strongest(patches, filters.requires_grad_()).detach(), expected)


def naive(patches: Tensor, filters: Tensor) -> Tensor:
    length = filters.shape[1]
    padded = nn.functional.pad(patches, ((length - 1) // 2, length // 2))
    return nn.functional.conv1d(padded[:, None], filters[:, None]).amax(dim=2)


def test_the_papers_sizes_give_the_convolutions_maxima_and_gradients() -> None:
    patches, filters = drawn(70, 400).requires_grad_(), drawn(128, 200, seed=1).requires_grad_()
    weights = drawn(70, 128, seed=2)
    results = []
    for method in (strongest, naive):
        values = method(patches, filters)
        results.append((values.detach(), *torch.autograd.grad((values * weights).sum(), (patches, filters))))
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_only_the_gradients_that_are_wanted_are_computed() -> None:
    patches, filters = drawn(2, 20), drawn(3, 5, seed=1).requires_grad_()
    (gradient,) = torch.autograd.grad(strongest(patches, filters).sum(), filters)
    (expected,) = torch.autograd.grad(naive(patches, filters).sum(), filters)
    torch.testing.assert_close(gradient, expected)


def test_the_filters_hear_each_patch_alone_and_compress() -> None:
    settings = WaveformSettings(patch=12, filters=3, length=5, transformer=TransformerSettings(bins=3))
    module = WaveformFilters(settings)
    representation = 0.1 * drawn(2, 1, 12, 4)
    heard = module(representation)
    assert heard.shape == (2, 1, 3, 4)
    expected = loops(representation[1, 0, :, 2], module.filters.detach()).clamp_min(0).add(0.01).log()
    torch.testing.assert_close(heard[1, 0, :, 2], expected)
    assert module(torch.zeros(1, 1, 12, 4)).allclose(torch.tensor(0.01).log())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 401}, "between 1 and the 400 samples of a patch, got 401"),
        ({"filters": 64}, "1 channel of 64 bins, a bin a filter, got 1 of 128"),
    ],
)
def test_impossible_filters_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WaveformSettings(**settings)


def test_a_neuralogram_stacks_what_the_network_says_of_each_chunk() -> None:
    frontend = Neuralogram()
    initialise(frontend.network, 0)
    unsettle(frontend.network)
    waveform = 0.1 * drawn(1, 16000 + 700)
    stacked = frontend(waveform)
    assert stacked.shape == (1, 1, 1024, 10)
    mel = LogMel.jansen()
    for number in range(10):
        chunk = waveform[:, 1600 * number : 1600 * (number + 1)]
        expected = frontend.network.baseline(mel(chunk))[0, :, 0]
        torch.testing.assert_close(stacked[0, 0, :, number], expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_a_neuralograms_network_stays_as_it_is_in_training() -> None:
    frontend = Neuralogram()
    window = Window(frames=10, fixed=True)
    encoder = Transformer(TransformerSettings(bins=1024))
    stream = Stream("x", frontend, encoder, layers=None, pooling="mean", window=window)
    before = {key: value.clone() for key, value in frontend.state_dict().items()}
    stream.train()
    stream(0.1 * drawn(1, 16000)).sum().backward()
    assert all(torch.equal(before[key], value) for key, value in frontend.state_dict().items())
    assert all(parameter.grad is None for parameter in frontend.parameters())
    assert any(parameter.grad is not None for parameter in stream.encoder.parameters())


def test_a_chunk_without_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="a frame of 400 samples, got 399"):
        NeuralogramSettings(length=399)


@pytest.mark.parametrize("inner", [PeakMap.verma, MFCC.verma])
def test_every_second_is_heard_alone(inner: type) -> None:
    frontend, plain = PerSecond(inner()), inner()
    waveform = drawn(2, 40000) * torch.linspace(0.01, 0.5, 40000)
    heard = frontend(waveform)
    assert heard.shape[3] == frontend.frames(40000) == 100
    for second in range(2):
        torch.testing.assert_close(
            heard[..., 40 * second : 40 * (second + 1)], plain(waveform[:, 16000 * second : 16000 * (second + 1)])
        )
    rest = torch.nn.functional.pad(waveform[:, 32000:], (0, 8000))
    torch.testing.assert_close(heard[..., 80:], plain(rest)[..., :20])
    assert not torch.equal(heard, plain(waveform)), "or the wrapping would be for nothing"


def test_seconds_need_frames_that_divide_them() -> None:
    with pytest.raises(ValueError, match=r"LogMel makes 98 frames, one every 0\.01 s, of a second"):
        PerSecond(LogMel.jansen())


def stream(kind: str) -> Stream:
    frontend, encoder = {
        "pitch": lambda: (PerSecond(PeakMap.verma()), Transformer(TransformerSettings(bins=80))),
        "waveform": lambda: (WaveformPatches(), WaveformTransformer()),
        "neuralogram": lambda: (Neuralogram(), Transformer(TransformerSettings(bins=1024))),
    }[kind]()
    for module in (frontend, encoder):
        if any(True for _ in module.parameters()):
            torch.manual_seed(0)
    frames = frontend.frames(16000)
    return Stream(kind, frontend, encoder, layers=None, pooling="mean", window=Window(frames=frames, fixed=True)).eval()


@pytest.mark.parametrize("kind", ["pitch", "waveform", "neuralogram"])
@torch.no_grad()
def test_a_long_sound_is_its_seconds_weighted_by_duration(kind: str) -> None:
    model = stream(kind)
    waveform = 0.1 * drawn(1, 40000)
    padded = torch.nn.functional.pad(waveform, (0, 8000)).view(3, 16000)
    seconds = torch.cat([model.embed_window(model.frontend(second[None])) for second in padded])
    expected = (seconds[0] + seconds[1] + 0.5 * seconds[2]) / 2.5
    torch.testing.assert_close(model(waveform)[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["waveform", "neuralogram"])
def test_a_stream_is_saved_with_all_its_weights(kind: str, tmp_path: Path) -> None:
    model = stream(kind)
    again = from_pretrained(save_pretrained(model, tmp_path / "saved"))
    assert again.fingerprint() == model.fingerprint()
    sound = 0.1 * drawn(20000).numpy()
    assert again.embed(sound).tobytes() == model.embed(sound).tobytes()


def test_a_loaded_neuralogram_is_still_frozen(tmp_path: Path) -> None:
    again = from_pretrained(save_pretrained(stream("neuralogram"), tmp_path / "saved"))
    assert isinstance(again, Stream)
    assert isinstance(again.frontend, Neuralogram)
    assert isinstance(again.frontend.network, MobileNetV1)
    assert not any(parameter.requires_grad for parameter in again.frontend.parameters())


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_dropping_keeps_the_share_and_the_mean_and_forgets_its_gradients(
    share: float, order: torch.memory_format
) -> None:
    torch.manual_seed(0)
    # A number of elements that four does not divide.
    values = torch.ones(1, 7, 11, 1301).to(memory_format=order).requires_grad_()
    dropped = dropout(values, share)
    kept = dropped.detach() != 0
    assert abs(float(kept.float().mean()) - (1 - share)) < 0.005
    assert dropped.detach()[kept].unique().tolist() == pytest.approx([1 / (1 - share)])
    assert dropped.is_contiguous(memory_format=order)
    for dice in range(4):  # four elements share a draw, and must not share their fate
        one, other = kept.flatten()[dice:-4:4], kept.flatten()[dice + 1 : -3 : 4]
        together = float((one & other[: len(one)]).float().mean())
        assert abs(together - (1 - share) ** 2) < 0.01
    (gradient,) = torch.autograd.grad(dropped.sum(), values)
    torch.testing.assert_close(gradient, dropped.detach())


def test_attention_with_dropout_is_attention_on_average() -> None:
    settings = TransformerSettings(bins=6, width=16, depth=1, heads=2, dropout=0.5, pool_after=())
    torch.manual_seed(0)
    block = Transformer(settings).blocks[0]
    tokens = drawn(1, 9, 16)
    with torch.no_grad():
        expected = block.eval().attention(tokens)
        every = torch.cat([block.train().attention(tokens) for _ in range(4000)])
    torch.testing.assert_close(every.mean(dim=0, keepdim=True), expected, rtol=0, atol=0.02)
    assert every.std(dim=0).mean() > 0.01
