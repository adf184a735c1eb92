"""The linear model on embeddings, without any sound."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundloom.errors import ModelError
from soundloom.objectives.labels import LOSSES, LabelSettings
from soundloom.recipes.linear import LinearSettings, WindowEmbeddings, train_head


def separable(rows: int = 60) -> tuple[WindowEmbeddings, np.ndarray]:
    """Embeddings far from mean 0 and deviation 1 in which the class is easily seen."""
    generator = np.random.default_rng(0)
    labels = np.arange(rows)[:, None] % 3 == np.arange(3)
    vectors = 50 + 20 * labels @ generator.normal(size=(3, 5)) + generator.normal(size=(rows, 5))
    return WindowEmbeddings(vectors=vectors.astype(np.float32), clips=np.arange(rows)), labels


@pytest.mark.parametrize("hidden", [0, 32])
def test_the_linear_model_learns_and_takes_embeddings_as_they_are(hidden: int) -> None:
    windows, labels = separable()
    settings = LinearSettings(linear_epochs=60, linear_rate=3e-2, linear_final_rate=1e-3, linear_batch=16)
    head = LabelSettings(loss="cross-entropy", hidden=hidden)
    state = torch.get_rng_state()
    trained = train_head(windows.of(np.arange(40)), windows.of(np.arange(40, 50)), labels, head, settings, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.inference_mode():
        outputs = trained(torch.from_numpy(windows.vectors[50:]))
    assert (outputs.argmax(dim=1).numpy() == labels[50:].argmax(axis=1)).all()
    again = train_head(windows.of(np.arange(40)), windows.of(np.arange(40, 50)), labels, head, settings, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), again.parameters(), strict=True))


def test_the_epoch_is_chosen_by_validation() -> None:
    windows, labels = separable()
    wrong = np.roll(labels, 1, axis=1)  # what is learned is the worse for validation the longer it is learned
    known = np.concatenate([labels[:40], wrong[40:]])
    settings = LinearSettings(linear_epochs=40, linear_rate=1e-1, linear_final_rate=1e-1, linear_batch=16)
    head = LabelSettings(loss="cross-entropy", hidden=0)
    fitted = windows.of(np.arange(40)), windows.of(np.arange(40, 60))
    losses = []
    for validated in (fitted[1], None):
        trained = train_head(fitted[0], validated, known, head, settings, seed=0)
        with torch.inference_mode():
            outputs = trained(torch.from_numpy(fitted[1].vectors))
        losses.append(float(LOSSES["cross-entropy"](outputs, torch.from_numpy(known[40:].astype(np.float32)))))
    assert losses[0] < losses[1]
    with pytest.raises(ModelError, match="no windows to train the linear model on"):
        train_head(windows.of(np.zeros(0, np.int64)), None, labels, head, settings, seed=0)
