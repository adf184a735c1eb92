"""Search of file names, folders, tags and descriptions by words, without a model.

A query and every text are cut into words: runs of letters or of digits, also at a change from lower to upper case, in
Unicode's compatibility form (NFKC) and without regard to case and accents: Vogel finds Vögel. Every word of the query
must be found in some text of a file; a few function words need not be. A word is found as a whole (in singular or
plural), as the beginning of a word, or inside the text with its separators removed, in this order of merit:

    dog   ->   dog_bark.wav, Dogs.wav   before   doghouse.wav   before   bulldog.wav

A file's score is the mean over the words of the best that each was found by: names count most, then tags, titles and
descriptions, folders. The part of the folders that all files of the library share is not searched.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from soundloom.errors import QueryError
from soundloom.remote.locations import common_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TextMatch", "fold", "match_text", "query_words", "shared_folder", "word_forms"]

_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])")
_ACCENTS = re.compile("[\u0300-\u036f]+")
"""Combining marks of Latin, Greek and Cyrillic; those of other scripts make other letters."""
_SEPARATORS = r"[\s_\-.,;:!()\[\]{}'&+]+"
_FUNCTION_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with")
)
_WHOLE, _BEGINNING, _INSIDE = 1.0, 0.8, 0.5
_FIELDS = {"name": 1.0, "tag": 0.95, "title": 0.7, "folder": 0.6}
"""What finds a file, and how much it counts."""
_IRREGULAR = {
    "children": "child", "feet": "foot", "geese": "goose", "men": "man", "mice": "mouse", "people": "person",
    "teeth": "tooth", "women": "woman",
}  # fmt: skip


@dataclass(frozen=True)
class TextMatch:
    """A file whose texts hold all words of a query.

    Attributes:
        path: the file.
        score: how well they fit, in (0, 1].
        found_by: which texts hold them: name, tag, title, folder.
        rows: the rows of the file that are meant: those with the tags, if a tag was needed; otherwise all.
    """

    path: str
    score: float
    found_by: tuple[str, ...]
    rows: tuple[int, ...]


def fold(text: str) -> str:
    """A text in lower case, in compatibility form and without accents, for comparison.

    >>> fold("VÖGEL"), fold("Straße"), fold("ガ")
    ('vogel', 'strasse', 'ガ')
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold())))


def query_words(text: str) -> list[str]:
    """The words of a query, without function words where others remain.

    >>> query_words("A dog_bark in the Rain, 48k")
    ['dog', 'bark', 'rain', '48', 'k']

    Raises:
        QueryError: it holds neither a letter nor a digit.
    """
    words = list(dict.fromkeys(_words(text)))
    if not words:
        raise QueryError(f"{text!r} holds no word to search for: write it in letters or digits, such as: dog")
    return [word for word in words if word not in _FUNCTION_WORDS] or words


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


def match_text(rows: pa.Table, text: str, titles: Mapping[str, str] | None = None) -> list[TextMatch]:
    """The files whose texts hold all words of a query, the best first, equals in the order of their paths.

    Args:
        rows: path and tags of every segment, ordered by path.
        text: the query.
        titles: path -> title, description and category of the file, where there are any.

    Raises:
        QueryError: the query holds no word.
    """
    words, titles = query_words(text), titles or {}
    candidates = _candidates(rows, words, titles)
    paths = rows["path"].take(candidates).to_pylist()
    tags = rows["tags"].take(candidates).to_pylist()
    shared = shared_folder(rows)
    by_path: dict[str, list[tuple[int, Sequence[str]]]] = {}
    for row, path, some in zip(candidates.to_pylist(), paths, tags, strict=True):
        by_path.setdefault(path, []).append((row, some or ()))
    found = [
        match
        for path, tagged in by_path.items()
        if (match := _matched(path, tagged, words, titles.get(path, ""), shared)) is not None
    ]
    return sorted(found, key=lambda match: (-match.score, match.path))


