"""Models: the grammar of their names, the registry, saved models and published weights."""

from soundloom.models.model_card import Card
from soundloom.models.names import PartName, parse
from soundloom.models.published_checkpoints import Checkpoint, register_checkpoint
from soundloom.models.registry import DEFAULT, MODELS, Model, absolute, check_trusted_name, load, register_model
from soundloom.models.saved_model import from_pretrained, push_to_hub, save_pretrained
from soundloom.models.weight_source import WeightSource

__all__ = [
    "DEFAULT",
    "MODELS",
    "Card",
    "Checkpoint",
    "Model",
    "PartName",
    "WeightSource",
    "absolute",
    "check_trusted_name",
    "from_pretrained",
    "load",
    "parse",
    "push_to_hub",
    "register_checkpoint",
    "register_model",
    "save_pretrained",
]
