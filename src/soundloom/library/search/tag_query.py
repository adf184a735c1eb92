"""Search by tags: a direction in the model's own space, transformed into the standardised space of the index.

The agreement of sounds z with tags grows along g, which depends on what the library's sounds have in common
(`soundloom.tags.tag_model`; estimated from a sample of them). The index compares embeddings standardised by the
library's own mean m and deviations d and brought to unit length, x = (z - m) / d / |(z - m) / d|. Queried with g d, it
ranks by

    g d . x  =  g . (z - m) / |(z - m) / d|,

which is the agreement above the library's average, relative to the distance from the average. It is not the cosine that
the model was trained for, which would have to be computed for every sound anew; but it needs no index of its own, costs
what a query by sound costs, and can be mixed with one. The embedding whose standardised form is

    (1 - b) sound + b tags,        both at unit length

is m + d times that, and `Library.search_embedding` takes it as any other.

The other parts of a woven model know no tags: without a sound they have weight 0, with one they count as always.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from soundloom.engine_choice import load_default
from soundloom.errors import ModelError, NothingFoundError, QueryError
from soundloom.library.search.sentence_query import SentenceQueries
from soundloom.library.search.terms.query_words import query_words, word_forms
from soundloom.part_weights import complete_weights
from soundloom.tags.model_words import Words, words_of_model

if TYPE_CHECKING:
    from soundloom.library.search.index_cache import IndexCache
    from soundloom.library.search.library_query import LibraryQuery
    from soundloom.library.search.search_index import SearchIndex
    from soundloom.library.storage.library_settings import LibrarySettings
    from soundloom.tags import Vocabulary

__all__ = [
    "TagQueries",
    "find_known_words",
    "listed",
    "nothing_found",
    "remark_on_or",
    "remark_on_parts",
    "tag_embedding",
    "tags_of_library",
]


class _OtherVersionError(QueryError):
    """The words are of another version of the library's model."""


class TagQueries:
    """Queries of one library by tags, in the space of its model.

    Args:
        settings: the library's.
        index: its search index.

    Attributes:
        sentences: searches by sentences, where the model takes them.
    """

    def __init__(self, settings: LibrarySettings, index: IndexCache) -> None:
        self._settings = settings
        self._index = index
        self._aligned: Words | None = None
        self.sentences = SentenceQueries(settings)

    def vocabulary(self, *, offline: bool = False) -> tuple[str, ...]:
        """The tags that `Library.search_tags` understands; none if the library's model knows no tags.

        Args:
            offline: never fetch the published tag encoder; without it no tags are known.
        """
        known = self.known_tags(offline=offline)
        return () if known is None else known.tags

    def known_tags(self, *, offline: bool = False) -> Vocabulary | None:
        """The tags of `vocabulary`, with every way to write them; None if there are none."""
        try:
            return self._aligned_tags(offline).vocabulary
        except (QueryError, ModelError):
            return None

    def unusable(self, *, offline: bool = False) -> str:
        """Why the words of the library's model cannot be used, with the remedy; empty if they can, or it knows none.

        Args:
            offline: as for `vocabulary`.
        """
        try:
            self._aligned_tags(offline)
        except (_OtherVersionError, ModelError) as error:
            return str(error)
        except QueryError:
            return ""
        return ""

    def query(
        self,
        tags: Sequence[str] = (),
        not_: Sequence[str] = (),
        *,
        sound: NDArray[np.floating[Any]] | None = None,
        share: float = 0.5,
        weights: Mapping[str, float] | None = None,
        offline: bool = False,
    ) -> tuple[NDArray[np.floating[Any]], Mapping[str, float] | None]:
        """An embedding and weights that stand for tags, and a sound beside them, in `Library.search_embedding`.

        Args:
            tags: as for `Library.search_tags`.
            not_: as for `Library.search_tags`.
            sound: ``[dim]``, the embedding of a sound that the hits are like, as the model gives it.
            share: as for `Library.search_tags`.
            weights: as for `Library.search_tags`.
            offline: never fetch the published tag encoder.

        Raises:
            QueryError: as for `Library.search_tags`; also, without a sound, a weight of their part that is not above 0.
            ModelError: the tags of the model cannot be read.
        """
        aligned = self._aligned_tags(offline)
        own = complete_weights(self._settings.parts, weights)[aligned.part]
        if sound is None and own <= 0:
            raise QueryError(
                f"words are known to the part {aligned.part!r} alone, whose weight is {own:g}: give it one above 0, or "
                "no words"
            )
        embedding = tag_embedding(aligned, self._settings, self._index.current(), tags, not_, sound=sound, share=share)
        # Of words alone the other parts have nothing to compare.
        return embedding, weights if sound is not None else {
            **dict.fromkeys(self._settings.parts, 0.0),
            aligned.part: own,
        }

    def remark_on_weights(self, weights: Mapping[str, float] | None, *, beside_sound: bool, offline: bool) -> str:
        """Which of a caller's weights change nothing, as one part alone knows words; empty if all count.

        Args:
            weights: as for `Library.search_tags`.
            beside_sound: whether a sound is searched by as well.
            offline: as for `query`.
        """
        part, given = self._aligned_tags(offline).part, weights or {}
        if beside_sound:
            silent = given.get(part, 1.0) == 0
            return (
                f"words are known to the part {part!r} alone: its weight is 0, so they change nothing" if silent else ""
            )
        idle = " and ".join(name for name, weight in given.items() if name != part and weight != 1)
        return f"words are known to the part {part!r} alone: the weight of {idle} changes nothing" if idle else ""

    def probabilities(
        self, embeddings: Float[np.ndarray, "sounds dim"], tags: Sequence[str], *, offline: bool = False
    ) -> Float[np.ndarray, " sounds"]:
        """How probable the least probable of some tags is for each sound, in [0, 1]; see `soundloom.tags.suggestions`.

        Args:
            embeddings: of the sounds, as the model gives them.
            tags: words that the model knows, each one word or several.
            offline: never fetch the published tag encoder.
        """
        aligned = self._aligned_tags(offline)
        ours = np.ascontiguousarray(embeddings[:, slice(*self._settings.parts[aligned.part])], np.float32)
        scores = aligned.probabilities(ours)
        least: Float[np.ndarray, " sounds"] = scores[:, aligned.vocabulary.query(tags) > 0].min(axis=1)
        return least

    def word_scores(
        self, embeddings: Float[np.ndarray, "sounds dim"]
    ) -> tuple[tuple[str, ...], Float[np.ndarray, "sounds words"]]:
        """The words of the library's model and how probable each is for each sound; none where it knows none.

        Args:
            embeddings: of the sounds, as the model gives them. Nothing is fetched for them.
        """
        vocabulary = self.vocabulary(offline=True)
        if not vocabulary:
            return (), np.zeros((len(embeddings), 0))
        aligned = self._aligned_tags(offline=True)
        ours = np.ascontiguousarray(embeddings[:, slice(*self._settings.parts[aligned.part])], np.float32)
        return vocabulary, aligned.probabilities(ours).astype(np.float64)

    def _aligned_tags(self, offline: bool) -> Words:
        if self._aligned is None:
            self._aligned = tags_of_library(self._settings, offline=offline)
        return self._aligned


