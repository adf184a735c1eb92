"""Check of published weights on this machine: the file's hash, its tensors, its mel filters, and a known output.

Known outputs are those of the publishers' own tests:

    yamnet    "Silence", "White noise" and "Sine wave" among the ten highest classes of 3 s of each
              (tensorflow/models, research/audioset/yamnet/yamnet_test.py)
    others    what the model was registered with (`soundloom.models.model_registry.Model.known_output`), such as vggish

For a model without one the embedding of a tone is computed twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from soundloom.cache_folder import cache_home
from soundloom.doctor import Finding
from soundloom.embedder import Embedder
from soundloom.errors import ModelError, SoundloomError, UnknownModelError
from soundloom.frontends import LogMel
from soundloom.models import MODELS, load
from soundloom.models.weights.download import file_hashes
from soundloom.models.weights.published_checkpoints import CHECKPOINTS, Checkpoint, mel_difference
from soundloom.models.weights.weight_store import fetch
from soundloom.tagger import Tagger
from soundloom.tags import class_tags

__all__ = ["check_weights"]

_SECONDS = 3
_RATE = 16000
_AMONG = 10

_MEL_TOLERANCE = 1e-6


def check_weights(name: str, file: str | os.PathLike[str] | None = None) -> list[Finding]:
    """Look at the weights of a model, in the cache or in a file of one's own; nothing is fetched.

    Args:
        name: of a model with published weights, such as ``cnn14``.
        file: the weights; those in the cache if not given.

    Returns:
        What was looked at, as far as it could be: file, tensors, mel filters where the file has them, output.

    Raises:
        UnknownModelError: no such model, or one without published weights.
    """
    row = MODELS.find(name)
    if row.checkpoint is None:
        known = ", ".join(each for each, other in MODELS.items() if other.checkpoint)
        raise UnknownModelError(f"{name!r} has no published weights to check: choose from {known}")
    checkpoint = CHECKPOINTS[row.checkpoint]
    path = cache_home() / "checkpoints" / checkpoint.name / checkpoint.source.filename if file is None else Path(file)
    if not path.is_file():
        source = f": it is fetched from {checkpoint.source.address} when {name} is first used" if file is None else ""
        return [Finding("file", False, f"{path} is not there{source}")]
    findings = [_hashes(checkpoint, path)]
    for subject, check in (
        ("tensors", lambda: _tensors(checkpoint, path)),
        ("mel filters", lambda: _mel_filters(checkpoint, path)),
        ("known output", lambda: _known_output(name, path)),
    ):
        found = _finding(subject, check)
        if found is not None:
            findings.append(found)
            if not found.good and subject == "tensors":
                break  # the rest would fail of the same
    return findings


def _finding(subject: str, check: Callable[[], str | None]) -> Finding | None:
    try:
        text = check()
    except SoundloomError as error:
        return Finding(subject, False, str(error))
    return None if text is None else Finding(subject, True, text)


def _hashes(checkpoint: Checkpoint, path: Path) -> Finding:
    source = checkpoint.source
    sha256, md5 = file_hashes(source, path)
    size = path.stat().st_size
    if sha256 in source.other_forms:
        form = source.other_forms[sha256]
        return Finding("file", True, f"{path}, {size:,} bytes, sha256 {sha256}: as published in another form, {form}")
    if source.accepts(sha256, md5) and source.bytes in (None, size):
        return Finding("file", True, f"{path}, {size:,} bytes, sha256 {sha256}: as published")
    published = f"{source.filename} has {source.size}, {source.digest}"
    return Finding("file", False, f"{path}, {size:,} bytes, sha256 {sha256}: not the published file; {published}")


def _tensors(checkpoint: Checkpoint, path: Path) -> str:
    state = fetch(checkpoint, path, offline=True)
    return f"{len(state)}, of the right names and shapes; {sum(map(Tensor.numel, state.values())):,} numbers"


def _mel_filters(checkpoint: Checkpoint, path: Path) -> str | None:
    """How far the filters in the file are from those that are computed; None where the file has none."""
    state = fetch(checkpoint, path, offline=True)
    if "logmel_extractor.melW" not in state:
        return None
    computed = [LogMel.panns(rate).bank.filters.T for rate in (16000, 32000)]
    stored = state["logmel_extractor.melW"]
    (filters,) = [each for each in computed if each.shape == stored.shape] or [computed[0]]
    difference = mel_difference(state, filters)
    if difference > _MEL_TOLERANCE:
        raise ModelError(f"differ by up to {difference:.3g} from those that are computed, allowed is {_MEL_TOLERANCE}")
    return f"within {difference:.2g} of those that are computed"


def _known_output(name: str, path: Path) -> str:
    model = load(name, weights=path, offline=True)
    tone = _tone(1000)
    known_output = MODELS.find(name).known_output
    if known_output is not None:
        return known_output(model, tone)
    if model.classes:
        return _check_classes(model)
    first, second = (model.embed(tone, _RATE) for _ in range(2))
    if not np.isfinite(first).all() or not np.array_equal(first, second):
        raise ModelError("the embedding of a tone is not finite, or not the same twice")
    return "none was published; the embedding of a tone is finite and the same twice"


def _check_classes(model: Embedder) -> str:
    tags = class_tags(model)
    assert tags is not None  # the encoder has classes
    tagger = Tagger.of_tags(model, tags)
    for sound, expected in _published_sounds():
        scores = tagger.tag(sound, _RATE).clip
        highest = [tag for tag, _ in tagger.highest(scores, _AMONG, 0.0)]
        if expected not in highest:
            raise ModelError(f"{expected!r} is not among the ten highest classes of its sound: {', '.join(highest)}")
    return "silence, white noise and a tone are among the ten highest classes of their sounds"


def _published_sounds() -> Iterator[tuple[Float[np.ndarray, " samples"], str]]:
    samples = _SECONDS * _RATE
    yield np.zeros(samples, np.float32), "Silence"
    yield np.random.default_rng(0).uniform(-1, 1, samples).astype(np.float32), "White noise"
    yield _tone(440), "Sine wave"


def _tone(hertz: float) -> Float[np.ndarray, " samples"]:
    time = np.arange(_SECONDS * _RATE) / _RATE
    return np.sin(2 * np.pi * hertz * time).astype(np.float32)
