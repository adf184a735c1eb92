"""Clips that a model was trained on, kept beside it: a figure on them says little of how it does on new sounds.

    FOLDER/training_clips.safetensors    for each clip, the hash of its file's content and the region of it

They are all clips that a training was given, those to validate on as well, as they chose the weights; and those of the
models that it began with or learned from. A clip of a corpus is one of them if its file has the same bytes and its
region overlaps. A copy in another format is not recognised, nor are other clips of the same recording or speaker, and
of published models nothing is known.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from soundloom.atomic_file import replacing
from soundloom.cache_folder import cache_home
from soundloom.corpora import Corpus
from soundloom.errors import ModelError
from soundloom.feature_cache.content_hashes import content_hashes
from soundloom.feature_cache.row_store import as_cache_error
from soundloom.file_pool import Failed
from soundloom.models.model_registry import model_parts
from soundloom.models.saved_model import PACKAGED, TRAINING_CLIPS, WEIGHTS
from soundloom.models.weights.download import sha256_of

__all__ = ["TrainingClips", "find_training_clips", "keep_training_clips"]


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingClips:
    """Clips by their content.

    Attributes:
        contents: the first eight bytes of the hash of each clip's file.
        starts: where in the file each begins, in seconds.
        ends: where each ends; infinity for the end of the file.
    """

    contents: UInt64[np.ndarray, " clips"]
    starts: Float32[np.ndarray, " clips"]
    ends: Float32[np.ndarray, " clips"]

    def __len__(self) -> int:
        return len(self.contents)

    @classmethod
    def of(cls, corpus: Corpus, workers: int | None = None) -> TrainingClips:
        """The clips of a corpus; files that cannot be read are left out.

        Raises:
            FeatureCacheError: the hashes of files cannot be remembered.
        """
        place = cache_home() / "prepared"
        with as_cache_error(place):
            hashes = content_hashes(corpus.column("path"), place, workers or os.cpu_count() or 1)
        regions = zip(*(corpus.column(name) for name in ("path", "start", "end")), strict=True)
        known = [
            (int.from_bytes(content[:8], "little"), start or 0.0, np.inf if end is None else end)
            for path, start, end in regions
            if not isinstance(content := hashes[path], Failed)
        ]
        contents, starts, ends = zip(*known, strict=True) if known else ((), (), ())
        return cls(
            contents=np.array(contents, np.uint64),
            starts=np.array(starts, np.float32),
            ends=np.array(ends, np.float32),
        )

    @classmethod
    def together(cls, several: Iterable[TrainingClips]) -> TrainingClips:
        """The clips of all of them, each once, in the order of their contents."""
        every = [np.zeros((0, 3), np.uint64), *(np.stack([one.contents, *_bits(one)], axis=1) for one in several)]
        contents, starts, ends = np.unique(np.concatenate(every), axis=0).T
        return cls(
            contents=np.ascontiguousarray(contents),
            starts=starts.astype(np.uint32).view(np.float32),
            ends=ends.astype(np.uint32).view(np.float32),
        )

    def count(self, corpus: Corpus, workers: int | None = None) -> int:
        """How many clips of a corpus these are.

        Raises:
            FeatureCacheError: the hashes of files cannot be remembered.
        """
        if not len(self):
            return 0
        spans: dict[int, list[tuple[float, float]]] = {}
        for content, *span in zip(self.contents.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True):
            spans.setdefault(content, []).append((span[0], span[1]))
        asked = TrainingClips.of(corpus, workers)
        rows = zip(asked.contents.tolist(), asked.starts.tolist(), asked.ends.tolist(), strict=True)
        return sum(
            any(start < last and first < end for first, last in spans.get(content, ())) for content, start, end in rows
        )

    def save(self, folder: Path) -> None:
        """Write the clips beside a saved model.

        Raises:
            ModelError: they cannot be written.
        """
        arrays = {"contents": self.contents, "starts": self.starts, "ends": self.ends}
        try:
            about = {"weights_sha256": sha256_of(folder / WEIGHTS)}
            with replacing(folder / TRAINING_CLIPS, shared=True) as fresh:
                save_file(arrays, fresh, metadata=about)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot keep the clips of a training beside {os.fspath(folder)!r}: {error}") from error

    @classmethod
    def load(cls, folder: Path) -> TrainingClips | None:
        """What `save` wrote; None where there is nothing, or the weights beside it are of another saving.

        Raises:
            ModelError: the file is damaged.
        """
        file = folder / TRAINING_CLIPS
        if not file.is_file():
            return None
        try:
            with safe_open(file, framework="np") as held:
                if (held.metadata() or {}).get("weights_sha256") != sha256_of(folder / WEIGHTS):
                    return None
                return cls(**{name: held.get_tensor(name) for name in ("contents", "starts", "ends")})
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{file} is damaged ({error}): delete it, or copy the model anew") from None


def find_training_clips(name: str | os.PathLike[str]) -> TrainingClips:
    """The clips that the parts of a model were trained on, together, as far as they are known.

    Args:
        name: the model's, as `soundloom.load` takes it. Nothing is fetched.

    Raises:
        ModelError: a file of them is damaged.
    """
    folders: list[Path] = []
    with suppress(ModelError):  # not on this machine
        for part in model_parts(os.fspath(name), offline=True):
            folders.append(part.folder or PACKAGED / part.name.partition("#")[0])
    return TrainingClips.together(clips for folder in folders if (clips := TrainingClips.load(folder)) is not None)


def keep_training_clips(
    folder: Path, corpus: Corpus, models: Iterable[str | os.PathLike[str]] = (), workers: int | None = None
) -> None:
    """Write the clips that a model was trained on beside it.

    Args:
        folder: the saved model's.
        corpus: what the training was given.
        models: those that it began with or learned from, whose clips count as well.
        workers: how many files are read at a time.

    Raises:
        FeatureCacheError: the hashes of files cannot be remembered.
        ModelError: the clips cannot be written.
    """
    TrainingClips.together([*map(find_training_clips, models), TrainingClips.of(corpus, workers)]).save(folder)


def _bits(clips: TrainingClips) -> tuple[UInt64[np.ndarray, " clips"], UInt64[np.ndarray, " clips"]]:
    """Starts and ends as whole numbers, which sort beside contents without loss."""
    return clips.starts.view(np.uint32).astype(np.uint64), clips.ends.view(np.uint32).astype(np.uint64)
