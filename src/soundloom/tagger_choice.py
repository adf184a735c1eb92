"""Choice of what tags sounds with a model, before PyTorch is imported.

sentences      as the classes of a model that takes them (`soundloom.zero_shot`)
a head         that was trained on the model's embeddings and lies beside it (`soundloom.tagger`)
words          that the model knows (`soundloom.tags.model_words`); those of the packaged model need no PyTorch

Commands and servers take their taggers from here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from soundloom import packaged
from soundloom.sound_tagger import SoundTagger

__all__ = ["load_tagger"]


def load_tagger(
    name: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] = "published",
    offline: bool = False,
    sentences: Sequence[str] = (),
) -> SoundTagger:
    """The tagger of a model.

    Args:
        name: a run's folder, or the model's name.
        weights: as for `soundloom.load`.
        offline: never touch the network.
        sentences: the classes, of a model that takes sentences.

    Raises:
        ModelError: the model has no tagger and knows no words, or takes no sentences.
    """
    if not sentences and packaged.is_packaged(name, weights) and packaged.is_installed():
        from soundloom.packaged_tagger import PackagedTagger

        return PackagedTagger.load()
    from soundloom.tagger import Tagger
    from soundloom.zero_shot import zero_shot_tagger

    if sentences:
        return zero_shot_tagger(name, sentences, offline=offline)
    return Tagger.load(name, weights=weights, offline=offline)
