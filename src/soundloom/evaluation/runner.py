"""A model measured on a corpus, by the protocols of the papers: the one door of this room.

    result = evaluate(model, corpus, protocol="linear")
    print(result.scores["linear"])  # linear: accuracy 0.5306 ± 0.0044

Clips are heard once (`hearing`), each protocol gets the vectors it is defined on, and what comes back says all
that the numbers depend on (`results`). Most protocols take a clip's embedding from its start to its end;
`shallow` and `few-shot` take windows of 0.96 s ("each 0.96 second context window", Jansen 2017, 4.2), `chunks`
windows of 1 s (Verma 2023, 2), `correlation` librosa's acoustic features beside the embeddings, and
`ablation` the embedding of a woven model, whose parts it leaves out in turn under the linear protocol.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from soundloom.corpora import Corpus
from soundloom.embedder import Embedder
from soundloom.evaluation import extraction
from soundloom.evaluation.analysis.projection import project
from soundloom.evaluation.extraction import Heard, Listener, Progress
from soundloom.evaluation.protocol_inputs import ABLATED, correlate, measure, weigh_parts
from soundloom.evaluation.protocols import PROTOCOLS
from soundloom.evaluation.results import EvaluationError, Measurement, Result, corpus_digest
from soundloom.evaluation.scores import Score
from soundloom.models.download import cache_home

__all__ = ["GROUPS", "assess", "choices", "default_cache", "environment", "evaluate", "named"]

GROUPS = {"retrieval": ("query-by-example", "leave-one-out"), "clips": ("chunks",)}
"""Names that stand for protocols of the table."""

WINDOWS = {"shallow": 0.96, "few-shot": 0.96, "chunks": 1.0}
"""Seconds of a frame, for the protocols on frames."""


def choices() -> list[str]:
    """Every name that ``protocol`` may be."""
    return [*PROTOCOLS, *GROUPS, "correlation", "ablation"]


def named(protocol: str | Sequence[str]) -> list[str]:
    """The protocols that a name, or several, stand for, each once.

    >>> named(["knn", "retrieval"])
    ['knn', 'query-by-example', 'leave-one-out']

    Raises:
        EvaluationError: no such protocol.
    """
    asked = [protocol] if isinstance(protocol, str) else list(protocol)
    unknown = [name for name in asked if name not in choices()]
    if unknown or not asked:
        raise EvaluationError(f"no protocol {unknown}: choose from {', '.join(choices())}")
    return list(dict.fromkeys(each for name in asked for each in GROUPS.get(name, (name,))))


def default_cache() -> Path:
    """The folder in which embeddings are kept unless another is given."""
    return cache_home() / "evaluation"


def evaluate(
    model: Embedder,
    corpus: Corpus,
    protocol: str | Sequence[str] = "linear",
    *,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    projection: bool = False,
    progress: Callable[[Progress], None] | None = None,
    scored: Callable[[Score, float], None] | None = None,
) -> Result:
    """Measure a model on a corpus.

    Args:
        model: the embedder.
        corpus: the labelled clips.
        protocol: a name of `choices()`, or several.
        settings: protocol -> its settings; the papers' values where none are given.
        seed: what weights, batches, draws and drawn splits come from.
        cache: where embeddings are kept; see `default_cache`.
        workers: how many files are embedded at a time; as many as there are processors if not given.
        projection: also place the embeddings in a plane, for a picture.
        progress: called after every clip that is embedded.
        scored: called with every score, when it is there, and the seconds it took.

    Raises:
        EvaluationError: no such protocol, or none of them that this corpus and model allow; of several, those
            refused are named in the result.
        EmbeddingCacheError: embeddings cannot be kept.
        MissingExtraError: the correlation analysis without librosa.
    """
    heard: dict[str, Heard] = {}

    def hear(listener: Listener) -> Heard:
        if listener.identity not in heard:
            heard[listener.identity] = extraction.hear(
                corpus,
                listener,
                cache=Path(cache) if cache is not None else default_cache(),
                workers=workers or os.cpu_count() or 1,
                progress=progress,
            )
        return heard[listener.identity]

    names = named(protocol)
    return assess(model, corpus, names, hear, settings=settings or {}, seed=seed, projection=projection, scored=scored)


def assess(
    model: Embedder,
    corpus: Corpus,
    names: Sequence[str],
    hear: Callable[[Listener], Heard],
    *,
    settings: Mapping[str, Any],
    seed: int,
    projection: bool = False,
    scored: Callable[[Score, float], None] | None = None,
) -> Result:
    """What `evaluate` does with the protocols' own names, hearing by whatever means it is given.

    Raises:
        EvaluationError: as for `evaluate`.
    """
    chosen = _settings(names, settings)
    fingerprint, digest = model.fingerprint(), corpus_digest(corpus)
    heard: dict[str, Heard] = {}
    measurements, refused = {}, {}
    for name in names:
        heard[name] = hear(_listener(model, name))
        if name == "correlation":
            heard["acoustics"] = hear(extraction.acoustics())
        began = time.monotonic()
        try:
            score = _score(name, model, heard, chosen, seed)
        except EvaluationError as error:
            # One protocol that a corpus does not allow must not cost the others.
            refused[name] = str(error)
            continue
        plain = _plain(chosen.get(name))
        measurements[name] = Measurement(
            score=score,
            clips=len(heard[name].corpus),
            settings=plain,
            config=_hash([metadata.version("soundloom"), fingerprint, digest, name, plain, seed]),
            seconds=time.monotonic() - began,
        )
        if scored is not None:
            scored(score, measurements[name].seconds)
    if not measurements:
        raise EvaluationError("; ".join(refused.values()))
    shown = project(hear(extraction.whole(model)), seed=seed) if projection else None
    left_out = {place: each for sounds in heard.values() for place, each in sounds.left_out.items()}
    return Result(
        model=model.name,
        fingerprint=fingerprint,
        dim=model.dim,
        corpus=corpus.name,
        corpus_digest=digest,
        classes=corpus.classes,
        split_origin=corpus.split_origin,
        clips=len(corpus),
        left_out=tuple(left_out[place] for place in sorted(left_out)),
        seed=seed,
        embedded=max(sounds.fresh for sounds in heard.values()),
        seconds=sum({id(sounds): sounds.seconds for sounds in heard.values()}.values()),
        environment=environment(),
        measurements=measurements,
        refused=refused,
        projection=shown,
    )


def _plain(settings: Any | None) -> dict[str, Any]:
    """Settings as JSON will have them, so that results read again are the same; none if there are none."""
    plain: dict[str, Any] = {} if settings is None else json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain


def _score(name: str, model: Embedder, heard: Mapping[str, Heard], chosen: Mapping[str, Any], seed: int) -> Score:
    """What one protocol says of what was heard for it."""
    if name == "correlation":
        return correlate(heard[name], heard["acoustics"], seed=seed)
    if name == "ablation":
        return weigh_parts(heard[name], model.parts, settings=chosen[name], seed=seed)
    return measure(name, heard[name], settings=chosen[name], seed=seed)


def environment() -> dict[str, Any]:
    """What the numbers were computed with: versions and the kind of machine."""
    packages = ("soundloom", "torch", "numpy", "soundfile", "soxr")
    return {
        **{name: metadata.version(name) for name in packages},
        "python": sys.version.split()[0],
        "system": platform.system(),
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
    }


def _listener(model: Embedder, protocol: str) -> Listener:
    return extraction.windows(model, WINDOWS[protocol]) if protocol in WINDOWS else extraction.whole(model)


def _settings(names: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of each protocol that has some; those of an ablation are the protocol's that it repeats."""
    chosen = {}
    for name in names:
        table = ABLATED if name == "ablation" else name
        if table in PROTOCOLS:
            chosen[name] = given.get(name, PROTOCOLS[table].settings())
            if not isinstance(chosen[name], PROTOCOLS[table].settings):
                raise EvaluationError(
                    f"settings of {name!r} are a {PROTOCOLS[table].settings.__name__}, "
                    f"got a {type(chosen[name]).__name__}"
                )
    strange = sorted(set(given) - set(chosen))
    if strange:
        raise EvaluationError(f"settings for {strange}, but the protocols with settings here are {list(chosen)}")
    return chosen


def _hash(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
