"""Classes of a model's front-ends and encoders, found before any weights are fetched or read.

Saved models and those on the hub say so in ``config.json``. A registered model with published weights is built without
them; one without weights is left out, because to build it is all the work there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from soundloom.components import ModuleConfig, Registry
from soundloom.components.config_file import read_json
from soundloom.encoders import ENCODERS, Encoder, TransformersAudio
from soundloom.encoders.onnx_encoder import OnnxFile
from soundloom.frontends import FRONTENDS
from soundloom.models.model_config import ModelConfig
from soundloom.models.model_registry import name_parts, registered_part
from soundloom.models.names import PartName, SavedName
from soundloom.models.onnx_file import is_onnx
from soundloom.models.saved_model import config_of
from soundloom.models.transformers_folder import is_transformers
from soundloom.models.weights.published_checkpoints import State
from soundloom.models.weights.weight_source import WeightSource

__all__ = ["component_types"]


def component_types(name: str, *, offline: bool = False) -> Iterator[tuple[str, type]]:
    """Pairs of a part's name and the class of a component in it, as far as they are known without weights.

    Raises:
        UnknownModelError: no such model, or no such layer.
        ModelError: a saved model cannot be had.
    """
    for part in name_parts(name):
        found = _of_registered(part) if isinstance(part, PartName) else _of_saved(part, offline)
        yield from ((str(part), kind) for kind in found)


class _NoWeights(WeightSource):
    def fill(self, word: str, encoder: Encoder, checkpoint: str, beside: Callable[[], State] = dict) -> None:
        """Leave the encoder as it was built."""


def _of_registered(part: PartName) -> Iterator[type]:
    row = registered_part(part)
    if row.checkpoint is not None:
        with torch.random.fork_rng(devices=[]):
            model = row.make(part, _NoWeights(weights="random"))
        for stream in model.streams:
            yield from (type(module) for half in (stream.frontend, stream.encoder) for module in half.modules())


def _of_saved(part: SavedName, offline: bool) -> Iterator[type]:
    if is_onnx(part.place):
        yield OnnxFile
        return
    file = config_of(part.place, offline=offline)
    if not file.is_file():
        return  # `from_pretrained` says what is missing
    data = read_json(file)
    if is_transformers(data):
        yield TransformersAudio
        return
    for each in ModelConfig.read(data, str(file)).parts:
        yield from _of_config(each.frontend, FRONTENDS)
        yield from _of_config(each.encoder, ENCODERS)


def _of_config(config: ModuleConfig | None, registry: Registry[Any]) -> Iterator[type]:
    while config is not None:
        if config.type in registry:
            yield registry[config.type].kind
        config = config.inner
