"""Tokeniser of free-form tags and names (Favory 2020, section 3.1 and supplement).

"Removing any stop-words and making any plural forms of nouns to singular", after "we transform all tags to
lower-case". As in the published code a word is letters only, two or more. That code throws a tag away that has
anything else in it (``field-recording``, ``dog bark``); here such a tag is as many words as it has runs of letters, so
that names of files, which people write in every way, and tags end up as the same words:

    dog_bark-2.wav, DogBark, "Dogs barking!", dog-bark   ->   dog, bark (or barking)

`normalise_as_published` is that code's own rule, for comparisons with its numbers.

Singular forms come from `inflect`, which the paper uses. It takes every word for a noun and cuts words that only look
like a plural: ``gas``, ``chorus``, ``tennis``, ``dangerous``. Words in -ss, -us and -is, and a few by name, are
therefore left as they are.

When not: languages other than English, whose stop words stay in and whose plurals are seen with English eyes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePath
from typing import Any

from soundloom.errors import MissingExtraError

__all__ = ["STOP_WORDS", "normalise", "normalise_as_published", "ruled_out", "singular", "split", "words_of_path"]

_FUNCTION_WORDS = """
a about above after again against all am an and any are as at be because been before being below between both but
by can cannot could did do does doing down during each few for from further had has have having he her here hers
herself him himself his how i if in into is it its itself just me more most my myself no nor not now of off on once
only or other our ours ourselves out over own same shall she should so some such than that the their theirs them
themselves then there these they this those through to too under until up upon very was we were what when where
which while who whom whose why will with would you your yours yourself yourselves
"""

STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English words that say nothing of a sound."""

_NLTK_ALSO = """
ain aren couldn didn doesn don hadn hasn haven isn ll ma mightn mustn needn re shan shouldn ve wasn weren won wouldn
"""
_NLTK_STOP_WORDS = STOP_WORDS - {"cannot", "could", "shall", "upon", "us", "would"} | frozenset(_NLTK_ALSO.split())
"""Those of NLTK's English stop words that are two letters or more, and letters alone."""

_LOOK_PLURAL = """
alas always atlas bias canvas chaos christmas cosmos gas lens mars news physics series species texas yes
"""

_NO_PLURALS = frozenset(_LOOK_PLURAL.split())
_NO_PLURAL_ENDINGS = ("ss", "us", "is")

_LETTERS = re.compile(r"[^\W\d_]+")
_NEGATION = re.compile(
    r"\b(?:not|non|no|nor|neither|without|except|minus|don.?t|doesn.?t)[\s-]+(?:(?:an?|any|the)\s+)?([^\W\d_]+)",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])")


def split(text: str) -> list[str]:
    """Runs of letters in lower case, in order; a capital within a word begins another.

    >>> split("dog_bark-2"), split("FieldRecording 48kHz"), split("glass breaking!")
    (['dog', 'bark'], ['field', 'recording', 'k', 'hz'], ['glass', 'breaking'])
    """
    # NFKC: some systems write é in file names as two characters, and the second is no letter.
    apart = _CAMEL.sub(" ", unicodedata.normalize("NFKC", text))
    return [word.lower() for word in _LETTERS.findall(apart)]


def ruled_out(text: str) -> tuple[str, ...]:
    """The words that a text rules out, the first one after each negation.

    >>> ruled_out("rain without any thunder, no wind"), ruled_out("thunder and rain")
    (('thunder', 'wind'), ())
    """
    return tuple(dict.fromkeys(_NEGATION.findall(text)))


def normalise(tags: Iterable[str]) -> tuple[str, ...]:
    """The words of a sound's tags: split, without stop words and single letters, singular, each once, in order.

    >>> normalise(["Dogs", "barking in the rain", "dog", "field-recording", "gas"])
    ('dog', 'barking', 'rain', 'field', 'recording', 'gas')

    Raises:
        MissingExtraError: inflect is not installed.
    """
    words = [word for tag in tags for word in split(tag)]
    # Twice: "ours" is no stop word of every list, "our" is; and a singular can be a letter short.
    kept = (singular(word) for word in words if len(word) > 1 and word not in STOP_WORDS)
    return tuple(dict.fromkeys(word for word in kept if len(word) > 1 and word not in STOP_WORDS))


def normalise_as_published(tags: Iterable[str]) -> tuple[str, ...]:
    """The words of a sound's tags as COALA's published code finds them (xavierfav/coala, scripts/preproc_tags.py).

    A tag with anything but letters in it is dropped; NLTK's stop words are; every other word is taken for a noun.

    >>> normalise_as_published(["Dogs", "barking in the rain", "dog", "field-recording", "gas"])
    ('dog', 'barking', 'rain', 'ga')

    Raises:
        MissingExtraError: inflect is not installed.
    """
    words = (word.lower() for tag in tags for word in tag.split() if word.isalpha())
    kept = [word for word in words if len(word) > 1 and word not in _NLTK_STOP_WORDS]
    return tuple(dict.fromkeys(str(_engine().singular_noun(word) or word) for word in kept))


@lru_cache(maxsize=2**16)
def singular(word: str) -> str:
    """A noun in lower case in its singular; a word that is no plural as it is.

    >>> singular("wolves"), singular("children"), singular("bass"), singular("chorus")
    ('wolf', 'child', 'bass', 'chorus')

    Raises:
        MissingExtraError: inflect is not installed.
    """
    if word in _NO_PLURALS or word.endswith(_NO_PLURAL_ENDINGS):
        return word
    found = _engine().singular_noun(word)
    return str(found) if found else word


def words_of_path(path: str, root: str | None = None) -> tuple[str, ...]:
    """The words in a file's name and in the names of its folders, as far as ``root``; the file's come first.

    >>> words_of_path("/sounds/Animals/Dogs/dog_bark-2.wav", "/sounds")
    ('dog', 'bark', 'animal')

    Args:
        path: the file.
        root: the folder whose own name, and what is above it, says nothing; only the file's name counts if not given.

    Raises:
        MissingExtraError: inflect is not installed.
    """
    file = PurePath(path)
    folders: tuple[str, ...] = ()
    if root is not None and file.is_relative_to(root):
        folders = file.relative_to(root).parts[:-1]
    return normalise([file.stem, *reversed(folders)])


@lru_cache(maxsize=1)
def _engine() -> Any:
    try:
        import inflect
    except ImportError as error:
        raise MissingExtraError("inflect", "train", "making tags singular") from error
    return inflect.engine()
