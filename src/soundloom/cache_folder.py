"""The cache folder: where fetched weights, prepared clips and embeddings are kept between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_home"]


def cache_home() -> Path:
    """The environment variable SOUNDLOOM_HOME, else ``soundloom`` in the platform's folder for caches."""
    if chosen := os.environ.get("SOUNDLOOM_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "soundloom"
