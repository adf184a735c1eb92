"""Reproduction of Favory 2020, tables 1 and 2: embeddings learned from tags, with and without autoencoders.

    table 1      a perceptron of 256 on standardised embeddings of clips, ten runs, the corpus's own splits
    table 2      mean canonical correlations with acoustic features
    tags         tag -> sounds that were not learned from: mean over tags of the average precision
    suggestions  sound that was not learned from -> tags: mean over sounds of the average precision

Rows are AE-C, E-C and CNN, trained on the same sounds from the same seed, and MFCCs without learning. The collections
to measure on are given; none of their clips may be among the sounds to learn from.

Table 2's canonical correlations grow with the number of directions beside the number of clips: two random matrices of
1152 and 20 columns over 2,000 clips have correlations of 0.76. The paper had 19,000 clips. So they are taken with the
first principal components of the embeddings alone (as Raghu 2017 begins), equally many for every row, and on the
collections to measure on, not on the few sounds kept apart.

Tags are ranked for among the sounds kept apart to validate on, which decide nothing in training. The CNN
ranks by its probabilities, AE-C and E-C by the cosine that they were trained for and also as a library does. Tags are
suggested by how probable they are (`soundloom.tags.suggestions`), and by the tag decoder where there is one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from soundloom.corpora import Corpus
from soundloom.embedder import Embedder
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import extraction
from soundloom.evaluation.analysis.correlation import canonical_correlations
from soundloom.evaluation.analysis.projection import principal_components
from soundloom.evaluation.probes.mlp import MLPSettings
from soundloom.evaluation.results import EvaluationError, write_whole
from soundloom.evaluation.runner import environment, evaluate
from soundloom.evaluation.scores import average_precisions
from soundloom.models import from_pretrained, load
from soundloom.objectives.alignment import AlignmentSettings
from soundloom.recipes import coala
from soundloom.recipes.coala import CoalaRecipe
from soundloom.recipes.validation_split import train_valid_split
from soundloom.reproduce.coala_tables import markdown
from soundloom.reproduce.reporter import SILENT, Reporter
from soundloom.tags import AlignedTags
from soundloom.training.flat_config import flatten

__all__ = ["CASES", "CoalaResult", "CoalaSettings", "as_a_library", "reproduce", "tables", "write"]

CASES: Mapping[str, Callable[[], AlignmentSettings]] = {
    "ae-c": AlignmentSettings,
    "e-c": AlignmentSettings.e_c,
    "cnn": AlignmentSettings.cnn,
}
"""Row -> its weights of the losses."""

_WEIGHTS = ("audio_weight", "tag_weight", "contrast_weight", "direct_weight")


@dataclass(frozen=True, kw_only=True)
class CoalaSettings:
    """What is measured, besides the recipe that trains.

    Attributes:
        runs: trainings of each perceptron that are averaged.
        components: principal components of the embeddings that table 2 looks at.
        fewest: sounds that a tag needs, among those kept apart as among those learned from, to be ranked for.
        seed: of perceptrons and random rankings.
    """

    runs: int = 10
    components: int = 64
    fewest: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("runs", 1), ("components", 1), ("fewest", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidArgumentError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class CoalaResult:
    """What was measured.

    Attributes:
        tasks: corpus -> row -> accuracy (or macro mAP, where clips have several labels), the mean over runs.
        spreads: corpus -> row -> half the 95 % interval of it.
        correlations: corpus -> row -> feature -> statistic -> mean canonical correlation.
        retrieval: what ranked sounds for a tag -> mAP over tags.
        suggestions: what ranked tags for a sound -> mAP over sounds.
        learned: sounds that were learned from.
        apart: sounds kept apart.
        tags: words of the vocabulary.
        ranked: those that were ranked for.
        learned_from: name of the collection of these sounds.
        recipe: what was trained.
        settings: what was measured.
    """

    tasks: Mapping[str, Mapping[str, float]]
    spreads: Mapping[str, Mapping[str, float]]
    correlations: Mapping[str, Mapping[str, Any]]
    retrieval: Mapping[str, float]
    suggestions: Mapping[str, float]
    learned: int
    apart: int
    tags: int
    ranked: int
    learned_from: str
    recipe: CoalaRecipe
    settings: CoalaSettings


def reproduce(
    corpora: Sequence[Corpus],
    sounds: Corpus,
    recipe: CoalaRecipe,
    settings: CoalaSettings,
    out: Path,
    reporter: Reporter = SILENT,
) -> CoalaResult:
    """Train the three cases and measure them.

    Args:
        corpora: labelled clips to measure on.
        sounds: with tags, to learn from.
        recipe: what learns, how, and for how long; its weights are the cases'.
        settings: what is measured.
        out: a folder for runs; a stopped reproduction goes on from there.
        reporter: takes the progress.

    Raises:
        CorpusError: the sounds have no tags.
        EvaluationError: a corpus cannot be measured on.
        TrainingError: a run cannot begin, go on, or be kept.
    """
    models: dict[str, Embedder] = {}
    for case in CASES:
        reporter.say(f"training {case}")
        folder = out / case
        _case(recipe, case).run(sounds, folder, reporter.run_options)
        models[case] = from_pretrained(folder)
    known, vocabulary = coala.tagged(sounds, recipe)
    learned, apart = train_valid_split(known, recipe.validation, recipe.training.seed, by_class=True)

    tasks, spreads, correlations = _measured(corpora, {**models, "mfcc": load("mfcc")}, settings, reporter)
    found = _Apart(retrieval={}, suggestions={}, ranked=0)
    if len(apart):
        reporter.say("ranking sounds by tags")
        taught = known.label_matrix()[learned].sum(axis=0)
        held_out = known.filter(mask=np.isin(np.arange(len(known)), apart))
        sides = {case: AlignedTags.load(out / case) for case in CASES}
        found = _apart(models, sides, held_out, taught, settings)
    return CoalaResult(
        tasks=tasks,
        spreads=spreads,
        correlations=correlations,
        retrieval=found.retrieval,
        suggestions=found.suggestions,
        learned=len(learned),
        apart=len(apart),
        tags=len(vocabulary),
        ranked=found.ranked,
        learned_from=sounds.name,
        recipe=recipe,
        settings=settings,
    )


def write(found: CoalaResult, out: Path) -> dict[str, Any]:
    """Write results.json and tables.md; returns everything measured as plain data."""
    results = asdict(found) | {"paper": "Favory 2020", "recipe": flatten(found.recipe), "environment": environment()}
    results["learned from"] = results.pop("learned_from")
    write_whole(out / "results.json", json.dumps(results, indent=1))
    write_whole(out / "tables.md", tables(found))
    return results


def tables(found: CoalaResult) -> str:
    """Both tables in Markdown, under a line on what was learned and measured."""
    about = (
        f"Learned from {found.learned} sounds of {found.learned_from} with {found.tags} tags. Accuracies in percent "
        f"are means of {found.settings.runs} runs, in brackets the paper's; correlations are with "
        f"{found.settings.components} principal components; {found.apart} sounds were kept apart and ranked for "
        f"{found.ranked} tags."
    )
    return markdown(found.tasks, found.correlations, found.retrieval, found.suggestions, about)


def _case(recipe: CoalaRecipe, case: str) -> CoalaRecipe:
    """The recipe with a case's weights; what else its losses are set to stays."""
    weights = {name: getattr(CASES[case](), name) for name in _WEIGHTS}
    return replace(recipe, objective=replace(recipe.objective, **weights))


