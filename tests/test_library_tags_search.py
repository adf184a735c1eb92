"""Search by tags: in a library of a model trained here, and with COALA's checkpoints in their published form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import soundloom
from helpers.command_line import run
from helpers.tagged_corpus import copy_trained
from soundloom.encoders import COALAAudioEncoder, COALATagEncoder, initialise
from soundloom.errors import ModelError, QueryError
from soundloom.library import Library
from soundloom.library.search.tag_query import tag_embedding
from soundloom.models.weights.published_checkpoints import CHECKPOINTS
from soundloom.one_thread import one_thread
from soundloom.tags import AlignedTags, aligned_tags
from test_checkpoints_unpickle import published_scaler, scaler_pickle


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with sounds, a run trained on them, and libraries filled by it."""
    folder = tmp_path_factory.mktemp("tags")
    with pytest.MonkeyPatch.context() as patch, one_thread:
        patch.setenv("SOUNDLOOM_HOME", str(folder / "home"))
        copy_trained(folder, tmp_path_factory)
        for name, model in (("tags.loom", f"{folder}/run"), ("woven.loom", f"{folder}/run+logmel")):
            library = Library.create(folder / name, model)
            library.add(folder / "sounds", workers=1)
            assert len(library) == 24
        yield folder


@pytest.fixture
def library(place: Path) -> Library:
    return Library.open(place / "tags.loom")


def is_beep(path: str) -> bool:
    return Path(path).name.startswith("beep")


def test_words_find_what_they_describe(library: Library) -> None:
    for tag, beeps in (("beep", True), ("hissing", False), ("Noises", False)):
        hits = library.search_tags([tag], k=12)
        assert np.mean([is_beep(hit.path) is beeps for hit in hits]) > 0.9
        similarities = [hit.similarity for hit in hits]
        assert similarities == sorted(similarities, reverse=True)
        assert all(-1 <= similarity <= 1 for similarity in similarities)
    unlike = library.search_tags(not_=["beep"], k=12)
    assert np.mean([is_beep(hit.path) for hit in unlike]) < 0.1


def test_the_index_ranks_by_agreement_with_the_tags(library: Library) -> None:
    """The order is that of g . (z - mean) / |standardised z|, computed here from the stored embeddings."""
    tags = aligned_tags(library.settings.source or "")
    assert tags is not None
    table = library.rows(["path", "embedding"])
    z = np.array(table["embedding"].to_pylist(), np.float64)
    mean, deviation = z.mean(axis=0), z.std(axis=0)
    telling = deviation > 1e-5 * np.maximum(1e-3, np.abs(mean))
    standard = np.where(telling, (z - mean) / np.where(telling, deviation, 1), 0)
    middle = tags.common(torch.from_numpy(z.astype(np.float32)))
    g = np.where(telling, tags.direction(["beep"], ["noise"], around=middle).numpy(), 0)
    agreement = (z - mean) @ g / np.linalg.norm(standard, axis=1)
    expected = [table["path"][int(row)].as_py() for row in np.argsort(-agreement)]
    found = library.search_tags(["beep"], not_=["noise"], k=24)
    assert [hit.path for hit in found] == expected
    similar = agreement / np.linalg.norm(g * deviation)
    np.testing.assert_allclose([hit.similarity for hit in found], np.sort(similar)[::-1], atol=2e-5)


def test_words_and_a_sound_together(library: Library, place: Path) -> None:
    query = place / "sounds" / "beep_03.wav"
    alone = library.search(query, k=24)
    both = library.search_tags(["beep"], sound=query, share=0.0, k=24)
    assert [hit.path for hit in both] == [hit.path for hit in alone]  # words that do not count
    np.testing.assert_allclose([hit.similarity for hit in both], [hit.similarity for hit in alone], atol=1e-5)
    words = library.search_tags(["hissing"], sound=query, share=1.0, k=11)
    assert not any(is_beep(hit.path) for hit in words[:8])  # a sound that does not
    assert all(hit.path != str(query) for hit in library.search_tags(["beep"], sound=query, k=24))
    mixed = library.search_tags(["beep"], sound=query, k=24, include_query=True)
    assert any(hit.path == str(query) for hit in mixed)


def test_a_filter_and_a_count(library: Library) -> None:
    assert len(library.search_tags(["beep"], k=3)) == 3
    only = library.search_tags(["beep"], k=24, where="path LIKE '%hiss_%'")
    assert len(only) == 12
    assert not any(is_beep(hit.path) for hit in only)


def test_unknown_words_are_told_with_the_nearest(library: Library) -> None:
    with pytest.raises(QueryError, match=r"'beeping' is none of the 4 .* did you mean 'beep'"):
        library.search_tags(["beeping"])
    with pytest.raises(QueryError, match="no tags to search by"):
        library.search_tags([])
    with pytest.raises(QueryError, match="from 0 to 1, got 2"):
        library.search_tags(["beep"], share=2.0)


def test_a_woven_part_alone_knows_tags(place: Path) -> None:
    library = Library.open(place / "woven.loom")
    hits = library.search_tags(["beep"], k=12)
    assert set(hits[0].parts) == {"run", "logmel"}
    assert np.mean([is_beep(hit.path) for hit in hits]) > 0.9
    assert hits[0].similarity == pytest.approx(hits[0].parts["run"], abs=1e-6)
    query = place / "sounds" / "hiss_02.wav"
    steered = library.search_tags(["beep"], sound=query, weights={"run": 0.0}, k=8)
    assert not any(is_beep(hit.path) for hit in steered)  # by what the other part hears


