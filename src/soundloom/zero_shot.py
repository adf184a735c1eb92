"""Zero-shot tagger: sentences as the classes of a CLAP model that was not trained for them (Wu et al. 2023)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from soundloom.errors import ModelError
from soundloom.models import load
from soundloom.objectives.labels import LabelSettings
from soundloom.tagger import Tagger
from soundloom.tags.text_towers import TextTower, text_tower

__all__ = ["zero_shot_tagger"]


class _SentenceHead(nn.Module):
    """The softmax of the cosines of sounds and sentences, times the learned scale."""

    def __init__(self, tower: TextTower, sentences: Sequence[str]) -> None:
        super().__init__()
        self.tower = tower
        self.sentences = tuple(sentences)

    def forward(self, embeddings: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows sentences"]:
        return (self.tower.scale * self.tower.similarities(embeddings, self.sentences)).softmax(dim=1)


def zero_shot_tagger(name: str | os.PathLike[str], sentences: Sequence[str], *, offline: bool = False) -> Tagger:
    """A tagger whose classes are sentences; scores of a sound add up to 1.

    Args:
        name: of a CLAP model: ``hf:OWNER/NAME`` or its folder.
        sentences: the classes, two or more, such as "rain on a tin roof".
        offline: never touch the network.

    Raises:
        ModelError: the model has no text tower, or there are fewer than two different sentences.
    """
    tower = text_tower(name, offline=offline)
    if len(set(sentences)) < 2 or len(set(sentences)) < len(sentences):
        raise ModelError(f"zero-shot tagging chooses among two or more different sentences, got {list(sentences)}")
    tower.embed_text(sentences)
    model = load(os.fspath(name), offline=offline)
    lengths = [stream.window.frames * stream.frontend.hop for stream in model.streams if stream.window]
    if len(lengths) != 1 or len(model.parts) != 1:
        raise ModelError(f"{os.fspath(name)!r} is no single stream with a window")
    (length,) = lengths
    return Tagger(model, _SentenceHead(tower, sentences), LabelSettings(hidden=0), sentences, length=length)
