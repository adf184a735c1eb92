"""Reproduction of Verma 2023, tables 1 and 2: streams of one property each, alone and in every combination.

The paper trains and tests within one labelled set, FSD50K, on its official split. So it is here: streams are trained on
the clips that are not tested (`recipes.diverse`), frozen, and the same linear model is trained on every subset of their
embeddings. A set with folds is gone through fold by fold, each being tested once; else the official test part is.

Table 1 is the top-5 accuracy of chunks of 1 s, table 2 the macro mAP of clips by their averaged chunks. The paper's
numbers are of FSD50K's 200 classes and are comparable in their order only, unless that is the set.

Each fold keeps its streams' runs and the outputs of its linear models, so that what was stopped goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from soundloom.atomic_file import replacing
from soundloom.corpora import Corpus, CorpusError
from soundloom.embedder import Embedder
from soundloom.evaluation.analysis.contributions import Contributions, contributions, mean_of, plot
from soundloom.evaluation.analysis.shapley import Subset, subsets_of
from soundloom.evaluation.results import write_whole
from soundloom.objectives.labels import SCORES, LabelHead
from soundloom.recipes import diverse
from soundloom.recipes.diverse import DiverseRecipe
from soundloom.recipes.initial_stream import streams_of
from soundloom.recipes.linear import WindowEmbeddings, embed_windows, train_head
from soundloom.recipes.validation_split import train_valid_split
from soundloom.reproduce.reporter import SILENT, Reporter
from soundloom.training.flat_config import flatten

__all__ = ["PAPER_MAP", "PAPER_TOP", "Reproduction", "markdown", "reproduce", "write"]

PAPER_TOP: Mapping[Subset, float] = {
    ("pitch",): 0.272,
    ("timbre",): 0.342,
    ("neuralogram",): 0.437,
    ("waveform",): 0.419,
    diverse.DIVERSE: 0.449,
}
"""Table 1: feature set -> top-5 accuracy on FSD50K with 1 s input."""

PAPER_MAP: Mapping[Subset, float] = {("waveform",): 0.565, diverse.DIVERSE: 0.596}
"""Table 2: feature set -> mAP on FSD50K."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reproduction:
    """What was measured.

    Attributes:
        corpus: its name.
        classes: of the corpus.
        recipe: what was trained.
        folds: what each test part is called.
        found: of each of them.
        parameters: part -> parameters of its stream, ``network`` those of the Neuralogram's; and of the heads.
    """

    corpus: str
    classes: tuple[str, ...]
    recipe: DiverseRecipe
    folds: tuple[str, ...]
    found: tuple[Contributions, ...]
    parameters: Mapping[str, int]

    @property
    def mean(self) -> Contributions:
        """All folds as one."""
        return mean_of(self.found)

    def column(self, subset: Subset, metric: str) -> list[float]:
        """A subset's metric in every fold."""
        return [getattr(one.measured[subset], metric) for one in self.found]


def reproduce(
    corpus: Corpus,
    recipe: DiverseRecipe,
    out: Path,
    reporter: Reporter = SILENT,
    *,
    folds: slice = slice(None),
) -> Reproduction:
    """Train and measure.

    Args:
        corpus: labelled sounds with folds or an official test part.
        recipe: of the streams and the linear model.
        out: a folder for runs and results; a stopped reproduction goes on from there.
        reporter: takes the progress.
        folds: which of the folds to test, in their order: ``slice(3)`` the first three, ``slice(2, 5)`` the third to
            the fifth.

    Raises:
        CorpusError: the corpus has neither folds nor a test part.
        TrainingError: a stream cannot be trained.
    """
    found, names, parameters = [], [], {}
    splits = _train_test_splits(corpus)
    if not splits[folds]:
        raise CorpusError(f"{corpus.name} has {len(splits)} test parts, which are none of those asked for")
    for name, learned, tested in splits[folds]:
        reporter.say(f"{corpus.name}, {name}: {len(learned)} clips to learn from, {len(tested)} to test")
        folder = out / name
        recipe.run(learned, folder, reporter.run_options)
        model = diverse.model_of(folder, recipe.streams)
        outputs, windows = _outputs(model, learned, tested, recipe, folder)
        clips, owners = np.unique(windows.clips, return_inverse=True)
        found.append(contributions(outputs, owners, tested.label_matrix()[clips], recipe.streams))
        names.append(name)
        parameters = _parameters(model, recipe, len(corpus.classes))
    return Reproduction(
        corpus=corpus.name,
        classes=corpus.classes,
        recipe=recipe,
        folds=tuple(names),
        found=tuple(found),
        parameters=parameters,
    )


