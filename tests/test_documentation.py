"""Documentation that runs: every block of Python is executed, every command is read by its own parser."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import soundloom
from helpers.documentation import (
    PAGES,
    ROOT,
    Example,
    blocks,
    commands_in,
    docstring_examples,
    fenced,
    help_commands,
    page_commands,
    parse,
)
from soundloom.cli import main
from soundloom.synth import FAMILIES, render

COMMANDS = [*(example for page in PAGES for example in page_commands(page)), *help_commands(main)]
DOCSTRINGS = list(docstring_examples())
# The package that docs/extending.md writes is installed and used in test_extending.py.
PAGES_WITH_PYTHON = [example for page in PAGES if page.name != "extending.md" for example in fenced(page, "python")]
# What takes minutes, a server, published weights or another installation is parsed and not run.
QUICK = {"embed", "index", "info", "search", "map", "corpora", "models"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with sounds and a folder with the files that examples name."""
    folder = tmp_path_factory.mktemp("world")
    for number, family in enumerate(("siren", *list(FAMILIES)[:2])):
        for index in range(4):
            sound = render(family, index)
            for root in ("home/sounds", "home/more", "data/my-sounds"):
                path = folder / root / family / f"{index}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, sound.samples, sound.sample_rate)
        (folder / "work").mkdir(exist_ok=True)
        name = ("dog.wav", "note.wav", "door.wav")[number]
        soundfile.write(folder / "work" / name, sound.samples, sound.sample_rate)
    noise = 0.1 * np.random.default_rng(0).normal(size=16 * 16_000)
    soundfile.write(folder / "work" / "dawn.flac", noise, 16_000)
    soundfile.write(folder / "work" / "cat.wav", noise[:16_000], 16_000)
    return folder


@pytest.fixture
def inside(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own for each example, where ``~`` is the world's home."""
    monkeypatch.chdir(shutil.copytree(world / "work", tmp_path / "work"))
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(world / "home"))
    return world


def execute(example: Example, world: Path, **names: Any) -> dict[str, Any]:
    """Run a block of Python with the paths of this test."""
    source = example.text.replace('"/data/', f'"{(world / "data").as_posix()}/')
    exec(compile(source, example.where, "exec"), names)
    return names


@pytest.mark.parametrize("example", COMMANDS, ids=str)
def test_a_command_is_understood(example: Example) -> None:
    if example.where == "docs/extending.md" and "train agreement" in example.text:
        # The page's own objective, which test_extending.py installs and trains with.
        with pytest.raises(click.UsageError, match="no recipe 'agreement'"):
            parse(example.text)
        return
    try:
        parse(example.text)
    except click.MissingParameter:
        # The name of a command within a sentence, not a line to be typed.
        assert not re.search(r" -|/|\.\w", example.text), example
    except click.UsageError as error:
        pytest.fail(f"{example}: {error.format_message()}")


def test_commands_are_found_everywhere() -> None:
    found = {example.where for example in COMMANDS}
    assert {"README.md", "docs/measurements.md", "soundloom --help"} <= found
    assert len(COMMANDS) > 100


@pytest.mark.parametrize(
    ("wrong", "why"),
    [("soundloom serch a.wav", "No such command"), ("soundloom search a.wav --weight a=1", "--weight")],
)
def test_a_command_that_does_not_exist_is_not_understood(wrong: str, why: str) -> None:
    with pytest.raises(click.UsageError, match=why):
        parse(wrong)


def test_what_a_command_itself_asks_for_is_not_the_parsers_business() -> None:
    parse("soundloom search")


@pytest.mark.parametrize("example", PAGES_WITH_PYTHON, ids=str)
def test_python_on_a_page_runs(example: Example, inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(example, inside)
    printed = capsys.readouterr().out
    assert "print(" not in example.text or "string/" in printed


@pytest.mark.parametrize(("module", "example"), DOCSTRINGS, ids=[name for name, _ in DOCSTRINGS])
def test_python_in_a_docstring_runs(
    module: str, example: Example, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = importlib.import_module(module)
    names = {name: getattr(home, name) for name in getattr(home, "__all__", ())}
    execute(example, inside, soundloom=soundloom, **names, **surroundings(module, inside, monkeypatch))


def surroundings(module: str, world: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a reader of a module's example has already: a corpus, a model, embeddings."""
    labels = np.tile(np.arange(3), 20)
    if module == "soundloom.evaluation":
        embeddings = np.random.default_rng(0).normal(size=(60, 8)) + labels[:, None]
        return {"labels": labels, "folds": np.repeat([1, 2], 30), "embeddings": embeddings.astype(np.float32)}
    if module in ("soundloom.evaluation.runner", "soundloom.feature_cache"):
        from soundloom.frontends import LogMel

        corpus = soundloom.corpora.load(world / "data" / "my-sounds")
        return {"corpus": corpus, "LogMel": LogMel, "model": soundloom.load("mfcc")}
    if module == "soundloom.server":
        import uvicorn

        # A server that is interrupted at once.
        monkeypatch.setattr(uvicorn.Server, "run", lambda *_args, **_options: None)
        soundloom.Library.create("served.loom", "mfcc").add(world / "data" / "my-sounds")
        return {"library": soundloom.Library.open("served.loom")}
    if module == "soundloom.corpora":
        esc50(world / "data" / "ESC-50-master")
        (world / "data" / "my-sounds" / "clips.csv").write_text("path,label\nsiren/0.wav,siren\nsiren/1.wav,other\n")
        soundloom.corpora.load(world / "data" / "my-sounds").save("clips.parquet")
        return {"corpora": soundloom.corpora}
    return {}


def esc50(folder: Path) -> None:
    """All of ESC-50's files, each a hundredth of a second long."""
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for clip in range(2000):
        fold, target = 1 + clip % 5, clip // 5 % 50
        name = f"{fold}-{clip}-A-{target}.wav"
        lines.append(f"{name},{fold},{target},class{target},False,{clip},A")
        soundfile.write(folder / "audio" / name, np.zeros(80), 8000)
    (folder / "meta" / "esc50.csv").write_text("\n".join(lines))


@pytest.mark.slow
def test_the_readme_s_search_commands_run(inside: Path) -> None:
    """In their order, one after another, as a reader would type them."""
    ran = []
    for example in page_commands(ROOT / "README.md"):
        _, command, *arguments = (str(Path(word).expanduser()) if word[0] == "~" else word for word in words(example))
        if command not in QUICK or {"runs/mine", "clap.loom", "list.txt"} & set(arguments):
            continue
        result = CliRunner().invoke(main, [command, *arguments])
        assert result.exit_code == 0, f"{example}\n{result.output}"
        ran.append(command)
    assert ran.count("search") >= 5
    assert {"index", "info", "embed"} <= set(ran)


def words(example: Example) -> list[str]:
    return shlex.split(example.text)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sounds", "research", "field"])
def test_first_steps_run(name: str, inside: Path) -> None:
    """Every block of a page for new users, commands and Python, in its order, on sounds of the synthesiser."""
    page = ROOT / "docs" / "first-steps" / f"{name}.md"
    ran = 0
    for language, text in blocks(page):
        if language == "python":
            execute(Example(text, page.name), inside)
            ran += 1
        for example in commands_in(text, page.name) if language == "sh" else ():
            arguments = [str(Path(word).expanduser()) if word[0] == "~" else word for word in words(example)[1:]]
            result = CliRunner().invoke(main, arguments)
            assert result.exit_code == 0, f"{example}\n{result.output}"
            ran += 1
    assert ran >= 4
