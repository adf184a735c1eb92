"""``soundloom tag``: by a trained model, or by example; one command of two modes, chosen by its options."""

from __future__ import annotations

from collections.abc import Sequence
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
from soundloom.cli.option_types import FiniteNumber, Integer
from soundloom.cli.progress_bars import progress_bar
from soundloom.cli.tag_examples import command as examples
from soundloom.counted import counted

if TYPE_CHECKING:
    from soundloom.cli.tag_predictions import TagReport

__all__ = ["command"]

_BY_EXAMPLE = ("--examples", "--tag")


class _Modes(click.Group):
    """The modes are listed as subcommands, but nobody has to name them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*ctx.help_option_names, *self.commands):
            by_example = any(word.partition("=")[0] in _BY_EXAMPLE for word in args)
            args = ["examples" if by_example else "model", *args]
        return super().parse_args(ctx, args)


@click.group("tag", cls=_Modes)
def command() -> None:
    """Tag sounds: by a model that was trained to, or by example.

    \b
    Examples:
      soundloom tag door.wav                                         by the words that loom knows
      soundloom tag ~/sounds --model runs/four --out tags.csv
      soundloom tag model --help                                     all about it
      soundloom tag --examples --tag siren --yes a.wav --no c.wav    learned from a few sounds of a library
      soundloom tag --examples --help                                all about it
    """


@click.command("model")
@common_options.sounds
@click.option(
    "-m",
    "--model",
    "run",
    type=common_options.Name(),
    metavar="MODEL",
    help="A run's folder, or a model that knows words.  [loom]",
)
@click.option(
    "--words", multiple=True, metavar="TEXT", help="A class in words, of a model that takes sentences; repeat it."
)
@click.option("--frames", is_flag=True, help="Tags of every stretch of about a second instead of every file.")
@click.option("--explain", is_flag=True, help="Show how much each part of the model contributed to a score.")
@click.option("--top", type=Integer(min=1), default=5, show_default=True, help="Most tags of a segment.")
@click.option(
    "--least",
    type=FiniteNumber(0, 1),
    default=0.1,
    show_default=True,
    help="Lowest score that is shown. Silence and noise are where no other tag of a file has 0.1.",
)
@common_options.region_file
@common_options.weight_files
@common_options.offline
@common_options.decoding
@common_options.workers
@common_options.as_json
@click.pass_context
def by_model(
    context: click.Context,
    sounds: tuple[Path | str, ...],
    run: str | None,
    words: tuple[str, ...],
    frames: bool,
    explain: bool,
    top: int,
    least: float,
    out: Path | None,
    files: tuple[str, ...],
    offline: bool,
    workers: int | None,
    json_wanted: bool,
) -> None:
    """Tag files with a model that was trained to, or with the words that a model knows.

    Models are trained to by soundloom train diverse and labels, and know words by soundloom train coala. The default
    one gives words with their probability: the higher of that of the stretches that are not silent, and of that of the
    whole up to ten seconds. yamnet gives its 521 classes.

    \b
    Examples:
      soundloom tag door.wav
      soundloom tag ~/sounds --model runs/four --out tags.csv
      soundloom tag street.wav --model yamnet
      soundloom tag roof.wav -m hf:laion/clap-htsat-unfused --words "rain on a tin roof" --words "hail on a window"
      soundloom tag dawn.flac --model runs/four --explain            how much pitch, timbre ... had to do with it
    """
    from soundloom.cli.tag_predictions import tag_files, tag_lines, write_tags
    from soundloom.models import DEFAULT

    with nullcontext() if json_wanted else progress_bar("tagging") as progress:
        report = tag_files(
            sounds,
            run or DEFAULT,
            frames=frames,
            explain=explain,
            top=top,
            least=least,
            workers=workers,
            decoding=common_options.decode_options(context),
            progress=progress,
            weights=common_options.parse_files(files) or "published",
            offline=offline,
            sentences=words,
        )
    if out is not None:
        out = write_tags(report.rows, out)
    if json_wanted:
        tags = [row.columns() for row in report.rows]
        counts = {"files": report.files, "seconds": report.seconds}
        said = {"failed": report.failed, "notices": report.notices, "remarks": report.remarks}
        print_json({"tags": tags, **counts, **said})
    elif out is None:
        for line in tag_lines(report.rows):
            echo(line)
    _print_summary(report, sounds, out)
    if report.failed or not report.files:
        context.exit(1)


def _print_summary(report: TagReport, sounds: Sequence[Path | str], out: Path | None) -> None:
    """Say how much was tagged, and what was not, on standard error."""
    summary = f"{counted(report.files, 'file')}, {clock(report.seconds)} of sound, {counted(len(report.rows), 'tag')}"
    echo(summary + (f" written to {out}" if out is not None else ""), err=True)
    for remark in report.remarks:
        echo(remark, err=True)
    print_notices(report.notices, every=True)
    print_left_out(report.left_out)
    if not report.files and not report.failed:
        print_none_found(sounds)
    if report.failed:
        echo(f"{counted(len(report.failed), 'file')} could not be tagged:", err=True)
        print_failures(report.failed)


for mode in (by_model, examples):
    command.add_command(mode)
