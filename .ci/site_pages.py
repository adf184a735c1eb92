"""Pages of the documentation site that are generated: commands, Python, models, glossary; and pages from the root.

A hook of MkDocs (``mkdocs.yml``): the pages exist only while the site is built, so nothing is kept twice.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "soundloom"

# The modules that programs import from, in the order of their use; each has a page.
PUBLIC = (
    "soundloom", "soundloom.library", "soundloom.models", "soundloom.embedder", "soundloom.audio", "soundloom.corpora",
    "soundloom.evaluation", "soundloom.annotations", "soundloom.detectors", "soundloom.plans",
    "soundloom.tags", "soundloom.tagger",
    "soundloom.tags.text_towers", "soundloom.zero_shot",
    "soundloom.integrations.sound_embedder", "soundloom.integrations.torch_dataset",
    "soundloom.integrations.hf_datasets", "soundloom.integrations.mcp_server", "soundloom.integrations.static_map",
    "soundloom.hear", "soundloom.xares", "soundloom.mteb", "soundloom.onnx_export", "soundloom.engines",
    "soundloom.embedding_model", "soundloom.engine_choice", "soundloom.packaged",
    "soundloom.frontends", "soundloom.encoders", "soundloom.fusion", "soundloom.objectives", "soundloom.recipes",
    "soundloom.training", "soundloom.feature_cache", "soundloom.components", "soundloom.server", "soundloom.synth",
    "soundloom.errors",
)  # fmt: skip


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    for name, content in pages():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """A page whose empty corner cells of tables are no headings, which screen readers would read out."""
    return re.sub(r"<th([^>]*)></th>", r"<td\1></td>", html)


def on_post_page(output: str, **_: Any) -> str:
    """A page whose search dialog and its options have names, which the theme leaves out or gives to sections, too."""
    return output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    ).replace(
        'class="md-search__options" aria-label="Search"', 'class="md-search__options" aria-label="Search options"'
    )


def pages() -> Iterator[tuple[str, str]]:
    """Path in the site -> Markdown."""
    yield "reference/commands.md", commands()
    yield "reference/python.md", python_index()
    for module in PUBLIC:
        yield f"reference/python/{module}.md", f"---\nsearch:\n  boost: 0.5\n---\n\n# {module}\n\n::: {module}\n"
    yield "reference/models.md", models()
    card = (SOURCE / "models" / "loom" / "README.md").read_text("utf-8")
    card = re.sub(r"\]\((?:\.\./)+docs/loom/(?!credits\.md)[^)]*\)", "](../loom/credits.md)", card)
    yield "reference/loom.md", re.sub(r"\]\((?:\.\./)+docs/", "](../", without_front_matter(card))
    yield "reference/glossary.md", glossary()
    for name, file in (("changes", "CHANGELOG"), ("contributing", "CONTRIBUTING"), ("security", "SECURITY")):
        text = (ROOT / f"{file}.md").read_text("utf-8")
        yield f"reference/{name}.md", text.replace("](docs/", "](../")


def without_front_matter(text: str) -> str:
    """A page without the YAML that model hubs read at its top."""
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)


def python_index() -> str:
    """A list of the public modules, each with the first line of its text."""
    lines = ["# Python", "", "Modules that programs import from. What is not listed may change without notice.", ""]
    for module in PUBLIC:
        first = (inspect.getdoc(import_module(module)) or "").partition("\n")[0]
        lines.append(f"- [`{module}`](python/{module}.md): {first}")
    return "\n".join(lines) + "\n"


def commands() -> str:
    """The help of every command, as it prints it in eighty columns."""
    from soundloom.cli import main

    lines = ["# Commands", "", "What each command prints with `--help`.", ""]

    def add(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
        level = 2 if parent is None else min(4, 1 + len(context.command_path.split()))
        lines.extend([f"{'#' * level} {context.command_path}", "", "```text", command.get_help(context), "```", ""])
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                found = command.get_command(context, below)
                assert found is not None
                add(found, below, context)

    add(main, "soundloom", None)
    return "\n".join(lines)


def models() -> str:
    """A table of the models, from the registry."""
    from soundloom.models import MODELS

    lines = ["# Models", "", "What `soundloom models` lists; `soundloom info NAME` shows one.", ""]
    lines += ["| name | what it is | where it comes from | licence |", "|---|---|---|---|"]
    for name, model in MODELS.items():
        cells = (f"`{name}`", model.title, model.source, model.licence or "not stated")
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def glossary() -> str:
    """The section of the design page, a term a line."""
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    section = text.partition("\n## Glossary\n")[2].partition("\n## ")[0]
    return f"# Glossary\n\n{section}"
