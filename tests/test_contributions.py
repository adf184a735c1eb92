"""Contributions against hand-made outputs whose shares are known."""

from __future__ import annotations

import math
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from soundloom.evaluation.analysis.contributions import Contributions, contributions, mean_of, measure, plot
from soundloom.evaluation.analysis.shapley import shapley_values, subsets_of

PARTS = ("pitch", "timbre", "waveform")
CLASSES = 8


def test_shapley_values_are_means_over_all_orders() -> None:
    generator = np.random.default_rng(0)
    worth = {subset: generator.normal(size=4) for subset in [(), *subsets_of(PARTS)]}
    expected = {part: np.zeros(4) for part in PARTS}
    for order in permutations(PARTS):
        for place, part in enumerate(order):
            before = tuple(other for other in PARTS if other in order[:place])
            after = tuple(other for other in PARTS if other in order[: place + 1])
            expected[part] += (worth[after] - worth[before]) / math.factorial(len(PARTS))
    got = shapley_values(worth, PARTS)
    for part in PARTS:
        np.testing.assert_allclose(got[part], expected[part])
    np.testing.assert_allclose(sum(got.values()), worth[PARTS] - worth[()])


def test_a_subset_without_a_score_is_told() -> None:
    with pytest.raises(ValueError, match=r"no score of 1 of 4 subsets, such as 'a\+b'"):
        shapley_values({(): 0.0, ("a",): 1.0, ("b",): 1.0}, ["a", "b"])


def sounds(clips: int = 48, chunks: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Owners of chunks, labels of clips: class = clip % 8."""
    labels = np.arange(clips)[:, None] % CLASSES == np.arange(CLASSES)
    return np.repeat(np.arange(clips), chunks), labels


def sees(classes: set[int], labels: np.ndarray, owners: np.ndarray, seed: int) -> np.ndarray:
    """Outputs that are right about some classes and noise about the others."""
    noise = 0.1 * np.random.default_rng(seed).random((len(owners), CLASSES))
    seen = labels[owners] & np.isin(np.arange(CLASSES), list(classes))
    return noise + seen


def example() -> Contributions:
    """Pitch sees classes 0 to 3, timbre 4 and 5, the waveform nothing; together they see what any of them does."""
    owners, labels = sounds()
    eyes = {"pitch": {0, 1, 2, 3}, "timbre": {4, 5}, "waveform": set[int]()}
    outputs = {
        subset: sees(set[int]().union(*(eyes[part] for part in subset)), labels, owners, seed)
        for seed, subset in enumerate(subsets_of(PARTS))
    }
    return contributions(outputs, owners, labels, PARTS)


def test_a_part_gets_what_only_it_sees() -> None:
    found = example()
    assert list(found.measured) == subsets_of(PARTS)
    assert found.measured[PARTS].precision > found.measured[("pitch",)].precision > found.chance.precision
    helped = found.helps_most()
    assert helped[:6] == ["pitch"] * 4 + ["timbre"] * 2
    moved = {part: found.clips[part] for part in PARTS}
    of_pitch = np.arange(48) % CLASSES < 4
    assert (moved["pitch"][of_pitch] > 0.7).all(), "pitch made the clips that it sees likely"
    assert np.abs(moved["waveform"]).max() < 0.2
    total = sum(found.precision.values())
    assert total == pytest.approx(found.measured[PARTS].precision - found.chance.precision)
    for label in range(CLASSES):
        shares = sum(found.classes[part][label] for part in PARTS)
        assert shares == pytest.approx(found.measured[PARTS].classes[label] - found.chance.classes[label])


def test_chance_is_that_of_knowing_nothing() -> None:
    found = example()
    assert found.chance.top == pytest.approx(5 / CLASSES)
    assert found.chance.precision == pytest.approx(1 / CLASSES)


def test_chance_of_several_labels_is_that_of_drawing_five_at_random() -> None:
    generator = np.random.default_rng(0)
    labels = np.zeros((40, 12), bool)
    labels[:, :3] = True
    outputs = generator.random((40, 12))
    found = contributions({("a",): outputs}, np.arange(40), labels, ["a"])
    assert found.chance.top == pytest.approx(1 - math.comb(9, 5) / math.comb(12, 5))


def test_measuring_averages_chunks_into_clips() -> None:
    owners, labels = np.array([0, 0, 1, 1, 2, 2]), np.eye(3, 8, dtype=bool)
    outputs = np.zeros((6, 8))
    outputs[0, 0], outputs[1, 0] = 1.0, 0.5
    outputs[2, 1], outputs[4, 0] = 0.9, 0.6
    found = measure(outputs, owners, labels)
    np.testing.assert_allclose(found.clips, [0.75, 0.45, 0.0])
    assert found.classes[0] == 1.0
    assert np.isnan(found.classes[3:]).all()
    with pytest.raises(ValueError, match="1 of 4 clips have no chunk, such as number 3"):
        measure(outputs, owners, np.eye(4, 8, dtype=bool))


def test_folds_are_averaged_and_their_clips_kept() -> None:
    one = example()
    both = mean_of([one, one])
    assert both.precision == pytest.approx(one.precision)
    np.testing.assert_allclose(both.clips["pitch"], np.tile(one.clips["pitch"], 2))
    with pytest.raises(ValueError, match="one or more folds"):
        mean_of([])


def test_a_missing_subset_is_told() -> None:
    owners, labels = sounds()
    with pytest.raises(ValueError, match=r"no outputs of 2 subsets of the parts, such as b"):
        contributions({("a",): np.zeros((len(owners), CLASSES))}, owners, labels, ["a", "b"])


def test_the_plot_is_written_whatever_the_collection_is_called(tmp_path: Path) -> None:
    plot(example(), tmp_path / "subsets.png", "no formula: $\\frac$, no letter of any font: \U0010fffd")
    assert (tmp_path / "subsets.png").read_bytes().startswith(b"\x89PNG")