def write(found: Reproduction, out: Path) -> str:
    """Write results.json, tables.md and subsets.png; returns the tables."""
    text = markdown(found)
    every = found.mean
    subsets = [
        {
            "parts": list(subset),
            "top-5 at 1 s": found.column(subset, "top"),
            "clip mAP": found.column(subset, "precision"),
        }
        for subset in every.measured
    ]
    data = {
        "corpus": found.corpus,
        "folds": list(found.folds),
        "settings": flatten(found.recipe),
        "parameters": dict(found.parameters),
        "subsets": subsets,
        "shares of top-5": dict(every.top),
        "shares of mAP": dict(every.precision),
        "shares of each class's average precision": {
            part: {
                label: None if np.isnan(share) else float(share)
                for label, share in zip(found.classes, every.classes[part].tolist(), strict=True)
            }
            for part in every.parts
        },
        "shares of each test clip's output": {part: every.clips[part].tolist() for part in every.parts},
    }
    write_whole(out / "results.json", json.dumps(data, indent=1))
    write_whole(out / "tables.md", text)
    plot(every, out / "subsets.png", f"{found.corpus}: every subset of {len(every.parts)} streams")
    return text


def markdown(found: Reproduction) -> str:
    """Tables 1 and 2 with the paper's beside, the ablation, and what helps which class."""
    every, parts = found.mean, found.recipe.streams
    here = f"{found.corpus}, {', '.join(found.folds)}"
    lines = ["## Table 1: top-5 accuracy of 1 s, %", "", f"| feature set | paper, FSD50K | {here} |", "|---|---|---|"]
    for subset in [*((name,) for name in parts), parts]:
        lines.append(f"| {'+'.join(subset)} | {_paper(PAPER_TOP, subset)} | {_cell(found, subset, 'top')} |")
    lines += ["", "## Table 2: mAP of clips, %", "", f"| feature set | paper, FSD50K | {here} |", "|---|---|---|"]
    for subset in [("waveform",), parts] if "waveform" in parts else [parts]:
        cell = _cell(found, subset, "precision")
        lines.append(f"| {'+'.join(subset)} | {_paper(PAPER_MAP, subset)} | {cell} |")
    lines += ["", "## Every subset, %", "", "| streams | top-5 at 1 s | mAP of clips |", "|---|---|---|"]
    lines += [
        f"| {'+'.join(subset)} | {_cell(found, subset, 'top')} | {_cell(found, subset, 'precision')} |"
        for subset in every.measured
    ]
    lines += ["", "## What each stream adds, points", ""]
    lines += ["| stream | to top-5 | to mAP | classes it helps most | parameters |", "|---|---|---|---|---|"]
    helped = every.helps_most()
    for name in parts:
        added = f"{100 * every.top[name]:+.1f} | {100 * every.precision[name]:+.1f}"
        lines.append(f"| {name} | {added} | {helped.count(name)} | {found.parameters[name]:,} |")
    lines += ["", "Shapley values: fair shares of what all streams score over knowing nothing.", ""]
    beside = ", ".join(f"{name} {count:,}" for name, count in found.parameters.items() if name not in parts)
    lines += [f"Parameters beside the streams': {beside}.", ""]
    lines += ["## What helps which class, points of its average precision", ""]
    lines += [f"| class | {' | '.join(parts)} | most |", "|---" * (len(parts) + 2) + "|"]
    for place, (label, most) in enumerate(zip(found.classes, helped, strict=True)):
        if most is not None:
            shares = " | ".join(f"{100 * every.classes[name][place]:+.1f}" for name in parts)
            lines.append(f"| {label} | {shares} | {most} |")
    return "\n".join(lines) + "\n"


