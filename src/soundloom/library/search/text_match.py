"""Search of file names, folders, tags and descriptions by words, without a model.

A query and every text are cut into words (`soundloom.library.search.terms.query_words`). Every word of the query must
be found in some text of a file; a few function words need not be. A word is found as a whole (in singular or plural),
as the beginning of a word, or inside the text with its separators removed, in this order of merit; but not in the
middle of a word of Latin letters, as hund is in thunder:

    dog   ->   dog_bark.wav, Dogs.wav   before   doghouse.wav   before   bulldog.wav

A file's score is the mean over the words of the best that each was found by: names count most, then tags, titles and
descriptions, folders. The part of the folders that all files of the library share is not searched.

Names, folders, titles and tags are cut into words once for a version of the library: an inverted index from words to
texts. A query then compares the distinct words, in Arrow, and every score is a NumPy array over files or rows. For a
single query the index is made of the files alone that may hold its words (`may_hold`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundloom.library.search.terms.query_words import query_words, runs, same_words, spellings, words_to_index
from soundloom.library.storage.table_schema import as_mask

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.search.fields.file_fields import FileFields

__all__ = ["TextIndex", "TextMatches", "may_hold"]

_WHOLE, _BEGINNING, _INSIDE = 1.0, 0.8, 0.5
_NEGATIONS = frozenset(["except", "no", "non", "nor", "not", "without"])
"""Words that are found as wholes alone: "no rain" does not mean what is called noise and rain."""
_FIELDS = {"name": 1.0, "tag": 0.95, "title": 0.7, "folder": 0.6}
"""What finds a file, and how much it counts: no two products with a word's merit are equal."""


@dataclass(frozen=True)
class TextMatches:
    """The files whose texts hold all words of a query, the best first, equals in the order of their paths.

    Attributes:
        files: their numbers in the order of paths.
        scores: how well they fit, in (0, 1].
        rows: the rows that are meant: those with the tags, if a tag was needed; otherwise all of these files.
    """

    files: NDArray[np.int64]
    scores: NDArray[np.float64]
    rows: NDArray[np.bool_]
    _by: NDArray[np.bool_]

    def found_by(self, place: int) -> tuple[str, ...]:
        """Which texts of a match hold the words: name, tag, title, folder."""
        return tuple(field for field, holds in zip(_FIELDS, self._by[:, place], strict=True) if holds)


class TextIndex:
    """Words of the names, tags, titles and folders of a library's files. Safe to share between threads.

    Args:
        fields: of the files.
    """

    def __init__(self, fields: FileFields) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        stems = pc.replace_substring_regex(fields.column("name"), r"(?s)^(.+)\.[^.]*$", r"\1")
        titles = _titles(fields)
        given, self._tag_of, self._tagged_row = fields.tags_of_rows
        known = self._tag_of >= 0
        self._tag_of, self._tagged_row = self._tag_of[known], self._tagged_row[known]
        self._names = _Texts(stems)
        self._folders = _Texts(fields.column("folder"))
        self._titles = None if titles is None else _Texts(titles)
        self._tags = _Texts(pa.array(given, pa.string()))
        self._file_of_row = fields.file_of_row
        self._first_rows = np.flatnonzero(np.diff(fields.file_of_row, prepend=-1))

    def match(self, text: str) -> TextMatches:
        """The files whose texts hold all words of a query.

        Raises:
            QueryError: the query holds no word.
        """
        words, written = query_words(text), spellings(text)
        fixed = [self._scores_of_files(written[word]) for word in words]
        tagged = [self._scores_of_rows(written[word]) for word in words]
        rows = np.ones(len(self._file_of_row), np.bool_)
        for in_file, in_row in zip(fixed, tagged, strict=True):
            rows &= np.any(in_file, axis=0)[self._file_of_row] | (in_row > 0)
        files = np.unique(self._file_of_row[rows]).astype(np.int64)
        scores, by = np.zeros(len(files)), np.zeros((len(_FIELDS), len(files)), np.bool_)
        for in_file, in_row in zip(fixed, tagged, strict=True):
            every = in_file[:, files]
            if len(files) and in_row.any():
                every[list(_FIELDS).index("tag")] = np.maximum.reduceat(in_row * rows, self._first_rows)[files]
            best = every.argmax(axis=0)
            by[best, np.arange(len(files))] = True
            scores += every.max(axis=0)
        # Of two names with the same words, the one with fewer others comes first; numbers say nothing.
        excess = 1 / (1 + self._names.words_besides(words)[files])
        scores = scores / len(words) * (0.95 + 0.05 * excess)
        order = np.argsort(-scores, kind="stable")
        return TextMatches(files[order], scores[order], rows, by[:, order])

    def _scores_of_files(self, word: frozenset[str]) -> NDArray[np.float64]:
        """How well the texts of every file but its tags hold a word, weighted."""
        texts = {"name": self._names, "title": self._titles, "folder": self._folders}
        scores = np.zeros((len(_FIELDS), len(self._first_rows)))
        for place, (field, weight) in enumerate(_FIELDS.items()):
            if (some := texts.get(field)) is not None:
                scores[place] = weight * some.scores(word)
        return scores

    def _scores_of_rows(self, word: frozenset[str]) -> NDArray[np.float64]:
        """How well the best tag of every row holds a word, weighted."""
        of_rows = np.zeros(len(self._file_of_row))
        of_tags = self._tags.scores(word)[self._tag_of]
        for merit in (_INSIDE, _BEGINNING, _WHOLE):  # the best is written last
            of_rows[self._tagged_row[of_tags == merit]] = merit * _FIELDS["tag"]
        return of_rows


