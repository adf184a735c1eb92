"""A search as its address spells it: `GET /search` and the page's own address have the same parameters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from soundloom import part_weights
from soundloom.audio import DecodeOptions
from soundloom.library import LibraryQuery, QuerySound, RowFilter, Segment, parse_hours
from soundloom.server.catalogue import Catalogue
from soundloom.server.http.error_responses import ApiError
from soundloom.server.schemas import Identity, RequestModel, Tag

__all__ = ["Excerpts", "FacetQuery", "FileFilter", "FileQuery", "Query", "RecordedQuery", "Tile", "parse_weights"]

_Seconds = Annotated[float, Field(ge=0, lt=1e9)]

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Sort = Annotated[
    list[_Name],
    Field(
        max_length=5,
        description="Fields of files to order by, the best k of what is compared; with a minus from large to small.",
    ),
]
_Columns = Annotated[list[_Name], Field(max_length=50, description="Fields of the files to add, such as codec.")]

Excerpts = Annotated[int, Field(ge=16, le=512, description="How many are decoded of a stretch longer than 90 s.")]


_TERMS = 20
"""Terms of a query, at most."""


class RecordedQuery(BaseModel):
    """Where and when something was recorded; named as by ``soundloom search``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    site: Annotated[str | None, Field(max_length=200, description="Only what was recorded at this site.")] = None
    hours: Annotated[
        str | None, Field(max_length=20, description="Only of these hours of the day, FROM-TO.", examples=["22-4"])
    ] = None
    after: Annotated[date | None, Field(description="Only what was recorded on this day or later.")] = None
    before: Annotated[date | None, Field(description="Only what was recorded before this day.")] = None

    def recorded(self) -> dict[str, Any]:
        """These conditions, as the library's filters take them.

        Raises:
            QueryError: hours that the day does not have.
        """
        hours = None if self.hours is None else parse_hours(self.hours)
        return {"site": self.site, "hours": hours, "after": self.after, "before": self.before}


