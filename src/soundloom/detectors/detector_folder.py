"""Folders of detectors: what finds the labels, the examples, a card.

    crow.detector/detector.json      model, window, decoding, calibration, quality
    crow.detector/weights.safetensors    the space and the weights of every label
    crow.detector/examples.csv       the marked regions it learned from
    crow.detector/README.md          the card: what it finds, how well, by which model
    crow.detector/former             the detector that was there before it, a folder like this one

A detector is named by its folder; ``crow`` alone is ``crow.detector`` in the current folder. ``hf:owner/name`` is one
on the Hugging Face hub; what is published names examples by their files alone, without folders.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from soundloom.annotations import read_annotations, write_annotations
from soundloom.atomic_file import replacing, write_atomically
from soundloom.audio import DecodeOptions
from soundloom.counted import counted
from soundloom.detectors.calibration import Aim, Calibration, Interval
from soundloom.errors import DetectorError, ModelError, ResourceError, SoundloomError
from soundloom.file_names import text_path
from soundloom.local_path import local_path
from soundloom.models import hub
from soundloom.system_errors import reason_of

if TYPE_CHECKING:
    from soundloom.detectors.detector import Detector
    from soundloom.detectors.embedding_space import EmbeddingSpace
    from soundloom.detectors.label_detector import LabelDetector

__all__ = [
    "SUFFIX",
    "find_detectors",
    "folder_of_detector",
    "push_detector",
    "read_detector",
    "rounds_of",
    "write_detector",
]

SUFFIX = ".detector"
FORMER = "former"
SETTINGS, WEIGHTS, EXAMPLES, CARD = FILES = ("detector.json", "weights.safetensors", "examples.csv", "README.md")
_VERSION = 3
_ARRAYS = ("mean", "scale", "gains", "centre")
_NARROW = 0.1
"""Width of the average precision's interval from which on more marks would say little."""


def folder_of_detector(name: str | os.PathLike[str]) -> Path:
    """The folder of a detector by its path, its name in the current folder, or its address on the hub.

    Raises:
        DetectorError: there is none, or it cannot be fetched.
        MissingExtraError: the hub is asked for and huggingface_hub is not installed.
    """
    if hub.is_address(name):
        try:
            found = [hub.single_file(os.fspath(name), file, offline=False) for file in FILES]
        except ModelError as error:
            raise DetectorError(str(error)) from None
        return found[0].parent
    path = local_path(name)
    for folder in (path, path.with_name(path.name + SUFFIX)):
        if (folder / SETTINGS).is_file():
            return folder
    known = ", ".join(str(one) for one in find_detectors(Path())) or "none"
    raise DetectorError(
        f"there is no detector {os.fspath(name)!r}: here there are {known}; see soundloom detector list"
    )


def find_detectors(folder: Path) -> Iterator[Path]:
    """The detectors in a folder, by name."""
    yield from sorted(one.parent for one in folder.glob(f"*{SUFFIX}/{SETTINGS}"))


