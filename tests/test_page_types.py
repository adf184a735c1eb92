"""The types of the page are those of the API: OpenAPI describes every field that web/src/api/types.ts declares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from soundloom.library import Library
from soundloom.server import create_app

TYPES = Path(__file__).parents[1] / "web" / "src" / "api" / "types.ts"
# Names that differ: what the page calls by a shorter name.
SCHEMAS = {
    "Part": "LibraryPart", "Library": "LibraryInfo", "Segment": "SegmentEntry", "Ranked": "SegmentEntry",
    "Found": "SearchResult", "Upload": "Uploaded", "Quality": "RankingQuality", "Examples": "Ranking",
    "Annotation": "AnnotationEntry", "Detector": "DetectorEntry", "OperatingPoint": "OperatingPointEntry",
    "MapAbout": "MapInfo", "Job": "JobStatus", "Failure": "FailedFile", "Notice": "Noticed",
}  # fmt: skip
# A hit is a segment or a file: its fields come from either; remarks come with files alone.
ALSO = {"Hit": ("SegmentEntry", "FoundFile"), "Found": ("SearchResult", "FoundFiles")}
_INTERFACE = re.compile(r"export interface (\w+)(?: extends \w+)? \{\n(.*?)\n\}", re.S)
_FIELD = re.compile(r"^  (\w+)(\??):", re.M)


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    library = Library.create(tmp_path_factory.mktemp("types") / "empty.loom", "logmel")
    described: dict[str, Any] = create_app(library).openapi()["components"]["schemas"]
    return described


def interfaces() -> dict[str, dict[str, bool]]:
    """Interface -> field -> whether it may be absent."""
    if not TYPES.is_file():
        pytest.skip("the page's sources are only in the repository")
    text = TYPES.read_text("utf-8")
    found = {
        name: {field: bool(mark) for field, mark in _FIELD.findall(body)} for name, body in _INTERFACE.findall(text)
    }
    assert len(found) > 15
    return found


def test_every_field_of_the_page_is_one_of_the_api(schemas: dict[str, Any]) -> None:
    unknown = []
    for name, fields in interfaces().items():
        sources = ALSO.get(name, (SCHEMAS.get(name, name),))
        missing = [source for source in sources if source not in schemas]
        assert not missing, f"{name}: the API describes no {missing}"
        known = {field for source in sources for field in schemas[source]["properties"]}
        unknown += [f"{name}.{field}" for field in fields if field not in known]
    assert unknown == []


def test_what_the_page_relies_on_is_always_there(schemas: dict[str, Any]) -> None:
    """A field without a question mark is required by the schema, or has a default that is sent."""
    doubtful = []
    for name, fields in interfaces().items():
        schema = schemas[ALSO.get(name, (SCHEMAS.get(name, name),))[0]]
        for field, optional in fields.items():
            about = schema["properties"].get(field, {})
            if not optional and field not in schema.get("required", []) and about.get("default") is None:
                doubtful.append(f"{name}.{field}")
    # A count is null of words; a ranked segment always has a probability, and only that.
    assert sorted(doubtful) == ["Completion.count", "Ranked.probability"]
