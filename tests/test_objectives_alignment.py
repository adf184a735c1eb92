"""COALA's losses against the equations as loops, and the objective on its own and on other streams."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.tiny_encoder import Tiny
from soundloom.embedder import Stream, Window
from soundloom.encoders import COALAAudioEncoder, initialise
from soundloom.encoders.audio_decoder import AudioDecoder
from soundloom.feature_cache import Form, MelEnergies
from soundloom.frontends import LogMel, NormalisedFrontend
from soundloom.objectives.alignment import (
    AlignmentObjective,
    AlignmentSettings,
    can_decode,
    contrast,
    generalised_kl,
    tag_cross_entropy,
)
from soundloom.one_thread import one_thread
from soundloom.tags.tag_decoder import TagDecoder


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread:
        yield


# Losses, the paper's and the code's equations written out


def similarity(a: np.ndarray, b: np.ndarray, temperature: float) -> float:
    return math.exp(float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) / temperature)


def slow_contrast(audio: np.ndarray, tags: np.ndarray, settings: AlignmentSettings, alike: np.ndarray) -> float:
    tau, total = settings.temperature, 0.0
    sides = [(audio, tags)] + ([(tags, audio)] if settings.directions == "both" else [])
    for anchors, others in sides:
        for b in range(len(anchors)):
            numerator = similarity(anchors[b], others[b], tau)
            denominator = numerator if settings.positive_below else 0.0
            for i in range(len(anchors)):
                if i == b or alike[b, i]:
                    continue
                denominator += similarity(anchors[b], others[i], tau)
                if settings.siblings_repel:
                    denominator += similarity(anchors[b], anchors[i], tau)
            total += -math.log(numerator / denominator + settings.floor)
    return total / (len(anchors) * len(sides))


@pytest.mark.parametrize(
    ("positive", "siblings", "directions", "floor"),
    list(product([True, False], [True, False], ["both", "audio"], [0.0, 1e-5])),
)
@pytest.mark.parametrize(("size", "temperature"), [(2, 0.1), (7, 0.1), (5, 1.0)])
def test_equation_10(
    size: int, temperature: float, positive: bool, siblings: bool, directions: str, floor: float
) -> None:
    settings = AlignmentSettings(
        positive_below=positive, siblings_repel=siblings, directions=directions, floor=floor, temperature=temperature
    )
    audio, tags = drawn(size, 6, seed=size).float(), drawn(size, 6, seed=size + 100).float()
    alike = np.zeros((size, size), bool)
    expected = slow_contrast(audio.double().numpy(), tags.double().numpy(), settings, alike)
    assert float(contrast(audio, tags, settings)) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_published_contrast_is_ntxent_of_both_modalities_in_one_batch() -> None:
    """The published code joins both modalities, compares all with all, and takes each row's partner for its class."""
    audio, tags = drawn(5, 4), drawn(5, 4, seed=1)
    joined = nn.functional.normalize(torch.cat([audio, tags]), dim=1)
    powers = (joined @ joined.T / 0.1).exp()
    powers.fill_diagonal_(0)
    positives = torch.cat([powers[:5, 5:].diagonal(), powers[5:, :5].diagonal()])
    expected = -(positives / powers.sum(dim=1) + 1e-5).log().mean()
    assert float(contrast(audio.float(), tags.float(), AlignmentSettings())) == pytest.approx(float(expected), rel=1e-6)


def test_the_papers_equation_leaves_the_positive_out() -> None:
    audio, tags = drawn(6, 3), drawn(6, 3, seed=1)
    total = 0.0
    for b in range(6):
        own = similarity(audio[b].numpy(), tags[b].numpy(), 0.1)
        rest = sum(similarity(audio[b].numpy(), tags[i].numpy(), 0.1) for i in range(6) if i != b)
        total += -math.log(own / rest)
    found = contrast(audio.float(), tags.float(), AlignmentSettings.paper())
    assert float(found) == pytest.approx(total / 6, rel=1e-6)


@pytest.mark.parametrize("positive", [True, False])
def test_those_with_the_same_tags_do_not_repel(positive: bool) -> None:
    settings = AlignmentSettings(same_tags_repel=False, positive_below=positive)
    audio, tags = drawn(6, 5).float(), drawn(6, 5, seed=1).float()
    alike = np.zeros((6, 6), bool)
    alike[0, 3] = alike[3, 0] = alike[1, 4] = alike[4, 1] = True
    expected = slow_contrast(audio.double().numpy(), tags.double().numpy(), settings, alike)
    assert float(contrast(audio, tags, settings, torch.from_numpy(alike))) == pytest.approx(expected, rel=1e-6)


