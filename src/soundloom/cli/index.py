"""``soundloom index``: make a folder of sounds searchable."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from soundloom.cli import common_options
from soundloom.cli.console import echo, print_list
from soundloom.cli.error_door import goes_on
from soundloom.cli.index_outcome import print_outcome
from soundloom.cli.model_loader import model_loader
from soundloom.cli.progress_bars import progress_bar
from soundloom.counted import counted
from soundloom.errors import LibraryError, SoundloomError
from soundloom.file_names import os_path
from soundloom.library.library_files import is_library
from soundloom.library.mirror import shown
from soundloom.remote import existing, is_address

if TYPE_CHECKING:
    from soundloom.embedder import Embedder
    from soundloom.library import AddReport, Library, TagTable

__all__ = ["checked", "command", "listed", "open_or_create", "segment_seconds"]

_ENGINE_OPTIONS = ("engine", "device", "half")


@click.command("index")
@common_options.sounds_if_any
@common_options.library_without_remark
@common_options.embedding
@click.option(
    "--tags",
    "tag_file",
    type=common_options.LocalPath(must_exist=True),
    metavar="FILE",
    help="A CSV with the columns path and tags, or label (several in a cell are separated by ; , or |), which are "
    "added; with the columns start and end, in seconds, to the segments there.",
)
@click.option(
    "--columns-from",
    "column_file",
    type=common_options.LocalPath(must_exist=True),
    metavar="FILE",
    help="A CSV with the column path and any others, such as site; these become fields to sort and filter by.",
)
@click.option("--levels", is_flag=True, help="Measure the levels of files that an earlier version indexed.")
@click.option("--replace-tags", is_flag=True, help="Drop what earlier --tags gave the files that this one names.")
@common_options.files
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help='Leave out files, as "*_draft.wav" or "outtakes/", now and later; as do files .soundloomignore. Repeat it. To '
    "take one back, delete its line in LIBRARY/exclude.txt. What SOUNDS names afterwards is taken all the same, and "
    "stays until soundloom roots forget.",
)
@common_options.workers
@click.option("-v", "--verbose", is_flag=True, help="Name every file of which something was noticed.")
@click.option("--prune", is_flag=True, help="Remove files that are gone, however many of a folder they are.")
@click.option("--rehash", is_flag=True, help="Find changes also in files of the same size and time; reads every file.")
@click.option("--upgrade", is_flag=True, help="Embed all files of the library with its model as it is now, or with -m.")
@common_options.as_json
@click.pass_context
def command(
    context: click.Context,
    /,
    sounds: tuple[Path | str, ...],
    folder: Path,
    name: str | None,
    files: tuple[str, ...],
    offline: bool,
    window: float | None,
    hop: float | None,
    tag_file: Path | None,
    column_file: Path | None,
    levels: bool,
    replace_tags: bool,
    workers: int | None,
    verbose: bool,
    prune: bool,
    rehash: bool,
    upgrade: bool,
    lists: tuple[str, ...],
    exclude: tuple[str, ...],
    json_wanted: bool,
    **engine: Any,
) -> None:
    """Make folders of sounds searchable.

    Embeds new and changed files, keeps the embeddings and tags of files that were renamed, moved or swapped,
    removes deleted files, and reports files that cannot be decoded; it ends with 1 if some did not fail before. An
    interrupted run continues when it is started again. Without SOUNDS it updates the folders that the library was
    filled from. Embeddings are kept of a folder that is absent, or empty where it held sounds, or of which more
    than a tenth or an hour is missing: see soundloom roots, and --prune. A row of --tags names a file by as much of
    the end of its path as makes it unique; copies of the same content get its tags, too. --upgrade embeds all files
    with the model of now; tags and folders stay, and the library is searched as before until it is done.

    \b
    Examples:
      soundloom index ~/sounds
      soundloom index ~/sounds -l field.loom --window 3 --hop 1.5
      soundloom index ~/sounds --tags tags.csv --columns-from sites.csv
      soundloom index ~/sounds -l neural.loom --model vggish#10#15 --weights vggish-10086976.pth
      soundloom index --upgrade -l field.loom
      soundloom index ~/bats -l bats.loom --speed 0.1 --window 1
      soundloom index s3://bucket/sounds -l bucket.loom
      soundloom index --files list.txt --exclude "*_draft.wav" --exclude outtakes/
    """
    began = time.monotonic()
    every, tags = [*checked(sounds), *listed(lists)], _tag_table(tag_file, replace_tags)
    loader, is_new = model_loader(offline=offline), not folder.exists()
    if upgrade:
        library = _open_to_upgrade(context, loader, folder, window, hop)
        run: Callable[..., AddReport] = partial(library.upgrade, name, weights=common_options.parse_files(files))
    else:
        library = open_or_create(context, loader, folder, name, files, window=window, hop=hop, **engine)
        run = partial(library.add, every or None, tags=tags, rehash=rehash, exclude=exclude)
    with _removed_empty(library, is_new), nullcontext() if json_wanted else progress_bar("indexing") as progress:
        report = run(workers=workers, prune=prune, progress=progress)
    library.index()
    _add_fields(library, column_file, levels, workers)
    if print_outcome(report, library, every, None if json_wanted else time.monotonic() - began, tag_file, verbose):
        context.exit(1)


@contextmanager
def _removed_empty(library: Library, is_new: bool) -> Iterator[None]:
    """Remove a new library that is still empty when what should fill it is refused."""
    try:
        with goes_on("what is embedded"):
            yield
    except SoundloomError:
        if is_new and not library.files() and not library.failures():
            shutil.rmtree(library.folder, ignore_errors=True)
        raise


def _add_fields(library: Library, column_file: Path | None, levels: bool, workers: int | None) -> None:
    """Join a table's columns to the files, and measure missing levels, and say so on standard error."""
    if column_file is not None:
        report = library.add_columns(column_file)
        said = f"; left out, as the library has its own: {', '.join(report.left_out)}" if report.left_out else ""
        echo(f"{column_file}: {', '.join(report.columns)} of {counted(report.files, 'file')}{said}", err=True)
        for names, why in ((report.unmatched, "no file"), (report.ambiguous, "several files")):
            if names:
                print_list(f"{counted(len(names), 'row')} of {column_file} left out, for fitting {why}:", names)
    if levels:
        with progress_bar("measuring") as progress:
            measured = library.measure_levels(workers=workers, progress=progress)
        echo(f"levels of {counted(measured, 'file')} measured", err=True)


