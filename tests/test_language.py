"""Names, sizes and words of the source and the documentation, by the rules of docs/design.md ("Language").

Everything is read as text or syntax trees; nothing of soundloom is imported. Each list of exceptions states a reason,
and an exception that no longer occurs is an error, so that the lists can only shrink.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "soundloom"
MODULES = sorted(PACKAGE.rglob("*.py"))
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs").glob("*-*/*.md")),
]

MAX_COLUMNS, MAX_FUNCTION, MAX_MODULE, MAX_FOLDER = 120, 60, 400, 15

GERUNDS = {
    "active_learning": "the field's noun",
    "indexing": "the field's noun",
    "mining": "negative mining, the field's noun",
    "training": "the field's noun",
}

COMMAND = "a command and the room that it calls"
METHOD = "one method: its encoder, objective, recipe or reproduction"
ROUTES = "routes and what they answer from"
SHARED_STEMS = {
    "annotations": COMMAND,
    "audioset": "the AudioSet corpus and its classes",
    "base": "the base class of a room's components",
    "aisfx": "one model: its encoder and its published weights",
    "coala": METHOD,
    "corpora": COMMAND,
    "detector": COMMAND,
    "detectors": ROUTES,
    "doctor": COMMAND,
    "duplicates": COMMAND,
    "hear": "the HEAR benchmark: interface and corpora",
    "jobs": ROUTES,
    "labels": METHOD,
    "layers": COMMAND,
    "library": "the package and its main class",
    "linear": "the linear model: probe and recipe",
    "map": COMMAND,
    "models": COMMAND,
    "pitch": METHOD,
    "reproduce": COMMAND,
    "search": COMMAND,
    "segments": ROUTES,
    "settings": "the typed settings of a room",
    "standardisation": "zero mean and unit variance, of embeddings",
    "status": "a command, and the routes of a server's status",
    "splits": "train, validation and test splits: drawn, and read for a protocol",
    "tags": ROUTES,
    "timeline": COMMAND,
    "triplet": METHOD,
    "yamnet": "one model: its encoder and its published weights",
}

# One file a component, an adapter or a command: as many as there are.
ONE_FILE_EACH = {"cli", "corpora", "encoders", "frontends", "."}

SHARED_CLASSES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
LONG_MODULES: dict[str, str] = {}
LARGE_FOLDERS: dict[str, str] = {}

# What each word stands for here, and the standard term to write instead.
WORDS = {
    r"(?<![\w.])(?<!def )[Tt]ell(s|ing|er)?(?!\w)|(?<!\w)told(?!\w)": "report, say, distinguish, predict",
    r"(?<!\w)[Hh](eard|ears|earing)(?!\w)": "decode, embed, take as input",
    r"(?<![\w./\"'`=-])hear(?![\w./\"'`=:-])": "decode, embed, take as input (not the HEAR benchmark)",
    r"(?<!\w)ears?(?!\w)": "stream, network",
    r"(?<!\w)(manieth|afresh|whence(?!: int|\])|whoever|dice)(?!\w)": "plain modern English",
    r"over again|is to be had": "plain modern English",
    r"(?<!\w)(Listener|Heard|Holdings|Ledger|Workshop|Handiwork|Standings)(?!\w)": "the new name of the class",
    r"soundloom\.(pretrained|prepared|tagging|parallel|folding|graphs|diagnosis)(?!\w)": "the room's new name",
}
# Recorded in settings.yaml of every run, and compared when one is resumed.
SAVED = "clips heard"

OLD_WORDS: set[str] = set()

# A first line describes the module with a noun phrase; these begin something else.
NOT_A_NOUN = re.compile(
    r"(What|How|Why|When|Where|Which|Who|Whether|Whatever|If|It|They|Run (?!folder)|Reproduce|Answers|Open|Seed"
    r"|Makes?|Gives?|Computes?|Reads?|Writes?|Everything|Is|Are|Does|Do|Can|To)\b"
)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def compare(found: Mapping[str, object], allowed: Iterable[str], remedy: str) -> None:
    """Fail for each offender that is not allowed, and for each allowed one that is none."""
    new = {name: where for name, where in found.items() if name not in allowed}
    stale = [name for name in allowed if name not in found]
    assert not new, f"{remedy}: {new}"
    assert not stale, f"these are no exceptions any more: delete them from this file: {stale}"


def test_module_names_are_nouns() -> None:
    stems = {path.parent.name if path.stem == "__init__" else path.stem: name_of(path) for path in MODULES}
    gerunds = {stem: where for stem, where in stems.items() if re.search(r"\w{3}ing$", stem)}
    compare(gerunds, GERUNDS, "name a module by a noun of the field")
    assert len(GERUNDS) < 5


def test_a_stem_used_twice_is_one_idea() -> None:
    where: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        if path.stem == "__init__":
            if path.parent != PACKAGE:
                where[path.parent.name].append(name_of(path.parent) + "/")
        elif path.stem != "__main__":
            where[path.stem].append(name_of(path))
    compare({stem: found for stem, found in where.items() if len(found) > 1}, SHARED_STEMS, "one name, one idea")


def test_a_public_class_name_stands_for_one_class() -> None:
    where: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(name_of(path))
    compare({name: found for name, found in where.items() if len(found) > 1}, SHARED_CLASSES, "one name, one class")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_first_line_of_a_module_is_a_noun_phrase(path: Path) -> None:
    text = ast.get_docstring(tree_of(path)) or ""
    line = text.partition("\n")[0]
    assert line.endswith("."), f"the first line should be a sentence of its own: {line!r}"
    assert len(line) + 3 <= MAX_COLUMNS, f"the first line has {len(line)} columns"
    start = re.sub(r"^(Command |The command )?``[^`]*``: ", "", line)
    assert not NOT_A_NOUN.match(start), f"begin with what the module holds, as a noun phrase: {line!r}"


def test_functions_are_short() -> None:
    found = {}
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > MAX_FUNCTION:
                    found[f"{name_of(path)}:{node.name}"] = length
    compare(found, LONG_FUNCTIONS, f"a function has at most {MAX_FUNCTION} lines")


def test_modules_and_folders_are_small() -> None:
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    compare(
        {name: count for name, count in lines.items() if count > MAX_MODULE},
        LONG_MODULES,
        f"a module has at most {MAX_MODULE} lines",
    )
    folders: dict[str, int] = defaultdict(int)
    for path in MODULES:
        folders[name_of(path.parent)] += path.stem != "__init__"
    found = {name: count for name, count in folders.items() if count > MAX_FOLDER and name not in ONE_FILE_EACH}
    compare(found, LARGE_FOLDERS, f"a folder has at most {MAX_FOLDER} modules")


def test_files_of_a_library_are_named_in_one_module() -> None:
    names = PACKAGE / "library" / "library_files.py"
    named = {
        node.value.value
        for node in tree_of(names).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and "." in str(node.value.value)
    }
    assert "library.json" in named
    found = {
        f"{name_of(path)}:{node.lineno}": node.value
        for path in MODULES
        if path != names
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and node.value in named
    }
    assert not found, f"import these names from soundloom.library.library_files: {found}"


def test_words_are_those_of_the_field() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in [*MODULES, *DOCUMENTS]:
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8").replace(SAVED, "")
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, better in WORDS.items():
                match = re.search(pattern, line)
                if match:
                    found[name].append(f"{number}: {match[0]!r} ({better})")
    compare(found, OLD_WORDS, "write the standard term")


def glossary() -> dict[str, str]:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    section = text.partition("\n## Glossary\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^- \*\*(.+?)\*\*: (.+)$", section, flags=re.MULTILINE))


def test_the_glossary_defines_terms_that_are_used() -> None:
    terms = glossary()
    assert 50 <= len(terms) <= 90
    assert list(terms) == sorted(terms, key=str.lower), "sort the glossary"
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    before, _, section = text.partition("\n## Glossary\n")
    others = [before, section.partition("\n## ")[2]]
    texts = chain(
        others, (path.read_text(encoding="utf-8") for path in [*MODULES, *DOCUMENTS] if path.name != "design.md")
    )
    prose = re.sub(r"[\s_]+", " ", " ".join(texts)).lower()
    unused = [term for term in terms if not re.search(rf"\b{re.escape(term.lower())}", prose)]
    assert not unused, f"nothing in the source or the documentation is called {unused}"
    for term, meaning in terms.items():
        assert meaning.endswith("."), term
        assert len(f"- **{term}**: {meaning}") <= 2 * MAX_COLUMNS, f"one line: {term}"


REFERENCE = re.compile(r"(?<!`)`([a-z_]\w*(?:\.\w+)*)(?:\(\))?`(?!`)", re.IGNORECASE)
ELSEWHERE = {"click", "combine_chunks", "datasets", "average_precision_score", "scipy", "time", "torch"}
"""Of other packages: the first word of a reference, or all of it."""


@cache
def defined() -> frozenset[str]:
    """Every name that the source defines, assigns, takes or imports, and every part of a module's name."""
    found = set(dir(builtins)).union(*(path.relative_to(PACKAGE.parent).with_suffix("").parts for path in MODULES))
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            named = (getattr(node, key, None) for key in ("name", "id", "attr", "arg", "asname"))
            found.update(name for name in named if isinstance(name, str))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                found.add(node.value)
    return frozenset(found)


def test_what_docstrings_refer_to_is_there() -> None:
    unknown = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        for name in REFERENCE.findall(path.read_text(encoding="utf-8"))
        if name.split(".")[0] not in ELSEWHERE and not set(name.split(".")) <= defined()
    }
    assert not unknown, f"docstrings refer to names that nothing has: {sorted(unknown)}"
