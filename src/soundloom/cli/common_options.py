"""Options and arguments that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from soundloom import part_weights
from soundloom.cli.option_types import FiniteNumber, Integer, Name
from soundloom.cli.path_types import LibraryPath, LocalPath, SoundsPath, named_library, report_tracks
from soundloom.cli.repeated_options import ListOption, OnceOption
from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.local_path import local_path

if TYPE_CHECKING:
    from soundloom.audio import DecodeOptions

Command = TypeVar("Command", bound=Callable[..., Any])

__all__ = [
    "ARGUMENTS",
    "LibraryPath",
    "ListOption",
    "LocalPath",
    "Name",
    "OnceOption",
    "SoundsPath",
    "as_json",
    "decode_options",
    "decoding",
    "embedding",
    "files",
    "library",
    "library_option",
    "library_without_remark",
    "model",
    "named_library",
    "offline",
    "parse_files",
    "parse_weights",
    "query_decoding",
    "region_file",
    "sounds",
    "sounds_if_any",
    "weight_files",
    "workers",
]


ARGUMENTS = "soundloom.arguments"
"""Where the context of the whole command keeps the command line as it was given."""


def picture_file(_context: click.Context, _option: click.Parameter, out: Path | None) -> Path | None:
    """The value of an option that names a picture to draw: a PNG file."""
    if out is None or Path(out).suffix.lower() == ".png":
        return out
    raise click.BadParameter(f"{str(out)!r} should end in .png: a picture is drawn there")


def _region_file(context: click.Context, _option: click.Parameter, out: Path | None) -> Path | None:
    if out is None:
        return None
    from soundloom.annotations import check_annotation_file

    if not Path(out).suffix and f"-o{out}" in context.find_root().meta.get(ARGUMENTS, ()):  # -owl, which is no file
        raise click.UsageError(
            f"'-o{out}' is -o with the file {str(out)!r}: for that write -o {out}, and for the text: -- -o{out}"
        )
    try:
        path = check_annotation_file(out)
    except InvalidArgumentError as error:
        raise click.BadParameter(str(error)) from None
    report_tracks(context, path)
    return path


region_file = click.option(
    "-o",
    "--out",
    cls=OnceOption,
    type=LocalPath(is_output=True),
    callback=_region_file,
    metavar="FILE",
    help="Write the result: .csv, .json, .parquet, .m3u8, .txt (Audacity), .selections.txt (Raven), .birdnet.csv, "
    ".kaleidoscope.csv, .hoplite.csv, .html, or a folder of labels.",
)

files = click.option(
    "--files",
    "lists",
    multiple=True,
    metavar="LIST",
    help="A list of files, or of regions: paths in lines, a playlist, or any table that search --out writes but .html; "
    "- for any of them on standard input.",
)


def library_option(help: str, default: str | None = None, *, reports_unfinished: bool = True) -> Callable[[Any], Any]:
    """The option that names a library; None without a default. ``reports_unfinished``: see `LibraryPath`."""
    return click.option(
        "-l",
        "--library",
        "folder",
        cls=OnceOption,
        type=LibraryPath(reports_unfinished=reports_unfinished),
        default=default,
        show_default=default is not None,
        metavar="FOLDER",
        help=help,
    )


LIBRARY = "sounds.loom"
"""The library of commands that name none."""

_LIBRARY_HELP = "The library: a folder, or s3://BUCKET/PREFIX."
library = library_option(_LIBRARY_HELP, LIBRARY)
library_without_remark = library_option(_LIBRARY_HELP, LIBRARY, reports_unfinished=False)

sounds = click.argument("sounds", nargs=-1, required=True, type=SoundsPath(), metavar="SOUNDS...")

sounds_if_any = click.argument("sounds", nargs=-1, type=SoundsPath(), metavar="[SOUNDS...]")

model = click.option(
    *("-m", "--model", "name"),
    type=Name(),
    metavar="NAME",
    help="The model, such as logmel+mfcc or ./saved; see: soundloom models.",
)

steering = click.option(
    "--weights",
    cls=ListOption,
    metavar="PART=W,...",
    help="How much each part counts, times what the model counts it for; 0 leaves it out.",
)

weight_files = click.option(
    "--weights",
    "files",
    multiple=True,
    metavar="[PART=]FILE",
    help="The model's weights from a file instead of the published ones; 'random' for none learned. "
    "For one part of several as PART=FILE; can be repeated.",
)

offline = click.option("--offline", is_flag=True, help="Never fetch weights.")

engine = click.option(
    "--engine",
    type=click.Choice(("auto", "packaged", "torch", "onnxruntime")),
    default="auto",
    show_default=True,
    help="What computes the embeddings: packaged is the graph of loom, without torch; auto is that for loom, else "
    "onnxruntime where it is installed, else torch. They agree to 1e-4.",
)

device = click.option(
    "--device", default="cpu", show_default=True, metavar="DEVICE", help="Where to compute, such as cuda."
)

half = click.option("--half", is_flag=True, help="Half precision, for GPUs: faster, three digits.")

window = click.option(
    "--window",
    callback=lambda _context, _option, text: _seconds(text),
    default="10",
    show_default=True,
    metavar="SECONDS",
    help="Cut longer sounds into segments of so many seconds of the file; 'whole' keeps every file in one piece. The "
    "default is times --speed.",
)

hop = click.option(
    "--hop",
    type=FiniteNumber(min=0, min_open=True),
    metavar="SECONDS",
    help="From one segment's start to the next.  [default: the window]",
)

workers = click.option(
    "-j", "--workers", type=Integer(min=1), help="Files at a time.  [default: one for each processor]"
)

_DECODING = "soundloom.decoding"
"""Where a command's context keeps the options of decoding that were given."""


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value is not None and value is not False:
        context.meta.setdefault(_DECODING, {})[option.name] = value