def _measured(
    corpora: Sequence[Corpus], models: Mapping[str, Embedder], settings: CoalaSettings, reporter: Reporter
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]], dict[str, dict[str, Any]]]:
    """Tables 1 and 2: accuracies, their intervals, and correlations where there are clips enough."""
    tasks: dict[str, dict[str, float]] = {}
    spreads: dict[str, dict[str, float]] = {}
    correlations: dict[str, dict[str, Any]] = {}
    chosen = {"mlp": MLPSettings(runs=settings.runs)}
    for corpus in corpora:
        for row, model in models.items():
            reporter.say(f"measuring {row} on {corpus.name}")
            score = evaluate(model, corpus, "mlp", settings=chosen, seed=settings.seed).scores["mlp"]
            tasks.setdefault(corpus.name, {})[row] = score.mean
            spreads.setdefault(corpus.name, {})[row] = score.interval or 0.0
            if row in CASES and len(corpus) > 2 * settings.components + 40:
                reporter.say(f"correlating {row} on {corpus.name}")
                correlations.setdefault(corpus.name, {})[row] = _correlated(model, corpus, settings.components)
    return tasks, spreads, correlations


def _correlated(model: Embedder, corpus: Corpus, components: int) -> dict[str, dict[str, float]]:
    """Feature -> statistic -> mean canonical correlation with the embeddings' first principal components."""
    mine = extraction.extract_features(corpus, extraction.clip_extractor(model))
    theirs = extraction.extract_features(corpus, extraction.acoustic_extractor(published=True))
    _, places, others = np.intersect1d(mine.positions, theirs.positions, return_indices=True)
    reduced = principal_components(mine.vectors[places], components)
    table = extraction.named_statistics(theirs.vectors[others])
    try:
        return {
            feature: {
                statistic: float(canonical_correlations(reduced, values).mean()) for statistic, values in by.items()
            }
            for feature, by in table.items()
        }
    except ValueError as error:
        raise EvaluationError(f"correlation on {corpus.name}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class _Apart:
    """How well tags and the sounds kept apart find each other.

    Attributes:
        retrieval: what ranked sounds for a tag -> mAP over tags.
        suggestions: what ranked tags for a sound -> mAP over sounds.
        ranked: tags that were ranked for.
    """

    retrieval: Mapping[str, float]
    suggestions: Mapping[str, float]
    ranked: int


def _apart(
    models: Mapping[str, Embedder],
    sides: Mapping[str, AlignedTags],
    held_out: Corpus,
    taught: Int[np.ndarray, " tags"],
    settings: CoalaSettings,
) -> _Apart:
    """Rank the sounds kept apart for each tag, and the tags that were learned for each of them.

    Args:
        models: case -> what was trained.
        sides: case -> its tags' side.
        held_out: the sounds kept apart.
        taught: on how many of the sounds that were learned from each tag was.
        settings: what is measured.
    """
    sounds: dict[str, np.ndarray] = {}
    words: dict[str, np.ndarray] = {}
    truth = held_out.label_matrix()
    for case, model in models.items():
        features, side = extraction.extract_features(held_out, extraction.clip_extractor(model)), sides[case]
        truth = features.corpus.label_matrix()
        vectors = torch.from_numpy(features.vectors)
        sounds[case] = side.scores(vectors).numpy()
        words[case] = side.suggestion_scores(vectors).numpy()
        if side.encoder is not None:
            sounds[f"{case}, as a library ranks"] = as_a_library(features.vectors, side, side.vocabulary.tags)
        predicted = side.predict(vectors)
        if predicted is not None and side.encoder is not None:
            words[f"{case}, decoded"] = predicted.numpy()
    words["how frequent each is"] = np.tile(taught, (len(truth), 1))
    count = truth.sum(axis=0)
    known = taught >= settings.fewest
    frequent = known & (count >= settings.fewest) & (count < len(truth))
    if not frequent.any():
        return _Apart(retrieval={}, suggestions={}, ranked=0)
    tagged = truth[:, known].any(axis=1)
    generator = np.random.default_rng(settings.seed)
    draws = [generator.random(truth.shape) for _ in range(20)]

    def found(scores: Float[np.ndarray, "clips tags"]) -> float:
        return _mean_precision(scores[:, frequent], truth[:, frequent])

    def suggested(scores: Float[np.ndarray, "clips tags"]) -> float:
        return _mean_precision(scores[tagged][:, known].T, truth[tagged][:, known].T)

    retrieval = {name: found(scores) for name, scores in sounds.items()}
    suggestions = {name: suggested(scores) for name, scores in words.items()}
    retrieval["chance"] = float(np.mean([found(draw) for draw in draws]))
    suggestions["chance"] = float(np.mean([suggested(draw) for draw in draws]))
    return _Apart(retrieval=retrieval, suggestions=suggestions, ranked=int(frequent.sum()))


def as_a_library(
    vectors: Float[np.ndarray, "clips dim"], side: AlignedTags, tags: Sequence[str]
) -> Float[np.ndarray, "clips tags"]:
    """What a library of these clips would rank by for each tag; see `soundloom.library.search.tag_query`."""
    centred = vectors - vectors.mean(axis=0)
    deviations = vectors.std(axis=0)
    standard = np.divide(centred, deviations, out=np.zeros_like(centred), where=deviations > 0)
    standard /= np.maximum(np.linalg.norm(standard, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    middle = side.common(torch.from_numpy(vectors))
    directions = np.stack([side.direction([tag], around=middle).numpy() for tag in tags])
    return np.asarray(standard @ (directions * deviations).T)


def _mean_precision(scores: Float[np.ndarray, "rows columns"], truth: Bool[np.ndarray, "rows columns"]) -> float:
    return float(average_precisions(np.ascontiguousarray(scores), np.ascontiguousarray(truth)).mean())
