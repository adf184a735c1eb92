"""The built page that ships with the package comes from the sources in web/, to the byte; no Node needed to see it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
WEB = ROOT / "web"
PAGE = ROOT / "src" / "soundloom" / "server" / "page"
# As in web/build/stamp.ts: what is fetched or generated, and what only people read.
IGNORED = {"node_modules", ".svelte-kit", ".vite", "README.md"}
REBUILD = "rebuild with: npm --prefix web ci && npm --prefix web run build"


@pytest.fixture(scope="module")
def build() -> dict[str, Any]:
    if not WEB.is_dir():
        pytest.skip("the page's sources are only in the repository")
    told: dict[str, Any] = json.loads((PAGE / "build.json").read_text("utf-8"))
    return told


def files(folder: Path) -> list[Path]:
    found = []
    for entry in folder.iterdir():
        if entry.name not in IGNORED:
            found += files(entry) if entry.is_dir() else [entry]
    return found


def digest(folder: Path, skipped: str = "") -> dict[str, Any]:
    """SHA-256 over the files in order of their paths: path, NUL, length, NUL, bytes."""
    named = sorted((path.relative_to(folder).as_posix(), path) for path in files(folder))
    named = [(name, path) for name, path in named if name != skipped]
    whole = hashlib.sha256()
    for name, path in named:
        content = path.read_bytes()
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return {"sha256": whole.hexdigest(), "files": [name for name, _ in named]}


def test_the_page_was_built_from_these_sources(build: dict[str, Any]) -> None:
    assert digest(WEB) == build["sources"], REBUILD


def test_the_built_files_are_as_they_left_the_build(build: dict[str, Any]) -> None:
    assert digest(PAGE, skipped="build.json") == build["assets"], REBUILD


def test_the_page_needs_nothing_that_the_policy_refuses() -> None:
    html = (PAGE / "index.html").read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", html)
    linked = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert linked
    for address in linked:
        assert address.startswith("/assets/"), address
        assert (PAGE / address.removeprefix("/")).is_file(), address


def test_scripts_neither_evaluate_text_nor_write_style_elements() -> None:
    scripts = list((PAGE / "assets").glob("*.js"))
    assert scripts
    for script in scripts:
        text = script.read_text("utf-8")
        assert not re.search(r"\beval\(|new Function\(|Function\.apply|<style", text), script.name


def test_every_package_is_pinned_by_its_digest() -> None:
    if not WEB.is_dir():
        pytest.skip("the page's sources are only in the repository")
    lock = json.loads((WEB / "package-lock.json").read_text("utf-8"))
    packages = {name: about for name, about in lock["packages"].items() if name}
    assert packages
    assert [name for name, about in packages.items() if not about.get("integrity", "").startswith("sha512-")] == []
