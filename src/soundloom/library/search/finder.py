"""Execution of queries of text, sounds, words and filters: `Library.find`.

Text is looked for in names, tags, titles and folders first; where that finds fewer files than are wanted, the library's
model finds the rest: by the text as a sentence if it takes sentences, else by those of the words that it knows. Beside
sounds, or words for the model, text says among which files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from soundloom import audio
from soundloom.counted import counted
from soundloom.errors import AudioError, ModelError, ModelMismatchError, NothingFoundError, QueryError
from soundloom.library.search.library_query import LibraryQuery, match_names, rows_of_text
from soundloom.library.search.matches import Match, Matches
from soundloom.library.search.query_sound import QuerySound
from soundloom.library.search.query_vectors import (
    best_matches,
    combine_examples,
    embed_pieces,
    nearest_rows,
    sample_similarity,
)
from soundloom.library.search.tag_query import (
    TagQueries,
    find_known_words,
    listed,
    nothing_found,
    remark_on_or,
    remark_on_parts,
)
from soundloom.library.search.terms.sound_names import failed_file
from soundloom.part_weights import complete_weights
from soundloom.remote import is_there
from soundloom.tags.linear_tags import GUESS
from soundloom.tags.tokenise import ruled_out

if TYPE_CHECKING:
    from soundloom.library.search.search_index import SearchIndex
    from soundloom.library.storage.library_settings import LibrarySettings
    from soundloom.library.storage.lifecycle import LibraryModel
    from soundloom.library.storage.table_schema import Failure
    from soundloom.tags import Vocabulary

__all__ = ["Finder"]

Embeddings = Float[np.ndarray, "pieces dim"]

_SHORT = 0.25
"""A share of the segments that are compared, below which a region is said to be short."""

_SHORTEST_WINDOW = 0.1
"""Seconds; the shortest window that is proposed: of much less, models pad every segment."""


class Finder:
    """Answers queries of one library.

    Args:
        settings: the library's.
        model: embeds the sounds of a query; loaded only if there are any.
        tag_queries: search by the words of the model, and by sentences.
        offline: never fetch the words of a published model.
        notices: a list to which is added what is noticed of the sounds, such as silence.
        remarks: a list to which is added how the query was understood, where that is not plain.
        failures: gives the files that could not be indexed, for which a text may ask.
    """

    def __init__(
        self,
        settings: LibrarySettings,
        model: LibraryModel,
        tag_queries: TagQueries,
        *,
        offline: bool = False,
        notices: list[audio.Notice] | None = None,
        remarks: list[str] | None = None,
        failures: Callable[[], Iterable[Failure]] = tuple,
    ) -> None:
        self._settings = settings
        self._model = model
        self._tag_queries = tag_queries
        self._sentences = tag_queries.sentences
        self._offline = offline
        self._notices = notices
        self._remarks = [] if remarks is None else remarks
        self._failures = failures

    def find(self, index: SearchIndex, query: LibraryQuery, k: int) -> Matches:
        """The k best matches in the library as it is now; see `Library.find`."""
        query.check(k)
        complete_weights(self._settings.parts, query.weights)  # also where nothing is compared
        answered = self._answered(index, query) if query.is_compared and query.text else query
        matches = self._find(index, answered, k)
        found = Matches(index.fields.sorted(matches, query.sort) if query.is_compared else matches)
        found.answered = answered
        return found

    def _find(self, index: SearchIndex, query: LibraryQuery, k: int) -> list[Match]:
        allowed = None if query.where is None else index.mask(query.where)
        if not query.is_compared:
            found = match_names(index.fields, query, allowed, absent=index.segments.absent, most=k)
            if query.text and not found:
                self._remarks += filter(None, [failed_file(query.text, self._failures())])
            if not query.text or query.names_only or len(found) >= k:
                return found
            return self._by_model(index, query, found, allowed, k)
        if query.text:
            mask = rows_of_text(index.fields, query.text)
            allowed = mask if allowed is None else allowed & mask
        return self._by_embedding(index, query, self._filtered(index, query, allowed), k)

    def _answered(self, index: SearchIndex, query: LibraryQuery) -> LibraryQuery:
        """A query of sounds or words whose text is words, too, where nothing is called by it or nothing else is wanted.

        Raises:
            NothingFoundError: nothing is called by the text, and the model does not know it.
        """
        named = rows_of_text(index.fields, query.text).any()
        if named and (query.like or query.unlike or query.words):
            return query
        vocabulary = self._tag_queries.known_tags(offline=self._offline)
        known, unknown = find_known_words(query.text, vocabulary) if vocabulary is not None else ([], [query.text])
        if reason := _misread_by_model(query.text, known, vocabulary):
            raise QueryError(reason)
        if unknown:
            if named:
                return query
            raise NothingFoundError(
                f"no name, tag, title or folder in this library has {query.text!r}, and beside a sound text says "
                "among which files",
                f": leave it out, or for what the model takes for it use LibraryQuery(words=({query.text!r},))",
            )
        self._remarks.append(
            f"{query.text!r} stands for what the model takes for it, not for what is called so"
            if named
            else f"nothing here is called {query.text!r}: what the model takes for it counts beside the rest"
        )
        self._remarks += remark_on_or(query.text, known)
        return replace(query, text="", words=(*query.words, *known))

    def _by_model(
        self,
        index: SearchIndex,
        query: LibraryQuery,
        found: list[Match],
        allowed: Bool[np.ndarray, " rows"] | None,
        k: int,
    ) -> list[Match]:
        """What text found, and after it what the model takes for the text: as a sentence, or by its words."""
        if not self._sentences.available(offline=self._offline):
            return self._by_words(index, query, found, k)
        self._model.get()  # refused here if it is another than the one that filled the library
        allowed = self._filtered(index, query, allowed)
        seen = {match.path for match in found}
        more = best_matches(
            index,
            query,
            lambda wanted: self._sentences.nearest(index, query.text, wanted, allowed),
            self._sentences.sample_similarity(index, query.text),
            ("sentence",),
            len(index) if allowed is None else int(allowed.sum()),
            k + len(seen),
        )
        return [*found, *(match for match in more if match.path not in seen)][:k]

    def _filtered(
        self, index: SearchIndex, query: LibraryQuery, allowed: Bool[np.ndarray, " rows"] | None
    ) -> Bool[np.ndarray, " rows"] | None:
        """The rows that the query's filter admits of those that may be found; None where all may be."""
        if not query.filter:
            return allowed
        mask = query.filter.mask(index.fields)
        return mask if allowed is None else allowed & mask

    def _by_words(self, index: SearchIndex, query: LibraryQuery, found: list[Match], k: int) -> list[Match]:
        """What text found, and after it what the model finds by those of its words that it knows."""
        vocabulary = self._tag_queries.known_tags(offline=self._offline)
        unusable = "" if vocabulary is not None else self._tag_queries.unusable(offline=self._offline)
        known, unknown = find_known_words(query.text, vocabulary) if vocabulary is not None else ([], [])
        if known and (reason := _misread_by_model(query.text, known, vocabulary)):
            if not found:
                raise QueryError(reason)
            self._remarks.append(reason)
            return found
        if not known:
            if not found:
                raise nothing_found(query, vocabulary, unusable)
            self._remarks += filter(None, [unusable or remark_on_parts(unknown, vocabulary)])
            return found
        if unknown:
            parts = remark_on_parts(unknown, vocabulary)
            self._remarks.append(f"{parts or f'the model does not know {listed(unknown)}'}: searched by the rest")
        self._remarks += remark_on_or(query.text, known)
        asked = replace(query, text="", words=tuple(known))
        seen = {match.path for match in found}
        more = self.find(index, replace(asked, include_query=True), k + len(seen))
        return [*found, *(match for match in more if match.path not in seen)][:k]

    def _by_embedding(
        self, index: SearchIndex, query: LibraryQuery, allowed: Bool[np.ndarray, " rows"] | None, k: int
    ) -> list[Match]:
        vectors, weights, found_by = self._vectors(index, query)
        balanced = self._settings.balanced_weights(weights)
        hidden = np.zeros(0, np.int64) if query.include_query else _own_rows(index, query)
        if allowed is None:
            allowed = np.ones(len(index), np.bool_) if len(hidden) else None
        if allowed is not None and len(hidden):
            allowed = allowed.copy()
            allowed[hidden] = False
        total = len(index) if allowed is None else int(allowed.sum())
        matches = best_matches(
            index,
            query,
            lambda wanted: nearest_rows(index, vectors, wanted, balanced, allowed),
            sample_similarity(index, vectors, balanced),
            found_by,
            total,
            k,
        )
        self._remark_short_regions(query, matches)
        return self._with_probabilities(index, query, matches) if query.words else matches

    def _with_probabilities(self, index: SearchIndex, query: LibraryQuery, matches: list[Match]) -> list[Match]:
        """Matches of words with their probabilities, and a remark where even the highest is low."""
        embeddings = index.restored_embeddings(matches)
        known = [match for match in matches if (match.path, match.start) in embeddings]
        if not known:
            return matches
        stacked = np.stack([embeddings[match.path, match.start] for match in known])
        values = self._tag_queries.probabilities(stacked, query.words, offline=self._offline)
        probable = {(match.path, match.start): float(value) for match, value in zip(known, values, strict=True)}
        if not (query.like or query.unlike) and (best := max(probable.values())) < GUESS:
            words = " with ".join(map(repr, query.words))
            self._remarks.append(
                f"these are guesses: as a whole none has a probability of more than {best:.0%} for {words}"
            )
        return [replace(match, probability=probable.get((match.path, match.start))) for match in matches]

    def _remark_short_regions(self, query: LibraryQuery, matches: Sequence[Match]) -> None:
        """Say where a region of the query is so short that the segments it is compared with hold much else."""
        lengths = [one.end - one.start for one in (*query.like, *query.unlike) if one.end is not None]
        compared = float(np.median([one.end - one.start for one in matches])) if matches else 0.0
        if lengths and 0 < min(lengths) < _SHORT * compared:
            window = max(2 * min(lengths) / self._settings.decoding.speed, _SHORTEST_WINDOW)
            self._remarks.append(
                f"a region of {min(lengths):g} s is compared with segments of {compared:.2g} s, which hold much else: "
                "to find short sounds in long recordings, index these into a library of their own with "
                f"--window {window:.2g} --hop {window / 2:.2g}"
            )

    def _vectors(
        self, index: SearchIndex, query: LibraryQuery
    ) -> tuple[Embeddings, Mapping[str, float] | None, tuple[str, ...]]:
        """The embeddings that stand for a query, the weights of the parts, and what the matches are found by."""
        like = [self._embedded_or_stored(index, sound, query) for sound in query.like]
        unlike = [self._embedded_or_stored(index, sound, query) for sound in query.unlike]
        words = bool(query.words or query.not_words)
        found_by = (("sound",) if like or unlike else ()) + (("word",) if words else ())
        window = (self._settings.window or 0) * self._settings.decoding.speed  # seconds of the file
        if len(like) == 1 and not unlike and (len(like[0]) == 1 or not words):
            vectors = like[0]
            if len(vectors) > 1:
                self._remarks.append(
                    f"the sound is longer than the library's window of {window:g} s: searched by its {len(vectors)} "
                    "parts, half by the best and half by the mean of them"
                )
        elif like or unlike:
            weights_of = {
                "like_weights": [sound.weight for sound in query.like],
                "unlike_weights": [sound.weight for sound in query.unlike],
            }
            vectors = combine_examples(index, like, unlike, **weights_of)[None]
            if long := sum(len(pieces) > 1 for pieces in (*like, *unlike)):
                self._remarks.append(
                    f"{counted(long, 'sound')} longer than the library's window of {window:g} s: the mean of its parts "
                    "counts beside other sounds or words"
                )
        else:
            vectors = np.zeros((0, self._settings.dim))
        if not words:
            return vectors, query.weights, found_by
        embedding, weights = self._tag_queries.query(
            query.words,
            query.not_words,
            sound=vectors[0] if len(vectors) else None,
            share=query.share,
            weights=query.weights,
            offline=self._offline,
        )
        remark = self._tag_queries.remark_on_weights(
            query.weights, beside_sound=len(vectors) > 0, offline=self._offline
        )
        self._remarks.extend(filter(None, [remark]))
        return embedding[None], weights, found_by

    def _embedded_or_stored(self, index: SearchIndex, sound: QuerySound, query: LibraryQuery) -> Embeddings:
        """The embedding of a sound; the library's stored ones, if the model is another by now or the file is absent."""
        try:
            return self._embedded(sound, query)
        except (AudioError, ModelError, ModelMismatchError) as error:
            absent = isinstance(error, AudioError)
            if absent and (not audio.is_file(sound.source) or is_there(sound.source)):
                raise
            rows = np.zeros(0, np.int64) if sound.region is None else index.rows_in_region(*sound.region)
            if not len(rows):
                raise
            why = f"the model cannot be loaded ({error})"
            if absent:
                why = "the file is absent"
            elif isinstance(error, ModelMismatchError):
                why = f"the library was filled by another version of {self._settings.model!r}"
        self._remarks.append(
            f"{_about(sound, query)}{why}: searched by the embeddings that the library holds of this sound"
        )
        return np.stack([index.embedding(segment.id) for segment in index.segments.at(rows)])

    def _embedded(self, sound: QuerySound, query: LibraryQuery) -> Embeddings:
        """The embedding of a sound, or of the pieces that the library would cut it into."""
        found: list[audio.Notice] = []
        pieces = embed_pieces(self._model.get(), self._settings, sound, query.decoding, found)
        if self._notices is not None:
            self._notices += [replace(notice, text=_about(sound, query) + notice.text) for notice in found]
        return pieces


