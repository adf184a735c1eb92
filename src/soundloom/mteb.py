"""A model as mteb wants its encoders, for its audio benchmark MAEB: batches of sounds in, an embedding each out.

    from soundloom.mteb import MtebEncoder
    encoder = MtebEncoder("loom")    # for mteb.evaluate(encoder, mteb.get_tasks(modalities=["audio"]))

Sounds come as mteb decodes them, an array and its sample rate; several channels are averaged. A CLAP model with its
text tower answers tasks of sounds and texts as well: then both are brought to its common space. Similarities are
cosines.

mteb is no dependency of soundloom; without it everything but the model's description works.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32

from soundloom.embedder import Embedder
from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.models import DEFAULT, load
from soundloom.tags.text_towers import TextTower, tower_of_model

__all__ = ["MtebEncoder"]


class MtebEncoder:
    """An encoder for mteb, frozen.

    Args:
        model: a model or its name.
        texts: whether sounds and texts are embedded in the common space of the model's text tower, where it has one;
            sounds alone by the model's own embedding otherwise.

    Raises:
        ModelError: there is no such model, or its weights or its text tower cannot be had.
    """

    def __init__(self, model: str | Embedder = DEFAULT, *, texts: bool = True) -> None:
        self.model = load(model) if isinstance(model, str) else model
        found = tower_of_model(model) if isinstance(model, str) and texts else None
        self._part: slice | None = None
        self._tower: TextTower | None = None
        if found is not None:
            self._part, self._tower = self.model.parts[found[0]], found[1]

    @property
    def dim(self) -> int:
        """The size of an embedding."""
        return self.model.dim if self._tower is None else self._tower.projected_dim

    def encode(self, inputs: Iterable[Mapping[str, Any]], **_: Any) -> Float32[np.ndarray, "sounds dim"]:
        """Embed batches of sounds, or of texts, in their order.

        Args:
            inputs: batches; each has a list of sounds under "audio", of mappings with "array", ``[samples]`` or
                ``[channels, samples]``, and "sampling_rate" in hertz; or a list under "text".

        Raises:
            InvalidArgumentError: texts, and the model has no text tower; or neither sounds nor texts.
        """
        rows = [row for batch in inputs for row in self._embed(batch)]
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)

    def similarity(
        self, embeddings1: Float[Any, "first dim"], embeddings2: Float[Any, "second dim"]
    ) -> Float[torch.Tensor, "first second"]:
        """Cosines of all pairs."""
        return _unit(embeddings1) @ _unit(embeddings2).T

    def similarity_pairwise(
        self, embeddings1: Float[Any, "pairs dim"], embeddings2: Float[Any, "pairs dim"]
    ) -> Float[torch.Tensor, " pairs"]:
        """Cosines of the pairs."""
        return (_unit(embeddings1) * _unit(embeddings2)).sum(dim=-1)

    @property
    def mteb_model_meta(self) -> Any:
        """The model's description, a ``mteb.ModelMeta``.

        Raises:
            ModelError: mteb is not installed.
        """
        try:
            from mteb.models.model_meta import ModelMeta
        except ImportError:
            raise ModelError("the description of a model for mteb needs that package: pip install mteb") from None
        return ModelMeta.create_empty(
            {
                "name": f"soundloom/{os.path.basename(self.model.name)}",
                "revision": self.model.fingerprint().removeprefix("2:")[:12],
                "embed_dim": self.dim,
                "n_parameters": sum(parameter.numel() for parameter in self.model.parameters()),
                "framework": ["PyTorch"],
                "similarity_fn_name": "cosine",
                "modalities": ["audio"] if self._tower is None else ["audio", "text"],
            }
        )

    def _embed(self, batch: Mapping[str, Any]) -> Sequence[Float32[np.ndarray, " dim"]]:
        if "audio" in batch:
            return [self._sound(item) for item in batch["audio"]]
        if "text" not in batch:
            raise InvalidArgumentError(f"a batch has sounds under 'audio' or texts under 'text', got {sorted(batch)}")
        if self._tower is None:
            raise InvalidArgumentError(
                f"{self.model.name!r} takes no texts: leave tasks of texts out, or choose a CLAP model by its name, "
                "such as hf:laion/clap-htsat-unfused"
            )
        return list(self._tower.embed_text(list(batch["text"])).numpy())

    def _sound(self, item: Mapping[str, Any]) -> Float32[np.ndarray, " dim"]:
        samples = np.asarray(item["array"], dtype=np.float32)
        mono = samples.mean(axis=0) if samples.ndim > 1 else samples
        embedding = self.model.embed(mono, item["sampling_rate"])
        if self._tower is None:
            return embedding
        own = torch.from_numpy(embedding[self._part].copy())
        return np.asarray(self._tower.embed_sounds(own[None])[0].numpy())


def _unit(embeddings: Any) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.as_tensor(embeddings, dtype=torch.float32), dim=-1)
