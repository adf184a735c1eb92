"""``soundloom detect``: run a detector on recordings, and write what it finds."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options
from soundloom.cli.console import clock, echo, print_failures, print_json
from soundloom.cli.error_door import goes_on
from soundloom.cli.filter_options import deployed, pop_deployed, print_unmatched
from soundloom.cli.option_types import FiniteNumber
from soundloom.cli.progress_bars import step_bar
from soundloom.counted import counted
from soundloom.option_hints import hints_for_query
from soundloom.safe_text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from soundloom.detectors import DetectionReport, Detector
    from soundloom.library import Deployments, RecordingFilter

__all__ = ["check_sites", "command", "decoding_as_asked", "minutes_of", "print_unread"]


@click.command("detect")
@common_options.sounds
@click.option("-d", "--detector", "name", required=True, metavar="DETECTOR", help="Its folder, or its name here.")
@click.option("--precision", type=FiniteNumber(0, 1, min_open=True), metavar="P", help="Detections that are right.")
@click.option("--recall", type=FiniteNumber(0, 1, min_open=True), metavar="P", help="Sounds that are detected.")
@click.option(
    "--above", type=FiniteNumber(0, 1, min_open=True), metavar="P", help="Lowest probability.  [default: 0.5]"
)
@deployed
@common_options.region_file
@common_options.query_decoding
@common_options.offline
@common_options.workers
@common_options.as_json
@click.pass_context
def command(
    context: click.Context,
    /,
    sounds: tuple[Path | str, ...],
    name: str,
    precision: float | None,
    recall: float | None,
    above: float | None,
    out: Path | None,
    offline: bool,
    workers: int | None,
    json_wanted: bool,
    **recording: Any,
) -> None:
    """Find a detector's sounds in files and folders, which need not be in a library.

    Files are decoded as the detector learned to, at its speed; --accept-truncated, --channels and --track change that.
    --precision and --recall choose the threshold by what it is expected to reach; what that is, with its 95 %
    interval, is shown. Neighbouring windows above the threshold are one event, with the highest probability among
    them. A run that is interrupted goes on where it was, also within a file.

    \b
    Examples:
      soundloom detect recordings --detector crow --precision 0.9 -o crows.selections.txt
      soundloom detect night.wav -d crow --above 0.3
      soundloom detect recordings -d crow --site POND --hours 4-8 -o dawn.csv
    """
    from soundloom.annotations import write_annotations
    from soundloom.cache_folder import cache_home
    from soundloom.detectors import Aim, Detector

    given = {"precision": precision, "recall": recall, "probability": above}
    if sum(value is not None for value in given.values()) > 1:
        raise click.UsageError("--precision, --recall and --above are three ways to choose one threshold: give one")
    aim = Aim(**given) if any(value is not None for value in given.values()) else Aim(probability=0.5)
    detector = decoding_as_asked(context, Detector.load(name))
    meant = pop_deployed(recording)
    check_sites(sounds, **meant)
    with goes_on("what is searched"), nullcontext() if json_wanted else step_bar("searching", "minutes") as bar:
        report = detector.detect(
            sounds,
            aim,
            model=detector.load_model(offline=offline),
            **meant,
            workers=workers,
            journal=cache_home() / "detections",
            progress=bar and minutes_of(bar),
        )
    if out is not None:
        out = write_annotations(report.events, out, columns=("site", "recorded"))
    if json_wanted:
        print_json(asdict(report))
    else:
        _show(report, out)
        if "deployments" not in meant:
            _show_sites(report)
    if print_unread(report.failed, report.unread):
        context.exit(1)


def decoding_as_asked(context: click.Context, detector: Detector) -> Detector:
    """A detector that decodes files as the command line asks, and for the rest as it did."""
    return replace(detector, decoding=common_options.decode_options(context, detector.decoding))


def check_sites(sounds: Sequence[Path | str], where: RecordingFilter, deployments: Deployments | None = None) -> None:
    """Say what fits no row of a table of deployments, and refuse a site at which nothing was recorded."""
    from soundloom.detectors.detection import found_files
    from soundloom.errors import QueryError
    from soundloom.letter_case import folded
    from soundloom.library import Deployments

    if deployments is None and where.site is None:
        return
    files, sites_of = found_files(sounds, {}), deployments or Deployments()
    print_unmatched(sites_of, files)
    known = sites_of.sites(files)
    if where.site is not None and files and folded(where.site) not in map(folded, known):
        raise QueryError(
            f"nothing here was recorded at a site {where.site!r}: there are {', '.join(map(repr, known[:10]))}"
        )


def minutes_of(bar: Callable[[int, int], None]) -> Callable[[float, float], None]:
    """Shows seconds of sound that were searched, and all of them, as minutes on a bar."""
    return lambda done, total: bar(round(done / 60), max(1, round(total / 60)))


def _show(report: DetectionReport, out: Path | None) -> None:
    if not report.files and not report.failed:
        echo("nothing was searched: no recording here is of that site, those hours or days", err=True)
        if out is not None:
            echo(f"written to {out}, without a row", err=True)
        return
    if out is None:
        for one in report.events:
            echo(f"{printable(one.path)}  {one.start:.2f}-{one.end:.2f}  {printable(one.label)}  {one.score:.3f}")
    for label, point in report.points.items():
        missed = "" if point.reached else "; the aim is not reached: mark more examples"
        echo(
            f"{printable(label)}: threshold {point.threshold:.3f}, expected precision {point.precision}, recall "
            f"{point.recall}{missed}",
            err=True,
        )
    resumed = report.seconds - report.computed
    gone_on = f" ({clock(resumed)} of it done before)" if resumed > 1 else ""
    echo(
        f"{counted(len(report.events), 'event')} in {counted(report.files, 'file')}, {clock(report.seconds)} of sound"
        f"{gone_on}",
        err=True,
    )
    if out is not None:
        echo(f"written to {out}", err=True)


def print_unread(failed: Mapping[str, str], unread: Mapping[str, str]) -> bool:
    """Name the files that could not be read, on standard error; whether some of them were meant.

    Args:
        failed: those that were meant, and why.
        unread: those of other sites, hours or days.
    """
    from soundloom.library.storage.table_schema import Failure

    if unread:
        some = ", ".join(printable(os.path.basename(path)) for path in sorted(unread)[:3])
        more = ", ..." if len(unread) > 3 else ""
        counts = counted(len(unread), "file")
        echo(f"{counts} of another site, hour or day cannot be read, and nothing is lost: {some}{more}", err=True)
    reasons = {path: hints_for_query(why, "a detector trained with") for path, why in failed.items()}
    print_failures([Failure(*pair) for pair in sorted(reasons.items())])
    return bool(failed)


def _show_sites(report: DetectionReport) -> None:
    """Name the sites that files' names gave."""
    sites = sorted({str(one.columns["site"]) for one in report.events if one.columns.get("site")})
    if sites:
        more = ", ..." if len(sites) > 3 else ""
        echo(
            f"sites by the names of files and folders: {', '.join(map(printable, sites[:3]))}{more}; otherwise: "
            "--deployments sites.csv",
            err=True,
        )
