"""Probes that cannot be: splits, settings and few shots that make no sense."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.probe_data import clustered
from soundloom.evaluation import (
    ChunkSettings,
    FewShotSettings,
    KNNSettings,
    LinearProbeSettings,
    MLPSettings,
    ShallowSettings,
)
from soundloom.evaluation.probes import frame_data as framewise
from soundloom.evaluation.probes.common import validate
from soundloom.evaluation.splits import Split

# Refusals.


def cut():
    return Split("a", np.arange(0, 100), np.arange(100, 120), np.arange(120, 150))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, y: (e[:, 0], y), r"must be \[clips, dim\].*average frames over time first"),
        (lambda e, y: (e[:-1], y), "labels are of 150 clips, the embeddings of 149"),
        (lambda e, y: (e.astype(int), y), "must be floating point, got int64"),
        (lambda e, y: (np.where(np.arange(150)[:, None] == 3, np.nan, e), y), r"1 clips are not finite \(rows 3\)"),
        (lambda e, y: (np.where(e > 0, np.inf, -np.inf), y), "150 clips are not finite"),
        (lambda e, y: (e, np.zeros_like(y)), r"trains on 1 class\(es\); a classifier needs at least 2"),
        (lambda e, y: (e, y + 5 * np.isin(np.arange(150), cut().test)), "tests none of the classes it trains on"),
    ],
)
def test_what_cannot_be_probed_is_refused(change, message):
    embeddings, labels, _ = clustered()
    with pytest.raises(ValueError, match=message):
        validate(*change(embeddings, labels), [cut()])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LinearProbeSettings(rates=()), "rates must be positive and ascending"),
        (lambda: LinearProbeSettings(rates=(1e-2, 1e-3)), "rates must be positive and ascending"),
        (lambda: LinearProbeSettings(runs=0), "runs must be at least 1"),
        (lambda: MLPSettings(hidden=0), "hidden must be positive, got 0"),
        (lambda: ShallowSettings(rate=0.0), "rate must be positive"),
        (lambda: ChunkSettings(top=0), "top must be positive"),
        (lambda: FewShotSettings(draws=0), "at least 1 segment and 1 draw"),
        (lambda: KNNSettings(k=0), "k must be at least 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, c: (f, c[:-1]), "the clip's index of each of the 300 frames"),
        (lambda f, c: (f, c + 1), "frames name clips 1 to 150, there are labels of 150"),
        (lambda f, c: (f[c != 7], c[c != 7]), r"1 clips of split 'a' have no frame \(clips 7\)"),
    ],
)
def test_frames_that_do_not_belong_to_the_clips_are_refused(change, message):
    embeddings, labels, _ = clustered()
    clips = np.repeat(np.arange(150), 2)
    with pytest.raises(ValueError, match=message):
        framewise.validate(*change(embeddings[clips], clips), labels, [cut()])
