"""Text tower of CLAP: sentences and stored embeddings in one space (Wu et al. 2023), by the transformers library.

The stream of a CLAP model (``hf:OWNER/NAME``) embeds a sound as the pooled output z of the audio model. Here the two
projections bring z and the pooled output of the text model t to where they were trained to agree; their agreement is

    cos(P_audio z, P_text t),

and a class's score among several sentences the softmax of the cosines times the learned scale (zero-shot
classification). Sentences are encoded one at a time, so that none depends on its company, and remembered.

When not: models with layers chosen, whose embeddings are no pooled outputs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from soundloom.components.config_file import read_json
from soundloom.embedder.threads import alone
from soundloom.encoders.transformers_audio import transformers_library
from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.models import MODELS
from soundloom.models.hub import is_address, name_of
from soundloom.models.names import word_of
from soundloom.models.saved_model import CONFIG, check_there, folder_of, is_saved
from soundloom.models.transformers_folder import quiet

__all__ = ["TextTower", "clap_folder", "text_tower", "tower_of_model"]

_CLAP = "clap"
_REMEMBERED = 4096


class TextTower(nn.Module):
    """The part of a CLAP model that takes sentences, and both projections. Ready to use, not to train.

    Args:
        model: a ``ClapModel`` of the transformers library.
        tokenizer: its tokeniser.

    Attributes:
        dim: size of the stream's embeddings.
        projected_dim: size of the common space.
        scale: what cosines are multiplied by before the softmax, as learned.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.text_model = model.text_model
        self.text_projection = model.text_projection
        self.audio_projection = model.audio_projection
        self.dim = int(model.config.audio_config.hidden_size)
        self.projected_dim = int(model.config.projection_dim)
        self.scale = float(model.logit_scale_a.detach().exp())
        self._tokenizer = tokenizer
        self._vectors: dict[str, Tensor] = {}
        self.eval()

    def embed_text(self, sentences: Sequence[str]) -> Float[Tensor, "sentences projected"]:
        """Sentences in the common space, at unit length.

        Raises:
            InvalidArgumentError: there is none, or one is empty.
        """
        if not sentences or not all(sentence.strip() for sentence in sentences):
            raise InvalidArgumentError(f"sentences are one or more texts that are not empty, got {list(sentences)}")
        for sentence in sentences:
            if sentence not in self._vectors:
                if len(self._vectors) >= _REMEMBERED:
                    self._vectors.clear()
                self._vectors[sentence] = self._encode(sentence)
        return torch.stack([self._vectors[sentence] for sentence in sentences])

    def embed_sounds(self, embeddings: Float[Tensor, "sounds dim"]) -> Float[Tensor, "sounds projected"]:
        """A stream's embeddings in the common space, at unit length.

        Raises:
            InvalidArgumentError: embeddings of another size.
        """
        if embeddings.shape[1] != self.dim:
            raise InvalidArgumentError(f"the text tower is for embeddings of {self.dim}, got {embeddings.shape[1]}")
        with alone(self):
            return functional.normalize(self.audio_projection(embeddings), dim=1)

    def similarities(
        self, embeddings: Float[Tensor, "sounds dim"], sentences: Sequence[str]
    ) -> Float[Tensor, "sounds sentences"]:
        """Cosines of sounds and sentences."""
        return self.embed_sounds(embeddings) @ self.embed_text(sentences).T

    def _encode(self, sentence: str) -> Float[Tensor, " projected"]:
        longest = self.text_model.config.max_position_embeddings - 2
        inputs = self._tokenizer([sentence], return_tensors="pt", truncation=True, max_length=longest)
        with alone(self):
            pooled = self.text_model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            ).pooler_output
            return functional.normalize(self.text_projection(pooled), dim=1)[0]


def text_tower(name: str | os.PathLike[str], *, offline: bool = False) -> TextTower:
    """The text tower of a CLAP model.

    >>> tower = text_tower("hf:laion/clap-htsat-unfused")              # doctest: +SKIP
    >>> tower.embed_text(["rain on a tin roof"]).shape                 # doctest: +SKIP
    torch.Size([1, 512])

    Args:
        name: ``hf:OWNER/NAME``, or the folder of a model that the transformers library saved.
        offline: never touch the network.

    Raises:
        ModelError: the model has no text tower, or its files cannot be had.
        MissingExtraError: transformers is not installed.
    """
    name = os.fspath(name)
    folder = clap_folder(name, offline=offline)
    if folder is None:
        check_there(name)
        raise ModelError(
            f"the model {name!r} takes no sentences: choose a CLAP model, such as hf:laion/clap-htsat-unfused"
        )
    transformers = transformers_library()
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
            model = transformers.ClapModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, **local)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"the text tower in {str(folder)!r} cannot be loaded: {reason}") from error
    return TextTower(model, tokenizer)


def tower_of_model(name: str, *, offline: bool = False) -> tuple[str, TextTower] | None:
    """The first part of a model that has a text tower, by its name in the embedding, and the tower; None without any.

    >>> tower_of_model("logmel+mfcc") is None
    True

    Args:
        name: the model's name, as for `soundloom.load`.
        offline: never touch the network.

    Raises:
        ModelError: as for `text_tower`.
        MissingExtraError: transformers is not installed.
    """
    # A path may itself hold a '+'.
    parts = [name] if os.path.isdir(os.path.expanduser(name)) else [part.strip() for part in name.split("+")]
    for part in parts:
        folder = clap_folder(part, offline=offline)
        if folder is not None:
            return word_of(name_of(part) if is_address(part) else folder.resolve().name), text_tower(folder)
    return None


def clap_folder(name: str, *, offline: bool = False) -> Path | None:
    """The folder of a CLAP model; None of any other, and of one with layers chosen."""
    if name in MODELS or not is_saved(name) or not (is_address(name) or Path(name).expanduser().is_dir()):
        return None
    folder = folder_of(name, offline=offline)
    if not (folder / CONFIG).is_file() or read_json(folder / CONFIG).get("model_type") != _CLAP:
        return None
    return folder
