"""``soundloom words``: the words that a model knows, each with the other ways to write it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundloom import packaged
from soundloom.cli import common_options
from soundloom.cli.arrow_without_pandas import open_library
from soundloom.cli.console import echo, print_json

if TYPE_CHECKING:
    from soundloom.tags import Vocabulary

__all__ = ["command"]


@click.command("words")
@click.argument("text", required=False, nargs=-1)
@click.option("-m", "--model", help="Model; see: soundloom models.  [default: loom, or the library's]")
@common_options.library_option("Of this library's model.")
@common_options.weight_files
@common_options.offline
@common_options.as_json
def command(
    text: tuple[str, ...],
    model: str | None,
    folder: Path | None,
    files: tuple[str, ...],
    offline: bool,
    json_wanted: bool,
) -> None:
    """List the words that a model knows, with the everyday words that stand for them.

    With TEXT, only the words that it means, and those that have it in one of their names.

    \b
    Examples:
      soundloom words
      soundloom words rain
      soundloom words a crying baby
      soundloom words -m yamnet --weights yamnet.tflite --json
      soundloom words -l sounds.loom
    """
    from soundloom.errors import QueryError
    from soundloom.library.search.tag_query import find_known_words

    model, vocabulary = _vocabulary(model, folder, files, offline)
    names: dict[str, list[str]] = {tag: [] for tag in vocabulary.tags}
    for name, tag in vocabulary.names.items():
        if name != tag.lower() and name not in tag.lower().split(", "):
            names[tag].append(name)
    if text:
        asked = " ".join(text).strip()
        meant, _ = find_known_words(asked, vocabulary)
        whole = re.compile(rf"\b{re.escape(asked.casefold())}(?:s|es)?\b")
        names = {
            tag: others
            for tag, others in names.items()
            if tag in meant or any(whole.search(name.casefold()) for name in (tag, *others))
        }
        if not names:
            near = vocabulary.nearest(asked)
            hint = f": did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise QueryError(f"{asked!r} is in none of the {len(vocabulary)} words that {model} knows{hint}")
    if json_wanted:
        print_json(names)
        return
    for tag, others in sorted(names.items(), key=lambda row: row[0].casefold()):
        echo(f"{tag}: {', '.join(others)}" if others else tag)


def _vocabulary(
    model: str | None, folder: Path | None, files: tuple[str, ...], offline: bool
) -> tuple[str, Vocabulary]:
    """The name of a model, or of a library's, and the words that searches by it understand."""
    from soundloom.errors import QueryError
    from soundloom.library.search.tag_query import tags_of_library
    from soundloom.tags.model_words import words_of_model

    if model is None and folder is not None:
        settings = open_library(folder).settings
        return settings.model, tags_of_library(settings, offline=offline).vocabulary
    name = model or packaged.NAME
    words = words_of_model(name, common_options.parse_files(files) or "published", offline=offline)
    if words is None:
        from soundloom.models.model_registry import model_parts

        model_parts(name, offline=offline)  # refuses a name that is none
        raise QueryError(f"the model {name!r} knows no words: take loom (the default), coala, or one trained on tags")
    return name, words.vocabulary