def tags_of_library(settings: LibrarySettings, *, offline: bool = False) -> Words:
    """The tag model of the model that fills a library.

    Raises:
        QueryError: no part of the model learned from tags, or they are of another version of it.
        ModelError: it cannot be read.
    """
    source = settings.source or settings.model
    found = words_of_model(source, settings.weights, offline=offline)
    if found is None:
        raise QueryError(
            f"the library's model {settings.model!r} knows no tags, so sounds cannot be searched by them: index with "
            "loom (the default), coala, or a model of your own from: soundloom train coala"
        )
    # Beside a part of a woven model stands that part's fingerprint alone: then the whole model is compared.
    if (
        found.fingerprints
        and settings.fingerprint not in found.fingerprints
        and settings.fingerprint not in load_default(source, weights=settings.weights, offline=offline).fingerprints()
    ):
        raise _OtherVersionError(
            f"the library was filled by another version of {settings.model!r}, for which the words that it knows now "
            "are not: search by sounds that it holds, or embed them with the model of now; tags and folders stay: "
            "soundloom index --upgrade -l LIBRARY"
        )
    return found


def tag_embedding(
    aligned: Words,
    settings: LibrarySettings,
    index: SearchIndex,
    tags: Sequence[str],
    not_: Sequence[str] = (),
    *,
    sound: Float[np.ndarray, " dim"] | None = None,
    share: float = 0.5,
) -> Float[np.ndarray, " dim"]:
    """The embedding of a query by tags, or by tags and a sound, in a library as it is now.

    Args:
        aligned: the tag model of the library's model.
        settings: the library's.
        index: the library's.
        tags: tags that the hits should have.
        not_: tags that they should not have.
        sound: the raw embedding of a sound that they should resemble as well.
        share: b, the weight of the tags beside the sound, from 0 to 1.

    Raises:
        QueryError: a tag is not in the vocabulary (the nearest are named), there are none, or the share is not one.
        ModelError: the tag model belongs to another model than the library's.
    """
    if not 0 <= share <= 1:
        raise QueryError(f"the tags' share beside a sound must be from 0 to 1, got {share}")
    if tags and not_:
        both = (aligned.vocabulary.query(tags) > 0) & (aligned.vocabulary.query(not_) > 0)
        if both.any():
            raise QueryError(f"{aligned.vocabulary.tags[int(both.argmax())]!r} is both asked for and ruled out")
    columns = _columns(aligned, settings)
    mean, deviation = index.standardisation.mean, index.standardisation.deviation
    direction = aligned.query_direction(index.sample[:, columns], tags, not_)
    standard = np.zeros_like(mean)
    standard[columns] = _unit(direction * deviation[columns])
    if sound is not None:
        mixed = (sound - mean) * index.standardisation.scale
        mixed[columns] = (1 - share) * _unit(mixed[columns]) + share * standard[columns]
        standard = mixed
    embedding: Float[np.ndarray, " dim"] = mean + deviation * standard
    return embedding


