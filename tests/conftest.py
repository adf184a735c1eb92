"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """A folder of real recordings; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("SOUNDLOOM_AUDIO", Path(__file__).parents[2] / "shared" / "audio"))
    if not folder.is_dir():
        pytest.skip("no real audio here: set SOUNDLOOM_AUDIO to a folder with esc50/, formats/, pitch/ ...")
    return folder.resolve()
