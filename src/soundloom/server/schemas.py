"""Request and response schemas of the API, as OpenAPI documents them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "ErrorResponse",
    "ExamplesRequest",
    "ExportFormat",
    "ExportFormats",
    "ExportRequest",
    "FailedFile",
    "Failures",
    "FileEntry",
    "Folder",
    "Identity",
    "Ids",
    "Indices",
    "LibraryInfo",
    "LibraryPart",
    "MapInfo",
    "MapRequest",
    "Noticed",
    "Notices",
    "Outline",
    "Peaks",
    "PointIndices",
    "Ranking",
    "RankingQuality",
    "RegionEntry",
    "RequestModel",
    "ResponseModel",
    "SearchResult",
    "SegmentEntry",
    "SegmentIds",
    "SegmentList",
    "TagCount",
    "TagEditRequest",
    "TagEdited",
    "TagList",
    "UndoRequest",
    "Uploaded",
]

Identity = Annotated[str, Field(pattern="^[0-9a-f]{16}$", description="A segment's id.", examples=["9f3a0c5d1e2b4a68"])]
Tag = Annotated[str, Field(min_length=1, max_length=200, examples=["siren"])]
_Ids = Annotated[list[Identity], Field(max_length=200_000)]


class ResponseModel(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True)


class RequestModel(BaseModel):
    """A request; what it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ErrorDetail(ResponseModel):
    """What is wrong."""

    code: str = Field(description="For programs: one word that does not change.")
    message: str = Field(description="For people: what is wrong and what to do.")


class ErrorResponse(ResponseModel):
    """How every error looks."""

    error: ErrorDetail


class LibraryPart(ResponseModel):
    """A part of the model's embedding: a slider."""

    name: str
    dim: int
    balance: float = Field(description="How much it counts where no weights are given, which multiply it.")


class Folder(ResponseModel):
    """A folder that sounds lie in, with everything below it."""

    name: str = Field(description="Relative to the folder that all sounds share; '.' is that folder itself.")
    files: int


class ServedLibrary(ResponseModel):
    """A library of the server."""

    name: str
    address: str = Field(description="The path below which its page and its API are.")


class LibraryInfo(ResponseModel):
    """What a library holds."""

    name: str
    model: str
    parts: list[LibraryPart]
    segments: int
    files: int
    seconds: float
    failures: int
    notices: int = Field(description="How many notices there are of the files; see /notices.")
    unfinished: str = Field(description="When indexing was interrupted, and what goes on with it; empty if it was not.")
    tags_searchable: bool = Field(description="Whether the model understands tags as queries.")
    version: str = Field(description="Changes with every change of the library.")
    folders: list[Folder]
    upload_bytes: int = Field(description="The largest upload that is taken.")
    upload_seconds: float = Field(description="The longest.")
    folders_left_out: int = Field(description="How many small folders are not listed.")
    fields: list[str] = Field(description="What is known of files, to sort, count and filter by, and for column=.")
    can_add_folders: bool = Field(description="Whether this client may add folders of the server's disk.")
    can_reveal: bool = Field(description="Whether this client may open folders in the server's file manager.")
    libraries: list[ServedLibrary] = Field(description="All libraries of this server, this one among them.")


class RegionEntry(ResponseModel):
    """A region of a file of the library."""

    id: Identity = Field(description="Of the segment that begins where the region does.")
    path: str
    name: str
    folder: str = Field(description="As in the library's folders.")
    start: float = Field(description="Where the region begins, in seconds.")
    end: float
    duration: float = Field(description="Length of the whole file in seconds.")
    tags: list[str]
    absent: bool = Field(default=False, description="Whether the file is not there now.")
    notices: list[str] = Field(default=[], description="What was noticed of the file, such as silence.")
    fields: dict[str, str | int | float | list[str] | None] | None = Field(
        default=None, description="Fields of the file that column= asked for."
    )


class SegmentEntry(RegionEntry):
    """A segment; with its similarities if a search found it, with a probability if a classifier ranked it."""

    similarity: float | None = Field(default=None, description="In [-1, 1].")
    parts: dict[str, float] | None = Field(default=None, description="Part -> similarity by that part alone.")
    percentiles: dict[str, float] | None = Field(
        default=None, description="Part -> share of the library that is less alike by it, if explain= asked for it."
    )
    probability: float | None = Field(default=None, ge=0, le=1, description="That the segment deserves the tag.")


class SearchResult(ResponseModel):
    """What a search found."""

    hits: list[SegmentEntry]
    total: int = Field(description="How many segments satisfy the filters, found or not.")
    remarks: list[str] = Field(default=[], description="Why nothing can be found, and which weights change nothing.")
    version: str = Field(description="Of the library that was searched; as `/library` gives it.")
    milliseconds: float


