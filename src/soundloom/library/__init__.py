"""A folder of sounds made searchable: the store, the way from files to rows, search, the map, and tags."""

from soundloom.library.adding import AddReport, Progress
from soundloom.library.examples import ExampleTagging, Quality, Suggestion
from soundloom.library.explaining import Explanation
from soundloom.library.filters import Filter
from soundloom.library.library import Hit, Library
from soundloom.library.map import Map, MapProgress
from soundloom.library.segments import Mark, Segment, Segments, segment_id
from soundloom.library.settings import LibrarySettings
from soundloom.library.store import Failure
from soundloom.library.tagging import Edit
from soundloom.library.tags import TagTable

__all__ = [
    "AddReport",
    "Edit",
    "ExampleTagging",
    "Explanation",
    "Failure",
    "Filter",
    "Hit",
    "Library",
    "LibrarySettings",
    "Map",
    "MapProgress",
    "Mark",
    "Progress",
    "Quality",
    "Segment",
    "Segments",
    "Suggestion",
    "TagTable",
    "segment_id",
]
