"""A folder of sounds made searchable: the store, the way from files to rows, and search."""

from soundloom.library.adding import AddReport, Progress
from soundloom.library.library import Hit, Library
from soundloom.library.settings import LibrarySettings
from soundloom.library.store import Failure
from soundloom.library.tags import TagTable

__all__ = ["AddReport", "Failure", "Hit", "Library", "LibrarySettings", "Progress", "TagTable"]
