"""Tag vocabulary: which tags, in which order, and the vector of a set of tags.

Favory 2020, section 3.1: "We remove tags that occur in more than 70% of the sounds as they can be considered less
informative, and consider the C=1000 remaining most occurring tags, which we encode using the multi-hot scheme.
Finally, we discard sounds that were left with no tag." The published code also leaves out tags of fewer than ten
sounds; the paper does not say so, and for small collections it is a setting.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from soundloom.atomic_file import replacing
from soundloom.audioset import audioset_synonyms
from soundloom.components.config_file import read_json
from soundloom.errors import InvalidArgumentError, ModelError, QueryError
from soundloom.tags.tokenise import STOP_WORDS, normalise, ruled_out, singular, split

__all__ = ["Vocabulary", "VocabularySettings"]

_FORMAT = 1
_PLURAL = re.compile(r"(s|en|eet|eeth|eese|ice|eople|im|ae|[aix])$")
"""How plurals end, and some words that are none."""
_SUGGESTED = 3
_LEAST_NESTED = 4
"""Letters of a name within another that is taken for a hint."""
_ALIKE, _VERY_ALIKE = 0.7, 0.8
"""Share of common letters of words that are spelt alike: with the same first letter, and without."""


@dataclass(frozen=True, kw_only=True)
class VocabularySettings:
    """Which words become tags.

    Attributes:
        most_tags: how many tags are kept, the most frequent first.
        common_share: words on a larger share of the sounds are left out.
        fewest_sounds: words on fewer sounds are left out; 10 in the published code.
        fewest_groups: words that fewer groups of sounds share (speakers, instruments, recordings) are left out: what
            is said of one group alone cannot be distinguished from that group's own sound.
    """

    most_tags: int = 1000
    common_share: float = 0.7
    fewest_sounds: int = 1
    fewest_groups: int = 1

    def __post_init__(self) -> None:
        for name in ("most_tags", "fewest_sounds", "fewest_groups"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.common_share <= 1:
            raise InvalidArgumentError(
                f"common_share is a share of the sounds, above 0 and at most 1, got {self.common_share}"
            )


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Tags in the order of a tag encoder's input.

    Attributes:
        tags: the words; a word's place is its number.
        counts: on how many sounds each was when the vocabulary was built; empty if that is not known.
        sounds: how many sounds that were; 0 if that is not known.
        synonyms: other words, in lower case, and the tag that each stands for.
    """

    tags: tuple[str, ...]
    counts: tuple[int, ...] = ()
    sounds: int = 0
    synonyms: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.tags or len(set(self.tags)) < len(self.tags):
            raise InvalidArgumentError(f"a vocabulary is one tag or more, each once; got {len(self.tags)}")
        if self.counts and len(self.counts) != len(self.tags):
            raise InvalidArgumentError(f"{len(self.tags)} tags but {len(self.counts)} counts")
        unknown = sorted(set(self.synonyms.values()) - set(self.tags))
        if unknown:
            raise InvalidArgumentError(f"a synonym stands for one of the tags; {unknown[0]!r} is none of them")

    @classmethod
    def of_classes(cls, names: Sequence[str]) -> Vocabulary:
        """The classes of a network as tags, with everyday words for those of them that are AudioSet's."""
        known = {word: name for word, name in audioset_synonyms().items() if name in set(names)}
        return cls(tags=tuple(names), synonyms=known)

    @classmethod
    def build(
        cls,
        sounds: Sequence[Collection[str]],
        settings: VocabularySettings | None = None,
        *,
        groups: Sequence[object] | None = None,
    ) -> Vocabulary:
        """The vocabulary of a collection; equally frequent tags in the order of the alphabet.

        Args:
            sounds: the words of each sound, as `normalise` gives them.
            settings: which words become tags.
            groups: the group of each sound, anything that can be compared; each its own if not given.

        Raises:
            ModelError: no word is left.
        """
        settings = settings or VocabularySettings()
        frequency = Counter(word for words in sounds for word in set(words))
        owners = range(len(sounds)) if groups is None else groups
        places = {(word, owner) for words, owner in zip(sounds, owners, strict=True) for word in words}
        spread = Counter(word for word, _ in places)
        kept = [
            (word, count)
            for word, count in frequency.items()
            if settings.fewest_sounds <= count <= settings.common_share * len(sounds)
            and spread[word] >= settings.fewest_groups
        ]
        chosen = sorted(kept, key=lambda entry: (-entry[1], entry[0]))[: settings.most_tags]
        if not chosen:
            raise ModelError(
                f"no tags are left of {len(frequency)} words on {len(sounds)} sounds: a tag is on at least "
                f"{settings.fewest_sounds} sounds of {settings.fewest_groups} groups and at most "
                f"{settings.common_share:.0%} of them"
            )
        tags, counts = zip(*chosen, strict=True)
        return cls(tags=tags, counts=counts, sounds=len(sounds))

    def __len__(self) -> int:
        return len(self.tags)

    def encode(self, sounds: Iterable[Collection[str]]) -> Float32[np.ndarray, "sounds tags"]:
        """A one for every tag of a sound; words that are no tags are passed over, so that new data can be encoded.

        Args:
            sounds: the words of each sound, as `normalise` gives them.
        """
        numbers = {tag: number for number, tag in enumerate(self.tags)}
        every = [[numbers[word] for word in set(words) if word in numbers] for words in sounds]
        vectors = np.zeros((len(every), len(self.tags)), np.float32)
        for vector, places in zip(vectors, every, strict=True):
            vector[places] = 1
        return vectors

    def query(self, tags: Sequence[str]) -> Float32[np.ndarray, " tags"]:
        """One vector of all the tags that somebody asks for, who may write ``Dogs`` or ``field-recording``.

        Raises:
            QueryError: a tag is not in the vocabulary; names the nearest that are.
        """
        vector = np.zeros(len(self.tags), np.float32)
        for tag in tags:
            vector[self._places(tag)] = 1
        return vector

    def nearest(self, word: str, count: int = _SUGGESTED) -> list[str]:
        """The known names that are written most like a word: those within it or around it, then those spelt alike.

        Only what may be the same word with a slip is alike: a word of another meaning helps nobody.
        """
        word = word.lower()
        written = {name: name for name in self.names} | {tag.lower(): tag for tag in self.tags}
        nested = [
            name for name in written if min(len(name), len(word)) >= _LEAST_NESTED and (name in word or word in name)
        ]
        nested.sort(key=lambda name: abs(len(name) - len(word)))
        close = difflib.get_close_matches(word, written, n=len(written), cutoff=_ALIKE)
        same_beginning = [name for name in close if name[:1] == word[:1]]
        swapped = [name for name in written if sorted(name) == sorted(word)]
        very_close = difflib.get_close_matches(word, close, n=count, cutoff=_VERY_ALIKE)
        return [written[name] for name in dict.fromkeys([*nested, *swapped, *very_close, *same_beginning])][:count]

    def table(self, most: int | None = None) -> str:
        """The tags and on how many sounds they were, a line each, for people to read."""
        counts = self.counts or ("",) * len(self.tags)
        rows = list(zip(self.tags, counts, strict=True))[:most]
        width = max(len(tag) for tag, _ in rows)
        return "\n".join(f"{tag:<{width}}  {count}".rstrip() for tag, count in rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary as JSON, whole or not at all."""
        data: dict[str, Any] = {"format": _FORMAT, "sounds": self.sounds}
        data |= {"tags": list(self.tags), "counts": list(self.counts)}
        if self.synonyms:
            data["synonyms"] = dict(self.synonyms)
        with replacing(path, shared=True) as fresh:
            fresh.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Read what `save` wrote.

        Raises:
            ModelError: there is no such file, or it is not a vocabulary.
        """
        try:
            data = read_json(Path(path))
            if data["format"] != _FORMAT or not all(isinstance(tag, str) for tag in data["tags"]):
                raise InvalidArgumentError(f"format {data['format']!r}, this version reads {_FORMAT}")
            synonyms = {str(word): str(tag) for word, tag in data.get("synonyms", {}).items()}
            counts = tuple(map(int, data["counts"]))
            return cls(tags=tuple(data["tags"]), counts=counts, sounds=int(data["sounds"]), synonyms=synonyms)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{os.fspath(path)!r} is not a vocabulary ({error}): save it again") from None

    def _places(self, tag: str) -> list[int]:
        """The numbers of the tags that somebody means by a tag: one, or one for each of its words."""
        numbers = self._numbers()
        whole = tag.strip().lower()
        if whole in numbers:  # also without inflect
            return [numbers[whole]]
        if out := ruled_out(tag):
            raise QueryError(
                f"{tag!r} rules out {' and '.join(map(repr, out))}, which a word cannot: for what sounds are not taken "
                f"for there is LibraryQuery(not_words={out!r})"
            )
        found = []
        for word in _words(tag):
            known = next((each for each in _spellings(word) if each in numbers), None)
            if known is None:
                near = self.nearest(word)
                hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "nothing in it is written alike"
                raise QueryError(f"{word!r} is none of the {len(self)} words that the model knows: {hint}")
            found.append(numbers[known])
        if not found:
            raise QueryError(f"{tag!r} holds no word: a tag is written in letters, such as 'dog'")
        return found

    @property
    def names(self) -> dict[str, str]:
        """Every way to write a tag, in lower case -> the tag."""
        return {name: self.tags[number] for name, number in self._numbers().items()}

    def _numbers(self) -> dict[str, int]:
        """Every way to write a tag, in lower case -> its number.

        A tag of several names, such as AudioSet's "Baby cry, infant cry", goes by each of them that names no other;
        the last one of "Bee, wasp, etc." is none.
        """
        whole = {tag.lower(): number for number, tag in enumerate(self.tags)}
        owners: dict[str, list[int]] = {}
        for number, tag in enumerate(self.tags):
            for name in tag.lower().removesuffix(", etc.").split(", "):
                owners.setdefault(name, []).append(number)
        names = {name: numbers[0] for name, numbers in owners.items() if len(numbers) == 1}
        return {word: whole[tag.lower()] for word, tag in self.synonyms.items()} | names | whole


def _words(tag: str) -> Sequence[str]:
    """The words of a tag in their singular; inflect, which takes two seconds to import, is asked of plurals alone."""
    words = split(tag)
    if any(map(_PLURAL.search, words)):
        return normalise([tag]) or words
    return [word for word in dict.fromkeys(words) if len(word) > 1 and word not in STOP_WORDS] or words


def _spellings(word: str) -> tuple[str, ...]:
    """How a word may stand in a vocabulary: COALA's own was made with an inflect that took the s off 'bass', 'gas'."""
    return word, singular(word) if _PLURAL.search(word) else word, word.removesuffix("s")
