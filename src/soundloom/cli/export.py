"""``soundloom export``: a model as one ONNX file, or a library as one file of embeddings."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, print_json
from soundloom.cli.model_loader import model_loader
from soundloom.cli.option_types import FiniteNumber
from soundloom.counted import counted

__all__ = ["command"]

_OUT = common_options.LocalPath(dir_okay=False, is_output=True)


@click.command("export")
@click.argument("name", metavar="MODEL|LIBRARY", required=False)
@click.argument("out", type=_OUT, metavar="[OUT]", required=False)
@click.option(
    "-o", "--out", "--output", "output", type=_OUT, metavar="OUT", help="The file to write, if it is not an argument."
)
@click.option(
    "-l",
    "--library",
    "folder",
    cls=common_options.OnceOption,
    metavar="FOLDER",
    help="The library, if it is not an argument.",
)
@common_options.weight_files
@common_options.offline
@click.option("--seconds", type=FiniteNumber(min=0, min_open=True), help="The one length of sound that the file takes.")
@common_options.as_json
@click.pass_context
def command(
    context: click.Context,
    name: str | None,
    out: Path | None,
    output: Path | None,
    folder: str | None,
    files: tuple[str, ...],
    offline: bool,
    seconds: float | None,
    json_wanted: bool,
) -> None:
    """Write a library as one file of embeddings (.parquet, .npz or .csv), or a model as an ONNX file.

    Of a LIBRARY: paths, times, tags and embeddings, with the model, fingerprint, engine, rate and window, and in
    Parquet all that is known of the files. soundloom import makes a library of it.

    Of a MODEL: waveforms [batch, samples] in, embeddings [batch, dim] out.

    The front-end is in the file; give it mono sound in [-1, 1] at the rate in its metadata. Before the file gets its
    name its embeddings are compared with the model's. Needs the extra onnx.

    Without --seconds a file takes sounds of any length that the model embeds in one piece, if it has no fixed window
    and fuses no layers (logmel, mfcc, cnn14); else of one length: a window (vggish 0.975 s, coala 2.21 s, ast 10.255
    s). Fused layers of cnn14, and models with constant-Q or texture front-ends such as loom, need --seconds. Other
    lengths are the caller's to cut or fill with silence.

    \b
    Examples:
      soundloom export sounds.loom sounds.parquet
      soundloom export -l sounds.loom -o sounds.npz
      soundloom export logmel+mfcc timbre.onnx
      soundloom export loom loom.onnx --seconds 10
      soundloom export cnn14#3#6 fused.onnx --seconds 5
      soundloom export vggish vggish.onnx --weights vggish-10086976.pth
    """
    if folder is not None and out is None:  # then the only argument, if there is one, is the file
        name, out = folder, None if name is None else _OUT.convert(name, None, context)
    elif folder is not None:
        raise click.UsageError(f"{name!r} and -l {folder!r} are both exported: name one library or model")
    if name is None and output is not None:
        name = common_options.LIBRARY
    if name is None or (out is None) == (output is None):
        raise click.UsageError("name one file to write: soundloom export MODEL OUT.onnx, or LIBRARY OUT.parquet")
    written = out or output
    assert written is not None
    if (library := common_options.named_library(name)) is not None:
        if seconds is not None:
            raise click.UsageError(f"--seconds is for models, and {name!r} is a library: leave it out")
        _export_library(library, written)
    else:
        _export_model(name, written, files, seconds, offline=offline, json_wanted=json_wanted)


def _export_model(
    name: str, out: Path, files: tuple[str, ...], seconds: float | None, *, offline: bool, json_wanted: bool
) -> None:
    from soundloom.onnx_export import check_destination, check_exportable, export

    check_destination(out)
    check_exportable(name, offline=offline)
    load = model_loader(offline=offline)
    model = load(name, weights=common_options.parse_files(files) or "published")
    exported = export(model, out, seconds=seconds)
    if json_wanted:
        print_json(asdict(exported) | {"sample_rate": model.sample_rate, "dim": model.dim})
        return
    if exported.min_samples == exported.max_samples:
        length = f"{exported.min_samples:,} samples"
    elif exported.max_samples is None:
        length = f"{exported.min_samples:,} samples or more"
    else:
        length = f"{exported.min_samples:,} to {exported.max_samples:,} samples"
    echo(
        f"{out}: {name}, {length} at {model.sample_rate:,} Hz to {model.dim} numbers, opset {exported.opset}, "
        f"{exported.difference:.0e} from the model"
    )


def _export_library(folder: Path, out: Path) -> None:
    from soundloom.library import Library
    from soundloom.library.exports.library_export import export_library

    files, segments = export_library(Library.open(folder, loader=model_loader(offline=True)), out)
    echo(f"{counted(segments, 'segment')} of {counted(files, 'file')}: {out}")
