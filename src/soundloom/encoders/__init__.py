"""Encoders: from a representation to numbered layers, an architecture a module.

``ENCODERS`` is the one table of them; whatever needs a list of encoders reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from soundloom.encoders.ast import AST, ASTSettings
from soundloom.encoders.base import Encoder
from soundloom.encoders.cnn14 import CNN14, CNN14Settings
from soundloom.encoders.coala import COALA_DIM, COALAAudioEncoder, COALATagEncoder
from soundloom.encoders.identity import Identity
from soundloom.encoders.init import initialise
from soundloom.encoders.mobilenet import MobileNetV1
from soundloom.encoders.neuralogram import Neuralogram, NeuralogramSettings
from soundloom.encoders.pitch import Notes, NotesSettings
from soundloom.encoders.resnet import RESNET18, RESNET50, ResNet, ResNetSettings
from soundloom.encoders.transformer import Transformer, TransformerSettings
from soundloom.encoders.vggish import VGGish
from soundloom.encoders.waveform import WaveformSettings, WaveformTransformer

__all__ = [
    "AST",
    "CNN14",
    "COALA_DIM",
    "ENCODERS",
    "RESNET18",
    "RESNET50",
    "ASTSettings",
    "CNN14Settings",
    "COALAAudioEncoder",
    "COALATagEncoder",
    "Encoder",
    "Identity",
    "MobileNetV1",
    "Neuralogram",
    "NeuralogramSettings",
    "Notes",
    "NotesSettings",
    "ResNet",
    "ResNetSettings",
    "Transformer",
    "TransformerSettings",
    "VGGish",
    "WaveformSettings",
    "WaveformTransformer",
    "initialise",
]

ENCODERS: Mapping[str, Callable[[], Encoder]] = MappingProxyType(
    {
        "identity": Identity,
        "vggish": VGGish,
        "cnn14": CNN14,
        "ast": AST,
        "coala": COALAAudioEncoder,
        "resnet18": partial(ResNet, RESNET18),
        "resnet50": partial(ResNet, RESNET50),
        "mobilenet": MobileNetV1,
        "transformer": Transformer,
        "waveform": WaveformTransformer,
        "notes": Notes,
    }
)
