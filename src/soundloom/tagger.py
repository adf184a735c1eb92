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
scores each of its own windows, as published: YAMNet 0.975 s every 0.48 s.

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from soundloom import audio
from soundloom.components import from_plain
from soundloom.embedder import Embedder, Source
from soundloom.embedder.threads import alone
from soundloom.embedding_model import each_sound, sound_blocks
from soundloom.errors import ModelError
from soundloom.evaluation.analysis.shapley import shapley_values, subsets_of
from soundloom.models import load
from soundloom.models.config_file import read_json
from soundloom.models.saved_model import folder_of, from_pretrained, is_saved
from soundloom.objectives.labels import SCORES, LabelHead, LabelSettings
from soundloom.tags import AlignedTags, aligned_tags
from soundloom.tags.suggestions import suggestion_scores

__all__ = ["TAGGER", "WEIGHTS", "Explained", "Tagged", "Tagger", "TaggerConfig"]

TAGGER = "tagger.json"
WEIGHTS = "tagger.safetensors"

FORMAT = 2
"""Version of the layout. Version 1 had no mean; its taggers tag, and do not explain."""

_MEAN = "mean"

Weights = str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]

# Seconds that are embedded at a time: bounds what a long sound takes in memory.
BLOCK = 60


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


@dataclass(frozen=True, eq=False, kw_only=True)
class Explained:
    """What moved the scores of one sound: of each score, ``average`` and the parts' shares are the sum.

    Attributes:
        average: scores of the average sound of those that were learned from, [classes].
        clip: part -> how much it moved the scores of the whole, [classes].
        seconds: part -> how much it moved those of every second, [seconds, classes].
    """

    average: Float[np.ndarray, " classes"]
    clip: Mapping[str, Float[np.ndarray, " classes"]]
    seconds: Mapping[str, Float[np.ndarray, "seconds classes"]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tagged:
    """The scores of one sound.

    Attributes:
        clip: of the whole, [classes].
        seconds: of every second, [seconds, classes].
        starts: where each begins, in seconds.
        ends: where each ends.
        explained: what moved them, if that was asked for.
    """

    clip: Float[np.ndarray, " classes"]
    seconds: Float[np.ndarray, "seconds classes"]
    starts: Float[np.ndarray, " seconds"]
    ends: Float[np.ndarray, " seconds"]
    explained: Explained | None = None


class _Told(nn.Module):
    """What a model's tags' side says of its embeddings, as a head."""

    def __init__(self, tags: AlignedTags) -> None:
        super().__init__()
        self.tags = tags

    def forward(self, embeddings: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows words"]:
        return suggestion_scores(self.tags, embeddings)


class Tagger:
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
        self.model = model
        self.head = head.eval()
        self.settings = settings
        self.classes = tuple(classes)
        self.mean = mean
        self.length = length
        self.hop = length if hop is None else hop

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
            raise ModelError(
                f"no tagger in {name!r}: there is no {TAGGER}, nor are there words that it knows. Models that tag are "
                "trained by: soundloom train diverse CORPUS --out FOLDER, or soundloom train labels, or coala"
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
        return cls(part, _Told(tags), LabelSettings(hidden=0), tags.vocabulary.tags, length=length, hop=hop)

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

    def shares(self, embeddings: Float[np.ndarray, "rows dim"]) -> dict[str, Float[np.ndarray, "rows classes"]]:
        """How much each part moved the scores of embeddings of seconds from those of the average sound.

        Returns:
            Part -> its shares, [rows, classes]; those of all parts add up to the scores less the average sound's.

        Raises:
            ModelError: the tagger does not know the average sound.
        """
        mean = self.average()

        def worth(subset: tuple[str, ...]) -> Float[np.ndarray, "rows classes"]:
            known = np.tile(mean, (len(embeddings), 1))
            for part in subset:
                columns = self.model.parts[part]
                known[:, columns] = embeddings[:, columns]
            return self.scores(known)

        parts = tuple(self.model.parts)
        return shapley_values({subset: worth(subset) for subset in [(), *subsets_of(parts)]}, parts)

    @overload
    def tag(
        self,
        source: Source,
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        explain: bool = False,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> Tagged: ...

    @overload
    def tag(
        self,
        source: list[Any] | tuple[Any, ...],
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        explain: bool = False,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> list[Tagged]: ...

    def tag(
        self,
        source: Source | list[Any] | tuple[Any, ...],
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        explain: bool = False,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> Tagged | list[Tagged]:
        """Tag a sound, or a stretch of it, a minute at a time.

        Args:
            source: a file or a mono waveform, as `Embedder.embed` takes them; a list of these gives a list.
            sample_rate: of a waveform, in hertz; that of the model if not given.
            start: where to begin, in seconds of the sound.
            end: where to stop, in seconds of the sound; its end if not given.
            explain: also give the contribution of each part.
            options: how files are decoded.
            notices: a list to which is added what is noticed of the sound.
            av: a child process for the codecs that need one, if several files are tagged at a time.

        Raises:
            AudioError: the sound cannot be read, or has nothing there.
            ModelError: the tagger is to explain, and does not know the average sound.
        """
        if isinstance(source, list | tuple):
            how: dict[str, Any] = {"explain": explain, "options": options, "notices": notices, "av": av}
            return [self.tag(sound, sample_rate, start=start, end=end, **how) for sound in each_sound(source)]
        blocks = sound_blocks(source, self.model.sample_rate, sample_rate, start, end, options, notices=notices, av=av)
        pieces = audio.segments(blocks, self.model.sample_rate, self.length, self.hop)
        vectors: list[np.ndarray] = []
        starts: list[float] = []
        ends: list[float] = []
        while block := list(islice(pieces, BLOCK)):
            vectors.append(self._embedded([piece.samples for piece in block]))
            starts.extend(piece.start * options.speed + start for piece in block)
            ends.extend(piece.end * options.speed + start for piece in block)
        embeddings = np.concatenate(vectors)
        seconds = self.scores(embeddings)
        weights = np.asarray(ends) - np.asarray(starts)
        weights /= weights.sum()
        return Tagged(
            clip=(weights @ seconds).astype(np.float32),
            seconds=seconds,
            starts=np.asarray(starts),
            ends=np.asarray(ends),
            explained=self._explained(embeddings, weights) if explain else None,
        )

    def highest(self, scores: Float[np.ndarray, " classes"], top: int, least: float) -> Iterator[tuple[str, float]]:
        """The classes with the highest scores: so many at most, none below the least."""
        for place in np.argsort(-scores, kind="stable")[:top]:
            if scores[place] >= least:
                yield self.classes[place], float(scores[place])

    def _explained(
        self, embeddings: Float[np.ndarray, "seconds dim"], weights: Float[np.ndarray, " seconds"]
    ) -> Explained:
        """Shares of seconds, and of the whole: a clip's score is its seconds' mean, and so are its shares."""
        shares = self.shares(embeddings)
        return Explained(
            average=self.scores(self.average()[None])[0],
            clip={part: (weights @ share).astype(np.float32) for part, share in shares.items()},
            seconds={part: share.astype(np.float32) for part, share in shares.items()},
        )

    def average(self) -> Float[np.ndarray, " dim"]:
        """The mean of the embeddings that the head learned from: what the shares begin at.

        Raises:
            ModelError: the tagger does not know it.
        """
        if self.mean is None:
            raise ModelError(
                "this tagger has no average embedding, from which contributions are measured: words of a model "
                "are scored by one part alone; a tagger of an earlier version gets the average when the command that "
                "trained it is run again, which keeps the streams and trains the head anew"
            )
        return self.mean

    def _embedded(self, pieces: Sequence[np.ndarray]) -> Float[np.ndarray, "pieces dim"]:
        """Embeddings of seconds: whole ones together, the last one, which may be longer or shorter, alone."""
        lengths = [len(piece) for piece in pieces]
        vectors = np.empty((len(pieces), self.model.dim), np.float32)
        for length in sorted(set(lengths)):
            rows = [row for row, one in enumerate(lengths) if one == length]
            batch = np.stack([pieces[row] for row in rows])
            missing = max(0, self.model.min_samples - length)
            with alone(self.model):
                vectors[rows] = self.model(torch.from_numpy(np.pad(batch, ((0, 0), (0, missing))))).numpy()
        return vectors
