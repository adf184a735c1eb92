"""Words of a model that scores them by one linear map of its embedding, in NumPy: what searches need, without PyTorch.

Such is the head of the default model (`soundloom.tags.class_words`), which `AlignedTags` loads as a module to be
learned and saved; the two give the same numbers to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float

from soundloom.errors import ModelError, QueryError
from soundloom.tags.vocabulary import Vocabulary

__all__ = ["GUESS", "TAGS", "VOCABULARY", "LinearTags"]

GUESS = 0.2
"""A word whose probability is lower is a guess."""

TAGS, VOCABULARY = "tags.safetensors", "vocabulary.json"

_WEIGHT, _BIAS = "head.linear.weight", "head.linear.bias"


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearTags:
    """A vocabulary, and a linear classifier on the first numbers of a part's embedding.

    Attributes:
        part: the part whose embedding it takes.
        dim: size of that embedding.
        vocabulary: the tags, in the order of the classifier's outputs.
        weight: ``[tags, inputs]``.
        bias: ``[tags]``.
        fingerprints: `EmbeddingModel.fingerprints` of the model that it goes with.
    """

    part: str
    dim: int
    vocabulary: Vocabulary
    weight: Float[np.ndarray, "tags inputs"]
    bias: Float[np.ndarray, " tags"]
    fingerprints: tuple[str, ...] = field(default=())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the tags beside a saved model.

        Raises:
            ModelError: they cannot be read, or are of another kind.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(folder / TAGS, framework="np") as file:
                about = file.metadata() or {}
                weight, bias = (file.get_tensor(key).astype(np.float32) for key in (_WEIGHT, _BIAS))
            vocabulary = Vocabulary.load(folder / VOCABULARY)
            return cls(
                part=about["part"],
                dim=weight.shape[1],
                vocabulary=vocabulary,
                weight=weight,
                bias=bias,
                fingerprints=tuple(about.get("fingerprints", "").split()),
            )
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            raise ModelError(f"{folder / TAGS} is damaged or no linear classifier ({error})") from None

    def query_direction(
        self,
        sample: Float[np.ndarray, "sampled dim"],  # noqa: ARG002 (that of `AlignedTags` needs it)
        tags: Sequence[str],
        not_: Sequence[str] = (),
    ) -> Float[np.ndarray, " dim"]:
        """Where in the space of the embeddings sounds with some tags lie, and without some others.

        Args:
            sample: embeddings of sounds of the library.
            tags: words of the vocabulary.
            not_: words of the vocabulary, too.

        Raises:
            QueryError: a word is not in the vocabulary, or there is no word at all.
        """
        if not tags and not not_:
            raise QueryError("no tags to search by: give one at least")
        wanted = self.vocabulary.query(tags) - self.vocabulary.query(not_)
        direction: Float[np.ndarray, " dim"] = wanted @ self._unit_rows
        return direction

    def probabilities(self, embeddings: Float[np.ndarray, "sounds dim"]) -> Float[np.ndarray, "sounds tags"]:
        """How probable each tag is for each sound, in [0, 1]."""
        logits = embeddings @ self.weight.T + self.bias
        # Half a hyperbolic tangent is the logistic function without overflow.
        return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))

    @cached_property
    def _unit_rows(self) -> Float[np.ndarray, "tags dim"]:
        lengths = np.linalg.norm(self.weight, axis=1, keepdims=True)
        return np.asarray(self.weight / np.maximum(lengths, 1e-12))
