"""Recipes and their command: any folder of sounds becomes a model, and every setting is a flag."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from click.testing import CliRunner, Result
from torch import Tensor

import soundloom
from soundloom import corpora
from soundloom.cli import main
from soundloom.embedder import Stream
from soundloom.feature_cache import Form, MelEnergies, prepare
from soundloom.frontends import LogMel
from soundloom.objectives.base import OBJECTIVES, Batch, Objective, ObjectiveComponent, TrainingData, WindowSampler
from soundloom.objectives.labels import window_sampler
from soundloom.recipes import RECIPES
from soundloom.recipes.architectures import build_stream
from soundloom.recipes.initial_stream import initial_stream, streams_of
from soundloom.recipes.validation_split import fingerprint
from soundloom.training.flat_config import ALIASES, flatten, resolve, settings_of

CLASSES = ("hum", "hiss")
TINY = (
    "--steps",
    4,
    "--batch",
    8,
    "--stream",
    "transformer",
    "--validate-every",
    2,
    "--warmup",
    0,
    "--validation",
    0.25,
)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of eight recordings of 2.5 s."""
    folder = tmp_path_factory.mktemp("sounds")
    generator = np.random.default_rng(0)
    times = np.arange(40_000) / 16_000
    for name in CLASSES:
        (folder / name).mkdir()
        for number in range(8):
            hum = np.sin(2 * np.pi * 150 * (1 + number / 8) * times)
            sound = 0.2 * (hum if name == "hum" else generator.normal(size=len(times)))
            soundfile.write(folder / name / f"{number}.wav", sound + 0.01 * generator.normal(size=len(times)), 16_000)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def told(result: Result) -> str:
    """What was said, without the box that errors come in."""
    return " ".join(result.output.split())


@pytest.mark.parametrize("name", RECIPES)
def test_every_preset_resolves_and_every_setting_is_explained(name: str) -> None:
    presets = RECIPES[name].presets
    # Two recipes are of no paper.
    assert next(iter(presets)).startswith("paper") or name in ("distil", "loom", "notes")
    for recipe in presets.values():
        assert resolve(recipe, flatten(recipe), name) == recipe
    settings = settings_of(type(next(iter(presets.values()))))
    assert not [setting.name for setting in settings.values() if not setting.help]


def test_names_of_other_trainers_are_understood_in_every_recipe_and_name_no_setting() -> None:
    aliases = {alias for names in ALIASES.values() for alias in names}
    assert not [name for name, row in RECIPES.items() if aliases & settings_of(row.kind).keys()]
    loom = RECIPES["loom"].presets["loom"]
    changes = {"validation_split": "0.2", "num_threads": "2", "gpus": "1", "random_seed": "3"}
    values = flatten(resolve(loom, changes, "loom"))
    assert (values["validation"], values["threads"], values["devices"], values["seed"]) == (0.2, 2, 1, 3)


def test_the_papers_values_are_the_defaults() -> None:
    from soundloom.recipes.triplet import PRESETS

    paper, objective = PRESETS["paper"], PRESETS["paper"].objective
    assert (objective.sigma, objective.shift, objective.alpha, objective.delta_t) == (0.5, 10, 0.25, None)
    stream = build_stream(paper.stream, 0, "paper")
    assert (stream.dim, stream.window.frames, stream.frontend.bins) == (128, 96, 64)
    # Hershey 2017: the first convolution has no stride, so that the last stage is 4 x 6 and not 2 x 3.
    assert stream.encoder.layers(torch.zeros(1, 1, 64, 96), [4])[0].shape == (1, 2048, 4, 6)


def test_a_corpus_is_known_by_its_clips(sounds: Path) -> None:
    corpus = corpora.load(sounds)
    form = MelEnergies(LogMel.jansen())
    line = fingerprint(corpus, prepare(corpus, form))
    assert line.startswith("folder, 16 of 16 clips heard, ")
    fewer = corpus.filter(label="hum")
    assert fingerprint(fewer, prepare(fewer, form)) != line


