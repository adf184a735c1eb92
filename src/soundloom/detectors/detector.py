"""Detector of sounds, learned from marked regions: trained, kept in a folder, run on any files.

found = read_annotations("annotations.csv").annotations
detector = Detector.train(["crow"], found, background=["~/recordings"])
detector.save("crow.detector")
events = detector.detect(["~/next week"], Aim(precision=0.9))
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from soundloom import audio
from soundloom.annotations import Annotation
from soundloom.detectors.background import Background, find_background
from soundloom.detectors.calibration import Aim, Calibration, Interval, Marked
from soundloom.detectors.embedding_space import EmbeddingSpace
from soundloom.detectors.frame_windows import shares_frames
from soundloom.detectors.learner import Blend, Examples, learn
from soundloom.detectors.training_windows import (
    MOST_UNLABELLED,
    WindowVectors,
    beyond_ends,
    embed_windows,
    file_lengths,
    fitting_window,
    training_windows,
)
from soundloom.embedder import Embedder
from soundloom.errors import InvalidArgumentError, ModelMismatchError
from soundloom.file_names import text_path
from soundloom.library.tags.logistic_regression import average_precision
from soundloom.models import DEFAULT, load

if TYPE_CHECKING:
    from soundloom.detectors.detection import DetectionReport
    from soundloom.library import Deployments, RecordingFilter

__all__ = ["Detector", "LabelDetector", "Quality"]

BLOCKS = (60.0, 30.0, 15.0, 7.5)
"""Seconds of the blocks of time that are held out in turn where all examples are of one recording: the longest that
divide them in five, or the shortest."""

_ENOUGH = 40
"""Unlabelled windows from which on the sounds of the background are no negatives."""

_DRAWS = 200
_FEW = 5


@dataclass(frozen=True)
class Quality:
    """How well held-out examples were found.

    Attributes:
        average_precision: mean precision at every held-out example, among negative and unlabelled windows; None where
            nothing could be held out.
        held_out: what was held out in turn: ``recordings``, ``blocks of time`` or ``nothing``.
        positive: windows that hold the sound.
        negative: windows that are marked not to.
        unlabelled: windows that were presumed not to.
    """

    average_precision: Interval | None
    held_out: str
    positive: int
    negative: int
    unlabelled: int


@dataclass(frozen=True, eq=False)
class LabelDetector:
    """What finds one label.

    Attributes:
        label: the label.
        weights: of the score in the detector's space.
        bias: added to it.
        blend: what the score is made of: how much of what.
        calibration: from scores to probabilities.
        quality: how well it finds held-out examples.
    """

    label: str
    weights: Float[np.ndarray, " rank"]
    bias: float
    blend: Blend
    calibration: Calibration
    quality: Quality


@dataclass(frozen=True, eq=False, kw_only=True)
class Detector:
    """Finds sounds of some labels in recordings.

    Attributes:
        model_name: the model whose embeddings it takes, as `soundloom.load` takes it.
        fingerprint: of that model.
        window: seconds that are looked at together.
        hop: seconds from one window to the next.
        decoding: how recordings are decoded, such as the speed at which ultrasound is taken.
        space: where scores are computed.
        frames: whether windows share frames (`soundloom.detectors.frame_windows`); else each is embedded by itself.
        labels: what finds each label.
        examples: what it learned from.
        failed: files that could not be read when it was trained, and why; not kept.
        remarks: files with regions that reach beyond their ends, and what became of these; not kept.
    """

    model_name: str
    fingerprint: str
    window: float
    hop: float
    decoding: audio.DecodeOptions
    space: EmbeddingSpace
    frames: bool
    labels: tuple[LabelDetector, ...]
    examples: tuple[Annotation, ...] = ()
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
        window: float | None = None,
        hop: float | None = None,
        decoding: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Detector:
        """Learn to find sounds from marked regions.

        Args:
            labels: what to find; regions with other labels, or without one, are examples of other sounds.
            annotations: marked regions. Stretches of their recordings of which nothing is said are presumed to hold
                none of the labels.
            background: recordings of which nothing is known, such as those that the detector is meant for.
            model: the embedder, or its name.
            window: seconds that are looked at together; None: what suits the marked regions.
            hop: seconds from one window to the next; None: half a window.
            decoding: how recordings are decoded.
            workers: how many files at a time; None: one for each processor.
            progress: called with the files done and their number.

        Raises:
            InvalidArgumentError: a label is not marked anywhere; there are no other sounds; window or hop are not
                positive, or the hop is longer than the window.
            ModelError: the model cannot be loaded.
        """
        wanted = list(dict.fromkeys(labels))
        positive = [one for one in annotations if one.label in wanted]
        missing = [label for label in wanted if not any(one.label == label for one in positive)]
        if not wanted or missing:
            known = sorted({one.label for one in annotations if one.label})
            raise InvalidArgumentError(f"no region is labelled {missing or wanted}: the labels are {known}")
        window = fitting_window(positive, decoding.speed) if window is None else window
        hop = window / 2 if hop is None else hop
        if not 0 < hop <= window:
            raise InvalidArgumentError(f"window {window} s and hop {hop} s: the hop is above 0 and at most the window")
        embedder = load(model) if isinstance(model, str) else model
        negative = [one for one in annotations if one.label not in wanted]
        files = [text_path(path) for path in audio.find([Path(path).expanduser() for path in background])]
        lengths, failed = file_lengths(dict.fromkeys([*(one.path for one in annotations), *files]), decoding)
        windows = training_windows(positive, negative, files, lengths, window, hop)
        vectors = embed_windows(
            windows, embedder, lengths, decoding=decoding, workers=workers or os.cpu_count() or 1, progress=progress
        )
        sounds = find_background(name := model if isinstance(model, str) else embedder.name, embedder)
        # What is frequent in recordings of which nothing is known is so in those that are searched.
        population = set(files) if set(files) - {one.path for one in annotations} else set(lengths)
        drawn = min(1.0, MOST_UNLABELLED * window / max(window, sum(lengths.values())))
        space, found = _learned(wanted, vectors, embedder, sounds, population, drawn)
        return cls(
            model_name=name, fingerprint=embedder.fingerprint(), window=window, hop=hop, decoding=decoding, space=space,
            frames=shares_frames(embedder), labels=found, examples=tuple(annotations),
            failed={**failed, **vectors.failed}, remarks=beyond_ends(annotations, lengths),
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

    def identity(self) -> str:
        """A hash of all that decides the probability of a window."""
        digest = hashlib.sha256(
            repr((self.fingerprint, self.window, self.hop, self.decoding.to_data(), self.frames)).encode()
        )
        for array in (self.space.mean, self.space.scale, self.space.gains, self.space.centre, self.space.directions):
            digest.update(b"" if array is None else np.ascontiguousarray(array, np.float64).tobytes())
        for one in self.labels:
            digest.update(np.ascontiguousarray(one.weights, np.float64).tobytes())
            digest.update(repr((one.label, one.bias, one.calibration.to_data()["mixture"])).encode())
        return digest.hexdigest()

    def probabilities(self, embeddings: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows labels"]:
        """The probability of each label in windows with these embeddings."""
        vectors = self.space.transform(embeddings)
        columns = []
        for one in self.labels:
            scores = np.einsum("ij,j->i", vectors, one.weights) + one.bias
            columns.append(one.calibration.probabilities(scores))
        return np.stack(columns, axis=1)

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
        progress: Callable[[float], None] | None = None,
    ) -> DetectionReport:
        """Find the sounds in files and folders; see `soundloom.detectors.detection.detect`."""
        from soundloom.detectors.detection import detect

        return detect(
            self, sounds, aim, model=model, where=where, deployments=deployments, workers=workers, journal=journal,
            progress=progress,
        )  # fmt: skip


def _learned(
    labels: Sequence[str],
    found: WindowVectors,
    model: Embedder,
    sounds: Background | None,
    population: set[str],
    drawn: float,
) -> tuple[EmbeddingSpace, tuple[LabelDetector, ...]]:
    """The space and what finds each label in it.

    Args:
        labels: what is found.
        found: the windows.
        model: the embedder.
        sounds: of all kinds.
        population: the recordings that are as those that are searched.
        drawn: the share of their windows that were drawn as unlabelled ones.
    """
    known = np.array([window.path in population for window in found.windows], np.bool_)
    unlabelled = np.array([window.labels is None for window in found.windows], np.bool_)
    space = EmbeddingSpace.fit(found.embeddings[unlabelled], model.parts, model.balance, sounds)
    vectors = space.transform(found.embeddings) if len(found.windows) else np.zeros((0, 1))
    results = []
    for label in labels:
        positive = np.array([label in (window.labels or ()) for window in found.windows], np.bool_)
        groups, held_out = _groups(found, positive)
        others = ~positive & ~unlabelled
        # Sounds of all kinds are negatives only where there are few others: they sound less like the recordings.
        general = sounds.sounds if sounds is not None and int(unlabelled.sum()) < _ENOUGH else found.embeddings[:0]
        examples = Examples(
            vectors[positive],
            groups[positive],
            np.concatenate([vectors[others], space.transform(general)]),
            np.concatenate([groups[others], -1 - np.arange(len(general))]),
            vectors[unlabelled],
            groups[unlabelled],
            space.decorrelated,
        )
        score = learn(examples)
        marked = Marked(known[positive], np.append(known[others], np.zeros(len(general), np.bool_)), drawn)
        calibration = Calibration.fit(score.positive, score.negative, score.unlabelled, marked=marked)
        counts = int(positive.sum()), int(others.sum()), int(unlabelled.sum())
        precision = _average_precision(score.positive, np.concatenate([score.negative, score.unlabelled]))
        quality = Quality(precision if score.held_out else None, held_out if score.held_out else "nothing", *counts)
        results.append(LabelDetector(label, score.weights, score.bias, score.blend, calibration, quality))
    return space, tuple(results)


def _groups(found: WindowVectors, positive: Bool[np.ndarray, " windows"]) -> tuple[Int[np.ndarray, " windows"], str]:
    """What is held out together: recordings, or blocks of time where one recording has all examples of a label."""
    recordings = [window.path for window in found.windows]
    if len({path for path, yes in zip(recordings, positive, strict=True) if yes}) >= 2:
        return np.unique(np.array(recordings), return_inverse=True)[1].astype(np.int64), "recordings"
    for seconds in BLOCKS:
        blocks = np.array([f"{int(window.start // seconds)} {window.path}" for window in found.windows])
        if len(np.unique(blocks[positive])) >= _FEW:
            break
    return np.unique(blocks, return_inverse=True)[1].astype(np.int64), "blocks of time"


def _average_precision(positive: Float[np.ndarray, " positive"], others: Float[np.ndarray, " others"]) -> Interval:
    """Average precision of held-out scores, with the interval of a bootstrap."""
    rng = np.random.default_rng(0)

    def value(some: Float[np.ndarray, " some"], rest: Float[np.ndarray, " rest"]) -> float:
        yes = np.repeat([True, False], [len(some), len(rest)])
        return average_precision(np.concatenate([some, rest]), yes)

    draws = [value(rng.choice(positive, len(positive)), rng.choice(others, len(others))) for _ in range(_DRAWS)]
    middle = value(positive, others)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(middle, min(middle, float(low)), max(middle, float(high)))
