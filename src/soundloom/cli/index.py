"""``soundloom index``: make a folder of sounds searchable."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from soundloom.cli import options
from soundloom.cli.console import clock, model_loader, print_failures, print_json, progress_bar
from soundloom.errors import LibraryError

if TYPE_CHECKING:
    from soundloom.library import AddReport, Library

__all__ = ["command"]

_ENGINE_OPTIONS = ("engine", "device", "half")


@click.command("index")
@options.sounds_if_any
@options.library
@options.model
@options.weight_files
@options.offline
@options.engine
@options.device
@options.half
@options.window
@options.hop
@click.option(
    "--tags",
    "tag_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A CSV with the columns path and tags (separated by ; or ,).",
)
@options.workers
@click.option("--prune", is_flag=True, help="Forget files that are gone even if they are most of the library.")
@options.as_json
@click.pass_context
def command(
    context: click.Context,
    sounds: tuple[Path, ...],
    folder: Path,
    name: str | None,
    files: tuple[str, ...],
    offline: bool,
    engine: str,
    device: str,
    half: bool,
    window: float | None,
    hop: float | None,
    tag_file: Path | None,
    workers: int | None,
    prune: bool,
    json_wanted: bool,
) -> None:
    """Make folders of sounds searchable.

    Embeds what is new or changed, keeps the embeddings of what moved, forgets what is gone, and reports
    what could not be read. Stop it whenever you like: run again, it goes on where it was. Without SOUNDS
    it looks again through the folders that the library was filled from.

    \b
    Examples:
      soundloom index ~/sounds
      soundloom index
      soundloom index ~/sounds ~/more -l field.loom --window 3 --hop 1.5
      soundloom index ~/sounds -l sounds.loom --tags tags.csv
      soundloom index ~/sounds -l neural.loom --model vggish#10#15 --weights vggish-10086976.pth
    """
    from soundloom.engines import accelerating
    from soundloom.library import Library, TagTable

    began = time.monotonic()
    tags = TagTable(tag_file) if tag_file else None
    weights = options.parse_files(files)
    with model_loader(offline=offline) as loader:
        if (folder / "library.json").exists():
            library = Library.open(folder, name, weights=weights, loader=loader)
            _refuse_other_settings(context, library, window, hop)
        elif not sounds:
            raise click.UsageError(f"there is no library at {str(folder)!r} yet: name the folders of its sounds")
        else:
            from soundloom.models import DEFAULT

            fast = accelerating(loader, engine, device=device, half=half)
            library = Library.create(
                folder, name or DEFAULT, window=window, hop=hop, weights=weights or "published", loader=fast
            )
        _ = library.model  # loaded here, where its own bar can be shown
    with nullcontext() if json_wanted else progress_bar("indexing") as progress:
        report = library.add(sounds or None, tags=tags, workers=workers, prune=prune, progress=progress)
    library.index()

    if json_wanted:
        print_json(report)
    else:
        _tell(report, library, time.monotonic() - began)
    if report.failed:
        click.echo(f"{len(report.failed)} files could not be indexed:", err=True)
        print_failures(report.failed)
        context.exit(1)


def _refuse_other_settings(context: click.Context, library: Library, window: float | None, hop: float | None) -> None:
    """Refuse options that an existing library has decided already, and differently."""
    folder = str(library.folder)
    if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in _ENGINE_OPTIONS):
        raise LibraryError(
            f"the library {folder!r} goes on with the engine it was begun with, "
            f"{library.settings.engine!r}: leave out --engine, --device and --half, or index into a new library"
        )
    chosen = context.get_parameter_source("window") is ParameterSource.COMMANDLINE or hop is not None
    if chosen and (window, hop or window) != (library.settings.window, library.settings.hop):
        raise LibraryError(
            f"the library {folder!r} cuts files into segments of {library.settings.window} s every "
            f"{library.settings.hop} s: leave out --window and --hop, or index into a new library"
        )


def _tell(report: AddReport, library: Library, seconds: float) -> None:
    """Say what was done, and what a person should know of it."""
    counts = ("new", "changed", "moved", "touched", "unchanged", "deleted")
    told = [f"{count} {name}" for name in counts if (count := getattr(report, name))]
    click.echo(
        f"{', '.join(told) or 'no sounds'}; {report.segments} segments, {clock(report.seconds)} of sound "
        f"in {clock(seconds)}. {library.folder} holds {len(library)} segments."
    )
    if report.padded:
        shortest = library.model.min_samples / library.model.sample_rate
        click.echo(f"{report.padded} files are shorter than {shortest:.3f} s: padded with silence.", err=True)
    if report.absent:
        click.echo(f"not there, and kept as they were: {', '.join(report.absent)}", err=True)
    if report.missing:
        click.echo(
            f"{report.missing} files are gone, most of the library: kept, in case a disk is not mounted. "
            "If they were deleted on purpose, run again with --prune.",
            err=True,
        )
