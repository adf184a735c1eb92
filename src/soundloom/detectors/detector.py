"""Detector of sounds, learned from marked regions: trained, kept in a folder, run on any files.

found = read_annotations("annotations.csv").annotations
detector = Detector.train(["crow"], found, background=["~/recordings"])
detector.save("crow.detector")
events = detector.detect(["~/next week"], Aim(precision=0.9))
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from soundloom import audio
from soundloom.annotations import UNMARKED, Annotation, within_ends
from soundloom.counted import counted
from soundloom.detectors.background import find_background
from soundloom.detectors.calibration import Aim
from soundloom.detectors.frame_windows import SHARING
from soundloom.detectors.label_detector import LabelDetector, learn_labels
from soundloom.detectors.training_windows import (
    MOST_UNLABELLED,
    TrainingWindow,
    embed_windows,
    file_lengths,
    fitting_window,
    training_windows,
)
from soundloom.embedder import Embedder
from soundloom.errors import InvalidArgumentError, ModelMismatchError
from soundloom.file_names import os_path
from soundloom.letter_case import folded
from soundloom.models import DEFAULT, load
from soundloom.remote import absolute_location
from soundloom.safe_text import printable

if TYPE_CHECKING:
    from soundloom.detectors.detection import DetectionReport
    from soundloom.library import Deployments, RecordingFilter

__all__ = ["Detector"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Detector:
    """Finds sounds of some labels in recordings.

    Attributes:
        model_name: the model whose embeddings it takes, as `soundloom.load` takes it.
        fingerprint: of that model.
        hop: seconds from one window to the next.
        decoding: how recordings are decoded, such as the speed at which ultrasound is taken.
        frames: whether windows share frames (`soundloom.detectors.frame_windows`); else each is embedded by itself.
        labels: what finds each label, in windows that suit its calls.
        examples: what it learned from, by absolute paths; not the regions of files that could not be read.
        background: the recordings of which nothing was known, or their folders, by absolute paths; None: not kept.
        failed: files that could not be read when it was trained, and why; not kept.
        remarks: files with regions that reach beyond their ends, and what became of these, and labels that were taken
            for others; not kept.
    """

    model_name: str
    fingerprint: str
    hop: float
    decoding: audio.DecodeOptions
    frames: bool
    labels: tuple[LabelDetector, ...]
    examples: tuple[Annotation, ...] = ()
    background: tuple[str, ...] | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def train(
        cls,
        labels: Sequence[str],
        annotations: Sequence[Annotation],
        *,
        background: Iterable[str | os.PathLike[str]] = (),
        model: str | Embedder = DEFAULT,
        window: float | Mapping[str, float] | None = None,
        hop: float | None = None,
        decoding: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Detector:
        """Learn to find sounds from marked regions.

        Args:
            labels: what to find; regions with other labels, or without one, are examples of other sounds. Labels that
                differ in case alone are one.
            annotations: marked regions, without those that wait for a mark (`UNMARKED`). Stretches of their recordings
                of which nothing is said are presumed to hold none of the labels.
            background: recordings of which nothing is known, such as those that the detector is meant for.
            model: the embedder, or its name.
            window: seconds that are looked at together, or those of some labels, such as `window_of` a detector whose
                windows were marked; None: for each label what suits its marked regions, as for others than these.
            hop: seconds from one window to the next; None: half the shortest window.
            decoding: how recordings are decoded.
            workers: how many files at a time; None: one for each processor.
            progress: called with the windows embedded and their number.

        Raises:
            InvalidArgumentError: a label is marked nowhere; there are no other sounds; a hop that no window allows.
            ModelError: the model cannot be loaded.
        """
        wanted, remarks = _in_one_case(labels, annotations := _distinct(annotations))
        kept = tuple(dict.fromkeys(map(absolute_location, background)))
        files = list(map(absolute_location, audio.find(map(os_path, kept))))
        lengths, failed = file_lengths(dict.fromkeys([*(one.path for one in annotations), *files]), decoding)
        annotations, beyond = within_ends([one for one in annotations if one.path in lengths], lengths)
        _check_found(wanted, marked := _spelled(wanted, annotations), failed, beyond)
        hop = _checked_hop(hop, min(by_window := _by_window(wanted, marked, window, decoding.speed)))
        embedder = load(model) if isinstance(model, str) else model
        sounds = find_background(name := model if isinstance(model, str) else embedder.name, embedder)
        population = set(files) if set(files) - {one.path for one in marked} else set(lengths)
        found, windows = dict[str, LabelDetector](), _windows_by_length(by_window, marked, files, lengths, hop)
        every = embed_windows(
            chain(*windows.values()), embedder, lengths, decoding=decoding, workers=workers or os.cpu_count() or 1,
            progress=progress,
        )  # fmt: skip
        failed |= every.failed
        annotations = [one for one in annotations if one.path not in failed]
        _check_found(wanted, _spelled(wanted, annotations), failed, beyond)
        for seconds, some in by_window.items():
            drawn = min(1.0, MOST_UNLABELLED * seconds / max(seconds, sum(lengths.values())))
            learned = learn_labels(some, seconds, every.only(windows[seconds]), embedder, sounds, population, drawn)
            found |= {one.label: one for one in learned}
        return cls(
            model_name=name, fingerprint=embedder.fingerprint(), hop=hop, decoding=decoding,
            frames=embedder.shares_frames, labels=tuple(found[label] for label in wanted),
            examples=tuple(annotations), background=kept, failed=failed, remarks={**beyond, **remarks},
        )  # fmt: skip

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Detector:
        """The detector in a folder, or of that name; see `soundloom.detectors.detector_folder`.

        Raises:
            DetectorError: there is none, or it is damaged.
        """
        from soundloom.detectors.detector_folder import read_detector

        return read_detector(folder)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the detector to a folder, which is made if it is not there.

        Raises:
            ResourceError: the folder cannot be written.
        """
        from soundloom.detectors.detector_folder import write_detector

        return write_detector(self, folder)

    def push_to_hub(self, repository: str, *, private: bool | None = None, token: str | None = None) -> str:
        """Put the detector on the Hugging Face hub, where ``hf:owner/name`` names it; returns its page.

        Args:
            repository: ``owner/name``; made if it is not there.
            private: whether a new repository is hidden; the owner's default if not given.
            token: what to log in with; that of the hub's own login if not given.

        Raises:
            ModelError: the hub refuses it.
            MissingExtraError: huggingface_hub is not installed.
        """
        from soundloom.detectors.detector_folder import push_detector

        return push_detector(self, repository, private=private, token=token)

    def load_model(self, *, offline: bool = False) -> Embedder:
        """The model whose embeddings the detector takes.

        Raises:
            ModelMismatchError: the model of that name is another one by now.
            ModelError: it cannot be loaded.
        """
        model = load(self.model_name, offline=offline)
        if self.fingerprint not in model.fingerprints():
            raise ModelMismatchError(
                f"the detector was trained with another {self.model_name!r} than this one: train it again from its "
                "examples, which lie in its folder"
            )
        return model

    @property
    def windows(self) -> tuple[float, ...]:
        """Seconds of the windows, of every length, the shortest first: one of each is around the same middle."""
        return tuple(sorted({one.window for one in self.labels}))

    @property
    def window_of(self) -> dict[str, float]:
        """Label, as labels are compared -> seconds of its window."""
        return {folded(one.label): one.window for one in self.labels}

    def identity(self) -> str:
        """A hash of all that decides the probability of a window."""
        digest = hashlib.sha256(
            repr((self.fingerprint, self.windows, self.hop, self.decoding.to_data(), self.frames and SHARING)).encode()
        )
        for one in self.labels:
            space = one.space
            for array in (space.mean, space.scale, space.gains, space.centre, space.directions, one.weights):
                digest.update(b"" if array is None else np.ascontiguousarray(array, np.float64).tobytes())
            digest.update(repr((one.label, one.bias, one.calibration.to_data()["mixture"])).encode())
        return digest.hexdigest()

    def probabilities(self, embeddings: Float[np.ndarray, "windows rows dim"]) -> Float[np.ndarray, "rows labels"]:
        """The probability of each label around some moments, by the embeddings of the windows of every length there."""
        columns = [one.probabilities(embeddings[self.windows.index(one.window)]) for one in self.labels]
        return np.stack(columns, axis=1)

    def column_of(self, label: str | None) -> int:
        """The number of a label, in any case; of the first one if it is None.

        Raises:
            InvalidArgumentError: the detector has no such label.
        """
        known = [folded(one.label) for one in self.labels]
        if label is None or folded(label) in known:
            return 0 if label is None else known.index(folded(label))
        names = ", ".join(one.label for one in self.labels)
        raise InvalidArgumentError(f"{label!r} is none of the detector's labels: {names}")

    def detect(
        self,
        sounds: Sequence[str | os.PathLike[str]],
        aim: Aim | None = None,
        *,
        model: Embedder | None = None,
        where: RecordingFilter | None = None,
        deployments: Deployments | None = None,
        workers: int | None = None,
        journal: str | os.PathLike[str] | None = None,
        progress: Callable[[float, float], None] | None = None,
    ) -> DetectionReport:
        """Find the sounds in files and folders; see `soundloom.detectors.detection.detect`."""
        from soundloom.detectors.detection import detect

        return detect(
            self, sounds, aim, model=model, where=where, deployments=deployments, workers=workers, journal=journal,
            progress=progress,
        )  # fmt: skip


