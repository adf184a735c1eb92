"""Words of queries and of texts, in the forms in which they are compared.

A text is cut into words: runs of letters or of digits, also at a change from lower to upper case, in Unicode's
compatibility form (NFKC) and without regard to case and accents: Vogel and Voegel find Vögel, and Vögel finds both.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from soundloom.audio_suffixes import AUDIO_SUFFIXES
from soundloom.errors import QueryError

__all__ = ["fold", "query_words", "runs", "same_words", "spellings", "word_forms", "words_of", "words_to_index"]

_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])")
_ACCENTS = re.compile("[\u0300-\u036f]+")
"""Combining marks of Latin, Greek and Cyrillic; those of other scripts make other letters."""
_LETTERS = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "\u0131": "i"})
"""Letters that decomposition leaves as they are, as they are written without them."""
_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
"""How German and the Nordic languages are written without their letters."""
_ENDING = re.compile(r"(?<=\w)\.\w+(?=\s|$)")
"""Of a file, whose name is found without it."""
_POSSESSIVE = re.compile(r"(?<=\w)['\u2019][sS]\b")
_FUNCTION_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with")
)
_IRREGULAR = {
    "children": "child", "feet": "foot", "geese": "goose", "men": "man", "mice": "mouse", "people": "person",
    "teeth": "tooth", "women": "woman",
}  # fmt: skip


def fold(text: str, *, written_out: bool = False) -> str:
    """A text in lower case, in compatibility form and without accents, for comparison.

    >>> fold("VÖGEL"), fold("VÖGEL", written_out=True), fold("Straße"), fold("ガ")
    ('vogel', 'voegel', 'strasse', 'ガ')

    Args:
        text: in any form.
        written_out: write umlauts as two letters.
    """
    if text.isascii():
        return text.lower()
    text = text.casefold()
    if written_out:
        text = unicodedata.normalize("NFC", text).translate(_WRITTEN_OUT)
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.translate(_LETTERS)))
    return unicodedata.normalize("NFKC", bare)


def query_words(text: str) -> list[str]:
    """The words of a query, without endings of sound files, possessives, and function words where others remain.

    >>> query_words("A dog's bark in the Rain, 48k"), query_words("owl 07.wav")
    (['dog', 'bark', 'rain', '48', 'k'], ['owl', '07'])

    Raises:
        QueryError: it holds neither a letter nor a digit.
    """
    words = list(dict.fromkeys(_words(_POSSESSIVE.sub("", _ENDING.sub(_unless_of_sound, text)))))
    if not words:
        raise QueryError(f"{text!r} holds no word to search for: write it in letters or digits, such as: dog")
    return [word for word in words if word not in _FUNCTION_WORDS] or words


def _unless_of_sound(ending: re.Match[str]) -> str:
    return "" if ending[0].lower() in AUDIO_SUFFIXES else ending[0]


def words_of(text: str) -> list[str]:
    """The words of a text, each once, without function words.

    >>> words_of("The_DogBark in Rain-02")
    ['dog', 'bark', 'rain', '02']
    """
    return [word for word in dict.fromkeys(_words(text)) if word not in _FUNCTION_WORDS]


@lru_cache(maxsize=2**12)
def word_forms(word: str) -> frozenset[str]:
    """A word and what it may be the plural of; two words are one word if their forms meet.

    >>> sorted(word_forms("wolves")), sorted(word_forms("boxes"))
    (['wolf', 'wolfe', 'wolve', 'wolves'], ['box', 'boxe', 'boxes'])
    """
    forms = {word}
    if word in _IRREGULAR:
        forms.add(_IRREGULAR[word])
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        forms.add(word[:-1])
        if word.endswith("ies"):
            forms.add(word[:-3] + "y")
        if word.endswith("ves"):
            forms |= {word[:-3] + "f", word[:-3] + "fe"}
        if word.endswith(("ches", "shes", "ses", "xes", "zes", "oes")):
            forms.add(word[:-2])
    return frozenset(forms)


def same_words(word: str) -> set[str]:
    """All words of which a form is a form of a word: what its singular and its plural may be written as."""
    forms = word_forms(word)
    written = set(forms)
    for form in forms:
        written |= {form + "s", form + "es", form[:-1] + "ies", form[:-1] + "ves", form[:-2] + "ves"}
        written |= {plural for plural, one in _IRREGULAR.items() if one == form}
    return {other for other in written if word_forms(other) & forms}


def _words(text: str, *, written_out: bool = False) -> tuple[str, ...]:
    # Cut at capitals before case is folded.
    apart = _CAMEL.sub(" ", unicodedata.normalize("NFKC", text))
    return tuple(runs(fold(apart, written_out=written_out)))


def runs(text: str) -> list[str]:
    """The runs of letters and the runs of digits of a text, as they are.

    >>> runs("take_07b")
    ['take', '07', 'b']
    """
    found: list[str] = _WORD.findall(text)
    return found


def spellings(text: str) -> dict[str, frozenset[str]]:
    """Every word of a query -> the ways in which it may be written: one, or two with umlauts."""
    written_out = _words(text, written_out=True)
    return {word: frozenset(both) for word, *both in zip(_words(text), _words(text), written_out, strict=True)}


def words_to_index(text: str) -> str:
    """The words of a text that is not all ASCII, each also as it is written out, with a space between two."""
    plain = _words(text)
    return " ".join((*plain, *(word for word in _words(text, written_out=True) if word not in plain)))
