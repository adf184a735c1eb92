"""YAMNet's classes as tags: scores as published, words that find sounds, in libraries, saved models and commands."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

import soundloom
from soundloom.cli import main
from soundloom.embedder import Stream
from soundloom.encoders import YAMNet
from soundloom.errors import ModelError, QueryError
from soundloom.library import Library
from soundloom.tagger import Tagger
from soundloom.tags import aligned_tags, class_tags

RATE = 16000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(RATE * seconds)).astype(np.float32)


def tone(seconds: float, seed: int = 0) -> np.ndarray:
    time = np.arange(round(RATE * seconds)) / RATE
    return (0.1 * np.sin(2 * np.pi * (400 + 37 * seed) * time)).astype(np.float32)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noises, tones, and random weights whose class "Dog" tells noises from tones."""
    folder = tmp_path_factory.mktemp("classes")
    model = soundloom.load("yamnet", weights="random", seed=5)
    assert isinstance(model, Stream)
    assert isinstance(model.encoder, YAMNet)
    (folder / "sounds").mkdir()
    for seed in range(4):
        soundfile.write(folder / "sounds" / f"noise{seed}.wav", noise(2, seed), RATE)
        soundfile.write(folder / "sounds" / f"tone{seed}.wav", tone(2, seed), RATE)
    apart = model.embed(noise(2, 9), RATE)[:1024] - model.embed(tone(2, 9), RATE)[:1024]
    logits, dog = model.encoder.logits, model.encoder.classes.index("Dog")
    with torch.no_grad():
        logits.weight[dog] = torch.from_numpy(5 * apart / np.square(apart).sum())
        logits.bias[dog] = 1.0
    save_file(model.encoder.state_dict(), folder / "model.safetensors")
    return folder


def test_names_of_classes_are_words_in_any_case_and_each_by_itself(place: Path) -> None:
    tags = aligned_tags("yamnet", weights=place)
    assert tags is not None
    rows = torch.nn.functional.normalize(tags.head.linear.weight.detach(), dim=1)  # type: ignore[union-attr]
    names = tags.vocabulary.tags
    for word, name in (("dog", "Dog"), ("infant cry", "Baby cry, infant cry"), ("Church Bell", "Church bell")):
        direction = tags.direction([word])
        assert direction.shape == (2048,)
        torch.testing.assert_close(direction[:1024], rows[names.index(name)])
        assert not direction[1024:].any()  # the maximum over patches has no class layer
    both = tags.direction(["Dog"], ["Rain"])[:1024]
    torch.testing.assert_close(both, rows[names.index("Dog")] - rows[names.index("Rain")])
    with pytest.raises(QueryError, match=r"did you mean .*Inside, small room"):
        tags.direction(["inside"])  # the beginning of three classes
    with pytest.raises(QueryError, match="no tags to search by"):
        tags.direction([])


def test_clip_scores_are_the_mean_over_patches_as_published(place: Path) -> None:
    tagger = Tagger.load("yamnet", weights=place)
    model = soundloom.load("yamnet", weights=place)
    assert isinstance(model, Stream)
    assert isinstance(model.encoder, YAMNet)
    samples = noise((15600 + 5 * 7680) / RATE)  # six patches and nothing left over
    with torch.inference_mode():
        spectrum = model.frontend(torch.from_numpy(samples)[None])
        patches = torch.cat([spectrum[..., first : first + 96] for first in range(0, spectrum.shape[-1] - 95, 48)])
        expected = model.encoder.scores(model.encoder.baseline(patches)[:, :, 0]).numpy()
    tagged = tagger.tag(samples, RATE)
    assert tagged.seconds.shape == (6, 521)
    np.testing.assert_allclose(tagged.starts, 0.48 * np.arange(6))
    np.testing.assert_allclose(tagged.ends - tagged.starts, 0.975)
    np.testing.assert_allclose(tagged.seconds, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(tagged.clip, expected.mean(axis=0), rtol=1e-4, atol=1e-6)


def test_a_library_is_searched_by_classes(place: Path) -> None:
    library = Library.create(place / "by_class.loom", "yamnet", weights=place)
    library.add(place / "sounds", workers=1)
    assert "Dog" in library.tags.vocabulary(offline=True)
    found = [Path(hit.path).name[:-5] for hit in library.search_tags(["dog"], k=8)]
    assert found == ["noise"] * 4 + ["tone"] * 4
    assert [Path(hit.path).name[:-5] for hit in library.search_tags(not_=["dog"], k=4)] == ["tone"] * 4


def test_saved_and_woven_models_keep_the_classes(place: Path, tmp_path: Path) -> None:
    model = soundloom.load("yamnet+logmel", weights={"yamnet": place})
    soundloom.save_pretrained(model, tmp_path / "woven")
    tags = aligned_tags(str(tmp_path / "woven"))
    assert tags is not None
    assert (tags.part, tags.dim) == ("yamnet", 2048)
    again, first = Tagger.load(tmp_path / "woven"), Tagger.load("yamnet", weights=place)
    np.testing.assert_array_equal(again.tag(noise(2), RATE).clip, first.tag(noise(2), RATE).clip)
    soundloom.save_pretrained(soundloom.load("yamnet#7#14", weights=place), tmp_path / "layers")
    assert aligned_tags(str(tmp_path / "layers")) is None
    assert class_tags(soundloom.load("logmel")) is None
    with pytest.raises(ModelError, match="random weights knows no classes"):
        aligned_tags("yamnet", weights="random")


def test_commands(place: Path, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(main, [*words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    model = ("-m", "yamnet", "--weights", str(place))
    out = tmp_path / "tags.csv"
    run("tag", str(place / "sounds"), *model, "--top", "521", "--least", "0", "--offline", "-o", str(out))
    with out.open() as file:
        dogs = {Path(row["path"]).stem: float(row["score"]) for row in csv.DictReader(file) if row["label"] == "Dog"}
    assert min(dogs[f"noise{seed}"] for seed in range(4)) > max(dogs[f"tone{seed}"] for seed in range(4))
    run("index", str(place / "sounds"), "-l", str(tmp_path / "x.loom"), "-j", "1", *model)
    lines = run("search", "-l", str(tmp_path / "x.loom"), "--word", "dog", "-k", "4", "--json")
    assert lines.count("noise") == 4
    assert lines.count("tone") == 0
    listed = run("words", "dog", *model, "--offline")
    assert "Dog: " in listed
    assert run("words", "dog", "-l", str(tmp_path / "x.loom"), "--offline") == listed  # by the library's own weights
