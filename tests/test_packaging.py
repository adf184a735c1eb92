"""What a release promises: declared imports, one version, licences of what the wheel contains."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from click.testing import CliRunner

import soundloom
from soundloom.cli import main
from soundloom.doctor import constraints_file
from soundloom.errors import MissingExtraError

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "soundloom"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

# Imported, and in no extra: the module says in its first lines that the package is the user's own.
THE_USERS_OWN = {"mteb"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[>=<! ;]", line)[0]) for line in requirements}


def declared() -> dict[str, set[str]]:
    """Distribution -> the extras that bring it; "" for what is always installed."""
    found: dict[str, set[str]] = defaultdict(set)
    for extra, lines in {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}.items():
        for name in names(lines):
            found[name].add(extra)
    return found


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports from others, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found - {"soundloom", *sys.stdlib_module_names}


@pytest.fixture(scope="module")
def distributions() -> dict[str, list[str]]:
    return {package: [normal(name) for name in found] for package, found in packages_distributions().items()}


def test_every_imported_package_is_declared(distributions: dict[str, list[str]]) -> None:
    known = set(declared())
    missing = {
        f"{path.relative_to(ROOT)}: {package}"
        for path in PACKAGE.rglob("*.py")
        for package in imported(path) - THE_USERS_OWN
        if not known & set(distributions.get(package, [normal(package)]))
    }
    assert not missing, "declare these in pyproject.toml"


def test_every_declared_package_has_a_use(distributions: dict[str, list[str]]) -> None:
    used = {name for path in PACKAGE.rglob("*.py") for one in imported(path) for name in distributions.get(one, [one])}
    # Loaded by name, by torch, FastAPI and the exporter of torch; DuckDB by the user, for a table of a library.
    used |= {"duckdb", "tensorboard", "python-multipart", "onnx", "onnxscript", "soundloom"}
    tools = {"dev", "bench", "docs"}
    assert {name for name, extras in declared().items() if extras - tools} - used == set()


def test_the_version_is_written_once() -> None:
    assert PROJECT["dynamic"] == ["version"]
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {soundloom.__version__}\n" in citation
    changes = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), flags=re.MULTILINE)
    assert soundloom.__version__ in changes


def test_licences_of_bundled_packages_are_stated() -> None:
    if not (ROOT / "web").is_dir():
        pytest.skip("the page's sources are only in the repository")
    notice = (ROOT / "NOTICE").read_text("utf-8")
    sources = [*ROOT.glob("web/src/**/*.ts"), *ROOT.glob("web/src/**/*.svelte")]
    packages = {
        match.partition("/")[0]
        for path in sources
        for match in re.findall(
            r"""^\s*import [^;]*?from ['"]([^.'"][^'"]*)['"]""", path.read_text("utf-8"), flags=re.M
        )
    }
    assert {"svelte", "wavesurfer.js"} <= packages
    assert [name for name in packages if f"\n    {name}, " not in notice] == []
    assert [name for name in PROJECT["license-files"] if not (ROOT / name).is_file()] == []
    for data in re.findall(r"^(src/\S+)", notice, flags=re.MULTILINE):
        assert (ROOT / data).exists(), data


def test_extras_named_in_the_source_exist() -> None:
    named = {
        extra
        for path in [*PACKAGE.rglob("*.py"), ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
        for found in re.findall(r"(?:soundloom|\.)\[([a-z,]+)\]", path.read_text("utf-8"))
        for extra in found.split(",")
    }
    raised = {
        node.args[1].value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "MissingExtraError"
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    }
    assert {"serve", "hf"} <= named | raised
    assert (named | raised) - set(PROJECT["optional-dependencies"]) == set()


def test_notebooks_are_kept_without_outputs() -> None:
    books = [json.loads(path.read_text("utf-8")) for path in sorted(ROOT.glob("notebooks/*.ipynb"))]
    cells = [cell for book in books for cell in book["cells"] if cell["cell_type"] == "code"]
    assert len(books) == 5
    assert not [cell for cell in cells if cell["outputs"] or cell["execution_count"]]


def test_extras_that_bring_torch_take_the_versions_of_the_constraints() -> None:
    extras = PROJECT["optional-dependencies"]
    torch = {"torch", "soundloom[torch]"}
    bringing = {extra for extra, lines in extras.items() if torch & {re.split("[>=<! ;]", line)[0] for line in lines}}
    assert bringing == MissingExtraError.with_torch
    pinned = constraints_file().read_text("utf-8")
    assert re.search(r"(?m)^torch==[\d.]+$", pinned)
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"constraints.txt": "soundloom/constraints.txt"}


def test_the_command_names_the_file_of_constraints() -> None:
    result = CliRunner().invoke(main, ["doctor", "--constraints"])
    assert Path(result.stdout.strip()) == constraints_file() == ROOT / "constraints.txt"