def test_triplets_from_a_folder_by_command(sounds: Path, tmp_path: Path) -> None:
    arguments = ("train", "triplet", sounds, "-o", tmp_path / "mine", *TINY, "--validation-batches", 1)
    result = run(*arguments, "--preset", "small")
    assert result.exit_code == 0, result.output
    assert "step 4 of 4: loss" in result.output
    assert f"soundloom index SOUNDS -m {tmp_path / 'mine'}" in result.output
    model = soundloom.load(str(tmp_path / "mine"))
    assert model.name == "mine"
    assert "soundloom train triplet` on folder, 16 of 16 clips" in (tmp_path / "mine" / "README.md").read_text()
    again = run(*arguments, "--preset", "small")
    assert again.exit_code == 0
    assert "step" not in again.output.partition("4 steps")[0]
    refused = run(*arguments, "--preset", "small", "--margin", 0.3)
    assert refused.exit_code == 1
    assert "margin is 0.2 there and 0.3 here" in told(refused)


def test_labels_from_a_folder_by_command(sounds: Path, tmp_path: Path) -> None:
    result = run("train", "labels", sounds, "-o", tmp_path / "mine", *TINY, "--loss", "bce")
    assert result.exit_code == 0, result.output
    assert soundloom.load(str(tmp_path / "mine")).dim == 64
    values = yaml.safe_load((tmp_path / "mine" / "settings.yaml").read_text())
    assert (values["loss"], values["hidden"]) == ("bce", 2048)
    # And it tags, which the command says.
    assert f"soundloom tag SOUNDS --model {tmp_path / 'mine'}" in result.output
    tagged = run("tag", sounds / "hum" / "0.wav", "--model", tmp_path / "mine", "--least", 0)
    assert tagged.exit_code == 0, tagged.output
    assert {line.split()[1] for line in tagged.stdout.splitlines()} == set(CLASSES)


def test_flags_beat_the_file_and_the_file_the_preset(sounds: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("rate: 5e-4\nmargin: 0.4\n")
    arguments = ("train", "triplet", sounds, "-o", tmp_path / "run", *TINY, "--validation-batches", 1)
    result = run(*arguments, "--preset", "small", "--config", tmp_path / "mine.yaml", "--rate", "2e-4")
    assert result.exit_code == 0, result.output
    values = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())
    assert (values["rate"], values["margin"], values["schedule"]) == (2e-4, 0.4, "cosine")
    # What is saved is what --config takes.
    saved = run("train", "triplet", sounds, "-o", tmp_path / "run", "--config", tmp_path / "run" / "settings.yaml")
    assert saved.exit_code == 0, saved.output


