"""Models: the grammar of their names, the registry, saved models and published weights."""

from soundloom.models.model_card import Card
from soundloom.models.model_registry import (
    DEFAULT,
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
