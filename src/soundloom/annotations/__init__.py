"""Annotations: regions of sounds with what is said of them, read and written in the formats of the field's programs."""

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_files import (
    AnnotationTable,
    check_annotation_file,
    read_annotations,
    write_annotations,
)
from soundloom.annotations.annotation_format import FORMATS, AnnotationFormat, register_format

__all__ = [
    "FORMATS",
    "Annotation",
    "AnnotationFormat",
    "AnnotationTable",
    "check_annotation_file",
    "read_annotations",
    "register_format",
    "write_annotations",
]