_channels = click.option(
    "--channels",
    metavar="CHANNEL",
    expose_value=False,
    callback=_keep,
    help="Which channel is taken: mix (the mean of all), left, right, a number from 1, or loudest.  [default: mix]",
)
_track = click.option(
    "--track",
    type=Integer(min=1),
    metavar="N",
    expose_value=False,
    callback=_keep,
    help="The audio track that is taken of a file with several.  [default: the first that is not silent]",
)
_accept_truncated = click.option(
    "--accept-truncated",
    is_flag=True,
    expose_value=False,
    callback=_keep,
    help="Take files that are cut short as far as they go, instead of refusing them.",
)
_speed = click.option(
    "--speed",
    type=FiniteNumber(),
    metavar="FACTOR",
    expose_value=False,
    callback=_keep,
    help="Take files as if played at this speed, from 0.001 to 1000: 0.1 brings 40 kHz to 4 kHz. Times stay those of "
    "the file.",
)


def query_decoding(command: Command) -> Command:
    """Options of how a file is decoded; read by `decode_options`."""
    for option in (_accept_truncated, _track, _channels):
        command = option(command)
    return command


def decoding(command: Command) -> Command:
    """The same, and the speed; read by `decode_options`."""
    return query_decoding(_speed(command))


def embedding(command: Command) -> Command:
    """Options of how sounds are embedded: the model, its weights and engine, segments and decoding."""
    options = (model, weight_files, offline, engine, device, half, window, hop, decoding)
    for option in reversed(options):
        command = option(command)
    return command


def decode_options(context: click.Context, base: DecodeOptions | None = None) -> DecodeOptions:
    """The options of decoding that were given, the others as in ``base``, or by default.

    Raises:
        OptionError: a value that is not allowed.
    """
    from soundloom.audio import DecodeOptions

    return replace(base or DecodeOptions(), **context.meta.get(_DECODING, {}))


as_json = click.option("--json", "json_wanted", is_flag=True, help="Print the result as JSON.")


def _seconds(text: Any) -> float | None:
    if text == "whole":
        return None
    try:
        seconds = float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither a number of seconds nor 'whole'") from None
    if not 0 < seconds < math.inf:
        raise click.BadParameter(f"a segment must be longer than 0 s, got {text!r}: write seconds, or 'whole'")
    return seconds


def parse_weights(text: str | None) -> Mapping[str, float]:
    """Read ``part=weight,part=weight``.

    >>> parse_weights("logmel=2,mfcc=0")
    {'logmel': 2.0, 'mfcc': 0.0}

    Raises: QueryError, as for `soundloom.part_weights.parse_weights`.
    """
    return part_weights.parse_weights(text or "", "=")


def parse_files(texts: Sequence[str]) -> str | dict[str, str] | None:
    """Read where weights come from: ``FILE``, or ``PART=FILE`` any number of times; None if nothing is said.

    A file's own name may hold a '=': only what stands before it as the name of a model is taken for a part.

    Raises:
        ModelError: a file for everything, and more besides.
        QueryError: an address instead of a file.
    """
    if not texts:
        return None
    from soundloom.cli import listings

    known = listings.models()
    pairs = [text.partition("=") for text in texts]
    named = {word: file for word, _, file in pairs if word in known and file}
    for file in named.values() if named else texts:
        local_path(file)
    if len(named) == len(texts):
        return named or None
    if len(texts) > 1:
        raise ModelError(f"several --weights are written PART=FILE, such as cnn14=weights.pth; got {', '.join(texts)}")
    return texts[0]
