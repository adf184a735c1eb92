"""A stream that no table has, and noise, for the tests of saved models."""

from __future__ import annotations

import numpy as np
import torch

from soundloom.embedder import Embedder, Stream, Window
from soundloom.encoders import (
    Transformer,
    TransformerSettings,
    initialise,
)
from soundloom.frontends import (
    LogMel,
    LogMelSettings,
    NormalisedFrontend,
)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def custom() -> Stream:
    """A stream that no table has: own settings everywhere, learned ranges, weights of its own."""
    settings = LogMelSettings(
        sample_rate=8000, n_fft=256, win_length=200, hop_length=80, bins=24, fmin=30, fmax=3999.5, logarithm="decibel"
    )
    frontend = NormalisedFrontend(LogMel(settings))
    frontend.scale.copy_(torch.linspace(0.5, 2, 24))
    encoder = Transformer(TransformerSettings(bins=24, width=12, depth=2, heads=2, hidden=16, pool_after=(2,)))
    initialise(encoder, seed=7)
    return Stream(
        "mine",
        frontend,
        encoder,
        layers=(2, 1),
        pooling="mean,deviation",
        window=Window(frames=50, fixed=True, fill=-1.25),
        min_samples=400,
    ).eval()


def assert_same(loaded: Embedder, model: Embedder) -> None:
    assert loaded.fingerprint() == model.fingerprint()
    assert (loaded.name, loaded.dim, loaded.frame_dim, loaded.sample_rate, loaded.min_samples, dict(loaded.parts)) == (
        model.name,
        model.dim,
        model.frame_dim,
        model.sample_rate,
        model.min_samples,
        dict(model.parts),
    )
    assert not loaded.training
