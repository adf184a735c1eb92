"""Batches of triplets: windows and recordings drawn as functions of seed and step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.triplets import FORM, draw, files, held
from soundloom.corpora import Corpus, CorpusError, clip_table
from soundloom.feature_cache import FeatureDataset
from soundloom.objectives import Recordings, TripletSettings, only, triplet_sampler
from soundloom.objectives.samplers import MADE


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    dataset = held(500, 300, 96, 40)
    first, second = draw(TripletSettings(), dataset), draw(TripletSettings(), dataset)
    for step in (5, 0, 3):
        one, two = first(step), second(step)
        assert one.keys() == {"anchor", "positive", "sampler", "recordings"}
        assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(first(0)["anchor"], first(1)["anchor"])
    other = triplet_sampler(TripletSettings(), dataset, files(4), np.arange(4), 16, 1)
    assert not torch.equal(first(0)["anchor"], other(0)["anchor"])


def finder(dataset: FeatureDataset) -> Callable[[Tensor], list[tuple[int, int]]]:
    """What finds the clip and first row of each window, by its first row; all rows differ."""
    known = {
        dataset.take(np.array([clip]), np.array([row]), 1).numpy().tobytes(): (clip, row)
        for clip, length in enumerate(dataset.lengths)
        for row in range(length)
    }

    def places(windows: Tensor) -> list[tuple[int, int]]:
        found = [known[window[0].numpy().tobytes()] for window in windows]
        for (clip, row), window in zip(found, windows, strict=True):
            assert torch.equal(dataset.take(np.array([clip]), np.array([row]), 96)[0], window)
        return found

    return places


def test_anchors_are_whole_aligned_windows_each_as_likely() -> None:
    dataset = held(96 * 3 + 50, 100, 20)
    places = finder(dataset)
    drawn = draw(TripletSettings(**only(*MADE)), dataset, batch=100)
    counts: dict[tuple[int, int], int] = {}
    for step in range(5):
        batch = drawn(step)
        assert torch.equal(batch["anchor"], batch["positive"])
        for place in places(batch["anchor"]):
            counts[place] = counts.get(place, 0) + 1
    assert counts.keys() == {(0, 0), (0, 96), (0, 192), (1, 0), (2, 0)}
    assert max(abs(count - 100) for count in counts.values()) < 40


def test_anywhere_reaches_every_row_and_never_beyond_the_clip() -> None:
    dataset = held(96 * 2 + 10, 100, 20)
    places = finder(dataset)
    drawn = draw(TripletSettings(**only(*MADE), grid="anywhere"), dataset, batch=100)
    found = {place for step in range(8) for place in places(drawn(step)["anchor"])}
    assert {start for clip, start in found if clip == 1} == set(range(5))
    assert {start for clip, start in found if clip == 2} == {0}
    starts = {start for clip, start in found if clip == 0}
    assert len(starts) > 80
    assert max(starts) <= 106


@pytest.mark.parametrize("grid", ["aligned", "anywhere"])
@pytest.mark.parametrize("delta_t", [None, 2.0])
def test_proximity_pairs_are_of_a_recording_apart_and_not_farther_than_the_limit(
    grid: str, delta_t: float | None
) -> None:
    dataset = held(96 * 5, 96 * 2 + 30, 150, 20)
    settings = TripletSettings(**only("proximity"), grid=grid, delta_t=delta_t)  # type: ignore[arg-type]
    places = finder(dataset)
    drawn = draw(settings, dataset, batch=40)
    distances = set()
    for step in range(5):
        batch = drawn(step)
        anchors, positives = places(batch["anchor"]), places(batch["positive"])
        for (clip, start), (other, second) in zip(anchors, positives, strict=True):
            assert clip == other
            distances.add(abs(start - second))
    assert min(distances) == 96
    assert max(distances) == (96 * 4 if delta_t is None else 192)


def test_clips_of_a_file_are_one_recording_each_at_its_time() -> None:
    # Three clips of a file, at 0, 1.5 and 60 s, the first two overlapping; and another file.
    dataset = held(200, 100, 96, 192)
    recordings = Recordings(numbers=np.array([0, 0, 0, 1]), begins=np.array([0.0, 1.5, 60.0, 0.0]))
    places = finder(dataset)
    drawn = draw(TripletSettings(**only("proximity"), delta_t=30.0), dataset, recordings=recordings, batch=60)
    batch = drawn(0)
    pairs = set(zip(places(batch["anchor"]), places(batch["positive"]), strict=True))
    # (0, 96) and (1, 0) overlap, and (2, 0) is too far from all.
    own = {frozenset({(0, 0), (0, 96)}), frozenset({(0, 0), (1, 0)})}
    assert {frozenset(pair) for pair in pairs} == {*own, frozenset({(3, 0), (3, 96)})}


def test_recordings_are_files_whatever_the_groups() -> None:
    table = clip_table(
        ["/b.wav", "/a.wav", "/b.wav"], ["x", "x", "y"], starts=[None, None, 2.5], groups=["g", "g", "h"]
    )
    corpus = Corpus(name="c", root=Path("/"), task="single-label", classes=("x", "y"), table=table)
    found = Recordings.of(corpus)
    assert found.numbers.tolist() == [1, 0, 1]
    assert found.begins.tolist() == [0, 0, 2.5]


def test_a_recording_of_hours_leaves_room_for_the_negatives_beside_it() -> None:
    rows = 360_000 * 3
    dataset = FeatureDataset(
        FORM,
        np.broadcast_to(np.uint16(40_000), (rows + 200, 64)),
        np.array([0, rows]),
        np.array([rows, 200]),
        {},
        fresh=0,
        seconds=0.0,
    )
    drawn = draw(TripletSettings(delta_t=60.0), dataset, batch=8)
    assert len(drawn) == rows // 96 + 2
    batch = drawn(3)
    assert batch["anchor"].shape == (8, 96, 64)
    assert batch["recordings"][:, 0].unique().tolist() == [0, 1]


def test_labelled_pairs_are_two_clips_of_a_class_each_class_as_likely() -> None:
    # Class 0 has ten clips, class 1 two, class 2 one, which has no pair.
    classes = [0] * 10 + [1] * 2 + [2]
    dataset = held(*[96] * 13)
    labels = np.eye(3, dtype=bool)[classes]
    places = finder(dataset)
    drawn = draw(TripletSettings(**only("labelled")), dataset, batch=100, labels=labels)
    batch = drawn(0)
    anchors = np.array([clip for clip, _ in places(batch["anchor"])])
    positives = np.array([clip for clip, _ in places(batch["positive"])])
    assert (anchors != positives).all()
    chosen = np.array(classes)[anchors]
    assert (chosen == np.array(classes)[positives]).all()
    assert set(chosen) == {0, 1}
    assert abs((chosen == 1).sum() - 50) < 20
    assert torch.equal(batch["labels"][:, 0], torch.from_numpy(labels[anchors]))
    assert set(anchors[chosen == 0]) == set(range(10))


def test_mixtures_have_the_weights_as_shares() -> None:
    settings = TripletSettings(noise=3, translation=1, mixing=0, proximity=4)
    assert settings.shares == {"noise": 0.375, "translation": 0.125, "proximity": 0.5}
    drawn = draw(settings, held(300, 300, 300), batch=2000)
    counts = drawn(0)["sampler"].bincount(minlength=5) / 2000
    assert counts.tolist() == pytest.approx([0.375, 0.125, 0, 0.5, 0], abs=0.04)


def test_clips_left_out_and_clips_not_heard_are_not_drawn() -> None:
    dataset = held(96, 0, 96, 96)
    drawn = triplet_sampler(TripletSettings(**only("noise")), dataset, files(4), np.array([0, 1, 2]), 200, 0)
    assert len(drawn) == 2
    assert drawn(0)["recordings"].unique().tolist() == [0, 2]


def test_a_small_batch_of_two_recordings_always_has_negatives() -> None:
    drawn = draw(TripletSettings(**only("noise")), held(96, 96), batch=2)
    assert all(drawn(step)["recordings"][:, 0].unique().tolist() == [0, 1] for step in range(30))


@pytest.mark.parametrize(
    ("settings", "lengths", "labels", "message"),
    [
        ({}, [960], None, "windows are of one recording, and negatives come from another: add files"),
        ({}, [100, 100, 50], None, "no recording has two windows of 0.96 s, which the proximity sampler pairs"),
        ({"delta_t": 0.9}, [960, 960], None, "no recording has two windows of 0.96 s that begin less than 0.9 s"),
        ({}, [0, 0], None, "none of the 2 training clips could be decoded"),
        (only("labelled"), [96, 96], None, "labelled sampler has the share 1.00, and there are no labels"),
        (only("labelled"), [96, 96], [0, 0], r"needs two classes, .* 1 class\(es\)"),
        (only("labelled"), [96, 96], [0, 1], r"2 class\(es\), 0 of two clips"),
    ],
)
def test_corpora_that_cannot_be_learned_from(
    settings: dict[str, float], lengths: list[int], labels: list[int] | None, message: str
) -> None:
    classes = None if labels is None else np.eye(2, dtype=bool)[labels]
    with pytest.raises(CorpusError, match=message):
        draw(TripletSettings(**settings), held(*lengths), labels=classes)  # type: ignore[arg-type]


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="batch must be at least 2, got 1"):
        draw(TripletSettings(), held(200, 200), batch=1)


def test_a_corpus_whose_classes_all_overlap_is_given_up() -> None:
    labels = np.array([[True, True], [True, False], [True, True]])
    with pytest.raises(CorpusError, match="100 draws of 16 anchors in a row had an anchor without a negative"):
        draw(TripletSettings(**only("labelled")), held(96, 96, 96), labels=labels)(0)
