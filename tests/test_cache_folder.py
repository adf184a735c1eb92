"""The user's cache folder, on each platform."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from soundloom.cache_folder import cache_home


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"SOUNDLOOM_HOME": "/chosen", "XDG_CACHE_HOME": "/xdg"}, "/chosen"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/soundloom"),
        ("linux", {}, "/home/me/.cache/soundloom"),
        ("darwin", {}, "/home/me/Library/Caches/soundloom"),
        ("win32", {}, "/home/me/AppData/Local/soundloom"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/soundloom"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_such_things(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], expected: str
) -> None:
    for name in ("SOUNDLOOM_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_home() == Path(expected)