def write_detector(detector: Detector, folder: str | os.PathLike[str]) -> Path:
    """Write a detector to a folder; see `Detector.save`."""
    path = local_path(folder)
    rounds = [*rounds_of(path), _round(detector)]
    arrays = {f"labels.{number}.weights": one.weights for number, one in enumerate(detector.labels)}
    spaces = {one.window: one.space for one in detector.labels}
    for number, window in enumerate(detector.windows):
        known = {name: getattr(spaces[window], name) for name in (*_ARRAYS, "directions")}
        arrays |= {f"space.{number}.{name}": array for name, array in known.items() if array is not None}
    try:
        path.mkdir(parents=True, exist_ok=True)
        _keep_former(path)
        with replacing(path / WEIGHTS) as temporary:
            save_file({name: np.ascontiguousarray(array, np.float64) for name, array in arrays.items()}, temporary)
        write_annotations(detector.examples, path / EXAMPLES)
        write_atomically(path / CARD, card(detector, path.name.removesuffix(SUFFIX), rounds))
        settings = {**_settings(detector), "rounds": rounds}
        write_atomically(path / SETTINGS, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ResourceError(f"cannot write the detector {str(path)!r}: {reason_of(error)}") from None
    return path


def _keep_former(folder: Path) -> None:
    """Copy the detector that a folder holds, if it does, to where the former one is kept."""
    if not (folder / SETTINGS).is_file():
        return
    (folder / FORMER).mkdir(exist_ok=True)
    # Its settings last: without them there is no detector.
    (folder / FORMER / SETTINGS).unlink(missing_ok=True)
    for file in reversed(FILES):
        if (folder / file).is_file():
            with replacing(folder / FORMER / file) as temporary:
                shutil.copyfile(folder / file, temporary)


def push_detector(detector: Detector, repository: str, *, private: bool | None, token: str | None) -> str:
    """Put a detector on the Hugging Face hub; see `Detector.push_to_hub`."""
    examples = tuple(replace(one, path=os.path.basename(one.path)) for one in detector.examples)
    named = replace(detector, examples=examples, background=None)
    name = repository.rpartition("/")[2]

    def save(folder: Path) -> None:
        write_detector(named, folder)
        write_atomically(folder / CARD, card(named, name))

    return hub.push(repository, save, private=private, token=token)


def read_detector(name: str | os.PathLike[str]) -> Detector:
    """The detector in a folder; see `Detector.load`."""
    from soundloom.detectors.detector import Detector

    folder = folder_of_detector(name)
    try:
        plain = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        if plain["version"] > _VERSION:
            raise DetectorError(f"the detector {str(folder)!r} was written by a newer soundloom: update soundloom")
        arrays = load_file(folder / WEIGHTS)
        examples = read_annotations(folder / EXAMPLES, format="csv").annotations if plain["examples"] else ()
        parts = tuple((int(first), int(last)) for first, last in plain["parts"])
        # Up to version 2 all labels had one window.
        windows = [one.get("window", plain.get("window")) for one in plain["labels"]]
        prefixes = {window: f"space.{number}." for number, window in enumerate(sorted(set(windows)))}
        spaces = {
            window: _space(arrays, prefix if plain["version"] > 2 else "space.", parts)
            for window, prefix in prefixes.items()
        }
        return Detector(
            model_name=plain["model"], fingerprint=plain["fingerprint"], hop=plain["hop"],
            decoding=DecodeOptions.from_data(plain["decoding"]), examples=tuple(examples),
            background=None if plain.get("background") is None else tuple(plain["background"]),
            frames=bool(plain.get("frames")),
            labels=tuple(
                _label(one, window, spaces[window], arrays[f"labels.{number}.weights"])
                for number, (one, window) in enumerate(zip(plain["labels"], windows, strict=True))
            ),
        )  # fmt: skip
    except DetectorError:
        raise
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, SoundloomError) as error:
        raise DetectorError(f"the detector {str(folder)!r} cannot be read: {type(error).__name__}: {error}") from None


def rounds_of(folder: Path) -> list[dict[str, Any]]:
    """The rounds of marking of the detector that a folder holds, oldest first."""
    try:
        found: list[dict[str, Any]] = json.loads((folder / SETTINGS).read_text(encoding="utf-8")).get("rounds", [])
    except (OSError, ValueError, AttributeError):
        return []
    return found


def _round(detector: Detector) -> dict[str, Any]:
    """How many windows a detector learned from, with which background, and what it reached; as JSON reads it."""
    background = None if detector.background is None else list(detector.background)
    return {
        one.label: {"yes": one.quality.positive, "no": one.quality.negative, "unlabelled": one.quality.unlabelled,
                    "background": background, "average_precision": None
                    if one.quality.average_precision is None else asdict(one.quality.average_precision)}
        for one in detector.labels
    }  # fmt: skip


def _settings(detector: Detector) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "model": detector.model_name,
        "fingerprint": detector.fingerprint,
        "hop": detector.hop,
        "decoding": detector.decoding.to_data(),
        "frames": detector.frames,
        "background": detector.background,
        "parts": detector.labels[0].space.parts,
        "examples": len(detector.examples),
        "labels": [
            {
                "label": one.label, "window": one.window, "bias": one.bias, "blend": asdict(one.blend),
                "quality": asdict(one.quality), "calibration": one.calibration.to_data(),
            }
            for one in detector.labels
        ],
    }  # fmt: skip