@pytest.fixture(scope="module")
def trained(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four steps on the sounds, without validation."""
    folder = tmp_path_factory.mktemp("trained") / "mine"
    result = run("train", "triplet", sounds, "-o", folder, *SHORT)
    assert result.exit_code == 0, result.output
    return folder


SHORT = (
    "--max-steps", 4, "--preset", "small", "--batch-size", 8, "--stream", "transformer", "--validation", 0,
    "--learning-rate", "1e-3", "--seed", 3, "--workers", 2,
)  # fmt: skip
"""What people type who know other trainers."""


def settings_of_run(folder: Path) -> dict[str, object]:
    values: dict[str, object] = yaml.safe_load((folder / "settings.yaml").read_text())
    return values


def test_other_trainers_names_are_understood_and_the_warmup_fits_the_steps(trained: Path) -> None:
    values = settings_of_run(trained)
    assert (values["steps"], values["batch"], values["rate"], values["seed"]) == (4, 8, 1e-3, 3)
    assert values["warmup"] == 0, "a tenth of the steps, where the preset's 100 would not end before them"


def test_a_finished_run_goes_on_by_command(sounds: Path, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(trained, folder)
    result = run("train", "triplet", sounds, "-o", folder, *SHORT, "--steps", 6)
    assert result.exit_code == 0, result.output
    assert "6 steps" in result.output
    assert (folder / "model.safetensors").read_bytes() != (trained / "model.safetensors").read_bytes()
    assert "nothing was trained now" not in result.output
    again = run("train", "triplet", sounds, "-o", folder, *SHORT, "--steps", 6)
    assert (again.exit_code, "; finished before, nothing was trained now" in again.output) == (0, True), again.output
    fewer = run("train", "triplet", sounds, "-o", folder, *SHORT)
    assert fewer.exit_code == 1
    assert "steps is 6 there and 4 here" in told(fewer)


def test_epochs_decide_the_steps(sounds: Path, tmp_path: Path) -> None:
    result = run("train", "labels", sounds, "-o", tmp_path / "run", *SHORT[2:], "--num-epochs", 2, "--linear-epochs", 1)
    assert result.exit_code == 0, result.output
    # 16 clips of 2.5 s have two windows of 0.96 s each; two epochs in batches of 8.
    assert settings_of_run(tmp_path / "run")["steps"] == 8
    assert (tmp_path / "run" / "tagger.json").is_file()


def test_a_training_starts_from_a_model(sounds: Path, trained: Path, tmp_path: Path) -> None:
    """With a rate of next to nothing it ends with the weights that it started from."""
    still = ("--preset", "small", "--steps", 1, "--batch", 8, "--validation", 0, "--lr", "1e-30")
    result = run("train", "triplet", sounds, "-o", tmp_path / "tuned", *still, "--init", trained)
    assert result.exit_code == 0, result.output
    assert (settings_of_run(tmp_path / "tuned")["stream"], soundloom.load(str(tmp_path / "tuned")).name) == (
        "own",
        "tuned",
    )
    ours, theirs = soundloom.load(str(tmp_path / "tuned")), soundloom.load(str(trained))
    for name, tensor in theirs.encoder.named_parameters():
        torch.testing.assert_close(ours.encoder.get_parameter(name), tensor)


def test_a_part_of_a_woven_model_is_fine_tuned(sounds: Path, tmp_path: Path) -> None:
    """Of the default model the ResNet that its general part is, by its architecture or as the largest."""
    general = next(part for part in streams_of(soundloom.load("loom")) if part.name == "general")
    for kind in ("resnet-student", "own"):
        stream = initial_stream(kind, "loom", 0, "mine")
        assert (stream.name, list(stream.parts)) == ("mine", ["mine"])
        for name, tensor in general.encoder.state_dict().items():
            assert torch.equal(stream.encoder.state_dict()[name], tensor)


def test_models_that_do_not_fit_are_refused_before_anything_is_decoded(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soundloom.recipes.recipe.prepare", lambda *_, **__: pytest.fail("decoded"))
    for flags, message in (
        (("--init", "loom", "--stream", "cnn14"), "no stream of loom (of pitch, timbre, general) has the architecture"),
        (("--init", "mfcc"), "mfcc has no weights that could learn"),
        (("--stream", "own"), "the stream of the model to start from: name that by init"),
        (("--init", tmp_path / "nothing"), "nothing"),
    ):
        result = run("train", "triplet", sounds, "-o", tmp_path / "run", "--preset", "small", *flags)
        assert result.exit_code == 1, result.output
        assert message in told(result)
    assert not (tmp_path / "run").exists()


def test_loose_files_are_taken_where_labels_are_not_used(sounds: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    shutil.copytree(sounds, folder)
    shutil.copyfile(folder / "hum" / "0.wav", folder / "loose.wav")
    result = run("train", "triplet", folder, "-o", tmp_path / "run", *SHORT)
    assert result.exit_code == 0, result.output
    assert "17 of 17 clips heard" in (tmp_path / "run" / "settings.yaml").read_text()
    refused = run("train", "labels", folder, "-o", tmp_path / "labels", *SHORT)
    assert refused.exit_code == 1
    assert "1 beside the folders, such as ['loose.wav']. Move them into a folder" in told(refused)
    assert "Get it from" not in told(refused)


class Spread(Objective):
    """Embeddings of a batch lie far apart."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form

    @classmethod
    def sampler(cls, settings: Any, data: TrainingData, clips: Any, *, batch: int, seed: int) -> WindowSampler:
        del settings
        return window_sampler(data, clips, batch=batch, seed=seed)

    @classmethod
    def create(cls, settings: Any, stream: Stream, data: TrainingData) -> Spread:
        del settings, stream
        return cls(data.dataset.form)

    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        embeddings = stream.embed_window(self.form.representation(batch["windows"], stream))
        return {"loss": -embeddings.std(dim=0).mean()}


@dataclass(frozen=True, kw_only=True)
class SpreadSettings:
    """None."""


def test_an_objective_of_ones_own_is_a_command(sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    component = ObjectiveComponent(kind=Spread, settings=SpreadSettings, title="Embeddings lie far apart.")
    monkeypatch.setitem(OBJECTIVES._rows, "spread", component)
    monkeypatch.setitem(OBJECTIVES._definitions, "spread", Spread)
    arguments = ("-o", tmp_path / "run", "--steps", 3, "--batch", 8, "--stream", "timbre")
    result = run("train", "spread", sounds, *arguments)
    assert result.exit_code == 0, result.output
    assert soundloom.load(str(tmp_path / "run")).dim == 64
    assert "soundloom train spread` on folder" in (tmp_path / "run" / "README.md").read_text()
    again = run("train", f"{__name__}:Spread", sounds, *arguments)
    assert again.exit_code == 0, again.output


def test_unknown_flags_and_keys_are_errors(sounds: Path, tmp_path: Path) -> None:
    flag = run("train", "triplet", sounds, "-o", tmp_path / "run", "--ratee", 1)
    assert flag.exit_code == 2
    assert "No such option" in flag.output
    (tmp_path / "mine.yaml").write_text("ratee: 1\n")
    key = run("train", "triplet", sounds, "-o", tmp_path / "run", "--config", tmp_path / "mine.yaml")
    assert key.exit_code == 1
    assert "no setting 'ratee' (did you mean rate?). The settings are stream, validation" in told(key)
    value = run("train", "triplet", sounds, "-o", tmp_path / "run", "--margin", "-1")
    assert value.exit_code == 2
    assert "margin must be at least 0" in told(value)
    both = run("train", "triplet", sounds, "-o", tmp_path / "run", "--steps", 5, "--epochs", 1)
    assert both.exit_code == 2
    assert "--steps and --epochs both say how long to train: give one of them" in told(both)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_test_part_is_left_out_and_folds_can_be_chosen(sounds: Path, tmp_path: Path) -> None:
    lines = ["path,label,split,fold"]
    for number in range(8):
        split = "test" if number == 7 else "train"
        lines += [f"{sounds / name / str(number)}.wav,{name},{split},{number % 4}" for name in CLASSES]
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    result = run("train", "labels", tmp_path / "clips.csv", "-o", tmp_path / "run", *TINY)
    assert result.exit_code == 0, result.output
    assert "2 clips of the split test are left out" in result.output
    assert "14 of 14 clips heard" in (tmp_path / "run" / "settings.yaml").read_text()
    run("train", "labels", tmp_path / "clips.csv", "-o", tmp_path / "two", *TINY, "--fold", "0,1", "--split", "train")
    assert "8 of 8 clips heard" in (tmp_path / "two" / "settings.yaml").read_text()
    assert run("train", "labels", tmp_path / "clips.csv", "-o", tmp_path / "x", "--fold", "one").exit_code == 2


def test_help_has_sections_defaults_and_examples() -> None:
    result = run("train", "triplet", "--help")
    assert result.exit_code == 0
    text = told(result)
    for part_of in ("The trainer:", "The samplers and the loss", "--delta-t", "[100000; small: 500]", "--no-compile"):
        assert part_of in text
    assert "Examples:" in result.output
    for name, row in RECIPES.items():
        assert name in run("train", "--help").output
        assert all(f"soundloom train {name} " in example for example in row.examples)
    assert run("train", "nothing").exit_code == 2


def test_a_corpus_that_cannot_be_parted_into_triplets_is_told(sounds: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "0.wav").write_bytes((sounds / "hum" / "0.wav").read_bytes())
    result = run("train", "triplet", alone, "-o", tmp_path / "run", *TINY, "--validation", 0)
    assert result.exit_code == 1
    assert "one recording" in told(result)
