"""Tag by example: the regression against scikit-learn, the ranking, what is doubted, and how sure it says it is."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers.library_factory import clustered, filled
from soundloom.cli.tag import command
from soundloom.cli.tag_examples import parse_mark
from soundloom.errors import LibraryError, QueryError
from soundloom.library import Library, SuggestedSegment
from soundloom.library.tags import logistic_regression
from soundloom.library.tags.active_learning import _Examples, _folds

KINDS, EACH = 6, 40


def path(kind: int, number: int) -> str:
    return f"/s/kind{kind}/{number:02d}.wav"


def paths(kind: int, numbers: range = range(EACH)) -> list[str]:
    return [path(kind, number) for number in numbers]


def kinds_of(suggestions: tuple[SuggestedSegment, ...]) -> list[str]:
    return [one.path.split("/")[2] for one in suggestions]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    names = [name for kind in range(KINDS) for name in paths(kind)]
    return filled(tmp_path / "l.loom", names, clustered(KINDS, EACH, spread=0.6))


@pytest.mark.parametrize("dim", [4, 60])
@pytest.mark.parametrize("penalty", [1e-4, 1e-2, 1.0])
def test_the_regression_is_that_of_scikit_learn(dim: int, penalty: float) -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, dim))
    yes = rng.uniform(size=30) < 0.3
    importance = logistic_regression.balanced(yes, rng.uniform(0.5, 2, 30))
    assert importance[yes].sum() == pytest.approx(0.5)
    assert importance.sum() == pytest.approx(1)
    inner, directions = logistic_regression.span(vectors)
    np.testing.assert_allclose(inner @ directions, vectors, atol=1e-10)
    assert inner.shape[1] == min(30, dim)
    ours = logistic_regression.fit(inner, yes, importance, penalty)
    theirs = sklearn.LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000)
    theirs.fit(vectors, yes, sample_weight=importance)
    np.testing.assert_allclose(ours.weights @ directions, theirs.coef_[0], rtol=2e-3, atol=2e-4)
    assert ours.bias == pytest.approx(theirs.intercept_[0], rel=2e-3, abs=2e-4)


def test_average_precision_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    for levels in (2, 5, 1000):
        scores = rng.integers(levels, size=200).astype(float)
        yes = rng.uniform(size=200) < 0.2
        assert logistic_regression.average_precision(scores, yes) == pytest.approx(
            metrics.average_precision_score(yes, scores)
        )
    assert logistic_regression.average_precision(np.zeros(3), np.zeros(3, np.bool_)) == 0


def test_platt_finds_the_true_probabilities() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=20_000) * 3
    yes = rng.uniform(size=20_000) < 1 / (1 + np.exp(-(0.7 * scores - 1)))
    slope, offset = logistic_regression.platt(scores, yes, np.full(20_000, 1 / 20_000))
    assert (slope, offset) == (pytest.approx(0.7, abs=0.05), pytest.approx(-1, abs=0.05))
    # Scores that say the opposite of what is so make nothing sure.
    assert logistic_regression.platt(-scores, yes, np.full(20_000, 1 / 20_000)) == (0, 0)


def test_few_examples_find_the_rest(library: Library) -> None:
    found = library.tags.by_example("siren", paths(2, range(6)), paths(3, range(4)) + paths(0, range(3)), k=34)
    assert kinds_of(found.ranked).count("kind2") >= 30
    probabilities = [one.probability for one in found.ranked]
    assert probabilities == sorted(probabilities, reverse=True)
    marked = {*paths(2, range(6)), *paths(3, range(4)), *paths(0, range(3))}
    assert not marked & {one.path for one in (*found.ranked, *found.doubtful)}
    assert found.probabilities.shape == (len(library),)
    quality = found.quality
    assert (quality.yes, quality.no, quality.presumed) == (6, 7, 200)
    assert quality.accuracy is not None
    assert quality.low is not None
    assert quality.high is not None
    assert quality.average_precision is not None
    assert 0.5 < quality.low < quality.accuracy <= quality.high <= 1
    assert quality.average_precision > 0.8
    again = library.tags.by_example("siren", paths(2, range(6)), paths(3, range(4)) + paths(0, range(3)), k=34)
    assert (again.ranked, again.doubtful, again.quality) == (found.ranked, found.doubtful, quality)


def test_only_yes_is_ranked_against_the_library(library: Library) -> None:
    found = library.tags.by_example("siren", paths(2, range(5)), k=35)
    assert kinds_of(found.ranked).count("kind2") >= 30
    assert "drawn from the library taken for no" in found.quality.message
    assert (found.quality.no, found.quality.presumed) == (0, 200)


def test_probabilities_are_those_of_sounds_not_seen(library: Library) -> None:
    """Of a balanced half of the others, as many are yes as the probabilities add up to."""
    found = library.tags.by_example("siren", paths(2, range(10)), paths(1, range(5)) + paths(4, range(5)), k=1)
    rows = library.index().rows["path"].to_pylist()
    unseen = [row for row, name in enumerate(rows) if int(name[-6:-4]) >= 10]
    inside = np.array(["kind2" in rows[row] for row in unseen])
    probabilities = found.probabilities[unseen]
    assert probabilities[inside].mean() > 0.75
    assert probabilities[~inside].mean() < 0.25


def test_the_doubtful_are_near_even_and_differ(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    # Two kinds, and between them two heaps of equal sounds, one much larger: both must be asked about.
    two = clustered(2, 20, spread=0.1)
    middle = (two[0] + two[20]) / 2
    heaps = np.repeat(middle + np.eye(16)[:2] * 0.3, [30, 3], axis=0) + 1e-3 * rng.normal(size=(33, 16))
    names = [path(kind, number) for kind in range(2) for number in range(20)] + [path(9, n) for n in range(33)]
    library = filled(tmp_path / "l.loom", names, np.concatenate([two, heaps]).astype(np.float32))
    found = library.tags.by_example("siren", paths(0, range(8)), paths(1, range(8)), k=4)
    asked = [one.path for one in found.doubtful]
    assert "kind9" in asked[0]
    assert {name in asked[:3] for name in paths(9, range(30))} == {True, False}
    assert set(asked[:3]) & set(paths(9, range(30, 33)))


def test_what_is_tagged_already_is_not_suggested(library: Library) -> None:
    library.tags.add("siren", paths(2, range(6, 20)))
    found = library.tags.by_example("siren", paths(2, range(6)), k=500)
    assert not set(paths(2, range(20))) & {one.path for one in (*found.ranked, *found.doubtful)}
    assert len(found.ranked) == len(library) - 20
    assert len(found.doubtful) == 100  # so many are worth asking about; comparing more takes minutes
    assert all(one.probability >= 0.5 for one in library.tags.by_example("x", paths(2), k=500, above=0.5).ranked)


def test_too_few_examples_are_said_to_be(library: Library, tmp_path: Path) -> None:
    one = library.tags.by_example("siren", paths(2, range(1)), paths(1, range(3)))
    assert (one.quality.accuracy, one.quality.average_precision) == (None, None)
    assert "too few examples" in one.quality.message
    assert len(one.ranked) == 50
    few = library.tags.by_example("siren", paths(2, range(3)), paths(1, range(2)))
    assert "few files are marked" in few.quality.message
    small = filled(tmp_path / "small.loom", paths(0, range(3)), clustered(1, 3))
    only = small.tags.by_example("siren", paths(0, range(1)), paths(0, range(1, 2)))
    assert [one.path for one in only.ranked] == [path(0, 2)]
    with pytest.raises(QueryError, match="mark one that the tag does not fit"):
        small.tags.by_example("siren", paths(0, range(3)))


def test_wrong_examples_are_refused(library: Library) -> None:
    with pytest.raises(QueryError, match="no segment is marked yes"):
        library.tags.by_example("siren", [], paths(1))
    with pytest.raises(QueryError, match="both yes and no"):
        library.tags.by_example("siren", paths(1), paths(1, range(1)))
    with pytest.raises(QueryError, match="neither a file nor the id"):
        library.tags.by_example("siren", ["/nowhere.wav"])
    with pytest.raises(QueryError, match="k must be at least 1, got 0"):
        library.tags.by_example("siren", paths(1), k=0)


def test_folds_keep_files_whole_and_have_both_kinds() -> None:
    rng = np.random.default_rng(0)
    files = rng.integers(20, size=100)
    yes = (files < 6) & (rng.uniform(size=100) < 0.8)
    examples = _Examples(
        rows=np.arange(100), yes=yes, presumed=np.zeros(100, np.bool_), importance=np.ones(100), files=files
    )
    folds = _folds(examples)
    assert folds is not None
    assert set(folds.tolist()) == set(range(5))
    for file in range(20):
        assert len(set(folds[files == file].tolist())) <= 1
    for fold in range(5):
        assert yes[folds == fold].any()
        assert (~yes[folds == fold]).any()


@pytest.mark.parametrize(("right", "count"), [(0, 4), (4, 4), (7, 10), (500, 1000)])
def test_the_interval_is_wilsons(right: int, count: int) -> None:
    """Its ends are the shares p for which the observed one lies 1.96 deviations away."""
    low, share, high = logistic_regression.wilson_interval(right / count, count)
    assert low <= share <= high
    for end in (low, high):
        if 0 < end < 1:
            assert abs(share - end) == pytest.approx(1.96 * np.sqrt(end * (1 - end) / count))


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_the_command_shows_tags_and_exports(library: Library, tmp_path: Path) -> None:
    marks = ["--tag", "siren", "-l", library.folder]
    for name in paths(2, range(5)):
        marks += ["--yes", name]
    marks += ["--no", f"{path(1, 0)}:0.0-1.0"]
    code, output = run("--examples", *marks, "-k", 3)
    assert code == 0, output
    assert "most probably siren" in output
    assert "mark these next" in output
    assert "right on examples held out" in output
    assert library.tags.counts() == {}

    code, output = run(*marks, "--accept", 20, "--json", "--out", tmp_path / "labels.csv")
    assert code == 0, output
    told = json.loads(output[output.index("{") :])
    assert (told["tagged"], len(told["ranked"])) == (25, 10)
    assert told["ranked"][0]["probability"] > 0.5
    assert library.index().segments.find(told["ranked"][0]["id"]).path == told["ranked"][0]["path"]
    assert Library.open(library.folder).tags.counts() == {"siren": 25}
    assert len((tmp_path / "labels.csv").read_text().splitlines()) == 26

    library.tags.add("bell", [path(0, 0)])
    code, output = run("--tag", "siren", "-l", library.folder, "--out", tmp_path / "tracks")
    assert "the tag 'siren' of 25 segments" in output
    assert (code, len(list((tmp_path / "tracks").rglob("*.txt")))) == (0, 25)
    code, output = run(*marks, "--above", 0.6)
    tagged = Library.open(library.folder).tags.counts()["siren"]
    assert code == 0, output
    assert 30 <= tagged <= 60


def test_the_command_tells_what_is_missing(library: Library) -> None:
    assert run("--top", 3)[0] == 2
    assert "Missing argument 'SOUNDS" in run("--top", 3)[1]
    assert run("sound.wav")[0] == 1  # no such file, which the default model would tag
    assert "--tag" in run("--examples", "-l", library.folder)[1]
    assert run("--tag", "siren", "-l", library.folder)[0] == 1
    assert "examples" in run("--help")[1]
    assert "Only" not in run("--examples", "--help")[1]


def test_a_name_that_is_no_tag_is_refused_and_of_no_segment(library: Library) -> None:
    with pytest.raises(LibraryError, match="cannot be a tag"):
        library.tags.by_example("t\udcfc", [path(0, 0)])
    assert not library.index().segments.with_tag("t\udcfc").any()


def test_a_mark_with_a_region_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_mark("a b:c.wav:3-5.5") == ("a b:c.wav", 3.0, 5.5)
    assert parse_mark("c:1.wav") == "c:1.wav"
    assert parse_mark("take:1:30-") == ("take", 90.0, math.inf)
    with pytest.raises(QueryError, match=r"'1-x' is no region of a\.wav: write a\.wav@START-END"):
        parse_mark("a.wav:1-x")
    monkeypatch.chdir(tmp_path)
    Path("take:1-2").touch()
    assert parse_mark("take:1-2") == "take:1-2"
