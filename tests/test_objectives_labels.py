"""The labels' objective against its equations, and its draws against what they promise."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from soundloom import corpora
from soundloom.corpora import Corpus, CorpusError
from soundloom.corpora.clips import clip_table
from soundloom.embedder import Stream, Window
from soundloom.encoders import Transformer, TransformerSettings
from soundloom.feature_cache import FeatureDataset, MelEnergies, Represented, prepare
from soundloom.frontends import MFCC, LogMel, NormalisedFrontend, PerSecond
from soundloom.objectives.labels import (
    SCORES,
    LabelBatchSampler,
    LabelObjective,
    LabelSettings,
    exclusive,
    label_sampler,
)

CLASSES = ("low", "middle", "high")


def corpus_of(folder: Path, clips: int = 6, seconds: float = 2.0) -> Corpus:
    """Tones with their pitch for a label."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    paths, labels = [], []
    for number in range(clips):
        time = np.arange(round(16000 * seconds)) / 16000
        path = folder / f"{number}.wav"
        soundfile.write(path, 0.3 * np.sin(2 * np.pi * 300 * 3 ** (number % 3) * time + number), 16000)
        paths.append(str(path))
        labels.append(CLASSES[number % 3])
    return Corpus(name="tones", root=folder, task="single-label", classes=CLASSES, table=clip_table(paths, labels))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return corpus_of(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def seconds(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> FeatureDataset:
    return prepare(corpus, Represented(PerSecond(MFCC.verma()), seconds=1.0), folder=tmp_path_factory.mktemp("seconds"))


def stream(bins: int = 12, *, scaled: bool = False) -> Stream:
    frontend = PerSecond(MFCC.verma())
    settings = TransformerSettings(bins=bins, width=8, depth=2, heads=2, hidden=8, dropout=0.0, pool_after=(2,))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Transformer(settings)
    hearing = NormalisedFrontend(frontend) if scaled else frontend
    return Stream("x", hearing, encoder, layers=None, pooling="mean", window=Window(frames=40, fixed=True))


def draw_of(
    dataset: FeatureDataset, corpus: Corpus, clips: np.ndarray, batch: int = 5, seed: int = 0
) -> LabelBatchSampler:
    return label_sampler(dataset, corpus.label_matrix(), clips, batch=batch, seed=seed)


def test_every_window_is_drawn_once_an_epoch(seconds: FeatureDataset, corpus: Corpus) -> None:
    draw = draw_of(seconds, corpus, np.arange(6))
    assert len(draw) == 12
    found = torch.cat([draw(step)["windows"] for step in range(12)])  # five epochs of twelve
    kinds, counts = found.flatten(1).unique(dim=0, return_counts=True)
    assert len(kinds) <= 12
    assert counts.sum() == 60
    assert (counts % 5 == 0).all(), "as often as there were epochs"


def test_a_step_is_a_function_of_its_number(seconds: FeatureDataset, corpus: Corpus) -> None:
    first, second = draw_of(seconds, corpus, np.arange(6)), draw_of(seconds, corpus, np.arange(6))
    for step in (0, 1, 2):
        first(step)
    for step in (7, 2):
        for name, tensor in first(step).items():
            assert torch.equal(tensor, second(step)[name])
    assert not torch.equal(first(0)["windows"], draw_of(seconds, corpus, np.arange(6), seed=1)(0)["windows"])


def test_windows_carry_the_labels_of_the_chosen_clips(seconds: FeatureDataset, corpus: Corpus) -> None:
    draw = draw_of(seconds, corpus, np.array([1, 5]), batch=8)
    batch = draw(0)
    assert len(draw) == 4
    assert batch["windows"].dtype == torch.float16
    targets = {tuple(row) for row in batch["targets"].tolist()}
    assert targets == {(0.0, 1.0, 0.0), (0.0, 0.0, 1.0)}
    own = seconds.take(np.array([1, 1, 5, 5]), np.array([0, 1, 0, 1]), 1)
    for window, target in zip(batch["windows"], batch["targets"], strict=True):
        matches = [int(place) for place in range(4) if torch.equal(window, own[place])]
        assert matches
        assert target[1 if matches[0] < 2 else 2] == 1


def test_windows_with_room_begin_anywhere_in_it(tmp_path: Path) -> None:
    import soundfile

    paths = [str(tmp_path / f"{number}.wav") for number in range(2)]
    for path, wave in zip(paths, np.random.default_rng(0).normal(0, 0.1, (2, 48000)), strict=True):
        soundfile.write(path, wave, 16000)
    table = clip_table(paths, ["a", "b"])
    noises = Corpus(name="noises", root=tmp_path, task="single-label", classes=("a", "b"), table=table)
    dataset = prepare(noises, Represented(PerSecond(MFCC.verma()), seconds=1.0), folder=tmp_path / "prepared")
    draw = LabelBatchSampler(
        dataset=dataset, clips=np.array([0, 1]), starts=np.array([1, 0]), size=1, batch=2, seed=0,
        targets=noises.label_matrix().astype(np.float32), room=np.array([0, 2]),
    )  # fmt: skip
    own = dataset.take(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 2]), 1)
    batches = [draw(step)["windows"] for step in range(30)]
    found = [[place for place in range(6) if torch.equal(window, own[place])] for batch in batches for window in batch]
    assert {place for (place,) in found} == {1, 3, 4, 5}  # the first clip's window has no room
    assert all(torch.equal(batch, replace(draw)(step)["windows"]) for step, batch in enumerate(batches))


