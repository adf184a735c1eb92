"""A folder of sounds made searchable: the store, the way from files to rows, search, the map, and tags.

The names below are loaded when they are first used: a search of names and tags reads a file of rows, and needs neither
torch nor the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundloom.lazy_names import lazy_names

if TYPE_CHECKING:
    from soundloom.library.annotation_store.library_annotations import (
        AnnotationFilter,
        LibraryAnnotations,
        hour_counts,
        site_and_moment,
    )
    from soundloom.library.duplicates.library_duplicates import DuplicateFile, DuplicateReport
    from soundloom.library.hits import Hits
    from soundloom.library.indexing.add_report import AddReport, FileProgress
    from soundloom.library.indexing.library_roots import Root, Roots
    from soundloom.library.library import Library
    from soundloom.library.map.cluster_table import Cluster
    from soundloom.library.map.library_map import Map, MapProgress, Maps
    from soundloom.library.saved_searches import SavedSearches
    from soundloom.library.search.explanation import Explanation
    from soundloom.library.search.fields.deployments import Deployment, Deployments
    from soundloom.library.search.fields.facets import Facets
    from soundloom.library.search.fields.recording_filter import RecordingFilter, parse_hours
    from soundloom.library.search.library_query import LibraryQuery
    from soundloom.library.search.matches import Match
    from soundloom.library.search.query_sound import QuerySound
    from soundloom.library.search.query_vectors import embed_pieces, mean_of_pieces, silence_error
    from soundloom.library.search.row_filter import RowFilter
    from soundloom.library.search.terms.query_terms import misread, refuse_exclusion
    from soundloom.library.segments import Hit, Segment, SegmentRef, Segments, segment_id
    from soundloom.library.storage.library_settings import LibrarySettings
    from soundloom.library.storage.table_schema import Failure, FileNotice
    from soundloom.library.tags.active_learning import ExampleTagging, SuggestedSegment, TaggingQuality
    from soundloom.library.tags.editor import Edit
    from soundloom.library.tags.library_tags import LibraryTags
    from soundloom.library.tags.tag_table import TagTable
    from soundloom.library.verification import DamagedFile, verify_library

__all__ = [
    "AddReport",
    "AnnotationFilter",
    "Cluster",
    "DamagedFile",
    "Deployment",
    "Deployments",
    "DuplicateFile",
    "DuplicateReport",
    "Edit",
    "ExampleTagging",
    "Explanation",
    "Facets",
    "Failure",
    "FileNotice",
    "FileProgress",
    "Hit",
    "Hits",
    "Library",
    "LibraryAnnotations",
    "LibraryQuery",
    "LibrarySettings",
    "LibraryTags",
    "Map",
    "MapProgress",
    "Maps",
    "Match",
    "QuerySound",
    "RecordingFilter",
    "Root",
    "Roots",
    "RowFilter",
    "SavedSearches",
    "Segment",
    "SegmentRef",
    "Segments",
    "SuggestedSegment",
    "TagTable",
    "TaggingQuality",
    "embed_pieces",
    "hour_counts",
    "mean_of_pieces",
    "misread",
    "parse_hours",
    "refuse_exclusion",
    "segment_id",
    "silence_error",
    "site_and_moment",
    "verify_library",
]

_HOMES = {
    "AddReport": "indexing.add_report",
    "AnnotationFilter": "annotation_store.library_annotations",
    "Deployment": "search.fields.deployments",
    "Deployments": "search.fields.deployments",
    "LibraryAnnotations": "annotation_store.library_annotations",
    "hour_counts": "annotation_store.library_annotations",
    "site_and_moment": "annotation_store.library_annotations",
    "Cluster": "map.cluster_table",
    "DamagedFile": "verification",
    "DuplicateFile": "duplicates.library_duplicates",
    "DuplicateReport": "duplicates.library_duplicates",
    "Edit": "tags.editor",
    "ExampleTagging": "tags.active_learning",
    "Explanation": "search.explanation",
    "Facets": "search.fields.facets",
    "RecordingFilter": "search.fields.recording_filter",
    "parse_hours": "search.fields.recording_filter",
    "Failure": "storage.table_schema",
    "FileNotice": "storage.table_schema",
    "FileProgress": "indexing.add_report",
    "Hit": "segments",
    "Hits": "hits",
    "Library": "library",
    "LibraryQuery": "search.library_query",
    "LibrarySettings": "storage.library_settings",
    "LibraryTags": "tags.library_tags",
    "Map": "map.library_map",
    "MapProgress": "map.library_map",
    "Maps": "map.library_map",
    "Match": "search.matches",
    "QuerySound": "search.query_sound",
    "Root": "indexing.library_roots",
    "Roots": "indexing.library_roots",
    "RowFilter": "search.row_filter",
    "SavedSearches": "saved_searches",
    "Segment": "segments",
    "SegmentRef": "segments",
    "Segments": "segments",
    "SuggestedSegment": "tags.active_learning",
    "TagTable": "tags.tag_table",
    "TaggingQuality": "tags.active_learning",
    "embed_pieces": "search.query_vectors",
    "mean_of_pieces": "search.query_vectors",
    "misread": "search.terms.query_terms",
    "refuse_exclusion": "search.terms.query_terms",
    "segment_id": "segments",
    "silence_error": "search.query_vectors",
    "verify_library": "verification",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
