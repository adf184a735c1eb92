"""Server of the Model Context Protocol over a library: search, explain, tag and detect, on standard input and output.

The client, such as an assistant, starts ``soundloom mcp LIBRARY`` as its child. All tools only read: the library, and
the sound files that the client names, which must be readable by the person who runs it. An error of soundloom is the
answer of the tool, in one line. Needs the extra ``mcp``; see https://modelcontextprotocol.io for the protocol.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import soundloom
from soundloom.detectors import Aim, find_detectors
from soundloom.errors import MissingExtraError, QueryError, SoundloomError
from soundloom.file_names import os_path
from soundloom.library import Library, LibraryQuery, Match, QuerySound, RowFilter
from soundloom.option_hints import hints_as_fields
from soundloom.sound_tagger import SoundTagger
from soundloom.tagger_choice import load_tagger

try:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import ToolAnnotations
    from pydantic import Field, ValidationError
except ImportError as error:
    raise MissingExtraError("mcp", "mcp", "soundloom mcp") from error

__all__ = ["DetectedSound", "ExplainedSound", "FoundSound", "LibraryFacts", "SoundTag", "library_server"]

_MOST = 100
"""Hits, tags or detections in one answer, at most."""

P = ParamSpec("P")
R = TypeVar("R")

Sound = Annotated[str, Field(description="A sound file, or the id of a segment of the library.")]
Start = Annotated[float, Field(description="Where in the sound to begin, in seconds.", ge=0)]
End = Annotated[float | None, Field(description="Where in the sound to stop, in seconds; its end if not given.")]
Count = Annotated[int, Field(description="How many, at most.", ge=1, le=_MOST)]
Weights = Annotated[
    dict[str, float],
    Field(
        description="Part of the embedding (see library_info) -> how much it counts; 1 if not named, 0 leaves it out."
    ),
]


@dataclass(frozen=True, kw_only=True)
class LibraryFacts:
    """What the library holds: files, segments, seconds, model, parts of the embedding, tags with counts, detectors.

    ``unfinished`` says when indexing was interrupted; it is empty if the library is indexed to the end.
    """

    folder: str
    model: str
    parts: list[str]
    files: int
    segments: int
    seconds: float
    tags: dict[str, int]
    detectors: list[str]
    unfinished: str


@dataclass(frozen=True, kw_only=True)
class FoundSound:
    """A region of a file that was found; similarity is a cosine, percentile the share of the library less similar."""

    id: str
    path: str
    start: float
    end: float
    found_by: list[str]
    tags: list[str]
    similarity: float | None
    percentile: float | None
    absent: bool


@dataclass(frozen=True, kw_only=True)
class ExplainedSound:
    """A hit with, for each part, the share of the library less similar by it, and the parts that set it apart."""

    hit: FoundSound
    percentiles: dict[str, float]
    reasons: list[str]


@dataclass(frozen=True, kw_only=True)
class SoundTag:
    """A word that the model gives a sound, with its score in [0, 1]."""

    tag: str
    score: float


@dataclass(frozen=True, kw_only=True)
class DetectedSound:
    """A region in which a detector found its sound, with its probability."""

    path: str
    start: float
    end: float
    label: str
    probability: float | None


@dataclass(frozen=True)
class _Tools:
    """The tools over one library; each method's text is what the client reads."""

    library: Library
    detectors: Path
    _kept: dict[str, Any] = field(default_factory=dict)

    def library_info(self) -> LibraryFacts:
        """What the library holds, the parts of its embedding, the tags that people gave, and the detectors."""
        files, seconds = self.library.totals()
        settings = self.library.settings
        return LibraryFacts(
            folder=str(self.library.folder), model=settings.model, parts=list(settings.parts), files=files,
            segments=len(self.library), seconds=seconds, tags=dict(self.library.tags.counts()),
            detectors=[path.stem for path in find_detectors(self.detectors)], unfinished=self.library.unfinished(),
        )  # fmt: skip

    def search(
        self,
        text: Annotated[str, Field(description="Words of names, tags, titles, folders, or of the model.")] = "",
        like: Annotated[list[Sound], Field(description="Sounds that the hits are like.", max_length=20)] = [],  # noqa: B006
        unlike: Annotated[list[Sound], Field(description="Sounds that they are not like.", max_length=20)] = [],  # noqa: B006
        words: Annotated[list[str], Field(description="What the model is to take the hits for.")] = [],  # noqa: B006
        without: Annotated[list[str], Field(description="What it is not to take them for.")] = [],  # noqa: B006
        tags: Annotated[list[str], Field(description="Tags that people gave, all of which a hit has.")] = [],  # noqa: B006
        folder: Annotated[str | None, Field(description="A folder in which the hits lie.")] = None,
        weights: Weights = {},  # noqa: B006
        k: Count = 10,
    ) -> list[FoundSound]:
        """Find sounds by text, by example, by tags and folder, or by several of these; the best first, one a file."""
        query = LibraryQuery(
            text=text,
            like=tuple(self._sound(sound) for sound in like),
            unlike=tuple(self._sound(sound) for sound in unlike),
            words=tuple(words),
            not_words=tuple(without),
            filter=RowFilter(tags=tuple(tags), folder=folder),
            weights=weights or None,
        )
        return [_found(match) for match in self.library.find(query, k, offline=True)]

    def explain(
        self,
        like: Sound,
        start: Start = 0.0,
        end: End = None,
        weights: Weights = {},  # noqa: B006
        k: Count = 5,
    ) -> list[ExplainedSound]:
        """Find what is most like a sound, and say by which parts each hit is unusually similar to it."""
        sound = self._sound(like, start, end)
        matches = self.library.find(LibraryQuery(like=(sound,), weights=weights or None), k, offline=True)
        reasons = self.library.explain(sound.source, matches, start=sound.start, end=sound.end)
        return [
            ExplainedSound(hit=_found(match), percentiles=one.percentiles, reasons=list(one.reasons))
            for match, one in zip(matches, reasons, strict=True)
        ]

    def tag(self, sound: Sound, start: Start = 0.0, end: End = None, k: Count = 10) -> list[SoundTag]:
        """Words for a sound by the library's model, the highest score first. Nothing is written to the library."""
        if "tagger" not in self._kept:
            settings = self.library.settings
            self._kept["tagger"] = load_tagger(
                settings.source or settings.model, weights=settings.weights, offline=True
            )
        tagger: SoundTagger = self._kept["tagger"]
        query = self._sound(sound, start, end)
        scores = tagger.tag(query.source, start=query.start, end=query.end, options=self.library.settings.decoding).clip
        return [SoundTag(tag=word, score=score) for word, score in tagger.describing(scores, k, 0.0)]

    def detect(
        self,
        sounds: Annotated[list[str], Field(description="Files, or folders of files.", min_length=1, max_length=1000)],
        detector: Annotated[str, Field(description="The name of a detector (see library_info).")],
        probability: Annotated[float, Field(description="The lowest that counts.", gt=0, le=1)] = 0.5,
    ) -> list[DetectedSound]:
        """Find a detector's sounds in recordings, by file and time: at most a hundred, the most probable."""
        from soundloom.detectors import Detector  # needs PyTorch, which the other tools do without

        known = {path.stem: path for path in find_detectors(self.detectors)}
        if detector not in known:
            raise QueryError(
                f"no detector {detector!r}; there are {sorted(known) or 'none'} in {str(self.detectors)!r}"
            )
        report = Detector.load(known[detector]).detect(sounds, Aim(probability=probability))
        if report.failed:
            path, reason = next(iter(report.failed.items()))
            raise QueryError(f"{path!r}: {reason}")
        best = sorted(report.events, key=lambda event: -(event.score or 0.0))[:_MOST]
        return [
            DetectedSound(path=event.path, start=event.start, end=event.end, label=event.label, probability=event.score)
            for event in sorted(best, key=lambda event: (event.path, event.start))
        ]

    def _sound(self, sound: str, start: float = 0.0, end: float | None = None) -> QuerySound:
        """A file, or a segment of the library by its id."""
        if len(sound) == 16 and not Path(sound).exists():
            segment = self.library.index().segments.find(sound)
            return QuerySound(os_path(segment.path), start=segment.start, end=segment.end)
        return QuerySound(Path(sound).expanduser(), start=start, end=end)


