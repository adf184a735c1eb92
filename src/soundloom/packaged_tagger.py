"""Words of the packaged model for sounds, without PyTorch: of its windows, and of short sounds as a whole."""

from __future__ import annotations

from typing import Self

import numpy as np
from jaxtyping import Float

from soundloom.packaged import NAME, PackagedPart
from soundloom.sound_tagger import WHOLE, SoundTagger
from soundloom.tags.linear_tags import LinearTags
from soundloom.tags.model_words import words_of_model

__all__ = ["PackagedTagger"]


class PackagedTagger(SoundTagger):
    """A tagger of the words that the packaged model knows; what `soundloom.tagger.Tagger` gives of them, to rounding.

    Args:
        part: the part that knows words.
        tags: the words.
    """

    def __init__(self, part: PackagedPart, tags: LinearTags) -> None:
        super().__init__(part, tags.vocabulary.tags, length=part.window, hop=part.hop, skip_silence=True, whole=WHOLE)
        self.tags = tags

    @classmethod
    def load(cls) -> Self:
        """The tagger of the packaged model.

        Raises:
            MissingExtraError: ONNX Runtime is not installed.
            ModelError: a file of the model is damaged.
        """
        tags = words_of_model(NAME)
        assert isinstance(tags, LinearTags)  # of this model they need no PyTorch
        return cls(PackagedPart(tags.part), tags)

    def scores(self, embeddings: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows classes"]:
        """How probable each word is for each embedding."""
        return self.tags.probabilities(np.asarray(embeddings, np.float32))
