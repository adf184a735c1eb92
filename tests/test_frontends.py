"""The contract that every front-end keeps, walked preset by preset."""

from __future__ import annotations

import copy

import pytest
import torch

from soundloom.components import presets
from soundloom.encoders import Neuralogram
from soundloom.frontends import FRONTENDS, MFCC, FramedWaveform, Frontend, PeakMap, WaveformPatches

PRESETS = presets(FRONTENDS)


@pytest.fixture(params=PRESETS)
def frontend(request: pytest.FixtureRequest) -> Frontend:
    return PRESETS[request.param]()


def noise(batch: int, samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("more", [0, 1, 399, 400, 15600, 16000, 31999])
def test_the_shape_is_as_announced(frontend: Frontend, more: int) -> None:
    samples = frontend.min_samples + more
    representation = frontend(noise(2, samples))
    assert representation.shape == (2, frontend.channels, frontend.bins, frontend.frames(samples))
    assert representation.dtype == torch.float32
    assert frontend.frames(samples) >= 1


def test_the_shortest_waveform_is_exact(frontend: Frontend) -> None:
    assert frontend(noise(1, frontend.min_samples)).shape[-1] == frontend.frames(frontend.min_samples) >= 1
    if frontend.min_samples > 1:
        assert frontend.frames(frontend.min_samples - 1) == 0
        with pytest.raises(
            ValueError, match=f"at least {frontend.min_samples} samples.*got {frontend.min_samples - 1}"
        ):
            frontend(noise(1, frontend.min_samples - 1))


def test_a_batch_of_none_is_refused(frontend: Frontend) -> None:
    with pytest.raises(ValueError, match="at least one waveform"):
        frontend(noise(0, 16000))


def test_times_are_frame_centres_within_the_waveform(frontend: Frontend) -> None:
    samples = 2 * frontend.sample_rate
    times = frontend.times(frontend.frames(samples))
    assert len(times) == frontend.frames(samples)
    torch.testing.assert_close(times.diff(), torch.full_like(times[1:], frontend.hop))
    assert 0 <= times[0] <= frontend.hop * 1.25
    assert times[-1] <= samples / frontend.sample_rate


def test_a_click_is_strongest_at_the_frame_whose_time_it_has(frontend: Frontend) -> None:
    if isinstance(getattr(frontend, "inner", frontend), PeakMap | MFCC | Neuralogram):
        pytest.skip("does not show loudness")
    second = frontend.sample_rate
    times = frontend.times(frontend.frames(2 * second))
    waveform = torch.zeros(1, 2 * second)
    target = len(times) // 2
    waveform[0, round(float(times[target]) * second)] = 1.0
    heard = frontend(waveform)[0].amax(dim=(0, 1))
    assert heard.argmax() == target


def test_a_row_does_not_depend_on_its_batch(frontend: Frontend) -> None:
    waveforms = noise(9, 16500) * torch.logspace(-3, 0, 9)[:, None]
    together = frontend(waveforms)
    for row in (0, 4, 8):
        alone = frontend(waveforms[row : row + 1])[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-6, atol=1e-6 * float(together.abs().max()))


def test_many_rows_and_long_rows_are_cut_into_the_same_blocks(frontend: Frontend) -> None:
    # More samples than a block holds, in one row and in many.
    long = noise(1, 1_500_000)
    representation = frontend(long)
    assert representation.shape[-1] == frontend.frames(1_500_000)
    assert torch.isfinite(representation).all()
    many = noise(150, 16000)
    torch.testing.assert_close(frontend(many)[-1:], frontend(many[-1:]), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_silence_and_full_scale_stay_finite(frontend: Frontend, level: float) -> None:
    waveforms = torch.full((1, 16000), level)
    waveforms[0, 1::2] *= -1
    assert torch.isfinite(frontend(waveforms)).all()


def test_gradients_flow_and_are_finite_in_silence(frontend: Frontend) -> None:
    waveforms = torch.cat([noise(1, 16000), torch.zeros(1, 16000)]).requires_grad_()
    representation = frontend(waveforms)
    if isinstance(frontend, PeakMap):
        pytest.skip("peaks have no gradient")
    representation.sum().backward()
    assert waveforms.grad is not None
    assert torch.isfinite(waveforms.grad).all()
    assert waveforms.grad[0].abs().max() > 0


def test_a_copy_gives_the_same_and_only_what_is_learned_is_saved(frontend: Frontend) -> None:
    learned = frontend.normalisation is not None or frontend.pretrained_network is not None
    assert bool(frontend.state_dict()) is learned
    waveforms = noise(1, 16000)
    assert torch.equal(copy.deepcopy(frontend)(waveforms), frontend(waveforms))


def test_inference_mode_leaves_nothing_behind_that_breaks_training(frontend: Frontend) -> None:
    with torch.inference_mode():
        frontend(noise(1, 12345))
    waveforms = noise(1, 12345).requires_grad_()
    representation = frontend(waveforms)
    assert representation.requires_grad != isinstance(frontend, PeakMap)
    if representation.requires_grad:
        representation.sum().backward()
        assert waveforms.grad is not None
        assert waveforms.grad.isfinite().all()


def test_the_input_is_left_as_it_was(frontend: Frontend) -> None:
    waveforms = noise(2, 16000)
    before = waveforms.clone()
    frontend(waveforms)
    assert torch.equal(waveforms, before)


def test_pieces_are_the_waveform_itself() -> None:
    waveforms = noise(2, 3300)
    pieces = WaveformPatches()(waveforms)
    assert pieces.shape == (2, 1, 400, 8)
    assert torch.equal(pieces[1, 0, :, 5], waveforms[1, 2000:2400])
    assert torch.equal(FramedWaveform()(waveforms)[0, 0, :, 1], waveforms[0, 1600:3200])