class _Server(MCPServer):
    """A server that answers in one line what is wrong with a tool's arguments.

    One that the tool does not have is refused: misspelt, ``text`` would leave a search for everything.
    """

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """Call a tool.

        Raises:
            ToolError: an argument is not the tool's, or of another kind; or as the tool says.
        """
        known = {tool.name: list(tool.input_schema.get("properties", {})) for tool in await self.list_tools()}
        unknown = [one for one in arguments if one not in known.get(name, arguments)]
        if unknown:
            raise ToolError(f"{name} has no argument {', '.join(unknown)}: it takes {', '.join(known[name]) or 'none'}")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.__cause__.errors()]
            raise ToolError(f"{name}: {'; '.join(faults)}") from error.__cause__


def library_server(library: Library, detectors: Path | None = None) -> MCPServer:
    """A server with the tools library_info, search, explain, tag and detect; ``run("stdio")`` serves them.

    Args:
        library: what is searched. Its model is loaded by the first tool that needs it.
        detectors: the folder whose detectors are offered; the current one if not given.
    """
    server = _Server(
        "soundloom",
        version=soundloom.__version__,
        instructions="Searches a library of sound files by sound and by words. Begin with library_info.",
        log_level="WARNING",
    )
    tools = _Tools(library, detectors or Path())
    for tool in (tools.library_info, tools.search, tools.explain, tools.tag, tools.detect):
        server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))(_one_line(tool))
    return server


def _one_line(tool: Callable[P, R]) -> Callable[P, R]:
    """A tool whose errors are answers."""

    @functools.wraps(tool)
    def answer(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return tool(*args, **kwargs)
        except SoundloomError as error:
            raise ToolError(hints_as_fields(str(error))) from error

    return answer


def _found(match: Match) -> FoundSound:
    return FoundSound(
        id=match.id, path=match.path, start=match.start, end=match.end, found_by=list(match.found_by),
        tags=list(match.tags), similarity=match.similarity, percentile=match.percentile, absent=match.absent,
    )  # fmt: skip
