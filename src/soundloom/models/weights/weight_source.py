"""Source of a model's weights: published, a file, or a seed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from soundloom.encoders import Encoder, initialise
from soundloom.errors import ModelError
from soundloom.models.weights.download import Announcement
from soundloom.models.weights.http_transfer import TransferProgress
from soundloom.models.weights.published_checkpoints import CHECKPOINTS, State
from soundloom.models.weights.weight_store import fetch

__all__ = ["WeightSource"]


@dataclass(frozen=True, kw_only=True)
class WeightSource:
    """How to fill encoders with weights; see `soundloom.load` for the fields.

    Attributes:
        weights: "published", "random", a file, or part word -> any of these.
        seed: what random weights are drawn from.
        offline: never touch the network.
        announce: called with what is about to be downloaded.
        progress: called with the progress of a download.
    """

    weights: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] = "published"
    seed: int = 0
    offline: bool = False
    announce: Callable[[Announcement], None] | None = None
    progress: Callable[[TransferProgress], None] | None = None

    def fill(self, word: str, encoder: Encoder, checkpoint: str, beside: Callable[[], State] = dict) -> State | None:
        """Give an encoder its weights.

        Args:
            word: the part's name, to look up its weights by.
            encoder: the encoder, changed in place.
            checkpoint: the published checkpoint's name.
            beside: gives those of its weights that come in a file of their own; not called for random weights.

        Returns:
            The front-end's share of the checkpoint; None when the weights are random.

        Raises:
            ModelError: the weights cannot be had, or are not this encoder's.
        """
        chosen = self.chosen(word)
        if chosen == "random":
            initialise(encoder, self.seed)
            return None
        mine, front_end = CHECKPOINTS[checkpoint].split(self.fetch(checkpoint, chosen))
        encoder.load_state_dict({**mine, **beside()})
        return front_end

    def fetch(self, checkpoint: str, chosen: str | os.PathLike[str]) -> dict[str, Tensor]:
        """A checkpoint's tensors, from where ``chosen`` says."""
        own = None if chosen == "published" else chosen
        return fetch(checkpoint, own, offline=self.offline, announce=self.announce, progress=self.progress)

    def chosen(self, word: str) -> str | os.PathLike[str]:
        """What was chosen for a part: "published", "random" or a file."""
        if isinstance(self.weights, Mapping):
            return self.weights.get(word, "published")
        return self.weights

    def scaler(self, word: str) -> str | os.PathLike[str]:
        """Where COALA's scaler is: beside the weights when those are a file of one's own."""
        chosen = self.chosen(word)
        if chosen == "published":
            return chosen
        path = Path(chosen)
        return path if path.is_dir() else path.parent

    def check_used(self, words: list[str], model: str, learned: Sequence[str] = ()) -> None:
        """Refuse weights that no part asked for, that several would share, that are not there or cannot be drawn.

        Args:
            words: the parts that take weights.
            model: the model's name.
            learned: the parts that come with the weights that they learned.

        Raises:
            ModelError: random weights for a part that has learned its own; a file was given for a model without
                weights, or one file for several parts, or there is no such file.
        """
        if self.weights == "random" and learned:
            raise ModelError(
                f"of {' and '.join(map(repr, learned))} there are the learned weights alone: leave out 'random', or "
                "give it for the other parts by their names"
            )
        if isinstance(self.weights, Mapping):
            unknown = sorted(set(self.weights) - set(words))
            if unknown:
                has = f"of {', '.join(words)}" if words else "of no part"
                raise ModelError(f"weights of {', '.join(unknown)} are given, but {model!r} takes weights {has}")
        elif self.weights not in ("published", "random"):
            if not words:
                raise ModelError(f"{model!r} has no weights to load: leave out {os.fspath(self.weights)!r}")
            if len(words) > 1:
                raise ModelError(f"one file of weights for several parts: give one for each of {', '.join(words)}")
        for word in words:
            chosen = self.chosen(word)
            if chosen not in ("published", "random") and not os.path.exists(chosen):
                raise ModelError(f"no file {os.fspath(chosen)}, which should hold the weights of {word}")
