"""Streams that can be trained: each is built, from its seed alone, and embeds windows of its own length."""

from __future__ import annotations

import pytest
import torch

from soundloom.errors import UnknownModelError
from soundloom.feature_cache import form_of
from soundloom.recipes import STREAMS
from soundloom.recipes.architectures import build_stream


@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_is_built_and_embeds_its_window(name: str) -> None:
    stream = STREAMS[name].build(0).eval()
    form = form_of(stream)
    rows = form.window_rows(stream.window)
    assert form.restore(torch.zeros(1, rows, *form.shape)).isfinite().all()
    most = None if stream.window is None else stream.window.frames
    window = stream.frontend(torch.zeros(1, stream.sample_rate * (3 if name == "coala" else 1)))[..., :most]
    with torch.no_grad():
        assert stream.embed_window(window).shape == (1, stream.dim)


@pytest.mark.parametrize("name", ["resnet-small", "transformer", "pitch"])
def test_a_stream_is_its_seeds(name: str) -> None:
    one, same, other = (list(STREAMS[name].build(seed).parameters()) for seed in (0, 0, 1))
    assert all(map(torch.equal, one, same))
    assert not all(map(torch.equal, one, other))


def test_silence_fills_the_last_window_of_log_mel_streams() -> None:
    """Half a window of sound, filled by the stream, is that sound and digital silence."""
    stream = build_stream("transformer", 0, "mine").eval()
    half = torch.randn(1, 160 * 50, generator=torch.Generator().manual_seed(0)) / 10
    sounding = stream.frontend(half)
    silence = stream.frontend(torch.zeros(1, 16_000))[..., : 96 - sounding.shape[-1]]
    with torch.no_grad():
        whole = stream.embed_window(torch.cat([sounding, silence], dim=-1))
        assert torch.allclose(stream(half), whole, atol=1e-5)


def test_a_stream_is_called_after_its_run() -> None:
    stream = build_stream("transformer", 0, "mine")
    assert (stream.name, stream.parts) == ("mine", {"mine": slice(0, 64)})
    with pytest.raises(UnknownModelError, match=r"no stream 'resnet': did you mean .*There are cnn14, cnn14-small,"):
        build_stream("resnet", 0, "mine")