def _matched(
    path: str, tagged: Sequence[tuple[int, Sequence[str]]], words: Sequence[str], title: str, shared: str
) -> TextMatch | None:
    """How the texts of one file hold the words; None if one of the words is in none of them."""
    folder, name = os.path.split(path)
    stem = name.rpartition(".")[0] or name
    fixed = {"name": stem, "folder": folder.removeprefix(shared), "title": title}
    scores, fields = [], set()
    rows = {row for row, _ in tagged}
    by_tag = _scores_of_tags(tagged, words)
    for word in words:
        best = {field: _FIELDS[field] * _score(word, text) for field, text in fixed.items() if text}
        best["tag"] = _FIELDS["tag"] * max(by_tag[word].values(), default=0.0)
        field = max(best, key=lambda name: best[name])
        if not best[field]:
            return None
        scores.append(best[field])
        fields.add(field)
        if not any(score for name, score in best.items() if name != "tag"):
            rows &= by_tag[word].keys()
    if not rows:  # the words are tags of different stretches
        return None
    # Of two names with the same words, the one with fewer others comes first; numbers say nothing.
    excess = 1 / (1 + sum(not word.isdigit() for word in set(_words(stem)) - set(words)))
    score = sum(scores) / len(scores) * (0.95 + 0.05 * excess)
    return TextMatch(path, score, tuple(field for field in _FIELDS if field in fields), tuple(sorted(rows)))


def _scores_of_tags(tagged: Sequence[tuple[int, Sequence[str]]], words: Sequence[str]) -> dict[str, dict[int, float]]:
    """For every word, the rows whose tags hold it, and how well."""
    found: dict[str, dict[int, float]] = {word: {} for word in words}
    for row, tags in tagged:
        for word in words:
            score = max((_score(word, tag) for tag in tags), default=0.0)
            if score:
                found[word][row] = score
    return found


def _score(word: str, text: str) -> float:
    """How well a text holds a word; 0 if it does not."""
    forms = word_forms(word)
    known = _words(text)
    if any(forms & word_forms(each) for each in known):
        return _WHOLE
    if any(each.startswith(word) for each in known):
        return _BEGINNING
    return _INSIDE if word in "".join(known) else 0.0


@lru_cache(maxsize=2**14)
def _words(text: str) -> tuple[str, ...]:
    # Cut at capitals before case is folded.
    apart = _CAMEL.sub(" ", unicodedata.normalize("NFKC", text))
    return tuple(_WORD.findall(fold(apart)))


def _candidates(rows: pa.Table, words: Sequence[str], titles: Mapping[str, str]) -> pa.Array:
    """The rows of which every word may be in the path, a tag or the title: a quick look before the exact one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    paths = rows["path"].combine_chunks().dictionary_encode()
    spelled = _plain(paths.dictionary)
    titled = _plain(pa.array([titles.get(path, "") for path in paths.dictionary.to_pylist()])) if titles else None
    tags = pc.fill_null(pc.binary_join(rows["tags"].combine_chunks(), " "), "")
    distinct = tags.dictionary_encode()
    plain_tags = _plain(distinct.dictionary)
    mask = None
    for word in words:
        stem = _stem(word)
        in_path = pc.match_substring(spelled, stem)
        if titled is not None:
            in_path = pc.or_(in_path, pc.match_substring(titled, stem))
        found = pc.or_(in_path.take(paths.indices), pc.match_substring(plain_tags, stem).take(distinct.indices))
        mask = found if mask is None else pc.and_(mask, found)
    return pc.indices_nonzero(mask)


def _stem(word: str) -> str:
    """The beginning that a word shares with its singular and its plural."""
    forms = word_forms(word) | {plural for plural, one in _IRREGULAR.items() if one in word_forms(word)}
    return re.sub("(y|fe?)$", "", os.path.commonprefix(sorted(forms)))  # noqa: RUF071 (letters, not folders)


def _plain(texts: pa.Array) -> pa.Array:
    """Texts as `fold` has them, as far as words are written in both ways, without separators."""
    import pyarrow.compute as pc

    if not pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        bare = pc.replace_substring_regex(pc.utf8_normalize(texts, form="NFKD"), _ACCENTS.pattern, "")
        texts = pc.replace_substring(pc.utf8_normalize(pc.utf8_lower(bare), form="NFKC"), "ß", "ss")
        texts = pc.replace_substring(texts, "ς", "\u03c3")
    return pc.replace_substring_regex(pc.utf8_lower(texts), _SEPARATORS, "")


def shared_folder(rows: pa.Table) -> str:
    """The folder that all files lie in, at any depth."""
    import pyarrow.compute as pc

    if not rows.num_rows:
        return ""
    # The first and the last path differ where any two do.
    bounds = pc.min_max(rows["path"])
    return common_folder(str(bounds[end]) for end in ("min", "max"))
