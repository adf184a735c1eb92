"""The transformer of scikit-learn: its estimator checks, pipelines, and rows that are those of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import soundloom
from soundloom.embedding_model import ShortAudioWarning
from soundloom.errors import AudioError, InvalidArgumentError
from soundloom.integrations.sound_embedder import SoundEmbedder
from soundloom.library import Segment
from soundloom.synth import render

# A waveform has full scale 1, and integers are scaled by their type: other numbers are refused, not guessed at.
EXPECTED = {
    "check_estimators_dtypes": "integers of 64 bits are no waveform",
    "check_fit_idempotent": "the check's numbers lie near 100, and full scale is 1",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("sounds")
    paths = []
    for family in ("bell", "rain"):
        for number in range(4):
            sound = render(family, number)
            paths.append(str(folder / f"{family}{number}.wav"))
            soundfile.write(paths[-1], sound.samples, sound.sample_rate)
    return paths


@pytest.mark.filterwarnings("ignore::soundloom.embedding_model.ShortAudioWarning")
@parametrize_with_checks(
    [SoundEmbedder("mfcc", sample_rate=16000, n_jobs=1)], expected_failed_checks=lambda _: EXPECTED
)
def test_scikit_learn_s_own_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_pipeline_learns_from_files(files: list[str]) -> None:
    labels = ["bell"] * 4 + ["rain"] * 4
    pipeline = make_pipeline(SoundEmbedder("mfcc"), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipeline, {"soundembedder__model": ["mfcc", "logmel"]}, cv=2).fit(files, labels)
    assert search.score(files, labels) == 1.0
    assert clone(search.best_estimator_)[0].get_params()["model"] == search.best_params_["soundembedder__model"]


def test_rows_are_those_of_the_model_whatever_the_form_and_the_workers(files: list[str]) -> None:
    import pandas as pd

    model = soundloom.load("mfcc")
    wanted = model.embed(files)
    waveforms = [soundfile.read(path, dtype="float32")[0] for path in files]
    rate = soundfile.info(files[0]).samplerate
    for sounds in (files, [Path(path) for path in files], np.array(files), pd.Series(files), np.array([files]).T,
                   pd.DataFrame({"path": files}), waveforms):  # fmt: skip
        for jobs in (1, 3):
            embedder = SoundEmbedder(model, sample_rate=rate, n_jobs=jobs)
            np.testing.assert_array_equal(embedder.fit_transform(sounds), wanted)
    first = np.stack([waveform[: rate // 2] for waveform in waveforms])
    regions = [(path, 0.0, 0.5) for path in files]
    hits = [Segment(path, 0.0, 0.5, 1.0, ()) for path in files]
    rows = [SoundEmbedder("mfcc", sample_rate=rate).fit_transform(sounds) for sounds in (first, regions, hits)]
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[1], rows[2])


def test_parts_are_columns_with_names(files: list[str]) -> None:
    whole = SoundEmbedder("logmel+mfcc").fit(files[:2])
    part = SoundEmbedder("logmel+mfcc", parts=["mfcc"]).set_output(transform="pandas").fit(files[:2])
    table = part.transform(files[:2])
    assert list(table.columns[:2]) == ["mfcc_0", "mfcc_1"]
    place = whole.model_.parts["mfcc"]
    np.testing.assert_array_equal(table.to_numpy(), whole.transform(files[:2])[:, place])
    with pytest.raises(InvalidArgumentError, match=r"pitch.*has logmel, mfcc"):
        SoundEmbedder("logmel+mfcc", parts=["pitch"]).fit(files)


def test_what_cannot_be_embedded_is_named(files: list[str], tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="is one file: put it into a list"):
        SoundEmbedder("mfcc").fit(files[0])
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=r"empty\.wav"):
        SoundEmbedder("mfcc").fit_transform([files[0], tmp_path / "empty.wav"])
    with pytest.raises(AudioError, match="sound 1"):
        SoundEmbedder("mfcc").fit_transform([np.zeros(16000), np.full(16000, np.nan)])


@pytest.mark.filterwarnings("ignore::soundloom.embedding_model.ShortAudioWarning")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "this is a NoneType: give a list of files, regions or waveforms"),
        (np.zeros(16000, np.float32), "one waveform of 16000 samples: put it into a list"),
        (np.array([["a.wav", "dog"], ["b.wav", "cat"]]), r"table of shape \[2, 2\]: give its column of files"),
    ],
)
def test_what_is_no_list_of_sounds_is_named(given: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        SoundEmbedder("mfcc").fit_transform(given)


def test_a_sound_of_a_list_that_is_none_is_named(files: list[str]) -> None:
    stereo = np.zeros((16000, 2), np.float32)
    for sounds, message in (
        ([files[0], None], "'sound 1': this is a NoneType"),
        ([stereo], r"'sound 0': .*waveform\.mean\(axis=1\)"),
        ([files[0], [0.5]], r"'sound 1': this is a list, \[0\.5\]"),
    ):
        with pytest.raises(AudioError, match=message):
            SoundEmbedder("mfcc").fit_transform(sounds)
    assert SoundEmbedder("mfcc").fit_transform([]).shape == (0, soundloom.load("mfcc").dim)


def test_settings_are_those_of_scikit_learn_or_refused(files: list[str]) -> None:
    wanted = SoundEmbedder("mfcc", n_jobs=1).fit_transform(files[:2])
    for jobs in (-1, -2, np.int64(2)):
        np.testing.assert_array_equal(SoundEmbedder("mfcc", n_jobs=jobs).fit_transform(files[:2]), wanted)
    for jobs in (0, "2", 1.5):
        with pytest.raises(InvalidArgumentError, match=r"n_jobs is .*: give a number from 1, -1 for all processors"):
            SoundEmbedder("mfcc", n_jobs=jobs).fit(files)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="model is a NoneType: give a model or its name"):
        SoundEmbedder(None).fit(files)  # type: ignore[arg-type]
    one, listed = (SoundEmbedder("logmel+mfcc", parts=parts).fit(files[:1]) for parts in ("mfcc", ["mfcc"]))
    np.testing.assert_array_equal(one.transform(files[:1]), listed.transform(files[:1]))
    assert list(one.get_feature_names_out()) == list(listed.get_feature_names_out())
    with pytest.raises(InvalidArgumentError, match=r"parts \['pitch'\]"):
        SoundEmbedder("logmel+mfcc", parts="pitch").fit(files)


def test_rows_too_short_for_the_model_are_warned_of() -> None:
    features = np.random.default_rng(0).uniform(-1, 1, (10, 20))
    with pytest.warns(
        ShortAudioWarning, match=r"10 of 10 waveforms are shorter .* has 20 samples.* a table of features is none"
    ):
        SoundEmbedder("mfcc").fit_transform(features)
