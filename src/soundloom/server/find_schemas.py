"""Schemas of finding files: matches, counts by field, completions and saved searches, as OpenAPI documents them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from soundloom.server.schemas import FailedFile, RegionEntry, RequestModel, ResponseModel

__all__ = [
    "Completion",
    "Completions",
    "DuplicateCopy",
    "DuplicateGroups",
    "DuplicateRequest",
    "FacetCounts",
    "FacetValue",
    "FoundFile",
    "FoundFiles",
    "SavedSearch",
    "SavedSearchList",
    "SearchToSave",
]


class FoundFile(RegionEntry):
    """A file that a text found, and its best region."""

    is_segment: bool = Field(description="Whether the region is the segment of that id, and not several segments.")
    found_by: list[str] = Field(
        description="What holds the text: name, tag, title, folder; or the model's sentence, word."
    )
    similarity: float | None = Field(description="In [-1, 1]; null where no embedding was compared.")
    parts: dict[str, float] = Field(description="Part -> similarity by that part alone.")
    percentile: float | None = Field(description="Share of the library that is less similar.")
    probability: float | None = Field(description="How probable the words are for the region; null of other queries.")


class FoundFiles(ResponseModel):
    """What a text found."""

    files: list[FoundFile]
    remarks: list[str] = Field(description="How the text was understood, where that is not plain.")
    version: str = Field(description="Of the library that was searched; as `/library` gives it.")
    milliseconds: float


class DuplicateRequest(RequestModel):
    """Which duplicates are looked for."""

    exact: bool = Field(default=False, description="Only files of the same content; no file is read then.")


class DuplicateCopy(RegionEntry):
    """A file that is a copy of others."""

    is_segment: bool = Field(description="Whether the file is one segment.")
    agreement: float = Field(description="Share of the fingerprint in which it agrees with the nearest other one.")
    exact: bool = Field(description="Whether another file of the group has the same content.")


class DuplicateGroups(ResponseModel):
    """Files that are copies of each other."""

    groups: list[list[DuplicateCopy]] = Field(description="The best file of each group first.")
    failed: list[FailedFile] = Field(description="Files that could not be compared.")


class FacetValue(ResponseModel):
    """A value of a field, and how many files have it."""

    value: str
    files: int


class FacetCounts(ResponseModel):
    """How many files have each value of some fields."""

    files: int = Field(description="How many files there are among those asked for.")
    facets: dict[str, list[FacetValue]] = Field(description="Field -> values, of files of which it is known.")
    milliseconds: float


class Completion(ResponseModel):
    """What a text that is being typed may mean."""

    kind: Literal["name", "folder", "tag", "word"] = Field(description="A word is one that the model takes sounds for.")
    value: str
    count: int | None = Field(default=None, description="Files of the name or folder, segments with the tag.")


class Completions(ResponseModel):
    """What a text that is being typed may mean, the likeliest of each kind first."""

    completions: list[Completion]


class SavedSearch(ResponseModel):
    """A search that the library keeps."""

    name: str
    query: str = Field(description="The part of the page's address behind the question mark.")


class SavedSearchList(ResponseModel):
    """The searches that the library keeps."""

    searches: list[SavedSearch]


class SearchToSave(RequestModel):
    """A search to keep, in place of the one that has its name."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    query: Annotated[str, Field(max_length=20_000)]
