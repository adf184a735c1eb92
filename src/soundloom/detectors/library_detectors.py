"""Detectors of a library, kept in ``detectors`` in its folder: trained from its annotations or tags."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from soundloom.annotations import Annotation
from soundloom.detectors.detector import Detector
from soundloom.detectors.detector_folder import SETTINGS, SUFFIX, find_detectors
from soundloom.embedder import Embedder
from soundloom.errors import DetectorError, InvalidArgumentError, ResourceError
from soundloom.letter_case import folded
from soundloom.library import AnnotationFilter, Library
from soundloom.library.mirror import changing
from soundloom.models import load
from soundloom.system_errors import reason_of

__all__ = ["FOLDER", "LibraryDetectors"]

FOLDER = "detectors"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
_BACKGROUND = 200
"""Files of which nothing is said that are drawn from a library as background."""


class LibraryDetectors:
    """The detectors that a library keeps.

    Args:
        library: the library. Its model embeds the examples.

    Attributes:
        library: the library.
    """

    def __init__(self, library: Library) -> None:
        self.library = library

    def names(self) -> list[str]:
        """The detectors, by name."""
        return [path.name.removesuffix(SUFFIX) for path in find_detectors(self.library.folder / FOLDER)]

    def folder(self, name: str) -> Path:
        """The folder of the detector of some name, which need not be there.

        Raises:
            InvalidArgumentError: a name that is not made of letters, digits, - and _.
        """
        if not _NAME.fullmatch(name):
            raise InvalidArgumentError(
                f"a detector of a library is named by at most 60 letters, digits, - and _, got {name!r}"
            )
        return self.library.folder / FOLDER / f"{name}{SUFFIX}"

    def get(self, name: str) -> Detector:
        """A detector by its name.

        Raises:
            DetectorError: there is none, or it is damaged.
        """
        return Detector.load(self._folder_of(name))

    def model_of(self, detector: Detector) -> Embedder:
        """The model of a detector: the library's own where it is the same.

        Raises:
            ModelError: it is another one, which cannot be loaded without a network.
        """
        model = self._embedder()
        return model if detector.fingerprint in model.fingerprints() else detector.load_model(offline=True)

    def _embedder(self) -> Embedder:
        """The library's model, or the PyTorch model that it was recorded from: detectors need frames."""
        model = self.library.model
        return model if isinstance(model, Embedder) else load(model.name)

    def examples(self, labels: Sequence[str], *, by_tags: bool = False, other: Sequence[str] = ()) -> list[Annotation]:
        """The marked regions that a detector of some labels learns from.

        Args:
            labels: what it finds.
            by_tags: by the tags of segments instead of the annotations. Segments without these tags are no negative
                examples, for a tag may be missing, but for those with the tags in ``other``.
            other: tags of segments that hold none of the labels.

        Raises:
            InvalidArgumentError: none of the regions has one of the labels.
        """
        found = self._tagged(labels, other) if by_tags else self.library.annotations.all(AnnotationFilter(gone=False))
        files = set(self.library.files())
        found = [one for one in found if one.path in files]
        missing = [label for label in labels if not any(folded(one.label) == folded(label) for one in found)]
        if missing or not labels:
            kind = "segment is tagged" if by_tags else "annotation is labelled"
            known = self.library.tags.counts() if by_tags else self.library.annotations.labels()
            names = ", ".join(repr(name) for name in list(known)[:20] if name) or "none"
            raise InvalidArgumentError(f"no {kind} {missing[0] if missing else ''!r}: there are {names}")
        return found

    def train(  # noqa: D417  (the other arguments are those of `examples` and `Detector.train`)
        self,
        name: str,
        labels: Sequence[str],
        *,
        by_tags: bool = False,
        other: Sequence[str] = (),
        window: float | None = None,
        hop: float | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Detector:
        """Learn a detector from the library and keep it; one of this name that is there already becomes its `former`.

        What it learns of the recordings' background is of the marked files and of 200 others that are there,
        drawn at random.

        Args:
            name: what the detector is called.

        Raises:
            InvalidArgumentError: as for `folder`, `examples` and `Detector.train`.
            ModelError: the library's model cannot be loaded.
        """
        folder, found = self.folder(name), self.examples(labels, by_tags=by_tags, other=other)
        rest = sorted(set(self.library.files()) - {one.path for one in found})
        absent = self.library.index().segments.absent(rest)
        rest = [path for path, missing in zip(rest, absent, strict=True) if not missing]
        drawn = np.random.default_rng(0).permutation(len(rest))[:_BACKGROUND]
        background = [rest[number] for number in sorted(drawn.tolist())]
        detector = Detector.train(
            labels, found, background=background, model=self._embedder(), window=window or self._windows(folder),
            hop=hop, decoding=self.library.settings.decoding, workers=workers, progress=progress,
        )  # fmt: skip
        detector = replace(detector, background=None)  # of the library, and drawn anew the next time
        with changing(self.library.folder):
            detector.save(folder)
        return detector

    @staticmethod
    def _windows(folder: Path) -> dict[str, float]:
        """The windows of the labels of a detector that is there already: somebody marked such, not the calls alone."""
        return Detector.load(folder).window_of if (folder / SETTINGS).is_file() else {}

    def remove(self, name: str) -> None:
        """Delete a detector.

        Raises:
            DetectorError: there is none.
            ResourceError: it cannot be deleted.
        """
        folder = self._folder_of(name)
        try:
            with changing(self.library.folder):
                shutil.rmtree(folder)
        except OSError as error:
            raise ResourceError(f"cannot delete the detector {name!r}: {reason_of(error)}") from None

    def _folder_of(self, name: str) -> Path:
        names = self.names()
        if name not in names:
            raise DetectorError(f"the library has no detector {name!r}: it has {', '.join(names) or 'none'}")
        return self.folder(name)

    def _tagged(self, labels: Sequence[str], other: Sequence[str]) -> list[Annotation]:
        columns = self.library.index().rows.select(["path", "start", "end", "duration", "tags"]).to_pydict()
        found = []
        for path, start, end, duration, tags in zip(*columns.values(), strict=True):
            given = set(map(folded, tags or ()))
            wanted = [label for label in labels if folded(label) in given]
            found += [Annotation(path, start, end, label, duration=duration) for label in wanted]
            if not wanted and given.intersection(map(folded, other)):
                found.append(Annotation(path, start, end, "", duration=duration))
        return found
