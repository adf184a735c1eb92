"""A lesson small enough to be learned in a second: three classes of noise, a stream and an objective to tell them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from soundloom.embedder import Stream, Window
from soundloom.encoders import Encoder, ResNet, ResNetSettings, Transformer, TransformerSettings, initialise
from soundloom.frontends import LogMel
from soundloom.objectives.base import Batch, Objective
from soundloom.training import Run, TrainingSettings, Validation, fit

FRAMES = 16


class Telling(Objective):
    """Tell three classes; what it forgets at random shows whether chance is a function of the step."""

    def __init__(self, dim: int, *, forget: float = 0.2) -> None:
        super().__init__()
        self.forget = forget
        self.head = nn.Linear(dim, 3)
        with torch.no_grad():
            self.head.weight.copy_(torch.linspace(-1, 1, 3 * dim).view(3, dim))
            self.head.bias.zero_()

    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        embeddings = functional.dropout(stream.embed_window(batch["sounds"]), self.forget, self.training)
        outputs = self.head(embeddings)
        right = outputs.argmax(dim=1) == batch["classes"]
        return {"loss": functional.cross_entropy(outputs, batch["classes"]), "accuracy": right.float().mean()}


def draw(step: int, batch: int = 8) -> Batch:
    generator = np.random.default_rng([5, step])
    classes = generator.integers(3, size=batch)
    sounds = generator.normal(size=(batch, 1, 64, FRAMES)) + classes[:, None, None, None]
    return {"sounds": torch.from_numpy(sounds.astype(np.float32)), "classes": torch.from_numpy(classes)}


def validation() -> Validation:
    return Validation(sampler=lambda number: draw(10**6 + number), batches=2)


def stream(name: str = "lesson", *, attentive: bool = False) -> Stream:
    """Of a ResNet; or, attentive, of a transformer, which has neither batch normalisation nor, here, dropout."""
    encoder: Encoder
    if attentive:
        encoder = Transformer(TransformerSettings(bins=64, width=8, depth=2, heads=2, dropout=0.0, pool_after=(2,)))
    else:
        encoder = ResNet(ResNetSettings(depths=(1,), widths=(8,), bottleneck=False, dim=6))
    initialise(encoder, 0)
    window = Window(frames=FRAMES, fixed=True, fill=math.log(0.01))
    return Stream(name, LogMel.jansen(), encoder, layers=None, pooling="mean", window=window)


def settings(**changes: Any) -> TrainingSettings:
    shared = {"steps": 12, "batch": 8, "rate": 1e-2, "validate_every": 4, "log_every": 3, "checkpoint_minutes": 0.0}
    return TrainingSettings(**{**shared, **changes})


def learn(
    folder: Path, changes: dict[str, Any] | None = None, *, attentive: bool = False, **options: Any
) -> tuple[Run, dict[str, Tensor]]:
    """Fit the lesson; the run and the weights."""
    learner = stream(attentive=attentive)
    objective = Telling(learner.dim, forget=0.0 if attentive else 0.2)
    options = {"sampler": draw, "validation": validation(), **options}
    sampler = options.pop("sampler")
    run = fit(learner, objective, sampler, settings=settings(**(changes or {})), folder=folder, **options)
    return run, {name: tensor.clone() for name, tensor in learner.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether weights are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
