"""Models without learned weights (statistics of a front-end over time), and the packaged default model.

The baselines are the front-ends of Jansen 2017 (log-mel), Favory 2020 (MFCC) and Verma 2023 (peak map), summarised by
mean and deviation or mean.
"""

from __future__ import annotations

from soundloom.embedder import Embedder, Stream
from soundloom.encoders import Identity
from soundloom.frontends import MFCC, LogMel, PeakMap
from soundloom.models.model_registry import register_model
from soundloom.models.saved_model import PACKAGED, from_pretrained

__all__ = ["logmel", "loom", "mfcc", "peaks"]


@register_model(
    "loom",
    title="pitch, timbre, texture and general sound events, 792 dimensions in four weighted parts; searchable by words",
    source="trained by soundloom on openly licensed sounds, the general part distilled from YAMNet; in the package",
    layers=(),
    licence="MIT",
)
def loom() -> Embedder:
    """The default model, saved in the package."""
    return from_pretrained(PACKAGED / "loom")


@register_model(
    "logmel",
    title="mean and deviation over time of 64 log-mel bands",
    source="front-end of Jansen 2017, section 4.1; nothing to train",
    layers=(),
    licence="MIT",
)
def logmel() -> Stream:
    """Mean and deviation of log-mel bands."""
    return Stream("logmel", LogMel.jansen(), Identity(), layers=(1,), pooling="mean,deviation")


@register_model(
    "mfcc",
    title="mean and deviation over time of 20 MFCC with first and second differences",
    source="baseline of Favory 2020, section 3.1, at 16 kHz; nothing to train",
    layers=(),
    licence="MIT",
)
def mfcc() -> Stream:
    """Mean and deviation of cepstral coefficients and their differences."""
    return Stream("mfcc", MFCC.coala(), Identity(), layers=(1,), pooling="mean,deviation")


@register_model(
    "peaks",
    title="how often each of 80 semitones from 40 Hz is a spectral peak",
    source="peak map of Verma 2023, section 3.1, averaged over time; nothing to train",
    layers=(),
    licence="MIT",
)
def peaks() -> Stream:
    """Mean of the peak map."""
    return Stream("peaks", PeakMap.verma(), Identity(), layers=(1,), pooling="mean")
