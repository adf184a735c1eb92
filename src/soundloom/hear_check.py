"""Hold a model against the rules of HEAR: ``python -m soundloom.hear_check MODEL``.

The rules of the benchmark's own validator, checked on sounds of the lengths that it uses, without the TensorFlow that
it imports; and one more, that a sound's embedding does not depend on the batch it came in. Prints a line a rule; the
exit code is 1 if one is broken.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from soundloom.errors import SoundloomError
from soundloom.hear import SAMPLE_RATES, HearModel, get_scene_embeddings, get_timestamp_embeddings, load_model

__all__ = ["LENGTHS", "Rule", "check", "main"]

LENGTHS = (1.07, 1.98, 2.74, 4.0)
"""Seconds of the sounds that are embedded."""

_SOUNDS = 2
_TOLERANCE = 1e-4
"""Largest difference between a sound alone and in a batch, relative to the largest number of its embedding."""


@dataclass(frozen=True)
class Rule:
    """A rule, whether it is kept, and what was seen."""

    name: str
    kept: bool
    seen: str


def check(model: HearModel, lengths: Sequence[float] = LENGTHS) -> Iterator[Rule]:
    """Every rule in turn, as it is found kept or broken, on sounds of those lengths in seconds."""
    yield Rule("a torch module", isinstance(model, nn.Module), type(model).__name__)
    yield Rule("sample rate", model.sample_rate in SAMPLE_RATES, f"{model.sample_rate} Hz of {SAMPLE_RATES}")
    for name in ("scene_embedding_size", "timestamp_embedding_size"):
        size = getattr(model, name, None)
        yield Rule(name, isinstance(size, int) and size > 0, repr(size))
    generator = torch.Generator().manual_seed(0)
    for seconds in lengths:
        samples = round(seconds * model.sample_rate)
        audio = 2 * torch.rand(_SOUNDS, samples, generator=generator) - 1
        for rule in (*_scenes(model, audio), *_timestamps(model, audio, 1000 * samples / model.sample_rate)):
            yield Rule(f"{seconds} s: {rule.name}", rule.kept, rule.seen)


def _scenes(model: HearModel, audio: Tensor) -> Iterator[Rule]:
    embeddings = get_scene_embeddings(audio, model)
    yield from _numbers("scene", embeddings, (_SOUNDS, model.scene_embedding_size))
    yield _alone("scene", embeddings, get_scene_embeddings(audio[-1:], model))


def _timestamps(model: HearModel, audio: Tensor, duration: float) -> Iterator[Rule]:
    embeddings, times = get_timestamp_embeddings(audio, model)
    yield from _numbers("timestamp", embeddings, (_SOUNDS, times.shape[-1], model.timestamp_embedding_size))
    yield Rule("times shape", times.shape == embeddings.shape[:2], str(tuple(times.shape)))
    first, last, gaps = times[:, 0], times[:, -1], times.diff(dim=1)
    if gaps.numel():
        hop, spread = float(gaps.mean()), float(gaps.max() - gaps.min())
        yield Rule("times rise", bool((gaps > 0).all()), f"smallest step {float(gaps.min()):.3f} ms")
        yield Rule("times regular within 1 ms", spread <= 1, f"{spread:.3f} ms")
        yield Rule("hop at most 50 ms", hop <= 50, f"{hop:.3f} ms")
        yield Rule("first time at most a hop", bool((first <= hop).all()), f"{float(first.max()):.3f} ms")
    else:
        yield Rule("more than one timestamp", False, str(times.shape[1]))
    yield Rule(
        "last time within the sound", bool((last <= duration).all()), f"{float(last.max()):.3f} of {duration} ms"
    )
    yield _alone("timestamp", embeddings, get_timestamp_embeddings(audio[-1:], model)[0])


def _numbers(what: str, embeddings: Tensor, shape: tuple[int, ...]) -> Iterator[Rule]:
    yield Rule(f"{what} shape", embeddings.shape == shape, f"{tuple(embeddings.shape)} of {shape}")
    yield Rule(f"{what} float32", embeddings.dtype == torch.float32, str(embeddings.dtype))
    yield Rule(f"{what} finite", bool(embeddings.isfinite().all()), f"{int((~embeddings.isfinite()).sum())} are not")


def _alone(what: str, together: Tensor, alone: Tensor) -> Rule:
    difference = float((together[-1] - alone[0]).abs().max() / together[-1].abs().max().clamp_min(1e-12))
    return Rule(f"{what} alone as in a batch", difference <= _TOLERANCE, f"{difference:.1e}")


def main(arguments: list[str]) -> int:
    """Check the model named, or the default one; returns the exit code."""
    if len(arguments) > 1 or any(argument in ("-h", "--help") for argument in arguments):
        print("usage: python -m soundloom.hear_check [MODEL]\n\nMODEL as for soundloom.hear.load_model.")
        return 0 if arguments[0] in ("-h", "--help") else 2
    try:
        model = load_model(*arguments)
    except SoundloomError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    broken = 0
    for rule in check(model):
        print(f"{'ok    ' if rule.kept else 'BROKEN'}  {rule.name:<42} {rule.seen}", flush=True)
        broken += not rule.kept
    print(f"{broken} rules broken" if broken else "all rules kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
