"""YAMNet (Plakal and Ellis 2019): MobileNetV1 over patches of 0.96 s every 0.48 s, trained on AudioSet.

Without layers, the published embedding of every patch, 1024 numbers, as mean and maximum over the patches. A rest
shorter than a patch is filled with silence, as the published code does, and weighs as much in the mean as was sound.

Weights are the published Keras file, or one of one's own: the same file, the 8-bit graph ``yamnet.tflite``, or
safetensors.
"""

from __future__ import annotations

from pathlib import Path

from soundloom.embedder import Stream, Window
from soundloom.encoders import YAMNet
from soundloom.errors import ModelError
from soundloom.frontends import LogMel
from soundloom.models.model_registry import published_stream, register_model
from soundloom.models.names import PartName
from soundloom.models.weights.download import PublishedFile
from soundloom.models.weights.published_checkpoints import Checkpoint, State
from soundloom.models.weights.tensorflow_weights import is_hdf5, is_tflite, read_keras, read_tflite
from soundloom.models.weights.weight_source import WeightSource
from soundloom.models.weights.yamnet_weights import from_keras, from_tflite, shapes

__all__ = ["read_weights", "yamnet"]


def read_weights(path: Path) -> State:
    """The encoder's state from a published file, whichever of the two forms it has.

    Raises:
        ModelError: it is neither, or damaged.
        MissingExtraError: the package that reads the form is not installed.
    """
    if is_hdf5(path):
        return from_keras(read_keras(path))
    if is_tflite(path):
        return from_tflite(read_tflite(path))
    raise ModelError(f"{path} is neither a Keras HDF5 file (yamnet.h5) nor a TFLite graph (yamnet.tflite)")


_CHECKPOINT = Checkpoint(
    name="yamnet",
    title="YAMNet at 16 kHz, trained on 521 AudioSet classes",
    source=PublishedFile(
        address="https://storage.googleapis.com/audioset/yamnet.h5",
        filename="yamnet.h5",
        bytes=15_296_092,
        sha256="13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
        other_forms={
            "687f226c147a2caab4706fbbab5e9cecb14b9a368264bf61108078b1fddf68f5": "yamnet.tflite, weights of 8 bits",
        },
    ),
    format="other",
    licence="Apache-2.0",
    citation="M. Plakal and D. Ellis, YAMNet, in tensorflow/models/research/audioset, 2019",
    shapes=shapes(),
    read=read_weights,
)


@register_model(
    "yamnet",
    title="YAMNet, mean and maximum of 1024 numbers a patch; layers as yamnet#7#14",
    source="Plakal and Ellis 2019 (tensorflow/models), trained on AudioSet",
    layers=YAMNet.available,
    checkpoint=_CHECKPOINT,
    classifies=True,
)
def yamnet(part: PartName, source: WeightSource) -> Stream:
    """YAMNet; fused layers join the patches along time before equation 3 of Niizumi 2022."""
    encoder = YAMNet()
    source.fill(part.word, encoder, "yamnet")
    window = Window(frames=96, hop=48, fixed=True)
    return published_stream(part, LogMel.yamnet(), encoder, window, pooling="mean,max")
