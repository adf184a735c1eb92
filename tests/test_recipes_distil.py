"""Distillation: mixtures and their targets, the loss by hand, the cache, and a student that learns from a teacher."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from torch.nn import functional

import soundloom
from soundloom import corpora
from soundloom.cli import main
from soundloom.corpora import CorpusError
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import FeatureDataset, Samples, prepare
from soundloom.objectives import distillation
from soundloom.objectives.distillation import DistillationObjective, DistillationSettings, coloured, masked, translated
from soundloom.objectives.distillation_windows import (
    DistillationSampler,
    MixtureWindows,
    draw_mixtures,
    plain_windows,
)
from soundloom.objectives.target_store import targets_of
from soundloom.objectives.teachers import Targets, Teacher, load_teachers
from soundloom.recipes.architectures import build_stream
from soundloom.recipes.validation_split import without_recordings
from soundloom.training.devices import devices
from soundloom.training.settings import TrainingSettings

RATE = 16_000
ROWS = 98


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of our own."""
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path_factory.getbasetemp() / "distil-home"))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve recordings of 2 s: tones and noises of different pitch and colour."""
    folder = tmp_path_factory.mktemp("sounds")
    generator = np.random.default_rng(0)
    times = np.arange(2 * RATE) / RATE
    for number in range(12):
        noise = np.convolve(generator.normal(size=len(times)), np.ones(1 + 3 * number), "same") / (2 + number)
        tone = np.sin(2 * np.pi * 110 * (number + 1) * times)
        soundfile.write(folder / f"{number}.wav", 0.2 * (tone if number % 2 else noise), RATE)
    return folder


@pytest.fixture(scope="module")
def dataset(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureDataset:
    corpus = corpora.load("folder", sounds)
    return prepare(corpus, Samples(RATE), folder=tmp_path_factory.mktemp("prepared"), workers=1)


def test_a_plain_window_is_the_clip_as_it_is_kept(dataset: FeatureDataset) -> None:
    plain = plain_windows(dataset, np.array([3]), ROWS, ROWS)
    kept = dataset.form.sounds(dataset.take(np.array([3, 3]), np.array([0, ROWS]), ROWS))
    assert torch.equal(plain.render(np.arange(2)), kept)


def test_mixtures_are_sums_of_sounds_of_different_groups_at_their_levels(dataset: FeatureDataset) -> None:
    plain = plain_windows(dataset, np.arange(12), ROWS, ROWS)
    groups = [number // 2 for number in range(12)]
    mixtures = draw_mixtures(plain, groups, 300, 7)
    sounds = (mixtures.clips >= 0).sum(axis=1)
    assert sounds.tolist() == [3 if number % 3 == 0 else 2 for number in range(300)]
    for clips in mixtures.clips:
        owners = [groups[clip] for clip in clips if clip >= 0]
        assert len(set(owners)) == len(owners)
    number = 4
    first, second = (
        dataset.form.sounds(dataset.take(mixtures.clips[[number], place], mixtures.starts[[number], place], ROWS))[0]
        for place in (0, 1)
    )
    rest = mixtures.render(np.array([number]))[0] - first
    peak = float((first + rest).abs().max())
    assert peak < 1, "the sound chosen is to need no scaling"
    gain = float(rest @ second / second.square().sum())
    assert torch.allclose(rest, gain * second, atol=1e-5)
    decibels = 10 * math.log10(float(rest.square().mean() / first.square().mean()))
    assert decibels == pytest.approx(float(mixtures.levels[number, 1]), abs=0.01)
    again = draw_mixtures(plain, groups, 300, 7)
    assert np.array_equal(again.clips, mixtures.clips)
    assert not np.array_equal(draw_mixtures(plain, groups, 300, 8).clips, mixtures.clips)


def test_processes_make_the_windows_of_a_batch_between_them(dataset: FeatureDataset) -> None:
    plain = plain_windows(dataset, np.arange(12), ROWS, ROWS)
    windows = [plain, draw_mixtures(plain, [str(clip) for clip in range(12)], 40, 7)]
    numbers = [np.arange(len(part), dtype=np.float32)[:, None] + 100 * place for place, part in enumerate(windows)]
    sampler = DistillationSampler(windows, {"numbers": numbers}, 20, seed=0)
    whole, shares = sampler(1), [sampler.share(1, rank, 2) for rank in range(2)]
    assert [len(share["waveforms"]) for share in shares] == [10, 10]
    order, ours = whole["numbers"][:, 0].argsort(), torch.cat([share["numbers"] for share in shares])[:, 0].argsort()
    together = torch.cat([share["waveforms"] for share in shares])
    assert torch.equal(whole["waveforms"][order], together[ours])
    # Both have sounds as they are, and mixtures.
    assert all(len(set((share["numbers"] >= 100)[:, 0].tolist())) == 2 for share in shares)


class _Counting(Teacher):
    """The mean and the loudest of a window, and how often they were asked for; fails when told to."""

    def __init__(self, identity: str = "counting", fails_after: int = 1_000) -> None:
        self.name, self.dim, self.classes, self.asked = "counting", 2, (), 0
        self._identity, self._fails_after = identity, fails_after

    @property
    def identity(self) -> str:
        return self._identity

    def targets(self, waveforms: torch.Tensor) -> Targets:
        self.asked += len(waveforms)
        if self.asked > self._fails_after:
            raise KeyboardInterrupt
        return Targets(torch.stack([waveforms.mean(dim=1), waveforms.amax(dim=1)], dim=1), None)


def test_targets_are_computed_once_a_teacher_and_a_set_of_windows(dataset: FeatureDataset, tmp_path: Path) -> None:
    plain = plain_windows(dataset, np.arange(12), ROWS, ROWS)
    teacher = _Counting()
    table = targets_of(plain, teacher, tmp_path)
    assert teacher.asked == len(plain)
    assert table.scores is None
    waveforms = plain.render(np.arange(len(plain)))
    assert np.allclose(table.embeddings[:, 1], waveforms.amax(dim=1).numpy(), rtol=1e-3)
    assert np.array_equal(targets_of(plain, teacher, tmp_path).embeddings, table.embeddings)
    assert teacher.asked == len(plain), "from the cache"
    other = _Counting("another")
    targets_of(plain, other, tmp_path)
    assert other.asked == len(plain)


def test_targets_go_on_where_they_stopped(
    dataset: FeatureDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soundloom.objectives.target_store._AT_ONCE", 2)
    monkeypatch.setattr("soundloom.objectives.target_store._BLOCK", 4)
    plain = plain_windows(dataset, np.arange(12), ROWS, ROWS)
    with pytest.raises(KeyboardInterrupt):
        targets_of(plain, _Counting(fails_after=10), tmp_path)
    teacher = _Counting()
    table = targets_of(plain, teacher, tmp_path)
    assert teacher.asked == len(plain) - 8
    assert np.allclose(table.embeddings[:, 1], plain.render(np.arange(len(plain))).amax(dim=1).numpy(), rtol=1e-3)


def test_a_teacher_gives_its_embedding_and_its_class_scores(dataset: FeatureDataset) -> None:
    (teacher,) = load_teachers(["yamnet"], ["random"], RATE)
    waveforms = plain_windows(dataset, np.arange(3), ROWS, ROWS).render(np.arange(3))
    targets = teacher.targets(waveforms)
    model = soundloom.load("yamnet", weights="random")
    expected = np.stack([model.embed(sound.numpy()) for sound in waveforms])[:, :1024]
    assert (teacher.dim, len(teacher.classes)) == (1024, 521)
    assert np.allclose(targets.embeddings.numpy(), expected, atol=1e-5)
    assert targets.scores is not None
    with torch.inference_mode():
        assert torch.allclose(targets.scores, model.encoder.scores(targets.embeddings), atol=1e-5)


def test_a_teacher_at_another_rate_is_given_resampled_sound() -> None:
    (teacher,) = load_teachers(["logmel"], [], 48_000)
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(48_000) / 48_000)[None]
    (same,) = load_teachers(["logmel"], [], 16_000)
    there = same.targets(tone[:, ::3]).embeddings
    loud = there > 0
    assert torch.allclose(teacher.targets(tone).embeddings[loud], there[loud], atol=0.01)
    assert teacher.targets(tone).scores is None


@pytest.mark.parametrize(("names", "weights"), [([], []), (["yamnet"], ["random", "random"])])
def test_teachers_that_do_not_fit_their_weights_are_refused(names: list[str], weights: list[str]) -> None:
    with pytest.raises(InvalidArgumentError):
        load_teachers(names, weights, RATE)


def test_the_loss_by_hand() -> None:
    settings = DistillationSettings(squares=2, cosine=3, classes=0.5, relations=7)
    stream = build_stream("resnet-small", 0, "student").eval()
    objective = DistillationObjective(settings, dim=stream.dim, sizes=[(5, 4)]).eval()
    generator = torch.Generator().manual_seed(1)
    batch = {
        "waveforms": 0.1 * torch.randn(6, 98 * 160, generator=generator),
        "embeddings0": torch.randn(6, 5, generator=generator),
        "scores0": torch.rand(6, 4, generator=generator),
    }
    objective.get_buffer("centre0").fill_(0.5)
    objective.get_buffer("scale0").fill_(2)
    with torch.no_grad():
        values = objective(stream, batch)
        embedded = stream(batch["waveforms"])
        targets = 2 * (batch["embeddings0"] - 0.5)
        guessed = objective.embedders[0](embedded)
        logits = objective.classifiers["0"](embedded)
    squares = (guessed - targets).square().mean()
    angle = (
        1
        - torch.stack(
            [one @ other / one.norm() / other.norm() for one, other in zip(guessed, targets, strict=True)]
        ).mean()
    )
    share = batch["scores0"]
    entropy = -(share * logits.sigmoid().log() + (1 - share) * (1 - logits.sigmoid()).log()).sum(dim=1).mean()
    pairs = [vectors - vectors.mean(dim=0) for vectors in (embedded, targets)]
    cosines = [functional.cosine_similarity(one[:, None], one[None], dim=2) for one in pairs]
    relations = (cosines[0] - cosines[1]).square().mean()
    assert float(values["loss"]) == pytest.approx(
        float(2 * squares + 3 * angle + 0.5 * entropy + 7 * relations), rel=1e-4
    )
    assert {"squares", "cosine", "classes", "relations"} < set(values)


def test_augmentations_change_what_they_say() -> None:
    waveforms = torch.randn(4, 15_680, generator=torch.Generator().manual_seed(2))
    assert torch.equal(coloured(waveforms, 0), waveforms)
    torch.manual_seed(3)
    filtered = coloured(waveforms, 3.0)
    ratio = 20 * (torch.fft.rfft(filtered).abs() / torch.fft.rfft(waveforms).abs()).log10()
    assert 0.5 < float(ratio.std()) < 6
    assert float((ratio[:, 2:] - ratio[:, 1:-1]).abs()[:, 1000:].max()) < 0.1, "smooth"
    representation = torch.arange(8.0 * 10).reshape(1, 1, 8, 10).repeat(3, 1, 1, 1)
    moved = translated(representation, 0)
    assert torch.equal(moved.sort(dim=3).values, representation)
    hidden = (masked(representation, -1, 0.5) != representation).any(dim=2)[:, 0]
    assert int(hidden.sum(dim=1).max()) <= 5


def test_mixed_precision_leaves_the_inputs_of_an_objective_as_they_are() -> None:
    seen: list[torch.dtype] = []

    class Look(torch.nn.Linear):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            seen.extend([batch.dtype, super().forward(batch).dtype])
            return super().forward(batch)

    with devices(TrainingSettings(precision="bf16", device="cpu", steps=1)) as fabric:
        look = Look(3, 2)
        module, _ = fabric.setup(look, torch.optim.SGD(look.parameters(), lr=0.1))
        module(torch.randn(4, 3))
    assert seen == [torch.float32, torch.bfloat16]


def test_a_student_learns_from_a_teacher_by_the_command(sounds: Path, tmp_path: Path) -> None:
    arguments = (
        "train", "distil", sounds, "--out", tmp_path / "student", "--stream", "resnet-small", "--weights", "random",
        "--mixtures", 1, "--steps", 24, "--batch", 16, "--validation", 0.25, "--validate-every", 12, "--device", "cpu",
        "--log-every", 12, "--workers", 1,
    )  # fmt: skip
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    with (tmp_path / "student" / "metrics.csv").open() as file:
        first, last = list(csv.DictReader(file))
    assert float(last["squares"]) < float(first["squares"])
    assert float(last["classes"]) < float(first["classes"])
    student = soundloom.load(str(tmp_path / "student"))
    assert student.embed(sounds / "1.wav").shape == (128,)
    assert "distilled from yamnet" in (tmp_path / "student" / "README.md").read_text()


@pytest.mark.parametrize(
    "wrong", [{"hop": 0}, {"mixtures": -1}, {"mask_share": 1}, dict.fromkeys(distillation.TERMS, 0.0)]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError):
        DistillationSettings(**wrong)


def test_windows_of_no_clip_are_refused(dataset: FeatureDataset) -> None:
    none = np.zeros((0, 3), np.int64)
    empty = MixtureWindows(dataset, none, none, none.astype(np.float32), ROWS)
    with pytest.raises(InvalidArgumentError, match="no windows"):
        distillation.DistillationSampler([empty], {}, 4, 0)


def test_clips_of_recordings_that_are_tested_on_are_left_out(tmp_path: Path) -> None:
    def collection(name: str, header: str, rows: list[str]) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number in range(len(rows)):
            soundfile.write(folder / f"{number}.wav", np.zeros(RATE), RATE)
        table = folder / "table.csv"
        table.write_text("\n".join([header, *(f"{number}.wav,{row}" for number, row in enumerate(rows))]))
        return table

    addresses = ["https://freesound.org/s/123/", "https://freesound.org/people/me/sounds/456/", "of my own 789"]
    mine = corpora.load(str(collection("mine", "path,credit", addresses)))
    tested = collection("tested", "path,group", ["456", "789"])
    kept, left_out = without_recordings(mine, [str(tested)])
    assert [Path(path).name for path in left_out] == ["1.wav"]
    assert [Path(path).name for path in kept.column("path")] == ["0.wav", "2.wav"]
    with pytest.raises(CorpusError, match="every clip"):
        without_recordings(corpora.load(str(tested)), [str(tested)])
    with pytest.raises(CorpusError, match="names no Freesound recordings"):
        without_recordings(mine, [str(collection("unnamed", "path,group", ["a", "b"]))])
