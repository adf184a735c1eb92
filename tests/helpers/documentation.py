"""Examples in Markdown pages, docstrings and help texts: found, and commands parsed by the programs' own parsers."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import click

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "soundloom"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), SOURCE / "models" / "loom" / "README.md")

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`((?:soundloom|[A-Z_]+=\S+ python -m|python -m) [^`]+)`")
_COMMAND = re.compile(r"\s*((?:soundloom|python -m) .*)")


@dataclass(frozen=True)
class Example:
    """Text that a reader may copy, and where it stands."""

    text: str
    where: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text.splitlines()[0]}"


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page in their order: language and text."""
    return _FENCED.findall(page.read_text("utf-8"))


def fenced(page: Path, language: str) -> list[Example]:
    """The fenced blocks of one language on a page."""
    return [Example(text, _name(page)) for found, text in blocks(page) if found == language]


def commands_in(text: str, where: str) -> list[Example]:
    """Every line that is a command, without the remark behind it."""
    lines = (match[1] for line in text.splitlines() if (match := _COMMAND.fullmatch(line)))
    return [Example(re.split(r"\s+#\s|\s{3,}", line)[0].strip(), where) for line in lines]


def page_commands(page: Path) -> list[Example]:
    """Commands of a page: lines of their own, and spans of code within sentences."""
    text = page.read_text("utf-8")
    prose = _FENCED.sub("", text)
    lines = [*(block for _, block in _FENCED.findall(text)), *re.findall(r"^    .*$", prose, flags=re.MULTILINE)]
    spans = [" ".join(span.split()) for span in _SPAN.findall(prose)]
    return [*commands_in("\n".join(lines), _name(page)), *(Example(span, _name(page)) for span in spans)]


def help_commands(command: click.Command, name: str = "soundloom") -> Iterator[Example]:
    """The examples in the help of a command and of the commands below it."""
    yield from commands_in(command.help or "", f"{name} --help")
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from help_commands(found, f"{name} {below}")


def docstring_examples() -> Iterator[tuple[str, Example]]:
    """Module and example, for every indented block of a module's docstring that is Python and calls or imports.

    A block with ``...`` in it is an outline and not meant to run.
    """
    for path in sorted(SOURCE.rglob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        for block in re.findall(r"(?:^    .*\n?|^\n)+", docstring, flags=re.MULTILINE):
            source = textwrap.dedent(block).strip()
            with contextlib.suppress(SyntaxError):
                nodes = list(ast.walk(ast.parse(source)))
                if any(isinstance(node, ast.Call | ast.ImportFrom | ast.Import) for node in nodes) and not any(
                    isinstance(node, ast.Constant) and node.value is Ellipsis for node in nodes
                ):
                    yield name, Example(source, name)


class _ParsedError(Exception):
    """Raised instead of running a benchmark whose arguments were understood."""


def parse(command: str) -> None:
    """Have a command's own parser read it, with every type but paths checked; nothing is run."""
    words = shlex.split(command)
    while "=" in words[0]:
        del words[0]
    if words[0] == "soundloom":
        from soundloom.cli import main

        _parse_click(main, words)
    elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks"):
        _parse_benchmark(words[2:])
    else:
        modules = ("pytest", "soundloom.hear_check", "soundloom.packaged_graph")
        assert words[:2] == ["python", "-m"], command
        assert words[2] in modules, command


def _parse_click(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    def convert(_type: click.Path, value: object, *_: object) -> object:
        return value

    from soundloom.cli.common_options import LibraryPath, LocalPath

    with contextlib.ExitStack() as stack:
        for kind in (click.Path, LocalPath, LibraryPath):
            stack.enter_context(mock.patch.object(kind, "convert", convert))
        stack.enter_context(contextlib.suppress(click.exceptions.Exit))
        name, *rest = words
        if not isinstance(command, click.Group):
            command.make_context(name, rest, parent=parent)
            return
        context = command.make_context(name, rest or ["--help"], parent=parent)
        left = [*context._protected_args, *context.args]
        if not left and command.invoke_without_command:
            return
        name, below, rest = command.resolve_command(context, left)
        assert below is not None
        _parse_click(below, [name or "", *rest], context)


def _parse_benchmark(words: list[str]) -> None:
    module = importlib.import_module(words[0] if "." in words[0] else f"{words[0]}.__main__")
    real = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser, *arguments: object) -> None:
        real(parser, *arguments)  # type: ignore[call-overload]
        raise _ParsedError

    with (
        mock.patch.object(sys, "argv", words),
        mock.patch.object(argparse.ArgumentParser, "parse_args", parse_args),
        contextlib.suppress(_ParsedError),
    ):
        module.main()
        raise AssertionError(f"{words[0]} parsed no arguments")