def _tag_table(tag_file: Path | None, replace: bool) -> TagTable | None:
    from soundloom.library import TagTable

    if replace and tag_file is None:
        raise click.UsageError("--replace-tags says what the table of --tags does: name one with --tags")
    return None if tag_file is None else TagTable(tag_file, replace=replace)


def checked(sounds: Sequence[Path | str]) -> list[str]:
    """The sounds of a command line, after a look at those at addresses: nothing is made for one that is mistyped."""
    from soundloom.library.indexing.scan import roots_of

    addresses = [sound for sound in map(str, sounds) if is_address(sound)]
    if addresses:
        roots_of(addresses)
    return list(map(str, sounds))


def listed(lists: Sequence[str]) -> list[str]:
    """The files of lists; those that are not there are named and left out."""
    from soundloom.file_lists import read_file_list

    paths = list(dict.fromkeys(file.path for name in lists for file in read_file_list(name)))
    there = existing(paths)
    missing = [path for path in paths if path not in there]
    if missing:
        print_list(f"{counted(len(missing), 'file')} of the list left out, for not being there:", missing)
    if lists and len(missing) == len(paths):
        raise LibraryError("no file of the list is there: relative paths start in this folder, or that of the list")
    return [os_path(path) for path in paths if path in there]


def _open_to_upgrade(
    context: click.Context, loader: Callable[..., Embedder], folder: Path, window: float | None, hop: float | None
) -> Library:
    """The library to upgrade; options of what it keeps are refused."""
    from soundloom.library import Library

    if any(context.params[name] for name in ("sounds", "lists", "tag_file", "rehash", "exclude")):
        raise click.UsageError(
            "--upgrade embeds the files of the library's folders: give SOUNDS, --files, --tags, --rehash and --exclude "
            "to the next soundloom index"
        )
    library = Library.open(folder, loader=loader)
    _refuse_other_settings(context, library, window, hop)
    return library


def open_or_create(
    context: click.Context,
    loader: Callable[..., Embedder],
    folder: Path,
    name: str | None,
    files: tuple[str, ...],
    *,
    window: float | None,
    hop: float | None,
    **engine: Any,
) -> Library:
    """The library in the folder; a new one if there is none. ``engine``: as for `accelerating`."""
    from soundloom.engine_choice import accelerating
    from soundloom.library import Library
    from soundloom.packaged import NAME

    weights = common_options.parse_files(files)
    if is_library(folder):
        library = Library.open(folder, name, weights=weights, loader=loader)
        _refuse_other_settings(context, library, window, hop)
        return library
    if not (context.params["sounds"] or context.params["lists"]):
        raise click.UsageError(f"there is no library at {str(folder)!r} yet: name the folders of its sounds")
    decoding = common_options.decode_options(context)
    window, hop = segment_seconds(context, window, hop, decoding.speed)
    return Library.create(
        folder,
        name or NAME,
        window=window,
        hop=hop,
        weights=weights or "published",
        decoding=decoding,
        loader=accelerating(loader, **engine),
    )


def segment_seconds(
    context: click.Context, window: float | None, hop: float | None, speed: float
) -> tuple[float | None, float | None]:
    """Window and hop in seconds of sounds as they are taken at a speed; options that were given are of the file.

    Raises:
        click.UsageError: the hop leaves gaps, as it is longer than the window, or there is no window.
    """
    if window is not None and context.get_parameter_source("window") is ParameterSource.COMMANDLINE:
        window = round(window / speed, 9)
    if hop is None:
        return window, None
    if window is None:
        raise click.UsageError(f"--hop {hop:g} without segments means nothing: give --window in seconds as well")
    taken = round(hop / speed, 9)
    if taken > window:
        raise click.UsageError(f"--hop must be at most --window, {window * speed:g} s, got {hop:g} s")
    return window, taken


def _refuse_other_settings(context: click.Context, library: Library, window: float | None, hop: float | None) -> None:
    """Refuse options that differ from the settings of an existing library."""
    folder = shown(library.folder)
    if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in _ENGINE_OPTIONS):
        raise LibraryError(
            f"the library {folder!r} goes on with the engine it was begun with, "
            f"{library.settings.engine!r}: leave out --engine, --device and --half, or index into a new library"
        )
    kept = library.settings.decoding
    chosen = context.get_parameter_source("window") is ParameterSource.COMMANDLINE or hop is not None
    window, hop = segment_seconds(context, window, hop, kept.speed)
    if chosen and (window, hop or window) != (library.settings.window, library.settings.hop):
        raise LibraryError(
            f"the library {folder!r} cuts files into {library.settings.cut_into}: leave out --window and --hop, or "
            "index into a new library"
        )
    if common_options.decode_options(context, kept) != kept:
        raise LibraryError(
            f"the library {folder!r} decodes files with channels {kept.channels}, track {kept.track or 'any'}, speed "
            f"{kept.speed:g}, cut files {'taken' if kept.accept_truncated else 'refused'}: leave out --channels, "
            "--track, --speed and --accept-truncated, or index into a new library"
        )
