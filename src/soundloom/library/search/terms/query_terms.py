"""The terms of a query: which of them are sounds, and which are text.

    dog.wav, ~/sounds/dog.wav     a file
    dog.wav@12.5-14, d.wav@1:30-  a region of one; also dog.wav:12.5-14
    dog_07.wav, birds/dog_07      no file here, but one of the library's, by the end of its path
    dog_07                        the name of one sound of the library, with a digit or an underscore
    dog, "dog barking"            anything else is text

What has the ending of a sound or a separator of folders is meant as a file: if there is none, that is an error, which
names the nearest. A plain word is text even where one sound is called so, which is said. Nothing here needs a model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from soundloom.errors import QueryError
from soundloom.library.library_files import is_library
from soundloom.library.search.query_sound import QuerySound
from soundloom.library.search.terms.sound_names import SoundNames
from soundloom.local_path import local_path
from soundloom.remote import is_address
from soundloom.term_syntax import (
    ends_as_sound,
    is_written_as_region,
    refuse_rest,
    split_region,
    split_weight,
)

__all__ = ["QueryTerms", "misread", "refuse_exclusion"]

_ALTERNATIVE = re.compile(r"(?<!\S)OR(?!\S)")
_EXCLUSION = re.compile(r"(?<!\S)(?:NOT\s+|-)([^\W\d_][^\s,;]*)")
_PATTERN = re.compile(r"\S*(?:\*|\?(?=[^\s?]))\S*")
"""What has the wildcards of a shell; a question mark at the end of a word is none."""
_NAME = re.compile(r"[\d_]")
"""What names of files have and words have not."""
_TABLES = frozenset((".csv", ".html", ".json", ".m3u", ".m3u8", ".npy", ".npz", ".parquet", ".tsv", ".txt"))


class QueryTerms:
    """Reads the terms of queries of one library.

    Args:
        names: of the library's sounds.
        files: whether a term may be a file of this machine, too.
        names_only: whether text is looked for in names alone: then a name is text.
    """

    def __init__(self, names: SoundNames, *, files: bool = True, names_only: bool = False) -> None:
        self._names = names
        self._files = files
        self._names_only = names_only
        self.remarks: list[str] = []

    def read(self, terms: Iterable[str]) -> tuple[tuple[QuerySound, ...], str]:
        """The sounds among some terms, and the others as one text; how a name was taken is added to the remarks.

        Raises:
            QueryError: a term that is meant as a file, and is none; or text as no search takes it.
        """
        sounds, words = [], []
        for term in terms:
            if not term.strip():
                raise QueryError("an argument is empty: write what to search for, or leave it out to list files")
            if self._files and is_library(term):
                raise QueryError(f"{term!r} is a library: say what to search for in it, with -l {term}")
            bare, weight = split_weight(term)
            if self._is_meant_as_file(bare):
                sounds.append(self.sound(term))
            elif (path := self._named(bare)) is not None:
                sounds.append(_query_sound(Path(path), weight=weight))
            else:
                if reason := misread(term):
                    words_alone = _EXCLUSION.sub(r"\1", term)
                    raise QueryError(f"{reason}; as words: {_as_text(words_alone)}")
                words.append(term)
        return tuple(sounds), " ".join(words)

    def sound(self, term: str, remedy: str = "") -> QuerySound:
        """A sound: a file, one at an address, a region of one, or one of the library.

        Args:
            term: how it is written.
            remedy: what is offered where there is no such file, and none of a similar name; that of a search if not
                given.

        Raises:
            QueryError: there is no such file, or several of the library are called so; a folder, a pipe, a device or a
                table.
        """
        term, weight = split_weight(term)
        name, start, end = split_region(term)
        refuse_rest(name)
        if self._files and is_address(name):
            return _query_sound(name, start, end, weight)
        in_folder = "name a sound in it"
        if not remedy:
            in_folder = "search by a sound in it, or among its sounds with RowFilter(folder={!r})"
            word = f"; for what the model takes for it: LibraryQuery(words=({name!r},))" if name.isalpha() else ""
            remedy = f"as text: {_as_text(name)}{word}"
        if "*" in name or "?" in name:
            remedy = f"for a pattern: {_as_pattern(name)}"
        return _query_sound(self._file(name, remedy, in_folder), start, end, weight)

    def _file(self, name: str, remedy: str, in_folder: str) -> Path:
        """A file of this machine, or of the library by its name there."""
        if not self._files:
            return Path(self._names.find(name, f"as text: {_as_text(name)}", in_folder, beside=False))
        path = local_path(name)
        if path.is_dir():
            raise QueryError(f"{name!r} is a folder: {in_folder.format(name)}")
        if not path.exists():
            return Path(self._names.find(name, remedy, in_folder))
        if path.is_file() and path.suffix.lower() in _TABLES:
            raise QueryError(
                f"{name!r} is a table or a list and no sound: search by a sound that it names; for all of them "
                f"soundloom tags add TAG --files {name}, or soundloom index --files {name}"
            )
        if not path.is_file():
            raise QueryError(f"{name!r} is not a regular file, such as a pipe: write the sound to a file first")
        return path

    def _is_meant_as_file(self, term: str) -> bool:
        if is_written_as_region(term) or os.sep in term or "/" in term or not term.strip("."):
            return True
        there = self._files and os.path.exists(os.path.expanduser(term))
        table = os.path.splitext(term)[1].lower() in _TABLES and " " not in term
        # A folder may be called as a word is: text finds what lies in it.
        return ends_as_sound(term) or table or (there and not os.path.isdir(os.path.expanduser(term)))

    def _named(self, term: str) -> str | None:
        """The sound whose name a term is, if it is no plain word."""
        called = [] if self._names_only else self._names.called(term)
        if not called:
            sound, _, region = term.rpartition("@")
            if sound and self._names.called(sound):
                raise QueryError(f"{region!r} is no region of {sound}: write {sound}@START-END, in seconds or as 1:30")
            return None
        sound, is_word = os.path.basename(called[0]), not _NAME.search(term)
        if len(called) == 1 and not is_word:
            self.remarks.append(f"{term!r} is the sound {called[0]}; as text: {_as_text(term)}")
            return called[0]
        if len(called) == 1:
            written = repr(sound) if " " in sound else sound
            self.remarks.append(
                f"{term!r} is taken as text: for what sounds like the file of that name, write {written}"
            )
        elif not is_word:
            nearer = os.path.join(os.path.basename(os.path.dirname(called[0])), sound)
            self.remarks.append(
                f"{len(called)} sounds are called {term!r}, taken as text: for what sounds like one, write more of its "
                f"path, as {nearer}"
            )
        return None


def _query_sound(source: Path | str, start: float = 0.0, end: float | None = None, weight: float = 1.0) -> QuerySound:
    return QuerySound(source, start=start, end=end, weight=weight)


def _as_text(term: str) -> str:
    return f"LibraryQuery(text={term!r})"


def _as_pattern(name: str) -> str:
    pattern = name.replace("'", "''").replace("*", "%").replace("?", "_")
    if "." not in pattern and not pattern.endswith("%"):
        pattern += "%"  # names have endings
    condition = f"name LIKE '{pattern}'"
    return f"LibraryQuery(where={condition!r})"


def misread(text: str) -> str:
    """How that is asked for which a text does not mean here: all words of it must be found, as they are.

    Args:
        text: the text.

    Returns:
        A reason and a remedy, of ``-word``, ``NOT``, ``OR`` and wildcards; empty if there is none of them.
    """
    if (wild := _PATTERN.search(text)) is not None:
        return f"{wild[0]!r} is searched for as a word, without wildcards: for a pattern write {_as_pattern(wild[0])}"
    if excluded := _exclusion(text):
        return f"{excluded[0]!r} leaves out nothing in a text: write LibraryQuery(not_words=({excluded[1]!r},))"
    if _ALTERNATIVE.search(text) and text != text.upper():
        return "all words of a text are searched for, and OR is no operator: search for each alone"
    return ""


def refuse_exclusion(text: str) -> None:
    """Refuse a text that is meant to leave something out: it would find that very thing.

    Args:
        text: the text.

    Raises:
        QueryError: it has ``-word`` or ``NOT``; says how words are ruled out.
    """
    if _exclusion(text):
        raise QueryError(misread(text))


def _exclusion(text: str) -> re.Match[str] | None:
    """The first of what a text is meant to leave out; none in capitals alone, which may be a title."""
    return None if text == text.upper() else _EXCLUSION.search(text)
