"""A tagger's folder, and what is refused of it; tagging itself is tested with the recipe that trains one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

import soundloom
from soundloom.embedder import Embedder, Woven
from soundloom.encoders import COALA_DIM, COALATagEncoder
from soundloom.errors import ModelError
from soundloom.objectives.labels import LabelHead, LabelSettings
from soundloom.pretrained import load, save_pretrained
from soundloom.tagger import Tagger
from soundloom.tagging import AlignedTags, Vocabulary
from soundloom.tagging.decoder import TagDecoder
from soundloom.tagging.suggesting import suggestion_scores

CLASSES = ("rain", "siren", "dog")


@pytest.fixture(scope="module")
def model() -> Embedder:
    return soundloom.load("logmel")


def tagger_of(model: Embedder, *, loss: str = "bce") -> Tagger:
    torch.manual_seed(0)
    settings = LabelSettings(loss=loss, hidden=4)  # type: ignore[arg-type]
    return Tagger(model, LabelHead(settings, model.dim, len(CLASSES)), settings, CLASSES)


@pytest.fixture
def saved(model: Embedder, tmp_path: Path) -> Path:
    save_pretrained(model, tmp_path)
    tagger_of(model).save(tmp_path)
    return tmp_path


def noise(seconds: float) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).normal(size=round(16000 * seconds)).astype(np.float32)


def test_what_is_loaded_is_what_was_saved(model: Embedder, saved: Path) -> None:
    again = Tagger.load(saved)
    vectors = np.random.default_rng(0).normal(size=(5, model.dim)).astype(np.float32)
    np.testing.assert_array_equal(again.scores(vectors), tagger_of(model).scores(vectors))
    assert again.classes == CLASSES
    assert again.settings == LabelSettings(loss="bce", hidden=4)


def test_seconds_are_embedded_as_if_alone(model: Embedder, tmp_path: Path) -> None:
    import soundfile

    samples = noise(3.4)
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype="FLOAT")
    tagger = tagger_of(model)
    tagged = tagger.tag(tmp_path / "x.wav")
    assert tagged.ends.tolist() == pytest.approx([1, 2, 3, 3.4])
    for number, (start, end) in enumerate(zip(tagged.starts, tagged.ends, strict=True)):
        alone = model.embed(samples[round(16000 * start) : round(16000 * end)])
        np.testing.assert_allclose(tagged.seconds[number], tagger.scores(alone[None])[0], atol=1e-5)
    spans = tagged.ends - tagged.starts
    np.testing.assert_allclose(tagged.clip, spans @ tagged.seconds / spans.sum(), atol=1e-6)


def test_a_long_sound_is_tagged_in_blocks(model: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    soundfile.write(tmp_path / "x.wav", noise(7.3), 16000)
    tagger = tagger_of(model)
    whole = tagger.tag(tmp_path / "x.wav")
    monkeypatch.setattr("soundloom.tagger.BLOCK", 2)
    parts = tagger.tag(tmp_path / "x.wav")
    np.testing.assert_allclose(parts.seconds, whole.seconds, atol=1e-6)
    assert len(whole.starts) == 8


def test_a_sound_shorter_than_the_model_hears_is_filled(model: Embedder, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "x.wav", noise(0.005), 16000)
    tagged = tagger_of(model).tag(tmp_path / "x.wav")
    assert tagged.seconds.shape == (1, 3)
    assert np.isfinite(tagged.clip).all()


def test_the_highest_come_first_and_the_low_not_at_all(model: Embedder) -> None:
    tagger = tagger_of(model)
    scores = np.array([0.2, 0.9, 0.2], dtype=np.float32)
    assert [name for name, _ in tagger.highest(scores, 3, 0.0)] == ["siren", "rain", "dog"]
    assert [name for name, _ in tagger.highest(scores, 3, 0.5)] == ["siren"]
    assert [name for name, _ in tagger.highest(scores, 1, 0.0)] == ["siren"]


@pytest.mark.parametrize("loss", ["huber", "cross-entropy"])
def test_scores_are_of_the_loss_that_trained_them(model: Embedder, loss: str) -> None:
    scores = tagger_of(model, loss=loss).scores(3 * np.random.default_rng(0).normal(size=(9, model.dim)))
    assert ((scores >= 0) & (scores <= 1)).all()
    if loss == "cross-entropy":
        np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


def test_a_folder_without_a_tagger_says_how_to_get_one(model: Embedder, tmp_path: Path) -> None:
    save_pretrained(model, tmp_path)
    with pytest.raises(ModelError, match=r"there is no tagger\.json, nor .* words .*soundloom train diverse"):
        Tagger.load(tmp_path)


@pytest.mark.parametrize("decoded", [False, True])
def test_a_model_tags_with_the_words_that_it_knows(model: Embedder, tmp_path: Path, decoded: bool) -> None:
    knowing = load("logmel")
    torch.manual_seed(3)
    words = Vocabulary(tags=("beep", "hiss", "rain"))
    tags = AlignedTags(
        "logmel", knowing.dim, words, encoder=COALATagEncoder(3).eval(),
        audio_map=nn.Linear(knowing.dim, COALA_DIM, bias=False), decoder=TagDecoder(3) if decoded else None,
    )  # fmt: skip
    tags.centre.normal_(std=0.01)
    save_pretrained(Woven([load("mfcc"), knowing]), tmp_path / "woven")
    tags.save(tmp_path / "woven")
    path = tmp_path / "three.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 40000).astype(np.float32), 16000)
    found = Tagger.load(tmp_path / "woven").tag(path)
    seconds = torch.stack(
        [torch.from_numpy(knowing.embed(path, start, end)) for start, end in ((0, 1), (1, 2), (2, 2.5))]
    )
    told = tags.told(seconds)
    scores = (suggestion_scores(tags, seconds) if told is None else told).clamp(0, 1).numpy()
    assert (scores > 0).any()
    np.testing.assert_allclose(found.seconds, scores, atol=1e-5)
    np.testing.assert_allclose(found.clip, np.array([1, 1, 0.5]) @ scores / 2.5, atol=1e-5)


def test_a_second_is_no_shorter_than_what_a_model_hears_at_a_time(tmp_path: Path) -> None:
    hearing = load("coala", weights="random", seed=0)
    path = tmp_path / "five.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 5 * 22000).astype(np.float32), 22000)
    tags = AlignedTags(
        "coala", COALA_DIM, Vocabulary(tags=("beep", "hiss")), head=nn.Sequential(nn.Linear(COALA_DIM, 2))
    )
    found = Tagger.of_tags(hearing, tags).tag(path)
    patch = 96 * 512 / 22000
    np.testing.assert_allclose(found.ends - found.starts, [patch, 5 - patch], atol=1e-4)  # a short rest joins


def test_the_default_model_tags(tmp_path: Path) -> None:
    tagger = Tagger.load("loom")
    assert "bell" in tagger.classes
    assert list(tagger.model.parts) == ["general"]  # what knows no words is not heard


def test_a_damaged_tagger_is_told(saved: Path) -> None:
    (saved / "tagger.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is damaged"):
        Tagger.load(saved)


def edited(folder: Path, **changes: object) -> None:
    data = json.loads((folder / "tagger.json").read_text())
    (folder / "tagger.json").write_text(json.dumps({**data, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprint": "0"}, "was trained on another model than the one beside it"),
        ({"format": 2}, "has format 2, this soundloom reads 1"),
        ({"classes": ["rain", "dog"]}, r"tagger\.safetensors does not fit tagger\.json"),
        ({"tempo": 1}, "unknown tempo"),
    ],
)
def test_a_tagger_that_does_not_fit_is_refused(saved: Path, changes: dict[str, object], message: str) -> None:
    edited(saved, **changes)
    with pytest.raises(ModelError, match=message):
        Tagger.load(saved)
