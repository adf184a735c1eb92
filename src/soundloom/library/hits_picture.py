"""Picture of a query and its hits: spectrograms, and the similarity by each part."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from soundloom import audio
from soundloom.errors import QueryError
from soundloom.library.search.matches import Match
from soundloom.library.search.query_sound import QuerySound
from soundloom.pictures import Excerpt, hits_picture

__all__ = ["draw_hits"]


def draw_hits(
    out: str | os.PathLike[str],
    sound: QuerySound,
    hits: Sequence[Match],
    sample_rate: int,
    decoding: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
    hits_decoding: audio.DecodeOptions | None = None,
) -> None:
    """Draw a file that was searched by, or a region of it, and its hits to a PNG.

    Args:
        out: the picture.
        sound: what was searched by.
        hits: what was found, best first.
        sample_rate: the model's rate, in hertz; the spectrograms reach to its half, or as far as that is in the file
            where files are taken at another speed.
        decoding: how the query was decoded.
        hits_decoding: how the library decodes its files; as the query if not given.

    Raises:
        QueryError: the sound is no file.
        AudioError: it or a hit can no longer be read.
    """
    if not audio.is_file(sound.source):
        raise QueryError("a picture is of a file")
    library_decoding = hits_decoding or decoding
    rate = round(sample_rate / library_decoding.speed)
    samples = audio.read(sound.source, sample_rate, start=sound.start, end=sound.end, options=decoding)
    asked = Excerpt(
        title=Path(sound.source).name,
        samples=samples,
        sample_rate=rate,
        start=sound.start,
        end=sound.start + len(samples) / rate,
        similarity=None,
        parts={},
    )
    found = [
        Excerpt(
            title=Path(hit.path).name,
            samples=audio.read(hit.path, sample_rate, start=hit.start, end=hit.end, options=library_decoding),
            sample_rate=rate,
            start=hit.start,
            end=hit.end,
            similarity=hit.similarity,
            parts=hit.parts,
        )
        for hit in hits
    ]
    hits_picture(asked, found, Path(out))
