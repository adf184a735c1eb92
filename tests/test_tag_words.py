"""Words of tags and of names, and vocabularies of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from soundloom import packaged
from soundloom.errors import MissingExtraError, ModelError, QueryError
from soundloom.tags import (
    Vocabulary,
    VocabularySettings,
    normalise,
    vocabulary,
    words_of_path,
)
from soundloom.tags import tokenise as words_module
from soundloom.tags.tokenise import STOP_WORDS, singular, split


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (["Dog", "dogs", "DOGS"], ("dog",)),
        (["dog_bark-2"], ("dog", "bark")),
        (["DogBark", "dogbark"], ("dog", "bark", "dogbark")),
        (["the sound of the sea"], ("sound", "sea")),
        (["808", "a", "x", "!", ""], ()),
        (["children", "wolves", "footsteps", "knives"], ("child", "wolf", "footstep", "knife")),
        (["bass", "hiss", "glass", "gas", "chorus", "tennis"], ("bass", "hiss", "glass", "gas", "chorus", "tennis")),
        (["cafe\u0301"], ("café",)),  # an accent as a character of its own, as some systems write file names
        ([], ()),
    ],
)
def test_tags_become_words(tags: list[str], words: tuple[str, ...]) -> None:
    assert normalise(tags) == words


def test_words_are_words_already() -> None:
    words = normalise(["Field-Recordings", "glass breaking", "dogs & cats", "rain on leaves"])
    assert normalise(words) == words
    assert not STOP_WORDS & set(words)


def test_what_only_looks_like_a_plural_stays() -> None:
    for word in ("bass", "bus", "this", "continuous", "synthesis", "news", "lens"):
        assert singular(word) == word


def test_only_plurals_are_asked_of_inflect(monkeypatch: pytest.MonkeyPatch) -> None:
    plurals = (
        "dogs boxes wolves children women feet teeth geese mice people cacti criteria larvae bureaux seraphim oxen"
    )
    assert all(map(vocabulary._PLURAL.search, plurals.split()))
    words = {word for name in Vocabulary.load(packaged.FOLDER / "vocabulary.json").names for word in split(name)}
    assert len(words) > 500
    assert {word for word in words if singular(word) != word and not vocabulary._PLURAL.search(word)} == set()
    monkeypatch.setattr(words_module, "_engine", None)  # asked, it would fail
    with pytest.raises(QueryError, match="'krähe' is none of the 2 words"):
        Vocabulary(tags=("dog", "bark")).query(["Krähe"])
    with pytest.raises(QueryError, match=r"'etc' is none of the 1 words"):
        Vocabulary(tags=("Bee, wasp, etc.",)).query(["etc"])


def test_without_inflect_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "inflect", None)
    words_module._engine.cache_clear()
    words_module.singular.cache_clear()
    with pytest.raises(MissingExtraError, match=r"soundloom\[train\]"):
        normalise(["dogs"])


def test_names_of_files_and_folders() -> None:
    assert words_of_path("/a/dog_bark-2.wav") == ("dog", "bark")
    assert words_of_path("/lib/Weather/Rain/heavy rain 01.flac", "/lib") == ("heavy", "rain", "weather")
    assert words_of_path("/elsewhere/Rain/x1.wav", "/lib") == ()  # what is not below the root has no folders of it


# Vocabularies


def test_a_vocabulary_by_counting() -> None:
    sounds = [["dog", "bark"], ["dog"], ["cat"], ["dog", "rain", "rain"], ["bark", "cat"], ["wind"]]
    counts = Counter(word for words in sounds for word in set(words))
    built = Vocabulary.build(sounds, VocabularySettings(common_share=0.4, most_tags=2))
    assert counts["dog"] / len(sounds) > 0.4
    assert built.tags == ("bark", "cat")  # the commonest is out, then by frequency, then by the alphabet
    assert built.counts == (2, 2)
    assert built.sounds == 6
    everything = Vocabulary.build(sounds, VocabularySettings(common_share=0.5))
    assert everything.tags == ("dog", "bark", "cat", "rain", "wind")  # a share that is reached is not exceeded


def test_words_of_one_group_alone_are_no_tags() -> None:
    sounds = [["dog", "rex", "rex"], ["dog", "rex"], ["dog", "waldi"], ["rain", "dog"], ["rain"]]
    groups = ["rex", "rex", "waldi", None, None]
    spread = {
        word: len({group for words, group in zip(sounds, groups, strict=True) if word in words})
        for word in ["dog", "rex", "rain"]
    }
    assert spread == {"dog": 3, "rex": 1, "rain": 1}
    settings = VocabularySettings(fewest_groups=2, common_share=1)
    assert Vocabulary.build(sounds, settings, groups=groups).tags == ("dog",)
    assert Vocabulary.build(sounds, settings).tags == ("dog", "rain", "rex")  # every sound its own group
    with pytest.raises(ModelError, match="2 sounds of 4 groups"):
        Vocabulary.build(sounds, VocabularySettings(fewest_sounds=2, fewest_groups=4), groups=groups)
    with pytest.raises(ValueError, match="fewest_groups must be at least 1, got 0"):
        VocabularySettings(fewest_groups=0)


def test_multi_hot_vectors() -> None:
    vocabulary = Vocabulary(tags=("dog", "bark", "rain"))
    vectors = vocabulary.encode([["rain", "dog", "dog"], [], ["unheard"]])
    assert vectors.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert vectors.dtype == np.float32
    assert vocabulary.encode([]).shape == (0, 3)


def test_a_question_in_peoples_words() -> None:
    vocabulary = Vocabulary(tags=("dog", "bark", "field", "recording", "bas", "his"))
    assert vocabulary.query(["Dogs", "field-recordings"]).tolist() == [1, 0, 1, 1, 0, 0]
    # COALA's published vocabulary was made with an inflect that cut every s.
    assert vocabulary.query(["bass", "hiss"]).tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(QueryError, match=r"'barck' is none of the 6 .* did you mean 'bark'"):
        vocabulary.query(["barck"])
    with pytest.raises(QueryError, match="nothing in it is written alike"):
        vocabulary.query(["zzzz"])
    with pytest.raises(QueryError, match="holds no word"):
        vocabulary.query(["12"])


def test_the_nearest_words() -> None:
    vocabulary = Vocabulary(tags=("thunder", "thunderstorm", "under", "hum", "bark"))
    assert vocabulary.nearest("thunders")[:2] == ["thunder", "under"]
    assert vocabulary.nearest("barc") == ["bark"]
    assert vocabulary.nearest("xylophone") == []


def test_a_vocabulary_is_kept(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build([["dog", "café"], ["dog"], ["rain"]])
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary
    assert [path.name for path in tmp_path.iterdir()] == ["vocabulary.json"]
    assert vocabulary.table(1) == "dog  2"
    (tmp_path / "broken.json").write_text('{"format": 1, "tags": "dog"')
    with pytest.raises(ModelError, match=r"broken.json is (not a vocabulary|damaged)"):
        Vocabulary.load(tmp_path / "broken.json")
    with pytest.raises(ModelError, match="no such file"):
        Vocabulary.load(tmp_path / "absent.json")


def test_a_vocabulary_of_nothing() -> None:
    with pytest.raises(ModelError, match="no tags are left of 1 words on 2 sounds"):
        Vocabulary.build([["dog"], ["dog"]])
    with pytest.raises(ValueError, match="one tag or more"):
        Vocabulary(tags=("dog", "dog"))
    with pytest.raises(ValueError, match=r"common_share .* got 0"):
        VocabularySettings(common_share=0)
