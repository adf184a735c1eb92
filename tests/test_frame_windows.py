"""Windows of a long sound that share its frames: where they lie, and how far a loud event reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import soundloom
from soundloom import audio
from soundloom.detectors import frame_windows
from soundloom.frontends import FRONTENDS

RATE = 16_000


def quiet_and_loud(rate: int, seconds: int) -> list[np.ndarray]:
    """Faint noise, and the same with a loud tone and a shift of its mean in its third second."""
    quiet = (1e-3 * np.random.default_rng(0).normal(size=seconds * rate)).astype(np.float32)
    loud, times = quiet.copy(), np.arange(rate) / rate
    loud[2 * rate : 3 * rate] += 0.2 + 0.5 * np.sin(2 * np.pi * 700 * times) * np.hanning(rate)
    return [quiet, loud.astype(np.float32)]


def test_a_window_around_another_lies_within_the_recording() -> None:
    seconds, sizes, step = 61.3, [RATE, 5 * RATE], RATE // 2
    samples = np.arange(round(seconds * RATE), dtype=np.float32)
    asked: list[tuple[int, int]] = []

    class Model:
        sample_rate = RATE

        def embed_samples(self, some: np.ndarray) -> np.ndarray:
            asked.append((int(some[0]), int(some[-1]) + 1))
            return np.zeros(1, np.float32)

    model: Any = Model()
    blocks = np.array_split(samples, 7)
    rows = frame_windows.embed_stream(
        model, blocks, origin=0, first=0, sizes=sizes, step=step, count=None, shared=False
    )  # fmt: skip
    *_, (_, until) = rows
    assert until == len(samples)
    grid, longer = asked[::2], asked[1::2]
    expected = audio.segments(iter(blocks), RATE, 1.0, 0.5)
    assert grid == [(round(one.start * RATE), round(one.end * RATE)) for one in expected]
    for (start, end), (first, last) in zip(grid, longer, strict=True):
        assert last - first == sizes[1]
        middle = (start + end - sizes[1]) // 2
        assert first == min(max(0, middle), len(samples) - sizes[1])


def test_no_event_colours_what_lies_far_from_it() -> None:
    """Front-ends that share frames are local; the others depend on their loudest sound, or embed windows alone."""
    shared = []
    for name, component in FRONTENDS.items():
        for preset in (component.presets or {}).values():
            frontend = preset().local
            if frontend is None:
                continue
            shared.append(name)
            quiet, loud = (torch.from_numpy(sound)[None] for sound in quiet_and_loud(frontend.sample_rate, 8))
            with torch.inference_mode():
                before, after = frontend(quiet), frontend(loud)
            far = frontend.times(before.shape[-1]) > 4.5
            assert float((before - after)[..., far].abs().max()) < 1e-3 * float(before.std()), name
    assert {"LogMel", "Centred", "ConstantQ", "Texture", "BySecond", "Scaled"} <= set(shared)
    assert not {"MFCC", "PeakMap", "PeakLogMel", "Padded"} & set(shared)


@pytest.mark.parametrize("name", ["loom", "logmel+mfcc"])
def test_windows_share_frames_wherever_an_event_or_a_block_ends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = soundloom.load(name)
    quiet, loud = quiet_and_loud(RATE, 52)
    step = RATE // 2

    def rows(sound: np.ndarray) -> np.ndarray:
        blocks = np.array_split(sound, 9)
        some = frame_windows.embed_stream(model, blocks, origin=0, first=0, sizes=[3 * RATE], step=step, count=None)
        return np.concatenate([vectors[0] for vectors, _ in some])

    alone = rows(quiet)
    far = np.arange(len(alone)) * step > 4.5 * RATE
    apart = np.abs(alone - rows(loud))
    monkeypatch.setattr(frame_windows, "BLOCK", 48.0)
    moved = np.abs(alone - rows(quiet))
    for part, columns in model.parts.items():
        scale = float(alone[:, columns].std())
        assert apart[far, columns].max() < 1e-2 * scale, part
        assert moved[:, columns].max() < 1e-2 * scale, part
    if "mfcc" in model.parts:
        # A part that cannot share frames embeds windows alone.
        whole = model.embed_samples(quiet[10 * step :][: 3 * RATE])
        np.testing.assert_array_equal(alone[10, model.parts["mfcc"]], whole[model.parts["mfcc"]])