def _columns(aligned: Words, settings: LibrarySettings) -> slice:
    """The columns of the library's embeddings that the tag model understands."""
    if aligned.part not in settings.parts:
        raise ModelError(f"the tags are of {aligned.part!r}, but the library's parts are {', '.join(settings.parts)}")
    first, last = settings.parts[aligned.part]
    if last - first != aligned.dim:
        raise ModelError(
            f"the tags of {aligned.part!r} are for {aligned.dim} numbers, its part of the library has {last - first}: "
            "they go with the model's own embedding, without layers chosen"
        )
    return slice(first, last)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(vector, float(np.linalg.norm(vector)) or 1.0)


def find_known_words(text: str, vocabulary: Vocabulary) -> tuple[list[str], list[str]]:
    """The words of the model that a text names, and the words of the text that name none.

    >>> from soundloom.tags import Vocabulary
    >>> words = Vocabulary(tags=("Dog", "Baby cry, infant cry"), synonyms={"crying baby": "Baby cry, infant cry"})
    >>> find_known_words("a crying baby and two dogs", words)
    (['Baby cry, infant cry', 'Dog'], ['two'])
    """
    # A class of that name goes before one that has it beside others: "dogs" is Dog, not "Canidae, dogs, wolves".
    tables = [_by_form({tag: tag for tag in vocabulary.tags}), _by_form(vocabulary.names)]
    words = query_words(text)
    known: dict[str, None] = {}
    unknown = []
    first = 0
    while first < len(words):
        for last in range(len(words), first, -1):
            if (tag := _named(" ".join(words[first:last]), tables)) is not None:
                known[tag] = None
                first = last
                break
        else:
            unknown.append(words[first])
            first += 1
    return list(known), unknown


def listed(words: Sequence[str]) -> str:
    """The words as they are written, with "and" between them."""
    return " and ".join(map(repr, words))


def remark_on_parts(unknown: Sequence[str], vocabulary: Vocabulary | None) -> str:
    """That the model does not know some words, but tags that have one of them in their names; empty without such."""
    tags = vocabulary.tags if vocabulary is not None else ()
    having = [tag for tag in tags if not set(unknown).isdisjoint(query_words(tag))]
    return f"the model does not know {listed(unknown)}, but {listed(having[:3])}" if having else ""


def remark_on_or(text: str, known: Sequence[str]) -> list[str]:
    """That "or" is none where a text with it is searched for several words of the model at once; else nothing."""
    if len(known) < 2 or re.search(r"\bor\b", text, re.IGNORECASE) is None:
        return []
    return [f"all words of a text are searched for, here {listed(known)} at once: for one or the other search twice"]


def nothing_found(query: LibraryQuery, vocabulary: Vocabulary | None, unusable: str = "") -> NothingFoundError:
    """What is said where neither text nor the model finds anything.

    Args:
        query: what was asked.
        vocabulary: the tags that the model knows; None if there are none.
        unusable: why its tags cannot be used, as `TagQueries.unusable` says it.
    """
    among = "among the files that the filters admit" if query.filter or query.where else "in this library"
    start = f"no name, tag, title or folder {among} has {query.text!r}"
    if unusable:
        return NothingFoundError(f"{start}, and {unusable}", "")
    if vocabulary is None:
        start += ", and the library's model knows no words"
        return NothingFoundError(start, ": give a sound to search by, such as: soundloom search dog.wav")
    near = list(dict.fromkeys(name for word in query_words(query.text) for name in vocabulary.nearest(word)))[:3]
    hint = f": did you mean {' or '.join(map(repr, near))}?" if near else ""
    start += f", and it is none of the {len(vocabulary)} words that the model knows{hint}"
    return NothingFoundError(start, " (soundloom words)")


def _by_form(names: Mapping[str, str]) -> dict[str, str]:
    """Every form of every name -> the tag; a name as it is written before another's form."""
    plain = {" ".join(query_words(name)): tag for name, tag in names.items()}
    return {form: tag for name, tag in plain.items() for form in _forms(name)} | plain


def _named(phrase: str, tables: Sequence[Mapping[str, str]]) -> str | None:
    """The tag that a phrase is a name of; as it is written before another form of it."""
    forms = [phrase, *sorted(_forms(phrase))]
    return next((table[form] for table in tables for form in forms if form in table), None)


def _forms(phrase: str) -> Sequence[str]:
    """A phrase with every form of its last word."""
    *before, last = phrase.split(" ")
    return [" ".join((*before, form)) for form in word_forms(last)]
