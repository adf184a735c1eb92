"""Evaluation of every layer of an encoder on every corpus (Niizumi 2022, IV-B), and the choice of two to fuse.

The two are a middle and a late layer (III and IV-C).

All layers are computed in one pass. The layers of a stream are aligned to the same frames and pooled number by
number (equations 1 and 3), so an embedding of all layers fused holds that of every single layer as columns:
`single_layers` says which. Nothing is computed again, and nothing changes, for a layer on its own.

The choice, as the paper words it: "the late layers of supervised pre-trained models excel on a set of
downstream tasks D_L, whereas the middle layers perform better on other set of tasks D_M. We choose the middle
layer M, which shows the best average performance for D_M, and the late layer L, which shows the best average
performance for D_L." The paper sorts the tasks by eye ("For the ESC-50/US8K/GTZAN, the peaks are in the late
layers, while for the other tasks, they are in the middle layers"). Read here as: a task is late if its best
layer lies in the later half of the layers, in computing order (of an odd number, the middle one is not late); of
equal scores the earlier layer counts. M may then be a late layer itself, or even L: the averages decide.

When not: with few tasks; M and L are then the best layers of those tasks and of no others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from soundloom.corpora import Corpus
from soundloom.embedder import Embedder, Stream
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import extraction
from soundloom.evaluation.extraction import ExtractionProgress, FeatureExtractor, Features
from soundloom.evaluation.protocols import PROTOCOLS
from soundloom.evaluation.results import EvaluationError, Result
from soundloom.evaluation.runner import evaluate_features
from soundloom.evaluation.scores import Score
from soundloom.evaluation.task_statistics import with_task_statistics

__all__ = ["Choice", "all_layers", "choose", "curves", "evaluate_layers", "layered_streams", "single_layers"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The layers to fuse.

    Attributes:
        middle: M, the best layer on average of the middle tasks; None without such tasks.
        late: L, the best on average of the late tasks; None without such tasks.
        middle_tasks: the tasks whose best layer is not in the later half.
        late_tasks: the others.
        middle_means: layer -> mean over the middle tasks.
        late_means: layer -> mean over the late tasks.
    """

    middle: int | None
    late: int | None
    middle_tasks: tuple[str, ...]
    late_tasks: tuple[str, ...]
    middle_means: Mapping[int, float]
    late_means: Mapping[int, float]


def all_layers(model: Embedder) -> Stream:
    """A stream with all the layers of its encoder fused.

    >>> from soundloom import load
    >>> all_layers(load("vggish", weights="random")).name
    'vggish#2#5#8#10#13#15#18#20#22'

    Raises:
        EvaluationError: a woven model, one with layers named already, or one whose encoder has a single layer.
    """
    stream = _single_stream(model)
    if "#" in stream.name:
        raise EvaluationError(f"{stream.name!r} names layers already: leave out what follows the '#'")
    if len(stream.encoder.available) < 2:
        raise EvaluationError(f"{stream.name!r} has no layers to compare: {_without_layers(stream)}")
    return stream.with_layers(stream.encoder.available)


def layered_streams(model: Embedder) -> list[Stream]:
    """The streams of a model whose encoders have several layers, each with all of them fused.

    Raises:
        EvaluationError: there is none; says what each part has instead.
    """
    if len(model.parts) == 1:
        return [all_layers(model)]
    found = [stream for stream in model.streams if len(stream.encoder.available) > 1]
    if not found:
        raise EvaluationError(
            f"{model.name!r} has no layers to compare: {'; '.join(map(_without_layers, model.embedders))}"
        )
    return [all_layers(stream) for stream in found]


def _single_stream(model: Embedder) -> Stream:
    if len(model.parts) > 1 or not model.streams:
        raise EvaluationError(f"{model.name!r} is woven of {', '.join(model.parts)}: layers are of a single stream")
    return model.streams[0]


def _without_layers(part: Embedder) -> str:
    """Why a part has no layers to compare."""
    for stream in part.streams:
        return f"the encoder of {part.name}, {stream.encoder._get_name()}, has a single layer"
    return f"{part.name} is no stream of front-end and encoder"


def single_layers(model: Embedder) -> dict[int, tuple[Stream, np.ndarray]]:
    """For each fused layer of a stream, the stream of that layer alone, and its columns of the fused embedding.

    Sizes are measured by the streams. A pooling of several statistics puts them one after the other, so a layer
    then has a stretch of columns in each.

    Raises:
        EvaluationError: a woven model, or a stream without named layers.
    """
    stream = _single_stream(model)
    if not stream.wanted or stream.reduction is not None:
        raise EvaluationError(f"{model.name} is not a stream of named layers, unreduced, such as cnn14#3#6")
    singles, first = {}, 0
    for layer in stream.wanted:
        alone = stream.with_layers([layer], stream.pooling)
        stretch = np.arange(first, first + alone.frame_dim)
        columns = np.concatenate([block + stretch for block in range(0, model.dim, model.frame_dim)])
        singles[layer] = alone, columns
        first += alone.frame_dim
    return singles


