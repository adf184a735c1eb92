"""Annotations: regions of sounds with what is said of them, read and written in the formats of the field's programs."""

from soundloom.annotations.annotation import UNMARKED, Annotation
from soundloom.annotations.annotation_files import (
    AnnotationTable,
    check_annotation_file,
    is_annotation_table,
    label_tracks,
    read_annotations,
    sound_beside,
    takes_any_columns,
    write_annotations,
)
from soundloom.annotations.annotation_format import FORMATS, AnnotationFormat, register_format
from soundloom.annotations.file_ends import TOLERANCE, named_region, within_ends
from soundloom.annotations.programs.playlist import playlist_entries

__all__ = [
    "FORMATS",
    "TOLERANCE",
    "UNMARKED",
    "Annotation",
    "AnnotationFormat",
    "AnnotationTable",
    "check_annotation_file",
    "is_annotation_table",
    "label_tracks",
    "named_region",
    "playlist_entries",
    "read_annotations",
    "register_format",
    "sound_beside",
    "takes_any_columns",
    "within_ends",
    "write_annotations",
]
