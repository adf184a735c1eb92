"""A folder of sounds made searchable: the store, the way from files to rows, search, the map, and tags."""

from soundloom.library.indexing.add_report import AddReport, FileProgress
from soundloom.library.indexing.library_roots import Root
from soundloom.library.library import Hit, Library
from soundloom.library.map.library_map import Map, MapProgress
from soundloom.library.search.explanation import Explanation
from soundloom.library.search.filters import Filter
from soundloom.library.segments import Mark, Segment, Segments, segment_id
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.table_schema import Failure, FileNotice
from soundloom.library.tags.active_learning import ExampleTagging, SuggestedSegment, TaggingQuality
from soundloom.library.tags.editor import Edit
from soundloom.library.tags.tag_table import TagTable

__all__ = [
    "AddReport",
    "Edit",
    "ExampleTagging",
    "Explanation",
    "Failure",
    "FileNotice",
    "FileProgress",
    "Filter",
    "Hit",
    "Library",
    "LibrarySettings",
    "Map",
    "MapProgress",
    "Mark",
    "Root",
    "Segment",
    "Segments",
    "SuggestedSegment",
    "TagTable",
    "TaggingQuality",
    "segment_id",
]