def test_nothing_to_draw_is_refused(seconds: FeatureDataset, corpus: Corpus) -> None:
    with pytest.raises(ValueError, match=r"no windows to draw from: .* See dataset\.failures"):
        draw_of(seconds, corpus, np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        draw_of(seconds, corpus, np.arange(6), batch=0)


def test_rows_become_what_the_front_end_gives(seconds: FeatureDataset, corpus: Corpus) -> None:
    import soundfile

    samples = torch.from_numpy(soundfile.read(corpus.column("path")[2], dtype="float32")[0])[None]
    model = stream()
    kept = seconds.take(np.array([2]), np.array([0]), 2)
    # Half precision keeps eleven bits of numbers up to some hundred.
    torch.testing.assert_close(seconds.form.representation(kept, model), model.frontend(samples), rtol=1e-3, atol=0.1)


def test_frames_of_energies_are_compressed_by_the_streams_front_end(corpus: Corpus, tmp_path: Path) -> None:
    import soundfile

    frontend = LogMel.jansen()
    energies = prepare(corpus, MelEnergies(frontend), folder=tmp_path)
    settings = TransformerSettings(bins=64, depth=1, pool_after=())
    window = Window(frames=96, fixed=True)
    model = Stream("x", frontend, Transformer(settings), layers=None, pooling="mean", window=window)
    kept = energies.take(np.array([0]), np.array([10]), 96)
    samples = torch.from_numpy(soundfile.read(corpus.column("path")[0], dtype="float32")[0])[None]
    expected = frontend(samples)[..., 10:106]
    torch.testing.assert_close(energies.form.representation(kept, model), expected, rtol=0, atol=1e-3)
    with pytest.raises(
        ValueError,
        match=r"frames of mel energies are for a front-end such as .*, this one is PerSecond",
    ):
        energies.form.representation(kept, stream())
    with pytest.raises(ValueError, match=r"windows must be \[batch, rows, 64\], got \[1, 1, 1, 12, 40\]"):
        energies.form.representation(torch.zeros(1, 1, 1, 12, 40), model)


def test_ranges_are_applied_to_what_was_kept_without_them(seconds: FeatureDataset) -> None:
    model = stream(scaled=True)
    assert isinstance(model.frontend, NormalisedFrontend)
    model.frontend.scale.copy_(torch.linspace(0.5, 2, 12))
    model.frontend.shift.copy_(torch.linspace(-1, 1, 12))
    kept = seconds.take(np.array([0]), np.array([0]), 1)
    plain = seconds.form.representation(kept, stream())
    expected = plain * torch.linspace(0.5, 2, 12)[:, None] + torch.linspace(-1, 1, 12)[:, None]
    torch.testing.assert_close(seconds.form.representation(kept, model), expected)


def losses(outputs: list[list[float]], targets: list[list[float]], kind: str) -> float:
    """The losses as their definitions read, averaged over windows and, where classes are apart, over classes."""
    total, count = 0.0, 0
    for row, wanted in zip(outputs, targets, strict=True):
        if kind == "cross-entropy":
            normaliser = math.log(sum(math.exp(output) for output in row))
            total += sum(target / max(sum(wanted), 1) * (normaliser - o) for o, target in zip(row, wanted, strict=True))
            count += 1
            continue
        for output, target in zip(row, wanted, strict=True):
            distance = abs(output - target)
            if kind == "huber":
                total += distance**2 / 2 if distance < 1 else distance - 0.5
            else:
                chance = 1 / (1 + math.exp(-output))
                total -= target * math.log(chance) + (1 - target) * math.log(1 - chance)
            count += 1
    return total / count


@pytest.mark.parametrize("kind", ["huber", "bce", "cross-entropy"])
@pytest.mark.parametrize("hidden", [0, 16])
def test_the_loss_is_that_of_its_definition(seconds: FeatureDataset, corpus: Corpus, kind: str, hidden: int) -> None:
    torch.manual_seed(0)
    objective = LabelObjective(LabelSettings(loss=kind, hidden=hidden), seconds.form, dim=8, classes=3)
    model, batch = stream(), draw_of(seconds, corpus, np.arange(6))(0)
    found = objective(model, batch)
    outputs = objective.head(model.embed_window(seconds.form.representation(batch["windows"], model)))
    expected = losses(outputs.tolist(), batch["targets"].tolist(), kind)
    assert float(found["loss"].detach()) == pytest.approx(expected, rel=1e-4)
    assert float(found["top5"]) == 1.0, "three classes are all among five"
    found["loss"].backward()
    assert all(parameter.grad is not None for parameter in [*model.encoder.parameters(), *objective.parameters()])


def test_the_papers_head_has_its_sizes(seconds: FeatureDataset) -> None:
    head = LabelObjective(LabelSettings(), seconds.form, dim=64, classes=200).head
    assert [tuple(parameter.shape) for parameter in head.parameters()] == [(2048, 64), (2048,), (200, 2048), (200,)]


def test_top_five_counts_windows_with_one_of_their_classes(seconds: FeatureDataset) -> None:
    class Fixed(torch.nn.Module):
        def forward(self, embeddings: Tensor) -> Tensor:
            return torch.arange(8.0).repeat(len(embeddings), 1)

    objective = LabelObjective(LabelSettings(hidden=0), seconds.form, dim=8, classes=8)
    objective.head = Fixed()  # type: ignore[assignment]
    targets = torch.zeros(4, 8)
    targets[0, 0] = targets[1, 3] = targets[2, [1, 7]] = 1  # outputs 3 to 7 are the five highest
    batch = {"windows": torch.zeros(4, 1, 1, 12, 40, dtype=torch.float16), "targets": targets}
    assert float(objective(stream(), batch)["top5"]) == 0.5


def test_classes_of_a_window_share_a_softmax_and_none_costs_nothing() -> None:
    outputs = torch.tensor([[1.0, 2.0, 3.0]])
    both = exclusive(outputs, torch.tensor([[1.0, 0.0, 1.0]]))
    apart = (exclusive(outputs, torch.tensor([[1.0, 0, 0]])) + exclusive(outputs, torch.tensor([[0, 0, 1.0]]))) / 2
    torch.testing.assert_close(both, apart)
    assert float(exclusive(outputs, torch.zeros(1, 3))) == 0.0


@pytest.mark.parametrize("kind", SCORES)
def test_scores_are_shares_in_the_order_of_the_outputs(kind: str) -> None:
    outputs = torch.tensor([[-3.0, 0.2, 0.7, 5.0]])
    scores = SCORES[kind](outputs)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores.argsort().tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "hinge"}, "loss is one of huber, bce, cross-entropy, got 'hinge'"),
        ({"hidden": -1}, r"hidden must be 0 \(a linear head\) or the number of hidden units, got -1"),
    ],
)
def test_impossible_heads_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelSettings(**settings)  # type: ignore[arg-type]


def test_one_class_is_refused(seconds: FeatureDataset) -> None:
    with pytest.raises(ValueError, match="2 classes or more, got 1"):
        LabelObjective(LabelSettings(), seconds.form, dim=8, classes=1)


def test_classes_that_no_clip_has_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,label\na.wav,one\nb.wav,two\n")
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"x")
    corpus = corpora.load(tmp_path / "list.csv")
    LabelObjective.check_classes(corpus)
    with pytest.raises(CorpusError, match="has clips of 1 class, and learning from labels needs two or more"):
        LabelObjective.check_classes(corpus.filter(mask=np.array([True, False])))
