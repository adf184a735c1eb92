"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from soundloom import part_weights
from soundloom.errors import ModelError
from soundloom.local_path import local_path

if TYPE_CHECKING:
    from soundloom.audio import DecodeOptions

Command = TypeVar("Command", bound=Callable[..., Any])

__all__ = [
    "LocalPath",
    "as_json",
    "decode_options",
    "decoding",
    "device",
    "engine",
    "files",
    "half",
    "hop",
    "library",
    "model",
    "offline",
    "parse_files",
    "parse_weights",
    "query_decoding",
    "region_file",
    "sounds",
    "sounds_if_any",
    "weight_files",
    "window",
    "workers",
]


class LocalPath(click.Path):
    """A path of this machine; addresses such as ``s3://...`` are refused, and inputs must exist.

    Args:
        must_exist: whether it is an input.
        options: as for `click.Path`.
    """

    def __init__(self, *, must_exist: bool = False, **options: Any) -> None:
        super().__init__(path_type=Path, **options)
        self._must_exist = must_exist

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        local_path(value, must_exist=self._must_exist)
        return super().convert(value, param, ctx)


def _region_file(_context: click.Context, _option: click.Parameter, out: Path | None) -> Path | None:
    from soundloom.annotations import check_annotation_file

    return None if out is None else check_annotation_file(out)


region_file = click.option(
    "-o",
    "--out",
    type=LocalPath(),
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
    help="A list of files: paths in lines, a playlist, or a CSV such as search --out writes; - for standard input.",
)

library = click.option(
    "-l",
    "--library",
    "folder",
    type=LocalPath(),
    default="sounds.loom",
    show_default=True,
    metavar="FOLDER",
    help="The library.",
)

sounds = click.argument("sounds", nargs=-1, required=True, type=LocalPath(must_exist=True), metavar="SOUNDS...")

sounds_if_any = click.argument("sounds", nargs=-1, type=LocalPath(must_exist=True), metavar="[SOUNDS...]")

model = click.option(
    "-m", "--model", "name", metavar="NAME", help="The model, such as logmel+mfcc or ./saved; see: soundloom models."
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
    type=click.Choice(("auto", "torch", "onnxruntime")),
    default="auto",
    show_default=True,
    help="What computes the encoder; auto is onnxruntime where it is installed, else torch. They agree to 1e-4.",
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
    help="Cut longer sounds into segments of this length; 'whole' keeps every file in one piece.",
)

hop = click.option(
    "--hop", type=float, metavar="SECONDS", help="From one segment's start to the next.  [default: the window]"
)

workers = click.option(
    "-j", "--workers", type=click.IntRange(min=1), help="Files at a time.  [default: one for each processor]"
)

_DECODING = "soundloom.decoding"
"""Where a command's context keeps the options of decoding that were given."""


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value:
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
    type=click.IntRange(min=1),
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
    type=float,
    metavar="FACTOR",
    expose_value=False,
    callback=_keep,
    help="Take files as if played at this speed: 0.1 brings 40 kHz to 4 kHz. Times stay those of the file.",
)


def query_decoding(command: Command) -> Command:
    """Options of how a file is decoded; read by `decode_options`."""
    for option in (_accept_truncated, _track, _channels):
        command = option(command)
    return command


def decoding(command: Command) -> Command:
    """The same, and the speed; read by `decode_options`."""
    return query_decoding(_speed(command))


def decode_options(context: click.Context, base: DecodeOptions | None = None) -> DecodeOptions:
    """The options of decoding that were given, the others as in ``base``, or as they are by default.

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
        return float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither a number of seconds nor 'whole'") from None


def parse_weights(text: str | None) -> Mapping[str, float]:
    """Read ``part=weight,part=weight``.

    >>> parse_weights("logmel=2,mfcc=0")
    {'logmel': 2.0, 'mfcc': 0.0}

    Raises:
        QueryError: as for `soundloom.part_weights.parse_weights`.
    """
    return part_weights.parse_weights(text or "", "=")


def parse_files(texts: Sequence[str]) -> str | dict[str, str] | None:
    """Read where weights come from: ``FILE``, or ``PART=FILE`` any number of times; None if nothing is said.

    A file's own name may hold a '=': only what stands before it as the name of a model is taken for a part.

    Raises:
        ModelError: a file for everything, and more besides.
        QueryError: an address instead of a file.
    """
    from soundloom.models import MODELS

    pairs = [text.partition("=") for text in texts]
    named = {word: file for word, _, file in pairs if word in MODELS and file}
    for file in named.values() if named else texts:
        local_path(file)
    if len(named) == len(texts):
        return named or None
    if len(texts) > 1:
        raise ModelError(f"several --weights are written PART=FILE, such as cnn14=weights.pth; got {', '.join(texts)}")
    return texts[0]
