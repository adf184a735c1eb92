"""``soundloom embed``: embeddings as a file for other tools."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundloom.cli import common_options
from soundloom.cli.console import (
    clock,
    echo,
    print_failures,
    print_json,
    print_left_out,
    print_none_found,
    print_notices,
)
from soundloom.cli.index import segment_seconds
from soundloom.cli.model_loader import model_loader
from soundloom.cli.progress_bars import progress_bar
from soundloom.counted import counted
from soundloom.errors import InvalidArgumentError, LibraryError

if TYPE_CHECKING:
    from soundloom.library.exports.embedding_export import ExportReport

__all__ = ["command"]


def _embedding_file(_context: click.Context, _option: click.Parameter, out: Path) -> Path:
    from soundloom.library.exports.embedding_export import check_embedding_file

    try:
        check_embedding_file(Path(out))
    except (InvalidArgumentError, LibraryError) as error:
        raise click.BadParameter(str(error)) from None
    return out


@click.command("embed")
@common_options.sounds
@click.option(
    "-o",
    "--out",
    type=common_options.LocalPath(is_output=True),
    required=True,
    callback=_embedding_file,
    metavar="FILE",
    help="Where to write: a .parquet, .csv or .npz file, or a folder for one .npz a sound.",
)
@click.option("--frames", is_flag=True, help="One row a frame of the model, instead of one a segment.")
@common_options.embedding
@common_options.workers
@common_options.as_json
@click.pass_context
def command(
    context: click.Context,
    sounds: tuple[Path | str, ...],
    out: Path,
    name: str | None,
    files: tuple[str, ...],
    offline: bool,
    engine: str,
    device: str,
    half: bool,
    frames: bool,
    window: float | None,
    hop: float | None,
    workers: int | None,
    json_wanted: bool,
) -> None:
    """Write the embeddings of sounds to a file.

    Parquet holds path, start, end and embedding (list<float32>), and opens in embedding browsers, pandas
    and datasets.

    \b
    Examples:
      soundloom embed ~/sounds -o embeddings.parquet
      soundloom embed dog.wav -o dog.csv --model mfcc --window whole
      soundloom embed ~/sounds -o frames/ --frames
      soundloom embed ~/sounds -o fused.npz --model cnn14#3#6 --weights Cnn14_16k_mAP=0.438.pth
    """
    decoding = common_options.decode_options(context)
    window, hop = segment_seconds(context, window, hop, decoding.speed)
    from soundloom.engine_choice import accelerating
    from soundloom.library.exports.embedding_export import export
    from soundloom.packaged import NAME

    load = model_loader(offline=offline)
    fast = accelerating(load, engine, device=device, half=half, whole=not frames)
    model = fast(name or NAME, weights=common_options.parse_files(files) or "published")
    with nullcontext() if json_wanted else progress_bar("embedding") as progress:
        report = export(
            sounds, model, out, frames=frames, window=window, hop=hop, workers=workers, decoding=decoding,
            progress=progress,
        )  # fmt: skip
    if json_wanted:
        print_json(report)
    else:
        rows, embedded = counted(report.rows, "row"), counted(report.files, "file")
        written = f": {out}" if report.files else f"; nothing was written to {out}"
        size = model.frame_dim if frames else model.dim
        echo(f"{rows} of {size} numbers from {embedded}, {clock(report.seconds)} of sound{written}")
    _print_details(report)
    if not report.files and not report.failed:
        print_none_found(sounds)
    if report.failed or not report.files:
        context.exit(1)


def _print_details(report: ExportReport) -> None:
    """Say what was noticed, left out and not embedded, on standard error."""
    print_notices(report.notices, every=True)
    print_left_out(report.left_out)
    if report.failed:
        echo(f"{counted(len(report.failed), 'file')} could not be embedded:", err=True)
        print_failures(report.failed)
