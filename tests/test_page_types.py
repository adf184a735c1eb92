"""The types and limits of the page are those of the API: web/src/api/schemas.ts is what its description gives."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

WEB = Path(__file__).parents[1] / "web"


def test_the_types_of_the_page_are_generated_from_this_api() -> None:
    if not WEB.is_dir():
        pytest.skip("the page's sources are only in the repository")
    generated = runpy.run_path(str(WEB / "build" / "api_types.py"))["generated"]()
    assert "export interface SegmentEntry {" in generated
    assert generated == (WEB / "src/api/schemas.ts").read_text("utf-8"), "run python web/build/api_types.py"