def _distinct(annotations: Sequence[Annotation]) -> list[Annotation]:
    """The marked regions by absolute paths, without those that give one, to the microsecond, a label that it has."""
    marked = [one for one in annotations if one.label != UNMARKED]
    located = [replace(one, path=absolute_location(os_path(one.path))) for one in marked]
    return list(
        {(one.path, round(one.start, 6), round(one.end, 6), folded(one.label)): one for one in located}.values()
    )


def _by_window(
    labels: Sequence[str], marked: Sequence[Annotation], window: float | Mapping[str, float] | None, speed: float
) -> dict[float, list[str]]:
    """Seconds of a window -> the labels that are looked for in such windows."""
    found: dict[float, list[str]] = defaultdict(list)
    for label in labels:
        known = window.get(folded(label)) if isinstance(window, Mapping) else window
        suiting = fitting_window([one for one in marked if one.label == label], speed) if known is None else known
        found[suiting].append(label)
    return found


def _checked_hop(hop: float | None, window: float) -> float:
    hop = window / 2 if hop is None else hop
    if not 0 < hop <= window:
        raise InvalidArgumentError(f"a hop is above 0 and at most the window, {window} s, got {hop} s")
    return hop


def _check_found(
    wanted: Iterable[str], found: Iterable[Annotation], failed: Mapping[str, str], beyond: Mapping[str, str]
) -> None:
    """Refuse labels of which no marked region could be read.

    Raises:
        InvalidArgumentError: names the label, and why a file cannot be read.
    """
    held = {one.label for one in found}
    for label in (label for label in wanted if label not in held):
        why = "; ".join(f"{path}: {reason}" for path, reason in [*failed.items(), *beyond.items()][:3])
        paths = ": name the files by paths that lead to them from here, or from the table that names them"
        because = f" ({why})" if why else ""
        raise InvalidArgumentError(f"no region of {label!r} could be read{because}{paths if failed else ''}")


