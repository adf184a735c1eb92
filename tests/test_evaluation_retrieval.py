"""Retrieval, correlation and ablation against the papers' words as loops, and laws."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.cross_decomposition import CCA
from sklearn.metrics import average_precision_score

from soundloom.evaluation import (
    ByExampleSettings,
    LeaveOneOutSettings,
    ablate,
    acoustic_statistics,
    canonical_correlations,
    correlation_analysis,
    leave_one_out,
    query_by_example,
)
from soundloom.evaluation.acoustic_features import published_acoustic_features
from soundloom.evaluation.retrieval import query_by_example as retrieval
from soundloom.evaluation.scores import summarise


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# Query by example (Jansen 2017, 4.2).


def test_random_embeddings_are_at_the_papers_chance():
    labels = np.repeat(np.arange(10), 120)
    score = query_by_example(noise(1200, 64), labels)
    assert score.mean == pytest.approx(0.331, abs=0.01)
    assert score.details.chance == pytest.approx(4950 / 14950)


@pytest.mark.parametrize("measure", [query_by_example, leave_one_out])
def test_embeddings_that_are_the_class_are_perfect(measure):
    labels = np.repeat(np.arange(8), 15)
    score = measure(np.eye(8, dtype=np.float32)[labels], labels)
    assert score.mean == 1
    assert set(score.per_class.values()) == {1.0}


def test_embeddings_all_alike_are_at_chance_exactly():
    labels = np.repeat(np.arange(4), 110)
    assert query_by_example(np.ones((440, 3), np.float32), labels).mean == pytest.approx(4950 / 14950)


def test_query_by_example_is_the_slow_loop_over_pairs():
    labels = np.repeat(np.arange(3), [5, 9, 20])  # the first two take all they have, and as many others
    embeddings = noise(34, 6) + labels[:, None]
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    settings = ByExampleSettings(segments=12, draws=2)
    score = query_by_example(embeddings, labels, settings=settings, seed=4)
    values = []
    for draw in range(2):
        generator = np.random.default_rng((4, draw))
        precisions = []
        for label in range(3):
            inside = generator.permutation(np.flatnonzero(labels == label))[:12]
            outside = generator.permutation(np.flatnonzero(labels != label))[: len(inside)]
            similarity, within = [], []
            for i, a in enumerate(inside):
                for b in inside[i + 1 :]:
                    similarity.append(units[a] @ units[b])
                    within.append(True)
                for b in outside:
                    similarity.append(units[a] @ units[b])
                    within.append(False)
            precisions.append(average_precision_score(within, similarity))
        values.append(np.mean(precisions))
    assert score.values == pytest.approx(values, abs=1e-6)


def test_classes_that_make_no_pairs_are_skipped_and_named():
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 4])
    score = query_by_example(noise(8, 4), labels)
    assert score.details.skipped == [2, 3, 4]
    assert set(score.per_class) == {0, 1}


def test_multi_hot_labels_ask_for_each_class():
    labels = np.repeat(np.arange(4), 30)
    hot = np.eye(4, dtype=np.int64)[labels]
    embeddings = noise(120, 5) + labels[:, None]
    assert query_by_example(embeddings, hot).per_class == query_by_example(embeddings, labels).per_class
    assert leave_one_out(embeddings, hot) == leave_one_out(embeddings, labels)


def test_standardising_is_an_option_and_reported():
    labels = np.repeat(np.arange(4), 30)
    embeddings = noise(120, 5) + 0.5 * labels[:, None] + np.float32(100)  # cosines drown in the offset
    raw, standardised = (
        query_by_example(embeddings, labels, settings=ByExampleSettings(standardised=choice))
        for choice in (False, True)
    )
    assert standardised.mean > raw.mean
    assert (raw.details.standardised, standardised.details.standardised) == (False, True)


# Leave one out.


def test_leave_one_out_is_the_slow_loop(monkeypatch):
    monkeypatch.setattr(retrieval, "BLOCK", 7 * 61)  # blocks of 7 queries, and a last one of 5
    labels = np.random.default_rng(0).integers(0, 5, 61)
    embeddings = noise(61, 8) + labels[:, None]
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    precisions, averages = [], []
    for query in range(61):
        others = np.delete(np.arange(61), query)
        similarity = units[others] @ units[query]
        alike = labels[others] == labels[query]
        precisions.append(alike[np.argsort(-similarity)[:4]].mean())
        averages.append(average_precision_score(alike, similarity))
    score = leave_one_out(embeddings, labels, settings=LeaveOneOutSettings(k=4))
    assert score.mean == pytest.approx(np.mean(precisions))
    assert score.details.mean_average_precision == pytest.approx(np.mean(averages), abs=1e-6)
    assert score.per_class[2] == pytest.approx(np.mean(np.array(precisions)[labels == 2]))


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_ties_at_the_last_place_count_their_expected_hits(k):
    # Of the first clip: one copy, then three at the same angle, one of them alike, then the opposite.
    embeddings = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [-1, 0]], np.float32)
    labels = np.array([0, 1, 0, 1, 1, 0])
    found = [0, 0, 1 / 3, 2 / 3, 1, 2][k]
    units = retrieval.directions(embeddings, standardised=False)
    similarity = units[:1, None] @ units.T
    similarity = similarity[0]
    similarity[0, 0] = -np.inf
    alike = (torch.from_numpy(labels) == 0)[None].clone()
    alike[0, 0] = False
    assert retrieval.precision_at(similarity, alike, k).item() == pytest.approx(found / k)


def test_the_order_of_clips_does_not_matter_even_with_ties():
    labels = np.repeat(np.arange(4), 10)
    embeddings = np.random.default_rng(0).integers(0, 2, (40, 3)).astype(np.float32)
    order = np.random.default_rng(1).permutation(40)
    one, other = leave_one_out(embeddings, labels), leave_one_out(embeddings[order], labels[order])
    assert one.mean == pytest.approx(other.mean)
    assert one.details.mean_average_precision == pytest.approx(other.details.mean_average_precision)


def test_clips_without_their_like_do_not_ask():
    labels = np.array([0, 0, 0, 1, 1, 2])
    score = leave_one_out(noise(6, 3), labels, settings=LeaveOneOutSettings(k=2))
    assert score.details.queries == 5
    assert set(score.per_class) == {0, 1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: query_by_example(noise(5, 2), np.zeros(5, int)), "needs a class of two clips or more"),
        (lambda: query_by_example(noise(5, 2), np.arange(5)), "needs a class of two clips or more"),
        (lambda: leave_one_out(noise(6, 2), np.arange(6) // 3), "k is 10, but a clip has only 5 others"),
        (lambda: leave_one_out(noise(6, 2) * np.nan, np.arange(6) // 3), "embeddings of 6 clips are not finite"),
        (lambda: ByExampleSettings(segments=1), "at least 2 segments"),
        (lambda: LeaveOneOutSettings(k=0), "k must be at least 1"),
    ],
)
def test_what_cannot_be_searched_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Correlation (Favory 2020, 3.3).


def test_canonical_correlations_are_those_of_the_eigenproblem():
    left = noise(400, 12, seed=1).astype(np.float64)
    right = left[:, :5] @ noise(5, 7, seed=2) + 2.0 * noise(400, 7, seed=3) + 30.0
    a, b = left - left.mean(0), right - right.mean(0)
    # rho^2 are the eigenvalues of C_yx C_xx^-1 C_xy against C_yy.
    across = b.T @ a @ np.linalg.solve(a.T @ a, a.T @ b)
    expected = np.sqrt(scipy.linalg.eigh(across, b.T @ b, eigvals_only=True)[::-1])
    np.testing.assert_allclose(canonical_correlations(left, right), expected, atol=1e-6)


def test_canonical_correlations_are_scikit_learns_on_an_easy_case():
    left = noise(300, 4, seed=1).astype(np.float64)
    right = left[:, :3] @ noise(3, 3, seed=2) + noise(300, 3, seed=3)
    scores = CCA(n_components=3, max_iter=5000, tol=1e-12).fit(left, right).transform(left, right)
    expected = [np.corrcoef(scores[0][:, i], scores[1][:, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(canonical_correlations(left, right), expected, atol=1e-6)


def test_correlations_do_not_change_with_the_coordinates():
    left, right = noise(300, 6, seed=1), noise(300, 4, seed=2)
    right[:, 0] += left[:, 0]
    expected = canonical_correlations(left, right)
    moved = left @ np.diag([1, 10, 1e3, 1e-3, 1, 1]) @ np.linalg.qr(noise(6, 6))[0] + 5
    np.testing.assert_allclose(canonical_correlations(moved, right), expected, atol=1e-6)
    copied = np.concatenate([left, left[:, :3], np.full((300, 1), 0.1, np.float32)], axis=1)  # rank stays 6
    np.testing.assert_allclose(canonical_correlations(copied, right), expected, atol=1e-6)


def test_a_linear_map_correlates_fully():
    left = noise(100, 5).astype(np.float64)
    np.testing.assert_allclose(canonical_correlations(left, left @ noise(5, 3, seed=1) + 1), np.ones(3), atol=1e-12)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (noise(20, 15), noise(20, 10), r"20 clips are too few for ranks 15 and 10"),
        (noise(20, 2), np.ones((20, 2), np.float32), "the same for all clips"),
        (noise(20, 2), np.full((20, 2), np.nan, np.float32), "not finite"),
    ],
)
def test_correlations_that_say_nothing_are_refused(left, right, message):
    with pytest.raises(ValueError, match=message):
        canonical_correlations(left, right)


def test_correlation_needs_the_same_clips():
    from soundloom.evaluation.analysis.correlation import validate

    with pytest.raises(ValueError, match="embeddings are of 20 clips, features of 19"):
        validate(noise(20, 2), noise(19, 2))


def test_an_embedding_of_brightness_correlates_with_the_centroid():
    generator = np.random.default_rng(0)
    pitches = generator.uniform(200, 3000, 40)
    time = np.arange(8000) / 8000
    clips = [
        (np.sin(2 * np.pi * f * time) + 0.01 * generator.standard_normal(8000)).astype(np.float32) for f in pitches
    ]
    statistics = acoustic_statistics(clips, 8000)
    assert {name: values["mean"].shape[1] for name, values in statistics.items()} == {
        "mfcc": 20,
        "chroma": 12,
        "spectral centroid": 1,
        "spectral bandwidth": 1,
    }
    score = correlation_analysis(np.stack([pitches, generator.uniform(size=40)], axis=1), statistics)
    table = score.details.table
    assert table["spectral centroid"]["mean"] > 0.99
    assert table["spectral centroid"]["skewness"] < 0.9
    assert score.mean == pytest.approx(np.mean([value for row in table.values() for value in row.values()]))


def test_statistics_over_time_are_scipys():
    from scipy.stats import skew

    from soundloom.evaluation.acoustic_features import acoustic_features

    waveform = noise(4000)
    values = acoustic_features(waveform, 8000)["mfcc"].astype(np.float64)
    statistics = acoustic_statistics([waveform], 8000)["mfcc"]
    np.testing.assert_allclose(statistics["mean"][0], values.mean(1), rtol=1e-5)
    np.testing.assert_allclose(statistics["variance"][0], values.var(1), rtol=1e-5)
    np.testing.assert_allclose(statistics["skewness"][0], skew(values, axis=1), rtol=1e-4)


@pytest.mark.parametrize("seconds", [3.0, 11.0])
def test_published_acoustic_features_are_of_the_loudest_patch(seconds: float) -> None:
    """As xavierfav/coala, scripts/analyse_sounds.py: a patch of 96 frames every 12, the one with most magnitude."""
    generator = np.random.default_rng(4)
    waveform = generator.normal(0, 0.01, int(22000 * seconds)).astype(np.float32)
    waveform[40000:60000] *= np.linspace(1, 30, 20000, dtype=np.float32)
    filled = waveform
    if seconds < 10:
        filled = np.zeros(220_000, np.float32)
        filled[: len(waveform)] = waveform
        filled += np.float32(5e-4) * np.random.default_rng(0).random(220_000, dtype=np.float32)
    magnitude = np.abs(librosa.stft(y=filled, hop_length=512, n_fft=1024))
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=filled, sr=22000, hop_length=512, n_fft=1024))
    starts = range(0, magnitude.shape[1] - 95, 12)
    first = max(starts, key=lambda start: magnitude[:, start : start + 96].sum(dtype=np.float64))
    assert 0 < first < starts[-1]
    cut = slice(first, first + 96)
    found = published_acoustic_features(waveform)
    np.testing.assert_allclose(found["mfcc"], librosa.feature.mfcc(S=mel[:, cut], sr=22000), rtol=1e-5, atol=1e-4)
    for name, of in (
        ("chroma", librosa.feature.chroma_stft),
        ("spectral centroid", librosa.feature.spectral_centroid),
        ("spectral bandwidth", librosa.feature.spectral_bandwidth),
    ):
        np.testing.assert_allclose(found[name], of(S=magnitude[:, cut], sr=22000), rtol=1e-5)


def test_silence_has_statistics_too():
    statistics = acoustic_statistics([np.zeros(4000, np.float32)], 8000)
    assert all(np.isfinite(values).all() for by in statistics.values() for values in by.values())


def test_no_statistics_are_refused():
    with pytest.raises(ValueError, match="no acoustic statistics"):
        correlation_analysis(noise(5, 2), {})


# Ablation.


def test_ablation_of_a_game_with_known_shares():
    # Columns carry the worth of their part; c repeats what b says, so together they are worth one of them.
    parts = {"a": slice(0, 1), "b": slice(1, 2), "c": slice(2, 4)}
    embeddings = np.tile(np.array([[1, 2, 3, 3]], np.float32), (5, 1))

    def game(columns):
        marks = set(columns[0].tolist())
        return summarise("game", "worth", [0.1 + 0.3 * (1 in marks) + 0.4 * bool(marks & {2, 3})], seed=0)

    result = ablate(embeddings, parts, game, chance=0.1)
    assert list(result.scores) == [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]
    shares = {name: (c.alone, c.leave_one_out, c.shapley) for name, c in result.contributions.items()}
    assert shares["a"] == pytest.approx((0.4, 0.3, 0.3))
    assert shares["b"] == pytest.approx((0.5, 0.0, 0.2))
    assert shares["c"] == pytest.approx((0.5, 0.0, 0.2))
    total = sum(c.shapley for c in result.contributions.values())
    assert total == pytest.approx(result.scores["a", "b", "c"].mean - result.chance)


def test_ablation_of_a_single_part():
    result = ablate(noise(20, 3), {"whole": slice(None)}, lambda _: summarise("p", "m", [0.7], seed=0), chance=0.2)
    assert result.contributions["whole"].shapley == pytest.approx(0.5)
    assert result.contributions["whole"].leave_one_out == pytest.approx(0.5)


def test_ablation_measures_with_any_protocol():
    labels = np.repeat(np.arange(4), 20)
    embeddings = np.concatenate([np.eye(4, dtype=np.float32)[labels], noise(80, 4)], axis=1)
    result = ablate(
        embeddings, {"class": slice(0, 4), "noise": slice(4, 8)}, lambda e: query_by_example(e, labels), chance=0.33
    )
    assert result.scores[("class",)].mean == 1
    assert result.contributions["class"].shapley > 0.4 > result.contributions["noise"].shapley


@pytest.mark.parametrize(
    ("parts", "message"),
    [({}, "no parts given"), ({"a": slice(2, 9)}, "columns 2:9, the embeddings have 4"), ({"a": slice(2, 2)}, "2:2")],
)
def test_parts_outside_the_embedding_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        ablate(noise(5, 4), parts, lambda _: summarise("p", "m", [0.0], seed=0))
