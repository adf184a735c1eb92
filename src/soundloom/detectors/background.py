"""Background of a model: sounds of all kinds, and how sounds of one kind differ (within-class covariance; Hatch 2006).

What varies among sounds of one name, such as distance, room and level, says nothing about the name. Directions in
which it varies much count less in a detector (within-class covariance normalisation), whatever the detector is of.
The sounds themselves are further negatives, and give the statistics where a detector has few unlabelled windows.

A file ``background.safetensors`` beside a model's weights, made by ``soundloom detector background`` from a labelled
collection; it carries the fingerprint of the model, and is not used with another. Standardised columns and parts are
those of `soundloom.detectors.embedding_space`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from soundloom.atomic_file import replacing
from soundloom.embedder import Embedder
from soundloom.errors import DetectorError, InvalidArgumentError
from soundloom.models import MODELS
from soundloom.models.saved_model import BACKGROUND, PACKAGED, folder_of, is_saved
from soundloom.one_thread import one_thread

__all__ = ["Background", "background_file", "find_background", "standardised", "unit_length"]

_SOUNDS = 100
_FREEDOM = 2.0
"""Comparisons of sounds of one kind that are needed, for each dimension."""

_SMALLEST = 1e-9


@dataclass(frozen=True, eq=False)
class Background:
    """Statistics of sounds of all kinds.

    Attributes:
        mean: of every column.
        scale: deviation of every column.
        within: covariance of standardised sounds of one kind.
        sounds: embeddings of a few hundred sounds.
    """

    mean: Float[np.ndarray, " dim"]
    scale: Float[np.ndarray, " dim"]
    within: Float[np.ndarray, "dim dim"]
    sounds: Float[np.ndarray, "sounds dim"]

    @classmethod
    def fit(
        cls,
        embeddings: Float[np.ndarray, "rows dim"],
        labels: Sequence[str],
        parts: Mapping[str, slice],
        balance: Mapping[str, float],
    ) -> Background:
        """The background of a labelled collection.

        Args:
            embeddings: one row a sound.
            labels: the kind of each; a kind of one sound gives no variance.
            parts: part name -> its columns.
            balance: part name -> how much it counts; 1 for those not named.

        Raises:
            InvalidArgumentError: too few sounds share a kind.
        """
        values = embeddings.astype(np.float64)
        mean, scale = values.mean(axis=0), values.std(axis=0) + _SMALLEST
        vectors = standardised(values, mean, scale, parts, balance)
        kinds = np.unique(np.asarray(labels), return_inverse=True)[1]
        sizes = np.bincount(kinds)
        centres = np.stack([np.bincount(kinds, column) for column in vectors.T], axis=1) / sizes[:, None]
        freedom, needed = int((sizes - 1).sum()), round(_FREEDOM * values.shape[1])
        if freedom < needed:
            raise InvalidArgumentError(
                f"a background needs sounds that share labels: {len(values)} sounds with {len(sizes)} labels leave "
                f"{freedom} to compare, a model of {values.shape[1]} dimensions needs {needed}"
            )
        away = vectors - centres[kinds]
        with one_thread:
            within = (torch.from_numpy(away.T) @ torch.from_numpy(away) / freedom).numpy()
        chosen = np.sort(np.random.default_rng(0).permutation(len(values))[:_SOUNDS])
        return cls(mean, scale, within, embeddings[chosen])

    @classmethod
    def read(cls, file: Path, model: Embedder) -> Background | None:
        """The background in a file; None where it is of another model than this one.

        Raises:
            DetectorError: the file is damaged.
        """
        try:
            with safe_open(file, "numpy") as held:
                if (held.metadata() or {}).get("fingerprint") not in model.fingerprints():
                    return None
                found = {name: held.get_tensor(name).astype(np.float64) for name in held.keys()}  # noqa: SIM118
            dim = len(found["mean"])
            correlation = np.eye(dim)
            correlation[np.tril_indices(dim, -1)] = found["correlation"]
            correlation += correlation.T - np.eye(dim)
            within = correlation * np.outer(found["deviation"], found["deviation"])
            return cls(found["mean"], found["scale"], within, found["sounds"].astype(np.float32))
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise DetectorError(
                f"the background {str(file)!r} cannot be read: {error}; make it again with soundloom detector "
                "background, or delete it"
            ) from None

    def write(self, file: Path, model: Embedder) -> None:
        """Write the background: statistics in single precision, correlations and sounds in half.

        Raises:
            OSError: the file cannot be written.
        """
        deviation = np.sqrt(np.maximum(np.diag(self.within), _SMALLEST**2))
        correlation = (self.within / np.outer(deviation, deviation))[np.tril_indices(len(deviation), -1)]
        arrays = {
            "mean": self.mean.astype(np.float32), "scale": self.scale.astype(np.float32),
            "deviation": deviation.astype(np.float32), "correlation": correlation.astype(np.float16),
            "sounds": self.sounds.astype(np.float16),
        }  # fmt: skip
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            save_file(arrays, temporary, {"fingerprint": model.fingerprint()})

    def whitening(self, shrinkage: float) -> Float[np.ndarray, "dim dim"]:
        """The matrix that gives sounds of one kind the same variance in every direction.

        Args:
            shrinkage: how far variances are moved to their mean, 0 to 1.
        """
        with one_thread:
            found = torch.linalg.eigh(torch.from_numpy(self.within))
            variances, directions = (each.numpy() for each in found)
        variances = np.maximum(variances, 0)
        shrunk = (1 - shrinkage) * variances + shrinkage * variances.mean()
        return np.asarray((directions * shrunk**-0.5) @ directions.T)


def background_file(name: str) -> Path | None:
    """Where the background lies that a model's detectors use: beside its weights; None for one without a folder.

    Args:
        name: the model's, as `soundloom.load` takes it; one of the hub is on this machine already.
    """
    if name in MODELS:
        return PACKAGED / name / BACKGROUND
    if is_saved(name) and os.path.isdir(folder := folder_of(name, offline=True)):
        return folder / BACKGROUND
    return None


def find_background(name: str, model: Embedder) -> Background | None:
    """The background that lies beside a model's weights; None where there is none.

    Args:
        name: the model's, as `soundloom.load` takes it.
        model: the model.

    Raises:
        DetectorError: it is damaged.
    """
    file = background_file(name)
    return Background.read(file, model) if file is not None and file.is_file() else None


def standardised(
    embeddings: Float[np.ndarray, "rows dim"],
    mean: Float[np.ndarray, " dim"],
    scale: Float[np.ndarray, " dim"],
    parts: Mapping[str, slice],
    balance: Mapping[str, float],
) -> Float[np.ndarray, "rows dim"]:
    """Columns centred and scaled, parts of unit length times the root of their balance: what a search compares."""
    values: Float[np.ndarray, "rows dim"] = (embeddings - mean) / scale
    for name, part in parts.items():
        values[:, part] = unit_length(values[:, part]) * np.sqrt(balance.get(name, 1.0))
    return values


def unit_length(vectors: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows dim"]:
    """Rows of length 1; rows of zeros stay."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _SMALLEST))