def test_when_all_are_alike_nothing_is_learned() -> None:
    audio = drawn(4, 5).float().requires_grad_()
    settings = AlignmentSettings(same_tags_repel=False, positive_below=False, floor=0.0)
    loss = contrast(audio, drawn(4, 5, seed=1).float(), settings, torch.ones(4, 4, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert audio.grad is not None
    assert not audio.grad.any()


def test_contrast_laws() -> None:
    settings = AlignmentSettings()
    apart = torch.eye(8)
    # Lengths do not matter; partners in agreement are better than partners apart; two are the fewest.
    assert float(contrast(apart, 3 * apart, settings)) == pytest.approx(float(contrast(apart, apart, settings)))
    assert contrast(apart, apart, settings) < contrast(apart, apart.roll(1, 0), settings)
    with pytest.raises(ValueError, match="two examples or more, got 1"):
        contrast(apart[:1], apart[:1], settings)
    # Far apart at a low temperature: no overflow.
    extreme = contrast(apart, -apart, replace(settings, temperature=0.001, floor=0.0))
    assert torch.isfinite(extreme)


def test_generalised_kl_as_loops() -> None:
    heard = drawn(2, 1, 5, 3).abs().float()
    heard[0, 0, 0, 0] = 0
    heard[0, 0, 1, 0] = -0.5  # softer than all that the scaler has seen
    decoded = drawn(2, 1, 5, 3, seed=1).abs().float()
    total = 0.0
    for example in range(2):
        for frame in range(3):
            for band in range(5):
                x = max(0.0, float(heard[example, 0, band, frame]))
                y = float(decoded[example, 0, band, frame])
                total += x * (math.log(x + 1e-5) - math.log(y + 1e-5)) + y - x
    assert float(generalised_kl(heard, decoded)) == pytest.approx(total / 6, rel=1e-6)
    same = heard.clamp_min(0)
    assert float(generalised_kl(same, same)) == 0
    assert float(generalised_kl(heard, decoded)) > 0


def test_cross_entropy_as_loops() -> None:
    logits, tags = drawn(3, 4).float(), torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]])
    total = 0.0
    for row, truth in zip(logits.tolist(), tags.tolist(), strict=True):
        for logit, y in zip(row, truth, strict=True):
            told = 1 / (1 + math.exp(-logit))
            total += -(y * math.log(told) + (1 - y) * math.log(1 - told))
    assert float(tag_cross_entropy(logits, tags)) == pytest.approx(total / 12, rel=1e-6)


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="one must be above zero"):
        AlignmentSettings(audio_weight=0, tag_weight=0, contrast_weight=0)
    with pytest.raises(ValueError, match="temperature must be above zero, got 0"):
        AlignmentSettings(temperature=0)
    with pytest.raises(ValueError, match="directions is 'both' or 'audio'"):
        AlignmentSettings(directions="tags")
    with pytest.raises(ValueError, match="floor must be zero or above"):
        AlignmentSettings(floor=-1)


# Decoders


def test_decoders_are_those_of_the_supplement() -> None:
    audio, tags = AudioDecoder().eval(), TagDecoder(1000).eval()
    window = audio(torch.rand(2, 1152))
    assert window.shape == (2, 1, 96, 96)
    assert window.min() >= 0
    assert window.max() <= 1
    assert tags(torch.rand(2, 1152)).shape == (2, 1000)
    convolutions = [layer for layer in audio.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in convolutions] == [(128, 128)] * 4 + [(128, 1)]
    assert {(layer.kernel_size, layer.stride) for layer in convolutions} == {((4, 4), (2, 2))}
    widths = [layer.out_features for layer in tags.modules() if isinstance(layer, nn.Linear)]
    assert widths == [512, 512, 1000]


def test_the_decoder_keeps_time_and_frequency_where_the_encoder_had_them() -> None:
    """A sound in one corner of the embedding's 3 x 3 cells comes out in that corner of the window."""
    decoder = AudioDecoder().eval()
    z = torch.zeros(1, 128, 3, 3)  # channel, time, frequency
    silent = decoder(z.flatten(1))
    z[:, :, 2, 0] = 1  # the last third of the time, the lowest bands
    changed = (decoder(z.flatten(1)) - silent).abs()[0, 0]  # frequency, time
    assert changed[:32, 64:].max() > 0
    assert changed[64:, :32].max() == 0


# The objective


def coala() -> Stream:
    encoder = COALAAudioEncoder()
    initialise(encoder, 3)
    frontend = NormalisedFrontend(LogMel.coala())
    frontend.scale.fill_(1 / 20)
    frontend.shift.fill_(16 / 20)
    return Stream("mine", frontend, encoder, layers=None, pooling="mean", window=Window(frames=96, fixed=True))