def evaluate_layers(
    model: Embedder,
    corpus: Corpus,
    protocol: str = "linear",
    *,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Callable[[ExtractionProgress], None] | None = None,
    scored: Callable[[str, Score, float], None] | None = None,
) -> dict[int, Result]:
    """Measure every layer of a stream on a corpus; clips are decoded and embedded once.

    Args:
        model: a stream of the layers to compare, such as ``all_layers(load("cnn14"))``.
        corpus: the labelled clips.
        protocol: a protocol on clips.
        settings: as for `evaluate`.
        seed: as for `evaluate`.
        cache: as for `evaluate`.
        workers: as for `evaluate`.
        progress: as for `evaluate`.
        scored: called with every layer's name, score and seconds.

    Returns:
        Layer number -> the result that `evaluate` has for the model of that layer alone.

    Raises:
        EvaluationError: not a stream of layers, or a protocol that is not one on clips.
    """
    clipwise = [name for name, row in PROTOCOLS.items() if row.clipwise]
    if protocol not in clipwise:
        raise EvaluationError(f"layers are compared by a protocol on clips, of {', '.join(clipwise)}, got {protocol!r}")
    extract = partial(extraction.extract_features, corpus, cache=cache, workers=workers, progress=progress)
    model = with_task_statistics(model, extract)
    singles = single_layers(model)
    features = extract(extraction.clip_extractor(model))

    def only(columns: np.ndarray) -> Callable[[FeatureExtractor], Features]:
        return lambda _: replace(features, vectors=features.vectors[:, columns])

    results = {}
    for layer, (alone, columns) in singles.items():
        results[layer] = evaluate_features(
            alone,
            corpus,
            [protocol],
            only(columns),
            settings=settings or {},
            seed=seed,
            scored=None if scored is None else partial(scored, alone.name),
        )
    return results


def curves(results: Iterable[Result]) -> dict[tuple[str, str], dict[str, dict[int, Score]]]:
    """The results of single layers as curves: (model, protocol) -> corpus -> layer -> score.

    A curve has two layers or more, in computing order, and all corpora of a model the same layers; results that are
    of no such curve are left out.
    """
    found: dict[tuple[str, str], dict[str, dict[int, Score]]] = {}
    for result in results:
        word, _, layer = result.model.partition("#")
        if layer.isdecimal():
            for protocol, score in result.scores.items():
                found.setdefault((word, protocol), {}).setdefault(result.corpus, {})[int(layer)] = score
    whole = {}
    for key, tasks in found.items():
        common = sorted(set.intersection(*(set(curve) for curve in tasks.values())))
        if len(common) > 1:
            whole[key] = {task: {layer: curve[layer] for layer in common} for task, curve in tasks.items()}
    return whole


def choose(tasks: Mapping[str, Mapping[int, float]]) -> Choice:
    """The layers to fuse, from each task's scores by layer, layers in computing order.

    Raises:
        InvalidArgumentError: no tasks, or tasks measured on different layers.
    """
    layers = [tuple(curve) for curve in tasks.values()]
    if not layers or len(set(layers)) > 1 or not layers[0]:
        raise InvalidArgumentError(
            f"tasks must be measured on the same layers, got {dict(zip(tasks, layers, strict=True))}"
        )
    order = layers[0]
    later = order[(len(order) + 1) // 2 :]
    late = tuple(task for task, curve in tasks.items() if _best(curve) in later)
    middle = tuple(task for task in tasks if task not in late)
    middle_means, late_means = (_means(tasks, order, group) for group in (middle, late))
    return Choice(
        middle=_best(middle_means) if middle else None,
        late=_best(late_means) if late else None,
        middle_tasks=middle,
        late_tasks=late,
        middle_means=middle_means,
        late_means=late_means,
    )


def _means(tasks: Mapping[str, Mapping[int, float]], order: Sequence[int], group: Sequence[str]) -> dict[int, float]:
    return {layer: float(np.mean([tasks[task][layer] for task in group])) for layer in order} if group else {}


def _best(curve: Mapping[int, float]) -> int:
    """The layer of the highest score, the earliest of equals."""
    return max(curve, key=lambda layer: curve[layer])