class Query(RecordedQuery):
    """What to search by and among what; with neither, every segment in the order of its path."""

    like: Identity | None = None
    upload: Annotated[str | None, Field(max_length=64, description="An upload's id, instead of like.")] = None
    start: Annotated[_Seconds | None, Field(description="Where in that sound's file to begin, in seconds.")] = None
    end: Annotated[_Seconds | None, Field(description="Where to stop.")] = None
    tag: Annotated[list[Tag], Field(max_length=20, description="What it should sound like, in words.")] = []
    without: Annotated[list[Tag], Field(max_length=20, alias="not", description="What it should not sound like.")] = []
    share: Annotated[float, Field(ge=0, le=1, description="How much the words count beside a sound.")] = 0.5
    weights: Annotated[str, Field(max_length=2000, description="PART:NUMBER,...", examples=["pitch:2,timbre:0"])] = ""
    folder: Annotated[str | None, Field(max_length=4096, description="Only below this folder of the library.")] = None
    has_tag: Annotated[list[Tag], Field(max_length=20, description="Only with all of these tags.")] = []
    min_duration: Annotated[_Seconds | None, Field(description="Only files of at least so many seconds.")] = None
    max_duration: Annotated[_Seconds | None, Field(description="Only files of at most so many seconds.")] = None
    sort: _Sort = []
    column: _Columns = []
    k: Annotated[int, Field(ge=1, le=2000)] = 50
    offset: Annotated[int, Field(ge=0, le=10_000)] = 0
    explain: Annotated[
        bool, Field(description="Add, for each hit, the parts in which it is unusually similar to the sound.")
    ] = False

    def row_filter(self, catalogue: Catalogue) -> RowFilter:
        """The filters, as the library takes them; raises as `recorded`."""
        return RowFilter(
            folder=None if self.folder is None else catalogue.folder(self.folder),
            tags=tuple(self.has_tag),
            longer=self.min_duration,
            shorter=self.max_duration,
            **self.recorded(),
        )

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            ApiError: two sounds, or a region of none, or one that ends before it begins.
            QueryError: weights that cannot be read.
        """
        parse_weights(self.weights)
        if self.like is not None and self.upload is not None:
            raise ApiError(422, "bad_query", "search by like= or by upload=, not by both")
        region = self.start is not None or self.end is not None
        if region and self.like is None and self.upload is None:
            raise ApiError(422, "bad_query", "start= and end= are a region of a sound: name it by like= or upload=")
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ApiError(422, "bad_query", f"the region must end after it begins, got {self.start} to {self.end} s")


class Tile(RequestModel):
    """A stretch of a file over time and frequency, and the size of its picture."""

    start: Annotated[float, Field(ge=0, lt=1e9, description="Seconds.")]
    end: Annotated[float, Field(gt=0, lt=1e9, description="Seconds.")]
    width: Annotated[int, Field(ge=16, le=2048)] = 512
    height: Annotated[int, Field(ge=16, le=1024)] = 256
    low: Annotated[float, Field(ge=0, lt=1e6, description="Hertz at the bottom.")] = 0.0
    high: Annotated[float, Field(ge=0, lt=1e6, description="Hertz at the top; 0: half the file's rate.")] = 0.0
    excerpts: Excerpts = 128
    scale: Literal["linear", "mel"] = "linear"
    gain: Annotated[float, Field(ge=-60, le=120, description="Decibels by which all is raised.")] = 0.0
    theme: Literal["dark", "light"] = "dark"


class FileFilter(RecordedQuery):
    """Among which files, by text and filters; named as by ``soundloom search``."""

    text: Annotated[str, Field(max_length=1000, examples=["dog barking"])] = ""
    folder: Annotated[str | None, Field(max_length=4096, description="Only below this folder of the library.")] = None
    has_tag: Annotated[list[Tag], Field(max_length=20, description="Only with all of these tags.")] = []
    longer: Annotated[_Seconds | None, Field(description="Only files of at least so many seconds.")] = None
    shorter: Annotated[_Seconds | None, Field(description="Only files of at most so many seconds.")] = None
    rate: Annotated[int | None, Field(ge=1, le=10**7, description="Only files of this sample rate, in hertz.")] = None
    where: Annotated[
        str | None, Field(max_length=2000, description="An SQL condition on fields.", examples=["bits = 24"])
    ] = None

    def row_filter(self, catalogue: Catalogue) -> RowFilter:
        """The filters other than text and ``where``, as the library takes them; raises as `recorded`."""
        return RowFilter(
            tags=tuple(self.has_tag),
            folder=None if self.folder is None else catalogue.folder(self.folder),
            longer=self.longer,
            shorter=self.shorter,
            sample_rate=self.rate,
            **self.recorded(),
        )

    def admitted(self, catalogue: Catalogue) -> LibraryQuery:
        """The query of all files that text and filters admit, as the library takes it."""
        return LibraryQuery(text=self.text.strip(), filter=self.row_filter(catalogue), where=self.where)


class FacetQuery(FileFilter):
    """Which fields are counted, and among which files."""

    fields: Annotated[
        list[_Name],
        Field(max_length=20, description="Such as folder, tags, codec, hour; the usual ones if none.", alias="field"),
    ] = []


class FileQuery(FileFilter):
    """What files are called, tagged, taken for, or sound like, and among which; named as by ``soundloom search``."""

    query: Annotated[
        list[Annotated[str, Field(max_length=1000)]],
        Field(
            description="As soundloom search takes it: the name of a sound of the library, a region of one, or text.",
            examples=[["dog_07"], ["dogs/dog_07.wav@1-2.5", "forest"]],
        ),
    ] = []
    like: Annotated[list[Identity], Field(max_length=20, description="Segments that the files sound like.")] = []
    unlike: Annotated[list[Identity], Field(max_length=20, description="Segments that they do not sound like.")] = []
    upload: Annotated[
        list[Annotated[str, Field(max_length=64)]],
        Field(max_length=20, description="Ids of uploads that the files sound like, beside like."),
    ] = []
    word: Annotated[list[Tag], Field(max_length=20, description="What the model takes them for.")] = []
    without: Annotated[list[Tag], Field(max_length=20, alias="not", description="What it does not.")] = []
    share: Annotated[float, Field(ge=0, le=1, description="How much the words count beside sounds.")] = 0.5
    weights: Annotated[str, Field(max_length=2000, description="PART:NUMBER,...", examples=["pitch:2,timbre:0"])] = ""
    start: Annotated[_Seconds | None, Field(description="Where the first of like or upload begins, in seconds.")] = None
    end: Annotated[_Seconds | None, Field(description="Where it stops.")] = None
    names_only: Annotated[bool, Field(description="Look in names, tags and folders alone, and not ask the model.")] = (
        False
    )
    sort: _Sort = []
    column: _Columns = []
    k: Annotated[int, Field(ge=1, le=500)] = 50
    offset: Annotated[int, Field(ge=0, le=10_000, description="How many of the best to leave out.")] = 0

    def terms(self) -> list[str]:
        """The terms of ``query``.

        Raises:
            ApiError: there are too many.
        """
        if len(self.query) > _TERMS:
            raise ApiError(422, "bad_query", f"query= may be given {_TERMS} times, got {len(self.query)}")
        return self.query

    def asked(
        self,
        catalogue: Catalogue,
        read: LibraryQuery,
        sound: Callable[[Segment, float, float | None], QuerySound],
        uploaded: Callable[[str, float, float | None], QuerySound],
    ) -> LibraryQuery:
        """The query, as the library takes it.

        Args:
            catalogue: of the library.
            read: what ``query`` says: text, and sounds of the library by their names, which are decoded.
            sound: decodes a region of a segment's file.
            uploaded: finds a region of an upload, which is decoded.

        Raises:
            ApiError: nothing is asked for, or there is no such segment, upload or folder.
        """
        chosen = self.row_filter(catalogue)
        text = " ".join(filter(None, (read.text, self.text.strip())))
        compared = read.like or self.like or self.unlike or self.upload or self.word or self.without
        if not (text or compared or chosen or self.where or self.sort):
            raise ApiError(
                422, "bad_query", "nothing to search for: give query=, text=, like=, word=, a filter or sort="
            )
        like = [catalogue.segment(one) for one in self.like]
        regions: list[tuple[float, float | None]] = [(one.start, one.end) for one in like]
        regions += [(0.0, None)] * len(self.upload)
        if regions and (self.start is not None or self.end is not None):
            regions[0] = self.start or 0.0, self.end
        return LibraryQuery(
            text=text,
            like=(
                *read.like,
                *(sound(one, *region) for one, region in zip(like, regions, strict=False)),
                *(uploaded(one, *region) for one, region in zip(self.upload, regions[len(like) :], strict=True)),
            ),
            unlike=tuple(sound(one, one.start, one.end) for one in map(catalogue.segment, self.unlike)),
            words=tuple(self.word),
            not_words=tuple(self.without),
            share=self.share,
            weights=parse_weights(self.weights) or None,
            filter=chosen,
            where=self.where,
            sort=tuple(self.sort),
            names_only=self.names_only,
            decoding=DecodeOptions(),  # sounds are decoded already, at the library's speed
        )


def parse_weights(text: str) -> dict[str, float]:
    """Read ``part:weight,part:weight``.

    >>> parse_weights("pitch:2,timbre:0")
    {'pitch': 2.0, 'timbre': 0.0}

    Raises:
        QueryError: as for `soundloom.part_weights.parse_weights`.
    """
    return part_weights.parse_weights(text, ":")