def test_weights_of_parts_without_words_change_nothing_and_are_named(place: Path) -> None:
    """Of words alone; beside a sound they count, and where the part with words has weight 0, the words do not."""
    library = Library.open(place / "woven.loom")
    plain = library.search_tags(["beep"], k=12)
    steered = library.search_tags(["beep"], k=12, weights={"run": 1.0, "logmel": 5.0})
    assert [(hit.path, hit.similarity) for hit in plain] == [(hit.path, hit.similarity) for hit in steered]
    for weights, message in (
        ({"run": 0.0}, "words are known to the part 'run' alone, whose weight is 0: give it one above 0, or no words"),
        ({"run": -1.0}, "whose weight is -1: give it one above 0"),
        ({"drum": 1.0}, "no part 'drum' in this library"),
    ):
        with pytest.raises(QueryError, match=message):
            library.search_tags(["beep"], weights=weights)
    with pytest.raises(QueryError, match="'beep' is both asked for and ruled out"):
        library.search_tags(["beep"], not_=["beep"])
    sound = str(place / "sounds" / "hiss_02.wav")
    for given, remark in (
        (("--weights", "run=1,logmel=1"), ""),
        (("--weights", "logmel=2"), "the weight of logmel changes nothing"),
        ((sound, "--weights", "logmel=2"), ""),
        ((sound, "--weights", "run=0"), "its weight is 0, so they change nothing"),
    ):
        result = run("search", "--word", "beep", *given, "-l", str(place / "woven.loom"))
        assert result.exit_code == 0, result.output
        assert ("words are known to the part" in result.output) == bool(remark), given
        assert remark in result.output


def test_models_that_know_no_tags(place: Path, tmp_path: Path) -> None:
    library = Library.create(tmp_path / "plain.loom", "mfcc")
    library.add(place / "sounds", workers=1)
    with pytest.raises(QueryError, match=r"the library's model 'mfcc' knows no tags"):
        library.search_tags(["beep"])
    tags = AlignedTags.load(place / "run")
    with pytest.raises(ModelError, match="the tags are of 'run', but the library's parts are mfcc"):
        tag_embedding(tags, library.settings, library.index(), ["beep"])


def test_few_sounds_are_not_standardised(place: Path, tmp_path: Path) -> None:
    library = Library.create(tmp_path / "few.loom", str(place / "run"))
    library.add([place / "sounds" / name for name in ("beep_01.wav", "hiss_01.wav")], workers=1)
    assert len(library.search_tags(["beep"])) == 2


def test_on_the_command_line(place: Path) -> None:
    folder = str(place / "tags.loom")
    told = run("search", "--word", "beep", "--not", "noise", "-l", folder, "-k", "5", "--json")
    assert told.exit_code == 0, told.output
    hits = json.loads(told.stdout)
    assert len(hits) == 5
    assert is_beep(hits[0]["path"])
    told = run("search", "--word", "beep", "-l", folder)
    assert "most beep" in told.output
    query = str(place / "sounds" / "hiss_01.wav")
    told = run("search", query, "--word", "beep", "--share", "0.9", "-l", folder)
    assert told.exit_code == 0, told.output
    assert "hiss_01.wav and beep" in told.output
    told = run("search", "--word", "bee", "-l", folder)
    assert told.exit_code == 1
    assert "did you mean 'beep'" in told.output
    told = run("search", "-l", folder)
    assert told.exit_code == 0, told.output
    assert "10 of 24 files" in told.output  # without a query, all files are listed


# COALA as published


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded stand-ins under the published names and in the published formats."""
    folder = tmp_path_factory.mktemp("published")
    audio, tags = COALAAudioEncoder(), COALATagEncoder()
    initialise(audio, 4)
    torch.manual_seed(5)
    for module in tags.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(std=0.1)
    torch.save(audio.state_dict(), folder / CHECKPOINTS["coala-audio"].source.filename)
    torch.save(tags.state_dict(), folder / CHECKPOINTS["coala-tag"].source.filename)
    arrays = published_scaler() | {"data_range_": np.ones(96, np.float32)}
    (folder / CHECKPOINTS["coala-scaler"].source.filename).write_bytes(scaler_pickle(3, **arrays))
    words = {str(number): f"word{number}" for number in range(1000)} | {"3": "bas", "4": "dog"}
    (folder / CHECKPOINTS["coala-vocabulary"].source.filename).write_text(json.dumps(words))
    return folder


def test_published_tags_search_too(published: Path, place: Path, tmp_path: Path) -> None:
    library = Library.create(tmp_path / "coala.loom", "coala", weights=published)
    library.add(place / "sounds", workers=1)
    hits = library.search_tags(["Dogs", "bass"], k=24)
    tags = aligned_tags("coala", weights=published)
    assert tags is not None
    assert tags.vocabulary.query(["bass"]).argmax() == 3
    model = soundloom.load("coala", weights=published)
    vectors = np.stack([model.embed(path) for path in library.files()])
    middle = tags.common(torch.from_numpy(vectors))
    centred = (vectors - vectors.mean(axis=0)) @ tags.direction(["dog", "bass"], around=middle).numpy()
    best = library.files()[int(centred.argmax())]
    assert best in [hit.path for hit in hits[:8]]


def test_published_tags_that_cannot_be_had(published: Path) -> None:
    with pytest.raises(ModelError, match="coala with random weights knows no tags"):
        aligned_tags("coala", weights="random")
    with pytest.raises(ModelError):
        aligned_tags("coala", offline=True)
    assert aligned_tags("logmel+mfcc") is None