class _Texts:
    """An inverted index of texts: their distinct words, and which texts hold each.

    Args:
        texts: strings, none of them null.
    """

    def __init__(self, texts: pa.Array) -> None:
        import pyarrow.compute as pc

        distinct = texts.dictionary_encode()
        self._text_of: NDArray[np.int64] = distinct.indices.to_numpy()
        apart = _words_apart(distinct.dictionary)
        self._joined = pc.replace_substring(apart, " ", "")
        lists = pc.split_pattern(apart, " ")
        words = pc.list_flatten(lists).dictionary_encode()
        pairs = np.stack([words.indices.to_numpy(), pc.list_parent_indices(lists).to_numpy()])
        # A word that a text holds twice counts once.
        self._word_of_pair, self._text_of_pair = np.unique(pairs, axis=1) if pairs.size else pairs.astype(np.int64)
        self._words: pa.Array = words.dictionary
        self._counted = ~as_mask(pc.or_(pc.utf8_is_digit(self._words), pc.equal(self._words, "")))

    def scores(self, word: frozenset[str]) -> NDArray[np.float64]:
        """How well each text holds a word in one of its spellings; 0 if it does not."""
        import pyarrow as pa
        import pyarrow.compute as pc

        scores = np.zeros(len(self._joined))
        forms = sorted(form for spelling in word for form in same_words(spelling))
        parts = [] if word & _NEGATIONS else word
        for spelling in parts:
            scores[self._hold_inside(spelling)] = _INSIDE
        beginnings = [(pc.starts_with(self._words, spelling), _BEGINNING) for spelling in parts]
        whole = pc.is_in(self._words, value_set=pa.array(forms, pa.string()))
        for held, merit in (*beginnings, (whole, _WHOLE)):
            scores[self._text_of_pair[as_mask(held)[self._word_of_pair]]] = merit
        return np.asarray(scores[self._text_of])

    def _hold_inside(self, spelling: str) -> NDArray[np.bool_]:
        """Which texts hold a word at the end of another, or across several."""
        import pyarrow.compute as pc

        held = as_mask(pc.match_substring(self._joined, spelling))
        if not spelling.isascii():
            return held
        within = self._of_texts(pc.match_substring(self._words, spelling))
        return held & (~within | self._of_texts(pc.ends_with(self._words, spelling)))

    def _of_texts(self, words: pa.Array) -> NDArray[np.bool_]:
        """Which texts have one of some words."""
        found = np.zeros(len(self._joined), np.bool_)
        found[self._text_of_pair[as_mask(words)[self._word_of_pair]]] = True
        return found

    def words_besides(self, words: list[str]) -> NDArray[np.int64]:
        """How many words each text holds besides some, without numbers."""
        import pyarrow as pa
        import pyarrow.compute as pc

        others = self._counted & ~as_mask(pc.is_in(self._words, value_set=pa.array(words, pa.string())))
        pairs = self._text_of_pair[others[self._word_of_pair]]
        return np.asarray(np.bincount(pairs, minlength=len(self._joined))[self._text_of])


def _words_apart(texts: pa.Array) -> pa.Array:
    """Texts as their words with a space between two."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.string_is_ascii(texts)
    if not pc.all(plain, min_count=0).as_py():
        others = pa.array([words_to_index(text) for text in texts.filter(pc.invert(plain)).to_pylist()], pa.string())
        ascii_only = _words_apart(texts.filter(plain))
        place = np.where(as_mask(plain), np.cumsum(as_mask(plain)) - 1, len(ascii_only))
        place[~as_mask(plain)] += np.arange(len(others))
        return pa.concat_arrays([ascii_only, others]).take(pa.array(place))
    for pattern, written in (("([a-z])([A-Z])", r"\1 \2"), ("[^A-Za-z0-9]+", " "), ("([A-Za-z]+|[0-9]+)", r"\1 ")):
        texts = pc.replace_substring_regex(texts, pattern, written)
    return pc.ascii_trim_whitespace(pc.replace_substring_regex(pc.ascii_lower(texts), " +", " "))


def may_hold(fields: FileFields, text: str) -> NDArray[np.bool_]:
    """The files whose texts may hold all words of a query, and some that do not: a quick look.

    Raises:
        QueryError: the query holds no word.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    given, tag_of, tagged_row = fields.tags_of_rows
    texts = [_joined(some) for some in (fields.paths, _titles(fields)) if some is not None]
    tags, known = _joined(pa.array(given, pa.string())), tag_of >= 0
    tagged_file, tag_of = fields.file_of_row[tagged_row[known]], tag_of[known]
    possible = np.ones(len(fields.paths), np.bool_)
    written = spellings(text)
    for word in query_words(text):
        held = np.zeros(len(fields.paths), np.bool_)
        for spelling in written[word]:
            beginning = os.path.commonprefix(sorted(same_words(spelling)))  # noqa: RUF071 (letters, not folders)
            for some in texts:
                held |= as_mask(pc.match_substring(some, beginning))
            held[tagged_file[as_mask(pc.match_substring(tags, beginning))[tag_of]]] = True
        possible &= held
    return possible


def _titles(fields: FileFields) -> pa.Array | None:
    """The title of every file, empty where it has none; None where no file has one."""
    import pyarrow as pa

    if not fields.titles:
        return None
    return pa.array([fields.titles.get(path, "") for path in fields.paths.to_pylist()], pa.string())


def _joined(texts: pa.Array) -> pa.Array:
    """Texts as `_Texts` joins their words."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        return pc.replace_substring_regex(pc.ascii_lower(texts), "[^a-z0-9]+", "")
    return pa.array(
        ["".join(runs(text.lower() if text.isascii() else words_to_index(text))) for text in texts.to_pylist()]
    )
