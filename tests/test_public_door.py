"""What is public, what is quick, and what the README promises."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import soundloom
from soundloom import errors

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "soundloom"


def test_exported_names_are_sorted_and_exist() -> None:
    assert sorted(soundloom.__all__) == soundloom.__all__
    for name in soundloom.__all__:
        assert getattr(soundloom, name) is not None
    assert set(soundloom.__all__) == set(soundloom._HOMES)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        soundloom.nothing  # noqa: B018


def test_importing_soundloom_loads_nothing_heavy() -> None:
    script = "import sys, soundloom; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "lancedb", "pyarrow", "matplotlib", "faiss", "librosa"} & set(loaded)


def test_every_error_is_a_soundloom_error_and_stands_in_the_tree() -> None:
    tree = re.findall(r"^ +(\w+Error) ", errors.__doc__ or "", flags=re.MULTILINE)
    assert sorted(["SoundloomError", *tree]) == errors.__all__
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.SoundloomError)


def raised(path: Path) -> list[tuple[str, int]]:
    """Names of the classes that a module raises, with the lines."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            found.append((node.exc.func.id, node.lineno))
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_what_is_raised_on_purpose_can_be_caught_as_a_soundloom_error(path: Path) -> None:
    if path.name == "doctor.py":
        pytest.skip("its checks raise what the doctor itself reports")
    bare = {"ArithmeticError", "Exception", "LookupError", "OSError", "RuntimeError", "TypeError", "ValueError"}
    assert [(name, line) for name, line in raised(path) if name in bare] == []


def test_the_readme_opens_with_the_two_commands() -> None:
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:25]
    assert any(line.startswith("make demo") for line in first)
    assert any(line.startswith("make test") for line in first)


def test_links_in_the_docs_lead_somewhere() -> None:
    links = [
        (page, target)
        for page in (*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")))
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
        # These are generated while the site is built, which checks its own links.
        if not re.match(r"(\.\./)*reference/", target)
    ]
    assert len(links) > 5
    assert [f"{page.name} links to {target}" for page, target in links if not (page.parent / target).exists()] == []


def test_dependencies_are_explained() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    explained = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    needed = [
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]
    for requirement in needed:
        name = re.split(r"[>\[]", requirement)[0]
        assert name == "soundloom" or name in explained, f"{name} is not explained in docs/dependencies.md"


def test_the_library_room_loads_its_names_when_they_are_used() -> None:
    import soundloom.library

    assert sorted(soundloom.library.__all__) == soundloom.library.__all__
    assert set(soundloom.library.__all__) == set(soundloom.library._HOMES)
    assert all(getattr(soundloom.library, name) is not None for name in soundloom.library.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        soundloom.library.nothing  # noqa: B018
    script = (
        "import sys, soundloom.library.segments, soundloom.library.search.vector_index.index_files; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "lancedb", "faiss"} & set(loaded)