def _windows_by_length(
    by_window: Mapping[float, Sequence[str]],
    marked: Sequence[Annotation],
    files: Sequence[str],
    lengths: Mapping[str, float],
    hop: float,
) -> dict[float, list[TrainingWindow]]:
    """Seconds of a window -> the windows of that length to learn its labels from."""
    found = {}
    for seconds, some in by_window.items():
        parts = [one for one in marked if one.label in some], [one for one in marked if one.label not in some]
        found[seconds] = training_windows(*parts, files, lengths, seconds, hop)
    return found


def _spelled(labels: Iterable[str], annotations: Iterable[Annotation]) -> list[Annotation]:
    """The annotations with these labels as they are spelled here."""
    wanted = {folded(label): label for label in labels}
    return [replace(one, label=wanted.get(folded(one.label), one.label)) for one in annotations]


def _in_one_case(labels: Sequence[str], annotations: Sequence[Annotation]) -> tuple[list[str], dict[str, str]]:
    """The labels without those that differ in case alone, and how else the annotations spell them.

    Raises:
        InvalidArgumentError: a label is not marked anywhere, or no text.
    """
    wanted: dict[str, str] = {}
    for label in labels:
        if label.encode(errors="ignore").decode() != label:
            raise InvalidArgumentError(f"the label {printable(label)} is no text in UTF-8: call it otherwise")
        wanted.setdefault(folded(label), label)
    held = {folded(one.label) for one in annotations}
    missing = [label for key, label in wanted.items() if key not in held]
    if not wanted or missing:
        known = ", ".join(sorted({repr(one.label) for one in annotations if one.label})) or "none"
        asked = ", ".join(map(repr, missing)) or "as asked"
        raise InvalidArgumentError(f"no region is labelled {asked}, and a detector learns from such; labels: {known}")
    remarks = {}
    for key, label in wanted.items():
        others = Counter(one.label for one in annotations if one.label != label and folded(one.label) == key)
        if others:
            spelled = ", ".join(f"{other!r} ({counted(count, 'region')})" for other, count in sorted(others.items()))
            remarks[label] = f"{spelled} taken for the same label"
    return list(wanted.values()), remarks
