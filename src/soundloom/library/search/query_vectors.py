"""Search by several embeddings: the parts of a long sound, and examples that hits are like and not like.

A sound that is longer than the library's window is embedded in the pieces that the library would cut it into. The
similarity of a row x to pieces q_1 ... q_n is half the best and half the mean of theirs,

    s(x) = (max_i s(q_i, x) + mean_i s(q_i, x)) / 2:

the best alone finds whatever resembles any moment of the sound, the mean alone only what resembles all of it. Words
beside a sound, and explanations, take the mean of its pieces.

Several examples are one query (Rocchio 1971): the mean of what hits are like, less half the mean of what they are not
like, in the standardised space of the index.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from soundloom import audio
from soundloom.embedding_model import sound_blocks
from soundloom.errors import AudioError
from soundloom.library.hits import Hits
from soundloom.library.search.explanation import share_below
from soundloom.library.search.matches import Match, NearestRows, best_of_each_file, merge_overlapping
from soundloom.library.search.query_checks import refuse_embedding
from soundloom.part_weights import weight_shares

if TYPE_CHECKING:
    from soundloom.embedding_model import EmbeddingModel
    from soundloom.library.search.library_query import LibraryQuery
    from soundloom.library.search.query_sound import QuerySound
    from soundloom.library.search.row_filter import RowFilter
    from soundloom.library.search.search_index import SearchIndex
    from soundloom.library.storage.library_settings import LibrarySettings

__all__ = [
    "best_matches",
    "combine_examples",
    "embed_pieces",
    "hits_of_pieces",
    "mean_of_pieces",
    "nearest_rows",
    "sample_similarity",
    "silence_error",
]

_MORE = 4
"""How many times as many rows as matches are looked at first, as several may be of one file; and again, if too few."""

_UNLIKE = 0.5
"""What the mean of the unlike examples counts beside that of the others."""

_SEARCHED = 64
"""Pieces that a search of their own is made for; of more, such as those of an hour, as many at equal distances."""

Cosines = dict[str, Float[np.ndarray, "queries rows"]]


def combine_examples(
    index: SearchIndex,
    like: Sequence[Float[np.ndarray, "_pieces dim"]],
    unlike: Sequence[Float[np.ndarray, "_pieces dim"]] = (),
    *,
    like_weights: Sequence[float] | None = None,
    unlike_weights: Sequence[float] | None = None,
) -> Float[np.ndarray, " dim"]:
    """One embedding, raw as the model's are, that stands for several examples.

    Args:
        index: of the library.
        like: the embeddings of each example, a row a piece.
        unlike: those of examples that hits are not like.
        like_weights: how much each of `like` counts beside the others of them; all the same if not given.
        unlike_weights: the same of `unlike`.
    """
    standardisation = index.standardisation
    standard = np.zeros(standardisation.dim)
    kinds = ((like, like_weights, 1.0), (unlike, unlike_weights, -_UNLIKE if like else -1.0))
    for examples, weights, together in kinds:
        counts = np.ones(len(examples)) if weights is None else np.asarray(weights, np.float64)
        for pieces, count in zip(examples, together * counts / max(1e-12, counts.sum()), strict=True):
            standard += count * standardisation.apply(pieces).mean(axis=0)
    embedding: Float[np.ndarray, " dim"] = standardisation.mean + standardisation.deviation * standard
    return embedding


def mean_of_pieces(index: SearchIndex, pieces: Float[np.ndarray, "pieces dim"]) -> Float[np.ndarray, " dim"]:
    """One embedding, raw as the model's are, that stands for the pieces of a sound; a single piece is itself."""
    return pieces[0] if len(pieces) == 1 else combine_examples(index, [pieces])


def embed_pieces(
    model: EmbeddingModel,
    settings: LibrarySettings,
    sound: QuerySound,
    decoding: audio.DecodeOptions | None = None,
    notices: list[audio.Notice] | None = None,
) -> Float[np.ndarray, "pieces dim"]:
    """The embeddings of the pieces that a library would cut a sound into; one of a sound within its window.

    Args:
        model: the library's.
        settings: the library's: its window and hop.
        sound: a file or a waveform, or a region of one.
        decoding: how a file is decoded, if not as the library's.
        notices: a list to which is added what is noticed of the sound.

    Raises:
        AudioError: the sound cannot be read, has no such region, or nothing to search by, such as silence.
        QueryError: an embedding instead of a sound.
    """
    refuse_embedding(settings, sound)
    found: list[audio.Notice] = []
    pieces = _pieces(model, settings, sound, decoding or settings.decoding, found)
    name = os.fspath(sound.source) if audio.is_file(sound.source) else audio.WAVEFORM
    if silence := next((notice.text for notice in found if notice.code == "silent"), ""):
        raise silence_error(name, silence)
    if not (np.isfinite(pieces).all() and pieces.any()):
        raise AudioError(name, f"has an embedding by {model.name!r} that is zero or not finite: nothing to search by")
    if notices is not None:
        notices += found
    return pieces


def silence_error(name: str, silence: str = "digital silence: every sample is 0") -> AudioError:
    """What is said of a search by digital silence, whose ranking would be of chance.

    Args:
        name: of the sound.
        silence: what was noticed of it.
    """
    return AudioError(
        name,
        f"{silence}, and there is nothing to search by; files that are silent as a whole: "
        "LibraryQuery(where=\"notices LIKE 'silent:%'\")",
    )