class Peaks(ResponseModel):
    """The outline of a file."""

    peaks: list[Annotated[float, Field(ge=0, le=1)]]
    duration: float


class Outline(ResponseModel):
    """The waveform of a region."""

    least: list[float]
    greatest: list[float]


class FileEntry(ResponseModel):
    """A file with all its segments."""

    duration: float = Field(description="Seconds.")
    sample_rate: int = Field(description="Hertz.")
    channels: int
    codec: str
    segments: list[SegmentEntry]


class Uploaded(Peaks):
    """A sound that was uploaded, to be searched by."""

    upload: str
    name: str
    notices: list[str] = Field(default=[], description="What was noticed of it, such as silence.")


class TagCount(ResponseModel):
    """A tag and how many segments have it."""

    name: str
    count: int


class TagList(ResponseModel):
    """Tags that begin in a certain way."""

    tags: list[TagCount]
    vocabulary: list[str] = Field(description="Tags that the model understands as queries.")


class TagEditRequest(RequestModel):
    """A tag to give to segments, and to take from others."""

    tag: Tag
    add: _Ids = []
    remove: _Ids = []


class TagEdited(ResponseModel):
    """A change of tags that was made."""

    edit: str = Field(description="To undo it by.")
    changed: int = Field(description="Segments that have other tags now.")
    copies: int = Field(description="Those among them that were not named: of copies of a named file.")


class UndoRequest(RequestModel):
    """Which change of tags to take back."""

    edit: Annotated[str, Field(max_length=100)]


class ExportFormat(ResponseModel):
    """A form in which segments can be exported."""

    name: str
    title: str
    ending: str


class ExportFormats(ResponseModel):
    """The forms in which segments can be exported."""

    formats: list[ExportFormat]


class ExportRequest(RequestModel):
    """Segments to export."""

    ids: Annotated[list[Identity], Field(min_length=1, max_length=10_000)]
    scores: Annotated[list[float | None], Field(max_length=10_000, description="How alike each was found.")] = []
    format: Annotated[str, Field(max_length=40)]


class ExamplesRequest(RequestModel):
    """Segments that deserve a tag, and segments that do not."""

    tag: Tag
    yes: Annotated[list[Identity], Field(max_length=5000)]
    no: Annotated[list[Identity], Field(max_length=5000)] = []
    k: Annotated[int, Field(ge=1, le=10_000)] = 50


class RankingQuality(ResponseModel):
    """How sure the classifier is, by cross-validation on the examples."""

    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    average_precision: float | None = None
    message: str


class Ranking(ResponseModel):
    """What deserves a tag, by the examples."""

    ranked: list[SegmentEntry]
    doubtful: list[SegmentEntry] = Field(description="Those the classifier is least sure of: mark them next.")
    at_least: list[int] = Field(
        description="How many segments have a probability of at least 0.50, 0.51 ... 0.99, of the first 10,000."
    )
    quality: RankingQuality


class MapInfo(ResponseModel):
    """Whether there is a map, and what it shows."""

    computed: bool
    stale: bool
    n: int
    folders: list[str]
    clusters: list[str]
    tags: list[TagCount]


class Ids(ResponseModel):
    """Segments in the order of the map."""

    ids: list[Identity]


class Indices(ResponseModel):
    """Where segments stand on the map; -1 for those that do not."""

    indices: list[int]


class PointIndices(RequestModel):
    """Places on the map."""

    indices: Annotated[list[Annotated[int, Field(ge=0, lt=2**53)]], Field(max_length=500)]


class SegmentIds(RequestModel):
    """Segments to be found on the map."""

    ids: _Ids


class SegmentList(ResponseModel):
    """Some segments."""

    segments: list[SegmentEntry]


class MapRequest(RequestModel):
    """By which parts the map is to be arranged."""

    weights: Annotated[dict[str, float], Field(max_length=100)] = {}


class FailedFile(ResponseModel):
    """A file that could not be indexed, and why."""

    path: str
    reason: str


class Failures(ResponseModel):
    """Files that could not be indexed."""

    failures: list[FailedFile]


class Noticed(ResponseModel):
    """What was noticed of a file when it was decoded; the file is indexed."""

    path: str
    code: str = Field(description="For programs: silent, cancelled, ultrasonic, repaired, truncated, joined, track ...")
    text: str = Field(description="For people: what was noticed, and what can be done.")


class Notices(ResponseModel):
    """What was noticed of files."""

    notices: list[Noticed]
