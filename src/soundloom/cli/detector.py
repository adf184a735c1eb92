"""``soundloom detector``: train, list, describe and push detectors, and choose what to mark next."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options
from soundloom.cli.command_group import CommandGroup
from soundloom.cli.console import echo, print_failures, print_json
from soundloom.cli.detect import check_sites, decoding_as_asked, minutes_of, print_unread
from soundloom.cli.detector_examples import background_of, library_decoding, sound_marks, table_marks
from soundloom.cli.filter_options import deployed, pop_deployed
from soundloom.cli.option_types import FiniteNumber, Integer
from soundloom.cli.progress_bars import step_bar
from soundloom.counted import counted
from soundloom.safe_text import printable

if TYPE_CHECKING:
    from soundloom.detectors import Detector

__all__ = ["command"]


@click.group("detector", cls=CommandGroup)
def command() -> None:
    """Detectors: find in any recordings what was marked in some.

    \b
    Examples:
      soundloom detector train crow --from annotations.csv --background recordings
      soundloom detector train crow --yes dawn.wav:12.5-14 --yes noon.wav:3-4.2 --no dawn.wav:20-25
      soundloom detector sample recordings -d crow -n 20 -o next.csv     what to mark next
      soundloom detector train crow --from crow.detector --from next.csv -o crow.detector
      soundloom detector sample recordings -d crow --by density -n 50 -o check.csv
      soundloom detector density check.csv --label crow
      soundloom detector list
      soundloom detector info crow
      soundloom detector push crow me/crow                               for others, as hf:me/crow
    """


@command.command("train")
@click.argument("labels", nargs=-1, required=True, metavar="LABEL...")
@click.option(
    "--from", "tables", multiple=True, type=common_options.LocalPath(must_exist=True), metavar="TABLE",
    help="A table of Raven, Audacity, Kaleidoscope, BirdNET or hoplite, a CSV; a library; a detector. Repeatable.",
)  # fmt: skip
@click.option("--yes", "yes", multiple=True, metavar="SOUND", help="A sound of the label, FILE or FILE:FROM-TO.")
@click.option("--no", "no", multiple=True, metavar="SOUND", help="A sound without it, FILE or FILE:FROM-TO.")
@click.option(
    "--background", multiple=True, type=common_options.LocalPath(must_exist=True), metavar="SOUNDS",
    help="Recordings, or folders of them, of which nothing is known; best those that the detector is for.",
)  # fmt: skip
@click.option("-o", "--out", type=common_options.LocalPath(), metavar="FOLDER", help="[default: LABEL.detector]")
@common_options.model
@click.option(
    "--window",
    type=FiniteNumber(),
    metavar="SECONDS",
    help="Looked at together.  [default: that of a detector it learns from, or what suits the calls]",
)
@click.option(
    "--hop", type=FiniteNumber(), metavar="SECONDS", help="From one window to the next.  [default: half a window]"
)
@common_options.decoding
@common_options.workers
@common_options.as_json
@click.pass_context
def train(
    context: click.Context,
    labels: tuple[str, ...],
    tables: tuple[Path, ...],
    yes: tuple[str, ...],
    no: tuple[str, ...],
    background: tuple[Path, ...],
    out: Path | None,
    name: str | None,
    window: float | None,
    hop: float | None,
    workers: int | None,
    json_wanted: bool,
) -> None:
    """Learn to find sounds from marked regions.

    The more recordings the regions are of, the better; ten are a beginning. Regions with other labels, and those of
    --no, are examples of other sounds; stretches of the same recordings of which nothing is said, and the background,
    are presumed to be mostly without the label. The figures shown are of examples that were held out, with 95 %
    intervals. A detector among --from passes on its model, windows, speed and background where these are not given, a
    library the speed. Regions that still wait for a mark (?) are left out. What cannot be read is named and left out
    of the examples, so that the next round does not meet it again; the detector is kept, and the exit status is 1.

    \b
    Examples:
      soundloom detector train crow --from annotations.csv
      soundloom detector train crow jay --from june.selections.txt --background recordings -o corvids.detector
      soundloom detector train bat --from calls.csv --speed 0.1 --window 0.5
    """
    from soundloom.detectors import Detector
    from soundloom.detectors.detector_folder import FORMER, SETTINGS, SUFFIX
    from soundloom.models import DEFAULT

    if (yes or no) and len(labels) > 1:
        raise click.UsageError("--yes and --no mark one label: name one, or give a table with --from")
    former = [Detector.load(path) for path in tables if (path / SETTINGS).is_file()]
    kept = [*library_decoding(tables), *(one.decoding for one in former)]
    background = background or background_of(former)
    marks = [*table_marks(tables), *sound_marks(yes, labels[0]), *sound_marks(no, "")]
    with nullcontext() if json_wanted else step_bar("embedding", "windows") as bar:
        detector = Detector.train(
            labels,
            marks,
            background=background,
            model=name or (former[-1].model_name if former else DEFAULT),
            window=window or {label: seconds for one in former for label, seconds in one.window_of.items()},
            hop=hop,
            decoding=common_options.decode_options(context, kept[-1] if kept else None),
            workers=workers,
            progress=bar,
        )
    folder = out or Path(f"{'-'.join(labels)}{SUFFIX}")
    replaced = (folder / SETTINGS).is_file()
    _describe(detector, folder := detector.save(folder), as_json=json_wanted)
    _print_remarks(detector)
    if not json_wanted:
        echo(f"kept in {folder}", err=True)
        if replaced:
            echo(f"the detector that was there is kept in {folder / FORMER}", err=True)
    _fail_for(detector.failed)


@command.command("list")
@click.argument("folder", type=common_options.LocalPath(must_exist=True), default=".", metavar="[FOLDER]")
@common_options.as_json
def list_detectors(folder: Path, json_wanted: bool) -> None:
    """List the detectors in a folder, the current one unless another is named."""
    from soundloom.detectors import Detector, find_detectors

    found = [(path, Detector.load(path)) for path in find_detectors(folder)]
    if json_wanted:
        print_json([_plain(detector, path) for path, detector in found])
        return
    for path, detector in found:
        labels = ", ".join(
            f"{one.label} ({one.window:g} s, average precision {one.quality.average_precision or 'not measured'})"
            for one in detector.labels
        )
        echo(f"{path}: {labels}; {detector.model_name}")
    if not found:
        echo("no detectors here: soundloom detector train makes one", err=True)


@command.command("info")
@click.argument("name", metavar="DETECTOR")
@common_options.as_json
def describe(name: str, json_wanted: bool) -> None:
    """Describe a detector: what it finds, how well, and what it learned from."""
    from soundloom.detectors import Detector
    from soundloom.detectors.detector_folder import folder_of_detector

    folder = folder_of_detector(name)
    _describe(Detector.load(folder), folder, as_json=json_wanted)


@command.command("push")
@click.argument("name", metavar="DETECTOR")
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--private/--public", default=None, help="Of a new repository.  [default: the owner's]")
def push(name: str, repository: str, private: bool | None) -> None:
    """Put a detector on the Hugging Face hub, where others name it hf:OWNER/NAME.

    Of its examples the names of files are kept, without their folders. Log in with hf auth login first.

    \b
    Examples:
      soundloom detector push crow me/crow
      soundloom detect recordings -d hf:me/crow
    """
    from soundloom.detectors import Detector

    echo(Detector.load(name).push_to_hub(repository, private=private))


@command.command("sample")
@common_options.sounds
@click.option("-d", "--detector", "name", required=True, metavar="DETECTOR", help="Its folder, or its name here.")
@click.option("--label", metavar="LABEL", help="Of a detector of several.  [default: its first]")
@click.option("-n", "count", type=Integer(min=1), default=20, show_default=True, help="How many windows.")
@click.option(
    "--by", type=click.Choice(["diversity", "doubt", "random", "density"]), default="diversity", show_default=True,
    help="What a mark would teach most, unlike each other or not; at random; or windows of every score, for density.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn at random.")
@click.option(
    "-o", "--out", type=common_options.LocalPath(), required=True, metavar="TABLE", help="Written, to fill in."
)
@deployed
@common_options.query_decoding
@common_options.workers
@click.pass_context
def sample(
    context: click.Context, /, sounds: tuple[Path | str, ...], name: str, label: str | None, count: int, by: str,
    seed: int, out: Path, workers: int | None, **recording: Any,
) -> None:  # fmt: skip
    """Choose windows of recordings for somebody to mark.

    In the table that is written the label of each is ?. Write the detector's label where the call is, nothing where it
    is not, and leave ? where it is not clear; then train again with it, or ask for the density.
    """
    from soundloom.annotations import write_annotations
    from soundloom.cache_folder import cache_home
    from soundloom.detectors import Detector
    from soundloom.detectors.detection import scored_windows
    from soundloom.detectors.next_examples import windows_to_mark

    detector = decoding_as_asked(context, Detector.load(name))
    detector.column_of(label)
    meant = pop_deployed(recording)
    check_sites(sounds, **meant)
    model, failed, unread = detector.load_model(), dict[str, str](), dict[str, str]()
    journal = cache_home() / "detections"
    with step_bar("searching", "minutes") as bar:
        every = scored_windows(
            detector, sounds, failed, unread, model=model, workers=workers, journal=journal, progress=minutes_of(bar),
            **meant,
        )  # fmt: skip
        windows = list(every)
    found = windows_to_mark(detector, windows, label, count, by=by, model=model, workers=workers or 1, seed=seed)
    out = write_annotations(found, out)
    echo(f"{counted(len(found), 'window')} to mark written to {out}", err=True)
    if print_unread(failed, unread):
        context.exit(1)


@command.command("density")
@click.argument("table", type=common_options.LocalPath(must_exist=True), metavar="TABLE")
@click.option("--label", required=True, metavar="LABEL", help="The call, as it is marked in the table.")
@common_options.as_json
def density(table: Path, label: str, json_wanted: bool) -> None:
    """Estimate in how many of all windows a call is, from a table of soundloom detector sample that was filled in."""
    from soundloom.annotations import UNMARKED, read_annotations
    from soundloom.detectors.call_density import call_density
    from soundloom.letter_case import folded

    found = read_annotations(table).annotations
    share = call_density(found, label)
    marked = sum(one.label != UNMARKED for one in found)
    if json_wanted:
        print_json({"label": label, "density": asdict(share), "checked": marked})
    else:
        interval = f"{share.value:.1%} of windows ({share.low:.1%} to {share.high:.1%})"
        echo(f"{printable(label)}: in {interval}, {marked} checked")
    names = {one.label for one in found} - {UNMARKED, ""}
    if names and not any(folded(one) == folded(label) for one in names):
        echo(f"no window is marked {label!r}: what is marked is {', '.join(sorted(map(repr, names)))}", err=True)


@command.command("background")
@click.argument("corpus", metavar="CORPUS[=ROOT]")
@common_options.model
@click.option("-o", "--out", type=common_options.LocalPath(), metavar="FILE", help="[default: beside the model]")
@common_options.workers
def make_background(corpus: str, name: str | None, out: Path | None, workers: int | None) -> None:
    """Take the statistics of a labelled collection of sounds of all kinds, for a model's detectors.

    Detectors that are trained with the model afterwards compare sounds by what differs between kinds, and need fewer
    examples. A thousand sounds with labels that several of them share are a beginning. The file lies beside the
    model's weights; the default model has one.

    \b
    Examples:
      soundloom detector background sounds.csv --model runs/mine
    """
    from soundloom import load
    from soundloom.cli.evaluate_options import load_corpora
    from soundloom.detectors.background import Background, background_file
    from soundloom.evaluation.extraction import clip_extractor, extract_features
    from soundloom.models import DEFAULT

    (clips,) = load_corpora([corpus])
    model = load(name or DEFAULT)
    file = out or background_file(name or DEFAULT)
    if file is None:
        raise click.UsageError(f"{name} has no folder to keep a background in: name a file with --out")
    found = extract_features(clips, clip_extractor(model), workers=workers)
    labels = [" ".join(labels) for labels in found.corpus.column("labels")]
    made = Background.fit(found.vectors, labels, model.parts, model.balance)
    made.write(file, model)
    echo(f"{counted(len(labels), 'sound')}, {counted(len(set(labels)), 'label')}: written to {file}", err=True)


def _fail_for(failed: Mapping[str, str]) -> None:
    """Name the files that could not be read, if there are any, and end with 1."""
    if failed:
        from soundloom.library.storage.table_schema import Failure

        print_failures([Failure(*pair) for pair in sorted(failed.items())])
        click.get_current_context().exit(1)


def _print_remarks(detector: Detector) -> None:
    """Say what was left out of a detector's examples, or taken for something else."""
    for path, remark in detector.remarks.items():
        echo(f"{printable(path)}: {remark}", err=True)
    if detector.failed:
        echo(f"not learned from: {counted(len(detector.failed), 'file')} that could not be read", err=True)


def _describe(detector: Detector, folder: Path, *, as_json: bool) -> None:
    from soundloom.detectors.detector_folder import SUFFIX, card, rounds_of

    if as_json:
        print_json(_plain(detector, folder))
    else:
        echo(card(detector, folder.name.removesuffix(SUFFIX), rounds_of(folder)))


def _plain(detector: Detector, folder: Path) -> dict[str, Any]:
    labels = [
        {
            "label": one.label, "window": one.window, "frequency": asdict(one.calibration.frequency),
            **asdict(one.quality),
        }
        for one in detector.labels
    ]  # fmt: skip
    return {
        "detector": str(folder), "model": detector.model_name, "hop": detector.hop,
        "decoding": detector.decoding.to_data(), "labels": labels, "examples": len(detector.examples),
        "background": detector.background,
    }  # fmt: skip
