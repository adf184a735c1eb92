"""Models: the grammar of their names, the registry, saved models and published weights.

The names below are loaded when they are first used: what is published, and what of it is in the cache, needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from soundloom.lazy_names import lazy_names
from soundloom.packaged import NAME as DEFAULT

if TYPE_CHECKING:
    from soundloom.models.model_card import Card
    from soundloom.models.model_registry import (
        MODELS,
        Model,
        ModelPart,
        absolute,
        check_trusted_name,
        load,
        model_parts,
        register_model,
    )
    from soundloom.models.names import PartName, parse
    from soundloom.models.saved_model import from_pretrained, push_to_hub, save_pretrained
    from soundloom.models.weights.download import PublishedFile
    from soundloom.models.weights.published_checkpoints import Checkpoint, register_checkpoint
    from soundloom.models.weights.weight_source import WeightSource

__all__ = [
    "DEFAULT",
    "MODELS",
    "Card",
    "Checkpoint",
    "Model",
    "ModelPart",
    "PartName",
    "PublishedFile",
    "WeightSource",
    "absolute",
    "check_trusted_name",
    "from_pretrained",
    "load",
    "model_parts",
    "parse",
    "push_to_hub",
    "register_checkpoint",
    "register_model",
    "save_pretrained",
]

_HOMES = dict.fromkeys(__all__, "model_registry") | {
    "Card": "model_card",
    "Checkpoint": "weights.published_checkpoints",
    "PartName": "names",
    "PublishedFile": "weights.download",
    "WeightSource": "weights.weight_source",
    "from_pretrained": "saved_model",
    "parse": "names",
    "push_to_hub": "saved_model",
    "register_checkpoint": "weights.published_checkpoints",
    "save_pretrained": "saved_model",
}

_imported, __dir__ = lazy_names(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name in ("absolute", "check_trusted_name", "load") and find_spec("torch") is None:
        return getattr(import_module("soundloom.models.without_torch"), name)
    return _imported(name)
