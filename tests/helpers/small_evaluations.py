"""Four families of sounds, and quick evaluations on them."""

from __future__ import annotations

import soundfile

from soundloom.evaluation import (
    FewShotSettings,
    KNNSettings,
    LinearProbeSettings,
    ProbeTraining,
    ShallowSettings,
)
from soundloom.evaluation.runner import evaluate, protocol_names
from soundloom.synth import render

FAMILIES = ("bell", "drum", "flute", "rain")


QUICK = {
    "linear": LinearProbeSettings(rates=(1e-2,), runs=2, training=ProbeTraining(epochs=5)),
    "ablation": LinearProbeSettings(rates=(1e-2,), runs=2, training=ProbeTraining(epochs=5)),
    "knn": KNNSettings(k=3),
    "few-shot": FewShotSettings(
        segments=4, draws=2, classifier=ShallowSettings(hidden=8, training=ProbeTraining(epochs=3))
    ),
}


def render_families(folder):
    """A folder of folders: four families of eight sounds."""
    for family in FAMILIES:
        (folder / family).mkdir()
        for index in range(8):
            sound = render(family, index)
            soundfile.write(folder / family / f"{index}.wav", sound.samples, sound.sample_rate)
    return folder


def quick_runs(cache):
    """`evaluate` with quick settings and a cache of its own."""

    def run(model, corpus, protocol="knn", **options):
        names = protocol_names(protocol)
        settings = {name: QUICK[name] for name in names if name in QUICK}
        return evaluate(model, corpus, names, settings=settings, cache=cache, workers=2, **options)

    return run