def tiny() -> Stream:
    torch.manual_seed(3)
    window = Window(frames=96, fixed=True)
    return Stream("tiny", LogMel.jansen(), Tiny(), layers=None, pooling="mean", window=window)


def form_of(stream: Stream) -> MelEnergies:
    inner = stream.frontend.inner if isinstance(stream.frontend, NormalisedFrontend) else stream.frontend
    assert isinstance(inner, LogMel)
    return MelEnergies(inner)


def batch_of(form: Form, size: int = 4, tags: int = 5) -> dict[str, Tensor]:
    codes = torch.randint(20000, 40000, (size, 96, *form.shape), generator=torch.Generator().manual_seed(1))
    return {"windows": codes.to(torch.uint16), "targets": torch.eye(tags)[torch.arange(size) % tags]}


CASES = {"ae-c": AlignmentSettings(), "e-c": AlignmentSettings.e_c(), "cnn": AlignmentSettings.cnn()}


@pytest.mark.parametrize(
    ("case", "terms"),
    [("ae-c", {"audio", "tags", "contrast"}), ("e-c", {"contrast"}), ("cnn", {"direct"})],
)
def test_the_cases_are_weights_of_one_loss(case: str, terms: set[str]) -> None:
    stream, settings = coala(), CASES[case]
    form = form_of(stream)
    torch.manual_seed(0)
    objective = AlignmentObjective(settings, form, stream, 5)
    told = objective(stream.train(), batch_of(form))
    assert set(told) == terms | {"loss"}
    weights = {"audio": 5.0, "tags": 5.0, "contrast": 10.0, "direct": 1.0}
    expected = sum(weights[name] * told[name].item() for name in terms)
    assert told["loss"].item() == pytest.approx(expected, rel=1e-5)
    told["loss"].backward()
    idle = [name for name, parameter in objective.named_parameters() if parameter.grad is None]
    assert idle == []  # what has no weight is not built
    assert all(parameter.grad is not None for parameter in stream.encoder.audio_encoder.parameters())
    aligned = stream.encoder.fc_audio[0].weight.grad is not None
    assert aligned == (case != "cnn")


def test_windows_reach_the_encoder_as_from_the_front_end() -> None:
    """Kept energies, restored and scaled, are the front-end's own representation of the waveform."""
    stream = coala()
    form = form_of(stream)
    waveform = torch.randn(1, 22000 * 3, generator=torch.Generator().manual_seed(2)) / 10
    kept = torch.from_numpy(form.keep(waveform[0]))[None, :96]
    # Codes are right to 5e-4, and so is their logarithm; a scale of 1 / 20 follows.
    torch.testing.assert_close(
        form.representation(kept, stream), stream.frontend(waveform)[..., :96], atol=5e-4 / 20, rtol=0
    )


def test_any_stream_can_be_aligned() -> None:
    stream = tiny()
    form = form_of(stream)
    torch.manual_seed(0)
    objective = AlignmentObjective(AlignmentSettings(audio_weight=0), form, stream, 5)
    before = stream.encoder.convolutions[0].weight.clone()
    learner = torch.optim.Adam([*stream.parameters(), *objective.parameters()], lr=1e-3)
    losses = []
    for _ in range(12):
        told = objective(stream.train(), batch_of(form))
        learner.zero_grad()
        told["loss"].backward()
        learner.step()
        losses.append(told["contrast"].item())
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) / 2
    assert not torch.equal(before, stream.encoder.convolutions[0].weight)
    assert objective.audio_map is not None
    assert objective.align(stream, torch.rand(2, stream.dim)).shape == (2, 1152)


def test_only_coala_can_be_decoded() -> None:
    assert can_decode(coala())
    assert not can_decode(tiny())
    with pytest.raises(ValueError, match=r"tiny: windows can be decoded for COALA's .* set audio_weight to 0"):
        AlignmentObjective(AlignmentSettings(), form_of(tiny()), tiny(), 5)


def test_same_tags_are_found_by_their_vectors() -> None:
    stream = tiny()
    form = form_of(stream)
    objective = AlignmentObjective(
        AlignmentSettings(audio_weight=0, tag_weight=0, same_tags_repel=False), form, stream, 3
    ).eval()
    stream.eval()
    tags = torch.tensor([[1.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]])
    batch = {**batch_of(form), "targets": tags}
    alike = torch.tensor([[row.equal(other) for other in tags] for row in tags])
    assert objective.tag_encoder is not None
    with torch.no_grad():
        audio = objective.align(stream, stream.embed_window(form.representation(batch["windows"], stream)))
        said = objective.tag_encoder.align(objective.tag_encoder(tags))
        expected = contrast(audio, said, objective.settings, alike)
        assert float(objective(stream, batch)["contrast"]) == pytest.approx(float(expected), rel=1e-6)