def _space(arrays: dict[str, np.ndarray], prefix: str, parts: tuple[tuple[int, int], ...]) -> EmbeddingSpace:
    from soundloom.detectors.embedding_space import EmbeddingSpace

    mean, scale, gains, centre = (arrays[f"{prefix}{name}"] for name in _ARRAYS)
    return EmbeddingSpace(mean, scale, gains, parts, centre, arrays.get(f"{prefix}directions"))


def _label(plain: dict[str, Any], window: float, space: EmbeddingSpace, weights: np.ndarray) -> LabelDetector:
    from soundloom.detectors.label_detector import LabelDetector, Quality
    from soundloom.detectors.learner import Blend

    quality = dict(plain["quality"])
    precision = quality.pop("average_precision")
    return LabelDetector(
        plain["label"], window, space, weights, plain["bias"], Blend(**plain["blend"]),
        Calibration.from_data(plain["calibration"]),
        Quality(None if precision is None else Interval(**precision), **quality),
    )  # fmt: skip


def _named_windows(detector: Detector) -> str:
    """The labels, in windows of how many seconds.

    ``crow, jay in windows of 1.5 s``
    """
    by_window = {window: [one.label for one in detector.labels if one.window == window] for window in detector.windows}
    return " and ".join(f"{', '.join(labels)} in windows of {window:g} s" for window, labels in by_window.items())


def card(detector: Detector, name: str, rounds: Sequence[dict[str, Any]] = ()) -> str:
    """The card of a detector, in Markdown.

    Args:
        detector: what it describes.
        name: what the detector is called.
        rounds: of marking, with what each reached.
    """
    lines = [
        f"# {text_path(name)}",
        "",
        f"Finds {_named_windows(detector)}, one every {detector.hop:g} s, by `{detector.model_name}`.",
        "",
        "| label | yes | no | unlabelled | average precision | held out | windows with it | precision, recall at 0.5 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in detector.labels:
        quality, point = one.quality, one.calibration.point(Aim(probability=0.5))
        precision = quality.average_precision or "not measured: mark regions of two recordings or more"
        # A score of what was learned from says nothing of other recordings.
        at_half = f"{point.precision}, {point.recall}" if quality.average_precision else "not measured"
        lines.append(
            f"| {one.label} | {quality.positive} | {quality.negative} | {quality.unlabelled} | {precision} | "
            f"{quality.held_out} | {one.calibration.frequency} | {at_half} |"
        )
    changed = {
        key: value for key, value in detector.decoding.to_data().items() if value != DecodeOptions().to_data()[key]
    }
    lines += [
        "",
        f"Learned from {counted(len(detector.examples), 'marked region')} (examples.csv); regions of other labels, or "
        "of none, count as no. Figures are of examples that were held out, with 95 % intervals; they hold for "
        "recordings like these examples and their background. Average precision counts every unlabelled window as no, "
        "so that calls nobody marked lower it; precision and recall allow for such calls.",
    ]
    lines += _round_lines(rounds)
    for one in detector.labels:
        reached = one.quality.average_precision
        if reached is not None and reached.high - reached.low > _NARROW:
            lines += [
                "",
                f"The interval of {one.label} is still wide: soundloom detector sample names what to mark next.",
            ]
    if changed:
        lines += ["", f"Recordings are decoded with {', '.join(f'{key} {value}' for key, value in changed.items())}."]
    return "\n".join(lines) + "\n"


def _round_lines(rounds: Sequence[dict[str, Any]]) -> list[str]:
    """The table of the rounds that compare with the last one, for they had its background; and which had another."""
    grounds = [next(iter(one.values())).get("background") for one in rounds]
    other = len(rounds) - sum(1 for _ in takewhile(lambda ground: ground == grounds[-1], reversed(grounds)))
    lines = []
    if len(rounds) - other > 1:
        lines += ["", "| round | label | yes | no | unlabelled | average precision |", "|---|---|---|---|---|---|"]
        for number, by_label in enumerate(rounds[other:], start=other + 1):
            for label, facts in by_label.items():
                reached, unlabelled = facts["average_precision"], facts.get("unlabelled", "")
                shown = "not measured" if reached is None else Interval(**reached)
                lines.append(f"| {number} | {label} | {facts['yes']} | {facts['no']} | {unlabelled} | {shown} |")
    if other:
        numbers = f"Rounds 1 to {other}" if other > 1 else "Round 1"
        lines += ["", f"{numbers} had another background, so that figures do not compare with the last one's."]
    return lines
