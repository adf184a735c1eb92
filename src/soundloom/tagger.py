"""Tagger: scores of the learned classes for a sound, per clip and per second.

A tagger is an embedder and a head from its embeddings to classes (Verma 2023, section 3.5), and lies in a folder with
the model that it listens with:

    FOLDER/tagger.safetensors    the head's weights, and the mean of the embeddings that it learned from
    FOLDER/tagger.json           classes, loss, units, and the fingerprint of the model it was trained on

It takes a second at a time, as it was trained; a clip's scores are its seconds', weighted by duration ("the labels
are averaged across the entire clip", section 2). Scores lie in [0, 1]; they order classes, and are no probabilities
unless the loss made them so.

A model that learned from free-form tags (`soundloom.tags`) has no such head, and tags all the same: its classes are
the words that it knows, by how probable they are (`soundloom.tags.suggestions`). A published network with a classifier
scores each of its own windows, as published: YAMNet 0.975 s every 0.48 s. Words that were learned from whole sounds are
also scored on a short sound as a whole, and the higher score counts.

Where the model is woven, a score can be explained: how much each part, each stream, moved it from what the average
sound gets. For every subset of the parts the head is asked what it says of an embedding that has those parts of
the sound and the others of the average sound; each part's share is its Shapley value over the answers
(`soundloom.evaluation.analysis.shapley`). The shares add up to the score. Of a linear head's outputs the share of
part p is W_p (x_p - m_p), of no other part's doing; the scores are bent on the way (by a sigmoid, say), which the
shares follow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from soundloom.components import from_plain
from soundloom.components.config_file import read_json
from soundloom.embedder import Embedder
from soundloom.embedder.threads import alone
from soundloom.errors import ModelError
from soundloom.models import load
from soundloom.models.model_registry import model_parts
from soundloom.models.saved_model import check_there, folder_of, from_pretrained, is_saved
from soundloom.objectives.labels import SCORES, LabelHead, LabelSettings
from soundloom.sound_tagger import WHOLE, SoundTagger
from soundloom.tags import AlignedTags, aligned_tags
from soundloom.tags.text_towers import clap_folder

__all__ = ["TAGGER", "WEIGHTS", "Tagger", "TaggerConfig"]

TAGGER = "tagger.json"
WEIGHTS = "tagger.safetensors"

FORMAT = 2
"""Version of the layout. Version 1 had no mean; its taggers tag, and do not explain."""

_MEAN = "mean"

Weights = str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]


@dataclass(frozen=True, kw_only=True)
class TaggerConfig:
    """``tagger.json``.

    Attributes:
        format: version of the layout.
        classes: names of the head's outputs.
        head: its loss and units.
        dim: size of the embeddings it takes.
        fingerprint: of the model that makes them.
    """

    format: int = FORMAT
    classes: tuple[str, ...]
    head: LabelSettings
    dim: int
    fingerprint: str


class _TagModelHead(nn.Module):
    """An aligned tag model as a head: embeddings to the probability of each of its words."""

    def __init__(self, tags: AlignedTags) -> None:
        super().__init__()
        self.tags = tags

    def forward(self, embeddings: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows words"]:
        return self.tags.suggestion_scores(embeddings)


class Tagger(SoundTagger):
    """An embedder with a head.

    Args:
        model: makes the embeddings.
        head: makes classes of them.
        settings: the head's loss and units.
        classes: names of the head's outputs.
        mean: of the embeddings that the head learned from, [dim]; without it nothing can be explained.
        length: seconds that are tagged at a time.
        hop: seconds from the start of one such stretch to the next; the length if not given.
    """

    def __init__(
        self,
        model: Embedder,
        head: nn.Module,
        settings: LabelSettings,
        classes: Sequence[str],
        mean: Float[np.ndarray, " dim"] | None = None,
        *,
        length: float = 1.0,
        hop: float | None = None,
    ) -> None:
        super().__init__(model, classes, mean, length=length, hop=hop)
        self.embedder = model
        self.head = head.eval()
        self.settings = settings

    @classmethod
    def load(cls, name: str | os.PathLike[str], *, weights: Weights = "published", offline: bool = False) -> Tagger:
        """The tagger of a model: the head beside it, else the words that it knows.

        Args:
            name: the folder of a run, ``hf:owner/name``, or a model's name, as for `soundloom.load`.
            weights: as for `soundloom.load`.
            offline: never touch the network.

        Raises:
            ModelError: there is none, it is damaged, or the model beside it is not the one it was trained on.
        """
        name = os.fspath(name)
        folder = folder_of(name, offline=offline) if is_saved(name) else None
        if folder is not None and (folder / TAGGER).is_file():
            return cls._beside(folder)
        tags = aligned_tags(name, weights=weights, offline=offline)
        if tags is None:
            check_there(name)
            model_parts(name, offline=offline)  # refuses a name that is none
            if clap_folder(name, offline=offline) is not None:
                raise ModelError(f"{name!r} knows no words of its own: say which sentences to score, as --words TEXT")
            raise ModelError(
                f"no tagger in {name!r}: there is no {TAGGER}, nor are there words that it knows. Models that tag are "
                "loom (the default), yamnet and coala, and those trained by: soundloom train diverse CORPUS --out "
                "FOLDER, or soundloom train labels, or coala"
            )
        return cls.of_tags(load(name, weights=weights, offline=offline), tags)

    @classmethod
    def of_tags(cls, model: Embedder, tags: AlignedTags) -> Tagger:
        """A tagger of the words that a model knows, second by second, or as much as the model takes at a time.

        Args:
            model: has the part that knows them; the other parts are left out.
            tags: of that part.
        """
        (part,) = [part for part in model.embedders if part.name == tags.part]
        length, hop = 1.0, None
        for stream in part.streams:
            if stream.window is None or not stream.window.fixed:
                continue
            if tags.windowed:
                length = stream.samples_for(stream.window.frames) / stream.sample_rate
                hop = stream.window.step * stream.frontend.hop
            else:
                length = max(length, stream.window.frames * stream.frontend.hop)
        tagger = cls(part, _TagModelHead(tags), LabelSettings(hidden=0), tags.vocabulary.tags, length=length, hop=hop)
        tagger.skip_silence = True
        # Classes of a network are of its windows; those of a reduced part were learned from whole sounds.
        if any(stream.reduction is not None for stream in part.streams):
            tagger.whole = WHOLE
        return tagger

    @classmethod
    def _beside(cls, folder: Path) -> Tagger:
        try:
            data = read_json(folder / TAGGER)
            state = load_file(folder / WEIGHTS)
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"the tagger in {os.fspath(folder)!r} is damaged: {error}") from None
        config = from_plain(TaggerConfig, data, os.fspath(folder / TAGGER), error=ModelError)
        if not 1 <= config.format <= FORMAT:
            raise ModelError(
                f"{folder / TAGGER} has format {config.format}, this soundloom reads 1 to {FORMAT}: train anew"
            )
        model = from_pretrained(folder)
        if config.fingerprint not in model.fingerprints():
            raise ModelError(
                f"the tagger in {os.fspath(folder)!r} was trained on another model than the one beside it: train "
                "again, or copy the whole folder anew"
            )
        head = LabelHead(config.head, config.dim, len(config.classes))
        mean = state.pop(_MEAN, None)
        try:
            head.load_state_dict(state)
        except RuntimeError as error:
            raise ModelError(f"{folder / WEIGHTS} does not fit {TAGGER}: {error}") from None
        return cls(model, head, config.head, config.classes, None if mean is None else mean.numpy())

    def save(self, folder: Path) -> None:
        """Write the head beside its model, which is in the folder already."""
        config = TaggerConfig(
            classes=self.classes, head=self.settings, dim=self.model.dim, fingerprint=self.model.fingerprint()
        )
        fresh = folder / f"{WEIGHTS}.new"
        mean = {} if self.mean is None else {_MEAN: torch.from_numpy(np.ascontiguousarray(self.mean))}
        save_file({**{key: tensor.contiguous() for key, tensor in self.head.state_dict().items()}, **mean}, fresh)
        fresh.replace(folder / WEIGHTS)
        fresh = folder / f"{TAGGER}.new"
        fresh.write_text(json.dumps(asdict(config), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        fresh.replace(folder / TAGGER)

    def scores(self, embeddings: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows classes"]:
        """Scores in [0, 1] of embeddings of seconds."""
        with torch.inference_mode():
            outputs = self.head(torch.from_numpy(np.ascontiguousarray(embeddings, dtype=np.float32)))
            found: Float[np.ndarray, "rows classes"] = SCORES[self.settings.loss](outputs).numpy()
        return found

    def embed_pieces(self, pieces: Sequence[np.ndarray]) -> Float[np.ndarray, "pieces dim"]:
        """Embeddings of seconds: whole ones together, the last one, which may be longer or shorter, alone."""
        lengths = [len(piece) for piece in pieces]
        vectors = np.empty((len(pieces), self.model.dim), np.float32)
        for length in sorted(set(lengths)):
            rows = [row for row, one in enumerate(lengths) if one == length]
            batch = np.stack([pieces[row] for row in rows])
            missing = max(0, self.model.min_samples - length)
            with alone(self.embedder):
                vectors[rows] = self.embedder(torch.from_numpy(np.pad(batch, ((0, 0), (0, missing))))).numpy()
        return vectors
