"""Help, lists, diagnosis and documentation by command, which need no library; and what they do not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command_line import run
from helpers.installed_package import run_python
from soundloom.cli import listings, main
from soundloom.components.own_listings import FILE, own_listings

COMMANDS = (
    *(
        "index",
        "search",
        "tag",
        "tags",
        "map",
        "serve",
        "embed",
        "info",
        "roots",
        "verify",
        "train",
        "evaluate",
        "layers",
    ),
    *("reproduce", "export", "models", "corpora", "doctor", "demo"),
    *("annotations", "duplicates", "import", "merge", "detect", "detector", "mcp", "docs", "timeline"),
    *("clusters", "distances", "watch", "words", "plan", "work", "commit", "status"),
)


def test_help_is_quick_and_shows_examples() -> None:
    """Measured in benchmarks; here only that nothing heavy is imported for it."""
    script = "import sys; from soundloom.cli import main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "numpy", "lancedb", "pyarrow", "matplotlib", "rich", "soundfile", "av", "faiss"}
    assert not heavy & set(loaded)
    assert "Examples:" in run("--help").output
    for command in COMMANDS:
        result = run(command, "--help")
        assert result.exit_code == 0
        assert "Example" in result.output or command == "models"
        assert "None]" not in result.output, command  # a range without bounds
        assert " RANGE" not in result.output, command
    assert set(COMMANDS) == set(main.commands)


@pytest.mark.parametrize(
    ("option", "expected"), [("-k", "'abc' is not a valid integer."), ("--above", "'abc' is not a valid number.")]
)
def test_what_is_no_number_is_refused_in_plain_words(option: str, expected: str) -> None:
    result = run("tag", "--examples", option, "abc")
    assert result.exit_code == 2
    assert expected in result.output


def test_help_and_lists_import_no_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path))
    converted = tmp_path / "checkpoints" / "yamnet" / "0123456789abcdef.safetensors"
    converted.parent.mkdir(parents=True)
    converted.touch()
    script = """
        import sys
        import click
        from click.testing import CliRunner
        from soundloom.cli import main

        def helps(command, words):
            context = click.Context(command, info_name=words[-1])
            print(" ".join(words), len(command.get_help(context)))
            for name in command.list_commands(context) if isinstance(command, click.Group) else ():
                helps(command.get_command(context, name), [*words, name])

        helps(main, ["soundloom"])
        for words in (["models"], ["models", "--json"], ["corpora"]):
            print(words, CliRunner().invoke(main, words).exit_code)
        print("torch" in sys.modules)
    """
    done = run_python(script)
    *shown, torch_imported = done.stdout.splitlines()
    assert torch_imported == "False", done.stderr
    assert any(line.startswith("soundloom train triplet ") for line in shown)
    assert len([line for line in shown if line.startswith("soundloom ")]) > 25
    assert [line.rpartition(" ")[2] for line in shown[-3:]] == ["0", "0", "0"]


def test_kept_listings_are_those_of_the_registries() -> None:
    """If not: python -m soundloom.cli.listings."""
    assert FILE.read_text(encoding="utf-8") == listings.from_registries().to_json()
    assert own_listings() == listings.from_registries()
    assert own_listings().models["loom"].default


def test_models() -> None:
    assert "logmel" in run("models").stdout
    assert "logmel" in json.loads(run("models", "--json").stdout)


def test_doctor_finds_this_machine_well() -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "m4a" in result.stdout
    assert all(finding["good"] for finding in json.loads(run("doctor", "--json").stdout))


def test_docs_opens_the_site_or_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import webbrowser

    docs = importlib.import_module("soundloom.cli.docs")
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(docs, "_REPOSITORY", tmp_path)
    assert "every command explains itself" in run("docs").stderr.replace("\n", " ")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").touch()
    assert "make docs" in run("docs").stdout
    assert not opened
    site = tmp_path / "build" / "site" / "index.html"
    site.parent.mkdir(parents=True)
    site.touch()
    assert run("docs").stdout.strip() == str(site)
    assert opened == [site.as_uri()]
    assert run("docs", "--no-open").exit_code == 0
    assert len(opened) == 1
