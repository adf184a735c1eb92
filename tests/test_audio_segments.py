"""Segments: the streaming cutter against the rule written out over the whole sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundloom.audio import segments

RATE = 10


def cut_slowly(length: int, window: int, hop: int) -> list[tuple[int, int]]:
    """The rule as it is stated, over a sound whose length is known."""
    if length == 0:
        return []
    if length <= window:
        return [(0, length)]
    cuts = [(start, min(start + window, length)) for start in range(0, length, hop)]
    kept = [cuts[0]]
    for start, end in cuts[1:]:
        if end == kept[-1][1]:
            continue  # It would lie within the segment before it.
        if 4 * (end - start) < window:
            kept[-1] = (kept[-1][0], end)
        else:
            kept.append((start, end))
    return kept


def in_blocks(samples: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """The samples in blocks of the given sizes, over and over."""
    blocks, begin, turn = [], 0, 0
    while begin < len(samples):
        size = sizes[turn % len(sizes)]
        blocks.append(samples[begin : begin + size])
        begin, turn = begin + size, turn + 1
    return blocks


@given(
    length=st.integers(0, 300),
    window=st.integers(1, 60),
    overlap=st.floats(0, 1),
    sizes=st.lists(st.integers(1, 120), min_size=1, max_size=4),
)
def test_streamed_cuts_are_the_rule(length: int, window: int, overlap: float, sizes: list[int]) -> None:
    hop = max(1, round(window * (1 - overlap)))
    samples = np.arange(length, dtype=np.float32)
    cut = list(segments(in_blocks(samples, sizes), RATE, window / RATE, hop / RATE))
    expected = cut_slowly(length, window, hop)
    assert [(round(s.start * RATE), round(s.end * RATE)) for s in cut] == expected
    for segment, (start, end) in zip(cut, expected, strict=True):
        np.testing.assert_array_equal(segment.samples, samples[start:end])


@given(length=st.integers(1, 300), window=st.integers(1, 60), hop=st.integers(1, 60))
def test_every_sample_is_heard_and_lengths_are_bounded(length: int, window: int, hop: int) -> None:
    hop = min(hop, window)
    cut = list(segments([np.zeros(length, np.float32)], RATE, window / RATE, hop / RATE))
    heard = np.zeros(length, bool)
    for segment in cut:
        heard[round(segment.start * RATE) : round(segment.end * RATE)] = True
        assert len(segment.samples) < 1.25 * window or len(segment.samples) == window
    assert heard.all()
    if len(cut) > 1:
        assert min(len(segment.samples) for segment in cut) >= window / 4


@pytest.mark.parametrize(
    ("length", "window", "hop", "expected"),
    [
        (22, 8, 8, [(0, 8), (8, 16), (16, 22)]),
        (17, 8, 8, [(0, 8), (8, 17)]),
        (17, 8, 4, [(0, 8), (4, 12), (8, 16), (12, 17)]),
        (18, 8, 8, [(0, 8), (8, 16), (16, 18)]),
        (8, 8, 4, [(0, 8)]),
        (9, 8, 8, [(0, 9)]),
        (1, 8, 8, [(0, 1)]),
    ],
)
def test_the_pictures_of_the_docstring(length: int, window: int, hop: int, expected: list[tuple[int, int]]) -> None:
    cut = segments([np.zeros(length, np.float32)], 1, window, hop)
    assert [(segment.start, segment.end) for segment in cut] == expected


def test_no_window_is_the_whole_stream() -> None:
    blocks = in_blocks(np.arange(100, dtype=np.float32), [7])
    (whole,) = segments(blocks, RATE)
    assert (whole.start, whole.end) == (0, 10)
    np.testing.assert_array_equal(whole.samples, np.arange(100))


def test_a_stream_without_samples_has_no_segments() -> None:
    assert list(segments([], RATE, 1)) == []
    assert list(segments([], RATE)) == []


def test_overlapping_segments_do_not_share_memory() -> None:
    first, second, *_ = segments([np.zeros(40, np.float32)], RATE, 2, 1)
    first.samples[:] = 1
    assert not second.samples.any()


def test_segments_come_as_soon_as_they_are_certain() -> None:
    taken = []

    def blocks():
        for index in range(100):
            taken.append(index)
            yield np.zeros(10, np.float32)

    next(segments(blocks(), RATE, 2, 2))
    # Twenty samples of the window, and the quarter of a window that tells that no rest will join it.
    assert len(taken) == 3


@pytest.mark.parametrize(("window", "hop"), [(0, None), (0.01, None), (1, 2), (1, 0), (-1, None), (1, -1)])
def test_impossible_windows_are_refused(window: float, hop: float | None) -> None:
    with pytest.raises(ValueError, match="window must hold a sample or more, and the hop"):
        list(segments([np.zeros(5, np.float32)], RATE, window, hop))


def test_a_hop_without_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="give a window too"):
        list(segments([], RATE, None, 1))
