"""Encoders: from a representation to numbered layers, one architecture a module.

``ENCODERS`` is the registry of them, which each joins beside its definition.
"""

from __future__ import annotations

from soundloom.encoders.aisfx import AiSFX
from soundloom.encoders.ast import AST, ASTSettings
from soundloom.encoders.base import ENCODERS, Encoder, register_encoder
from soundloom.encoders.cnn14 import CNN14, CNN14Settings
from soundloom.encoders.coala import COALA_DIM, COALAAudioEncoder, COALASettings, COALATagEncoder
from soundloom.encoders.identity import Identity
from soundloom.encoders.init import initialise
from soundloom.encoders.mobilenet import MobileNetV1
from soundloom.encoders.neuralogram import Neuralogram, NeuralogramSettings
from soundloom.encoders.onnx_encoder import OnnxFile, OnnxFileSettings
from soundloom.encoders.pitch import PitchEncoder, PitchEncoderSettings
from soundloom.encoders.resnet import RESNET18, RESNET50, ResNet, ResNetSettings
from soundloom.encoders.transformer import Transformer, TransformerSettings
from soundloom.encoders.transformers_audio import TransformersAudio, TransformersAudioSettings
from soundloom.encoders.vggish import VGGish
from soundloom.encoders.waveform_transformer import WaveformSettings, WaveformTransformer
from soundloom.encoders.yamnet import YAMNet

__all__ = [
    "AST",
    "CNN14",
    "COALA_DIM",
    "ENCODERS",
    "RESNET18",
    "RESNET50",
    "ASTSettings",
    "AiSFX",
    "CNN14Settings",
    "COALAAudioEncoder",
    "COALASettings",
    "COALATagEncoder",
    "Encoder",
    "Identity",
    "MobileNetV1",
    "Neuralogram",
    "NeuralogramSettings",
    "OnnxFile",
    "OnnxFileSettings",
    "PitchEncoder",
    "PitchEncoderSettings",
    "ResNet",
    "ResNetSettings",
    "Transformer",
    "TransformerSettings",
    "TransformersAudio",
    "TransformersAudioSettings",
    "VGGish",
    "WaveformSettings",
    "WaveformTransformer",
    "YAMNet",
    "initialise",
    "register_encoder",
]