def _misread_by_model(text: str, known: Sequence[str], vocabulary: Vocabulary | None) -> str:
    """Why a text is not searched for by those words of it that the model knows: it rules some out; else empty."""
    if vocabulary is None:
        return ""
    tags_of = {word: find_known_words(word, vocabulary)[0] for word in ruled_out(text)}
    out = tuple(word for word, tags in tags_of.items() if tags)
    if not out:
        return ""
    unwanted = {tag for word in out for tag in tags_of[word]}
    wanted = tuple(word for word in known if word not in unwanted)
    words = f"words={wanted!r}, " if wanted else ""
    return (
        f"a text cannot rule out words, and the model would look for {listed(out)}: write "
        f"LibraryQuery({words}not_words={out!r})"
    )


def _about(sound: QuerySound, query: LibraryQuery) -> str:
    """What a remark about a sound begins with: its name, where a query has several."""
    if len(query.like) + len(query.unlike) == 1:
        return ""
    name = str(sound.source) if audio.is_file(sound.source) else audio.WAVEFORM
    region = f"@{sound.start:g}-{'' if sound.end is None else f'{sound.end:g}'}" if sound.start or sound.end else ""
    return f"{name}{region}: "


def _own_rows(index: SearchIndex, query: LibraryQuery) -> Int[np.ndarray, " n"]:
    """The rows of the query's own sounds, which it must not find."""
    sounds = (*query.like, *query.unlike)
    rows = [index.rows_in_region(*sound.region) for sound in sounds if sound.region is not None]
    return np.unique(np.concatenate(rows)) if rows else np.zeros(0, np.int64)