def _train_test_splits(corpus: Corpus) -> list[tuple[str, Corpus, Corpus]]:
    """Name, clips to learn from and clips to test, of every fold or of the official split."""
    folds = sorted({fold for fold in corpus.column("fold") if fold is not None})
    if len(folds) > 1:
        return [
            (f"fold-{fold}", corpus.filter(fold=[other for other in folds if other != fold]), corpus.filter(fold=fold))
            for fold in folds
        ]
    splits = set(corpus.column("split"))
    if "test" not in splits or not splits & {"train", "valid"}:
        raise CorpusError(
            f"{corpus.name} has neither folds nor a train and a test part: list them in a CSV, or split it by group "
            "(Corpus.with_grouped_splits)"
        )
    return [("test", corpus.filter(split=splits & {"train", "valid"}), corpus.filter(split="test"))]


def _outputs(
    model: Embedder, learned: Corpus, tested: Corpus, recipe: DiverseRecipe, folder: Path
) -> tuple[dict[Subset, Float[np.ndarray, "windows classes"]], WindowEmbeddings]:
    """Every subset's outputs for the test windows, kept in the folder."""
    windows = embed_windows(model, tested)
    settings = {name: value for name, value in flatten(recipe).items() if name != "jobs"}
    scored = hashlib.sha256(windows.vectors.tobytes()).hexdigest()
    decides = json.dumps([model.fingerprint(), settings, scored], sort_keys=True)
    kept = folder / f"outputs-{hashlib.sha256(decides.encode()).hexdigest()[:16]}.npz"
    subsets = subsets_of(recipe.streams)
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as held:
            return {subset: held["+".join(subset)] for subset in subsets}, windows
    seed, labels = recipe.training.seed, learned.label_matrix()
    fitted, validated = train_valid_split(learned, recipe.validation, seed, by_class=True)
    known = embed_windows(model, learned)
    outputs = {}
    for subset in subsets:
        columns = np.concatenate([np.arange(model.dim)[model.parts[name]] for name in subset])
        mine = known.columns(columns)
        head = train_head(mine.of(fitted), mine.of(validated), labels, recipe.head, recipe.linear, seed)
        outputs[subset] = _scored(head, windows.columns(columns), recipe.head.loss)
    arrays: dict[str, Any] = {"+".join(subset): values for subset, values in outputs.items()}
    with replacing(kept) as fresh, open(fresh, "wb") as stream:
        np.savez(stream, **arrays)
    return outputs, windows


@torch.inference_mode()
def _scored(head: LabelHead, windows: WindowEmbeddings, loss: str) -> Float[np.ndarray, "windows classes"]:
    scores: np.ndarray = SCORES[loss](head(torch.from_numpy(windows.vectors))).numpy()
    return scores


def _parameters(model: Embedder, recipe: DiverseRecipe, classes: int) -> dict[str, int]:
    """Of every stream without the Neuralogram's network, of that, and of the heads."""
    parts = streams_of(model)
    counts = {part.name: sum(one.numel() for one in part.encoder.parameters()) for part in parts}
    network = sum(one.numel() for part in parts for one in part.frontend.parameters())
    return {
        **counts,
        "the Neuralogram's network": network,
        "a stream's head while it is trained": _size(LabelHead(recipe.head, parts[0].dim, classes)),
        "the linear model": _size(LabelHead(recipe.head, model.dim, classes)),
    }


def _size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _paper(table: Mapping[Subset, float], subset: Subset) -> str:
    return f"{100 * table[subset]:.1f}" if subset in table else "-"


def _cell(found: Reproduction, subset: Subset, metric: str) -> str:
    """A subset's metric in percent: the mean, and the lowest and highest fold."""
    values = found.column(subset, metric)
    mean = f"{100 * float(np.mean(values)):.1f}"
    return mean if len(values) == 1 else f"{mean} ({100 * min(values):.1f} to {100 * max(values):.1f})"
