"""Layouts of the published checkpoints: every key and the shape of its tensor.

Written out from the papers' tables of layers and the names their authors' code gave them; nothing here is read from a
file, so that a file can be held against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

__all__ = ["Shapes", "ast", "cnn14", "coala_audio", "coala_tag", "vggish"]

Shapes = Mapping[str, tuple[int, ...]]
Entries = Iterator[tuple[str, tuple[int, ...]]]


def _affine(name: str, *weight: int, bias: bool = True) -> Entries:
    """A convolution or linear layer: the output size comes first."""
    yield f"{name}.weight", weight
    if bias:
        yield f"{name}.bias", (weight[0],)


def _norm(name: str, size: int, *, batch: bool) -> Entries:
    """Batch normalisation keeps statistics, layer normalisation none."""
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)
    if batch:
        yield f"{name}.running_mean", (size,)
        yield f"{name}.running_var", (size,)
        yield f"{name}.num_batches_tracked", ()


def cnn14(fft: int) -> Entries:
    """Kong 2020, table I, with torchlibrosa's front-end of that FFT size, which PANNs save along."""
    for part in ("real", "imag"):
        yield f"spectrogram_extractor.stft.conv_{part}.weight", (fft // 2 + 1, 1, fft)
    yield "logmel_extractor.melW", (fft // 2 + 1, 64)
    yield from _norm("bn0", 64, batch=True)
    widths = (1, 64, 128, 256, 512, 1024, 2048)
    for block, (incoming, width) in enumerate(pairwise(widths), start=1):
        for conv, channels in ((1, incoming), (2, width)):
            yield from _affine(f"conv_block{block}.conv{conv}", width, channels, 3, 3, bias=False)
            yield from _norm(f"conv_block{block}.bn{conv}", width, batch=True)
    yield from _affine("fc1", 2048, 2048)
    yield from _affine("fc_audioset", 527, 2048)


def vggish() -> Entries:
    """Hershey 2017, section 3.2.3 (configuration A, as released), with the names of torchvggish."""
    convolutions = {0: (64, 1), 3: (128, 64), 6: (256, 128), 8: (256, 256), 11: (512, 256), 13: (512, 512)}
    for index, sizes in convolutions.items():
        yield from _affine(f"features.{index}", *sizes, 3, 3)
    for index, sizes in {0: (4096, 12288), 2: (4096, 4096), 4: (128, 4096)}.items():
        yield from _affine(f"embeddings.{index}", *sizes)


def ast() -> Entries:
    """Gong 2021, section 2.1: a transformer over 12 x 101 patches and two tokens, with transformers' names."""
    body, width = "audio_spectrogram_transformer", 768
    yield f"{body}.embeddings.cls_token", (1, 1, width)
    yield f"{body}.embeddings.distillation_token", (1, 1, width)
    yield f"{body}.embeddings.position_embeddings", (1, 12 * 101 + 2, width)
    yield from _affine(f"{body}.embeddings.patch_embeddings.projection", width, 1, 16, 16)
    for index in range(12):
        layer = f"{body}.encoder.layer.{index}"
        yield from _norm(f"{layer}.layernorm_before", width, batch=False)
        for projection in ("attention.query", "attention.key", "attention.value", "output.dense"):
            yield from _affine(f"{layer}.attention.{projection}", width, width)
        yield from _norm(f"{layer}.layernorm_after", width, batch=False)
        yield from _affine(f"{layer}.intermediate.dense", 4 * width, width)
        yield from _affine(f"{layer}.output.dense", width, 4 * width)
    yield from _norm(f"{body}.layernorm", width, batch=False)
    yield from _norm("classifier.layernorm", width, batch=False)
    yield from _affine("classifier.dense", 527, width)


def coala_audio() -> Entries:
    """Favory 2020, section 2.1: five convolutions and the projection that is compared with the tags'."""
    for index in range(0, 20, 4):
        yield from _affine(f"audio_encoder.{index}", 128, 128 if index else 1, 4, 4)
        yield from _norm(f"audio_encoder.{index + 1}", 128, batch=True)
    yield from _affine("fc_audio.0", 1152, 1152, bias=False)


def coala_tag() -> Entries:
    """Favory 2020, section 2.2: three layers over a 1000-tag vector and their projection."""
    for index, sizes in {0: (512, 1000), 4: (512, 512), 8: (1152, 512)}.items():
        yield from _affine(f"tag_encoder.{index}", *sizes)
        yield from _norm(f"tag_encoder.{index + 1}", sizes[0], batch=True)
    yield from _affine("fc_tag.0", 1152, 1152, bias=False)
