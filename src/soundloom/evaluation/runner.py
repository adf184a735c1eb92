"""Evaluation of a model on a corpus by the protocols of the papers: features, scores, and what they depend on.

    result = evaluate(model, corpus, protocol="linear")
    print(result.scores["linear"])  # linear: accuracy 0.5306 ± 0.0044

Features are extracted once (`extraction`); each protocol gets those it is defined on. The result says all that the
numbers depend on (`results`). Most protocols take a clip's embedding from its start to its end;
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from soundloom import corpora
from soundloom.components import from_plain, is_object_name
from soundloom.corpora import Corpus, CorpusError
from soundloom.embedder import Embedder
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import extraction
from soundloom.evaluation.analysis.projection import project
from soundloom.evaluation.extraction import ExtractionProgress, FeatureExtractor, Features
from soundloom.evaluation.protocols import PROTOCOLS, Protocol, find_protocol
from soundloom.evaluation.results import EvaluationError, Measurement, Result, corpus_digest
from soundloom.evaluation.scores import Score
from soundloom.evaluation.task_statistics import with_task_statistics
from soundloom.evaluation.training_clips import TrainingClips, find_training_clips
from soundloom.letter_case import suggestion
from soundloom.models import load

__all__ = [
    "GROUPS",
    "environment",
    "evaluate",
    "evaluate_features",
    "protocol_choices",
    "protocol_names",
]

GROUPS = {"retrieval": ("query-by-example", "leave-one-out"), "clips": ("chunks",)}
"""Names that stand for protocols of the table."""


def protocol_choices() -> list[str]:
    """Every name that ``protocol`` may be."""
    return [*PROTOCOLS, *GROUPS]


def protocol_names(protocol: str | Sequence[str]) -> list[str]:
    """The protocols that a name, or several, stand for, each once.

    >>> protocol_names(["knn", "retrieval"])
    ['knn', 'query-by-example', 'leave-one-out']

    Raises:
        EvaluationError: no such protocol.
    """
    asked = [protocol] if isinstance(protocol, str) else list(protocol)
    unknown = [name for name in asked if not is_object_name(name) and name not in protocol_choices()]
    if unknown or not asked:
        choose = suggestion(", ".join(unknown), protocol_choices(), f"choose from {', '.join(protocol_choices())}")
        raise EvaluationError(f"no protocol {', '.join(unknown)}: {choose}")
    return list(dict.fromkeys(each for name in asked for each in GROUPS.get(name, (name,))))


def evaluate(
    model: str | Embedder,
    corpus: str | os.PathLike[str] | Corpus,
    protocol: str | Sequence[str] = "linear",
    *,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    projection: bool = False,
    trained_on: TrainingClips | None = None,
    progress: Callable[[ExtractionProgress], None] | None = None,
    scored: Callable[[Score, float], None] | None = None,
) -> Result:
    """Measure a model on a corpus.

    Args:
        model: the embedder, or a name as `soundloom.load` takes it.
        corpus: the labelled clips, or their folder, CSV or parquet file as `soundloom.corpora.load` takes it.
        protocol: a name of `protocol_choices()`, or several.
        settings: protocol -> its settings; the papers' values where none are given. Settings are a mapping, such as
            ``{"knn": {"k": 3}}``, or of the class `Protocol.settings` of the protocol, which documents them:
            `find_protocol("knn").settings` is `soundloom.evaluation.probes.knn.KNNSettings`.
        seed: what weights, batches, draws and drawn splits come from.
        cache: where embeddings are kept; see `soundloom.evaluation.embedding_cache.default_cache`.
        workers: how many files are embedded at a time; as many as there are processors if not given.
        projection: also place the embeddings in a plane, for a picture.
        trained_on: the clips that a loaded model was trained on; of one that is given by its name they are found.
        progress: called after every clip that is embedded.
        scored: called with every score, when it is there, and the seconds it took.

    Raises:
        EvaluationError: no such protocol or setting, or none of them that this corpus and model allow; of several,
            those refused are named in the result.
        ModelError: no such model.
        CorpusError: no such corpus.
        EmbeddingCacheError: embeddings cannot be kept.
        MissingExtraError: the correlation analysis without librosa.
    """
    names = protocol_names(protocol)
    clips = find_training_clips(model) if isinstance(model, str | os.PathLike) else trained_on
    model, corpus = _loaded(model), _read(corpus)
    features: dict[str, Features] = {}

    def extract(extractor: FeatureExtractor) -> Features:
        if extractor.identity not in features:
            features[extractor.identity] = extraction.extract_features(
                corpus, extractor, cache=cache, workers=workers, progress=progress
            )
        return features[extractor.identity]

    model = with_task_statistics(model, extract)
    result = evaluate_features(
        model, corpus, names, extract, settings=settings or {}, seed=seed, projection=projection, scored=scored
    )
    return dataclasses.replace(result, trained_on=clips.count(corpus, workers) if clips else 0)


def _loaded(model: Any) -> Embedder:
    """A model, loaded if it is given by its name."""
    if isinstance(model, str | os.PathLike):
        return load(model)
    if not isinstance(model, Embedder):
        raise EvaluationError(f"model is a {type(model).__name__}: give a name, or what soundloom.load gives")
    return model


def _read(corpus: Any) -> Corpus:
    """A corpus, read if it is given by its path."""
    if isinstance(corpus, str | os.PathLike):
        return corpora.load(corpus)
    if not isinstance(corpus, Corpus):
        raise EvaluationError(f"corpus is a {type(corpus).__name__}: give a folder, or what corpora.load gives")
    return corpus


def evaluate_features(
    model: Embedder,
    corpus: Corpus,
    names: Sequence[str],
    extract: Callable[[FeatureExtractor], Features],
    *,
    settings: Mapping[str, Any],
    seed: int,
    projection: bool = False,
    scored: Callable[[Score, float], None] | None = None,
) -> Result:
    """What `evaluate` does with the protocols' own names, with features from whatever function it is given.

    Raises:
        EvaluationError: as for `evaluate`.
    """
    protocols = {name: find_protocol(name) for name in names}
    chosen = _settings(protocols, settings)
    fingerprint, digest = model.fingerprint(), corpus_digest(corpus)
    features: dict[str, list[Features]] = {}
    measurements, refused = {}, {}
    for name, protocol in protocols.items():
        try:
            with _named(name, corpus):
                protocol.check(corpus, settings=chosen.get(name), seed=seed)
            features[name] = [extract(extractor) for extractor in protocol.extractors(model)]
            measured = _measured(
                name, protocol, features[name], model.parts, chosen.get(name), seed=seed, of=(fingerprint, digest)
            )
        except EvaluationError as error:
            # One protocol that a corpus does not allow must not cost the others.
            refused[name] = str(error)
            continue
        measurements[name] = measured
        if scored is not None:
            scored(measured.score, measured.seconds)
    if not measurements:
        raise EvaluationError("; ".join(refused.values()))
    shown = project(extract(extraction.clip_extractor(model)), seed=seed) if projection else None
    taken = [each for of_protocol in features.values() for each in of_protocol]
    left_out = dict(item for each in taken for item in each.left_out.items())
    return Result(
        model=model.name,
        fingerprint=fingerprint,
        dim=model.dim,
        corpus=corpus.name,
        corpus_digest=digest,
        classes=corpus.classes,
        split_origin=corpus.split_origin,
        clips=len(corpus),
        left_out=tuple(left_out[index] for index in sorted(left_out)),
        seed=seed,
        embedded=max(each.fresh for each in taken),
        seconds=sum({id(each): each.seconds for each in taken}.values()),
        environment=environment(),
        measurements=measurements,
        refused=refused,
        projection=shown,
    )


def _plain(settings: Any | None) -> dict[str, Any]:
    """Settings as JSON will have them, so that results read again are the same; none if there are none."""
    plain: dict[str, Any] = {} if settings is None else json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain


def _measured(
    name: str,
    protocol: Protocol,
    features: Sequence[Features],
    parts: Mapping[str, slice],
    settings: Any,
    *,
    seed: int,
    of: tuple[str, str],
) -> Measurement:
    """The measurement of one protocol on its features, of a model and a corpus by their hashes."""
    began = time.monotonic()
    score = _score(name, protocol, features, parts, settings, seed)
    plain = _plain(settings)
    return Measurement(
        score=score,
        clips=len(features[0].corpus),
        tested=protocol.tested(features, seed=seed),
        settings=plain,
        config=_hash([metadata.version("soundloom"), *of, name, plain, seed]),
        seconds=time.monotonic() - began,
    )


def _score(
    name: str, protocol: Protocol, features: Sequence[Features], parts: Mapping[str, slice], settings: Any, seed: int
) -> Score:
    """The score of one protocol on its features; a refusal names the protocol and the corpus."""
    corpus = features[0].corpus
    with _named(name, corpus):
        if not len(corpus):
            raise InvalidArgumentError("none of its clips could be decoded")
        return protocol.score(features, parts, settings=settings, seed=seed)


@contextmanager
def _named(protocol: str, corpus: Corpus) -> Iterator[None]:
    """A refusal names the protocol and the corpus."""
    try:
        yield
    except (ValueError, CorpusError) as error:
        raise EvaluationError(f"{protocol} on {corpus.name}: {error}") from error


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


def _settings(protocols: Mapping[str, Protocol], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of each protocol that has some."""
    chosen = {}
    for name, protocol in protocols.items():
        kind = protocol.settings
        if kind is not None:
            asked = given.get(name, kind())
            if isinstance(asked, Mapping):
                asked = from_plain(kind, asked, f"settings of {name!r}", error=EvaluationError)
            if not isinstance(asked, kind):
                raise EvaluationError(
                    f"settings of {name!r} are a mapping or a {kind.__name__}, got a {type(asked).__name__}"
                )
            chosen[name] = asked
    strange = sorted(set(given) - set(chosen))
    if strange:
        raise EvaluationError(f"settings for {strange}, but the protocols with settings here are {list(chosen)}")
    return chosen


def _hash(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