def _pieces(
    model: EmbeddingModel,
    settings: LibrarySettings,
    sound: QuerySound,
    options: audio.DecodeOptions,
    found: list[audio.Notice],
) -> Float[np.ndarray, "pieces dim"]:
    """The embeddings of `embed_pieces`; what is noticed of the sound is added to a list."""
    source, rate, start, end = sound.source, sound.sample_rate, sound.start, sound.end
    if settings.window is not None:
        blocks = sound_blocks(source, model.sample_rate, rate, start, end, options, notices=found)
        segments = audio.segments(blocks, model.sample_rate, settings.window, settings.hop)
        first, second = next(segments, None), next(segments, None)
        if first is not None and second is not None:
            return np.stack([model.embed_samples(segment.samples) for segment in chain((first, second), segments)])
        found.clear()  # the sound is within the window, and decoded once more
    embedding = model.embed(source, rate, start=start, end=end, options=options, notices=found)
    return embedding[None]


def hits_of_pieces(
    index: SearchIndex,
    queries: Float[np.ndarray, "*pieces dim"],
    k: int,
    weights: Mapping[str, float],
    where: str | RowFilter | None = None,
    exclude: tuple[str, float, float] | None = None,
) -> Hits:
    """The segments most similar to an embedding, or to the pieces of a sound; see `SearchIndex.hits`."""
    queries = np.atleast_2d(queries)
    if len(queries) == 1:
        return index.hits(queries[0], k, weights, where=where, exclude=exclude)
    mask = None if where is None else index.mask(where)
    if exclude is not None:
        mask = np.ones(len(index), np.bool_) if mask is None else mask.copy()
        mask[index.rows_in_region(*exclude)] = False
    found = nearest_rows(index, queries.astype(np.float32), k, weights, mask)
    return index.to_hits(found, np.arange(len(found.rows)))


def nearest_rows(
    index: SearchIndex,
    queries: Float[np.ndarray, "pieces dim"],
    k: int,
    weights: Mapping[str, float],
    mask: Bool[np.ndarray, " rows"] | None = None,
) -> NearestRows:
    """The rows most similar to the pieces of a query; as `SearchIndex.search` for one of a single piece.

    Of several pieces, the k best rows of each (`_SEARCHED`) and of their mean are compared.
    """
    if len(queries) == 1:
        return index.search(queries[0], k, weights, mask)
    some = queries[np.linspace(0, len(queries) - 1, min(len(queries), _SEARCHED)).round().astype(int)]
    seen = [index.search(query, k, weights, mask).rows for query in (*some, mean_of_pieces(index, queries))]
    rows = np.unique(np.concatenate(seen))
    similarity, parts = _blended(index.cosines(queries, rows), weights)
    order = np.lexsort((rows, -similarity))[:k]
    return NearestRows(rows[order], similarity[order], {name: cosines[order] for name, cosines in parts.items()})


def sample_similarity(
    index: SearchIndex, queries: Float[np.ndarray, "pieces dim"], weights: Mapping[str, float]
) -> Float[np.ndarray, " sampled"]:
    """The similarity of the sampled rows of the index to a query, ascending: what a hit's is compared with."""
    each = [index.sample_similarities(query) for query in queries]
    return np.sort(_blended({name: np.stack([one[name] for one in each]) for name in each[0]}, weights)[0])


def _blended(
    cosines: Cosines, weights: Mapping[str, float]
) -> tuple[Float[np.ndarray, " rows"], dict[str, Float[np.ndarray, " rows"]]]:
    """Half the best and half the mean over the pieces: of the similarity, and of each part's cosine."""
    pieces = np.sum([cosines[name] * share for name, share in weight_shares(weights).items()], axis=0)
    best = np.argmax(pieces, axis=0)[None]
    parts = {
        name: (np.take_along_axis(values, best, axis=0)[0] + values.mean(axis=0)) / 2
        for name, values in cosines.items()
    }
    return (np.take_along_axis(pieces, best, axis=0)[0] + pieces.mean(axis=0)) / 2, parts


def best_matches(
    index: SearchIndex,
    query: LibraryQuery,
    nearest: Callable[[int], NearestRows],
    standing: Float[np.ndarray, " sampled"],
    found_by: tuple[str, ...],
    total: int,
    k: int,
) -> list[Match]:
    """The k best matches: a file each, or every segment if the query asks for that.

    Args:
        index: of the library.
        query: says how rows are grouped.
        nearest: the best rows, as many as it is given.
        standing: similarities of sampled rows, ascending, with which those of the matches are compared.
        found_by: what the matches are found by.
        total: how many rows may be found.
        k: how many matches, at most.
    """
    group: Callable[[list[Match]], list[Match]] = merge_overlapping if query.every_segment else best_of_each_file
    wanted = _MORE * k
    while True:
        matches = group(_matches(index, nearest(min(wanted, total)), standing, found_by))
        if len(matches) >= k or wanted >= total:
            return matches[:k]
        wanted *= _MORE


def _matches(
    index: SearchIndex, near: NearestRows, standing: Float[np.ndarray, " sampled"], found_by: tuple[str, ...]
) -> list[Match]:
    hits = index.to_hits(near, np.arange(len(near.rows)))
    below = share_below(standing, near.similarity)
    return [
        Match(
            hit.path,
            hit.start,
            hit.end,
            hit.duration,
            hit.tags,
            absent=hit.absent,
            found_by=found_by,
            similarity=hit.similarity,
            percentile=min(1.0, float(share)),
            parts=hit.parts,
        )
        for hit, share in zip(hits, below, strict=True)
    ]
