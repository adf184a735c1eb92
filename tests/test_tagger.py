"""A tagger's folder, and what is refused of it; tagging itself is tested with the recipe that trains one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from torch import nn

import soundloom
from soundloom.cli import main
from soundloom.embedder import Embedder, Woven
from soundloom.encoders import COALA_DIM, COALATagEncoder
from soundloom.errors import ModelError
from soundloom.models import load, save_pretrained
from soundloom.objectives.labels import SCORES, LabelHead, LabelSettings
from soundloom.tagger import Tagger
from soundloom.tags import AlignedTags, Vocabulary
from soundloom.tags.class_head import TagHead

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
    monkeypatch.setattr("soundloom.sound_tagger.BLOCK", 2)
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


def test_a_model_tags_with_the_words_that_it_knows(tmp_path: Path) -> None:
    knowing = load("logmel")
    torch.manual_seed(3)
    words = Vocabulary(tags=("beep", "hiss", "rain"))
    tags = AlignedTags(
        "logmel", knowing.dim, words, encoder=COALATagEncoder(3).eval(),
        audio_map=nn.Linear(knowing.dim, COALA_DIM, bias=False),
    )  # fmt: skip
    tags.centre.normal_(std=0.01)
    save_pretrained(Woven([load("mfcc"), knowing]), tmp_path / "woven")
    tags.save(tmp_path / "woven")
    path = tmp_path / "three.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 40000).astype(np.float32), 16000)
    found = Tagger.load(tmp_path / "woven").tag(path)
    seconds = torch.stack(
        [torch.from_numpy(knowing.embed(path, start=start, end=end)) for start, end in ((0, 1), (1, 2), (2, 2.5))]
    )
    scores = tags.suggestion_scores(seconds).numpy()
    np.testing.assert_allclose(found.seconds, scores, atol=1e-5)
    np.testing.assert_allclose(found.clip, np.array([1, 1, 0.5]) @ scores / 2.5, atol=1e-5)


def test_a_second_is_no_shorter_than_what_a_model_hears_at_a_time(tmp_path: Path) -> None:
    hearing = load("coala", weights="random", seed=0)
    path = tmp_path / "five.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 5 * 22000).astype(np.float32), 22000)
    tags = AlignedTags("coala", COALA_DIM, Vocabulary(tags=("beep", "hiss")), head=TagHead(nn.Linear(COALA_DIM, 2)))
    found = Tagger.of_tags(hearing, tags).tag(path)
    patch = 96 * 512 / 22000
    np.testing.assert_allclose(found.ends - found.starts, [patch, 5 - patch], atol=1e-4)  # a short rest joins


def test_the_default_model_tags(tmp_path: Path) -> None:
    tagger = Tagger.load("loom")
    assert {"Bell", "Dog"} < set(tagger.classes)
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
        ({"format": 3}, "has format 3, this soundloom reads 1 to 2"),
        ({"classes": ["rain", "dog"]}, r"tagger\.safetensors does not fit tagger\.json"),
        ({"tempo": 1}, "unknown tempo"),
    ],
)
def test_a_tagger_that_does_not_fit_is_refused(saved: Path, changes: dict[str, object], message: str) -> None:
    edited(saved, **changes)
    with pytest.raises(ModelError, match=message):
        Tagger.load(saved)


# --- what moved a score


@pytest.fixture(scope="module")
def woven() -> Embedder:
    return soundloom.load("logmel+mfcc")


def explaining(woven: Embedder, *, loss: str = "bce", hidden: int = 0) -> Tagger:
    torch.manual_seed(0)
    settings = LabelSettings(loss=loss, hidden=hidden)  # type: ignore[arg-type]
    mean = np.random.default_rng(3).normal(size=woven.dim).astype(np.float32)
    return Tagger(woven, LabelHead(settings, woven.dim, len(CLASSES)), settings, CLASSES, mean)


def some(model: Embedder, rows: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, model.dim)).astype(np.float32)


@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize("loss", ["huber", "bce", "cross-entropy"])
def test_shares_and_the_average_add_up_to_the_score(woven: Embedder, loss: str, hidden: int) -> None:
    tagger, vectors = explaining(woven, loss=loss, hidden=hidden), some(woven)
    shares = tagger.shares(vectors)
    assert list(shares) == ["logmel", "mfcc"]
    average = tagger.scores(tagger.average()[None])
    np.testing.assert_allclose(average + sum(shares.values()), tagger.scores(vectors), atol=1e-5)


def test_of_a_linear_head_each_share_is_the_part_s_own_product(
    woven: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger, vectors = explaining(woven), some(woven)
    monkeypatch.setitem(SCORES, "bce", lambda outputs: outputs)
    weights = tagger.head.state_dict()["0.weight"].numpy()
    for part, share in tagger.shares(vectors).items():
        columns = woven.parts[part]
        expected = (vectors[:, columns] - tagger.average()[columns]) @ weights[:, columns].T
        np.testing.assert_allclose(share, expected, atol=1e-5)


def test_a_part_like_the_average_moves_nothing(woven: Embedder) -> None:
    tagger, vectors = explaining(woven, hidden=8), some(woven)
    vectors[:, woven.parts["mfcc"]] = tagger.average()[woven.parts["mfcc"]]
    shares = tagger.shares(vectors)
    np.testing.assert_allclose(shares["mfcc"], 0, atol=1e-6)
    assert np.abs(shares["logmel"]).max() > 0.01


def test_a_clip_s_shares_are_its_seconds_mean(woven: Embedder, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "x.wav", noise(2.5), 16000, subtype="FLOAT")
    tagger = explaining(woven)
    assert tagger.tag(tmp_path / "x.wav").explained is None
    tagged = tagger.tag(tmp_path / "x.wav", explain=True)
    explained = tagged.explained
    assert explained is not None
    for part in woven.parts:
        expected = np.array([1, 1, 0.5]) @ explained.seconds[part] / 2.5
        np.testing.assert_allclose(explained.clip[part], expected, atol=1e-6)
    np.testing.assert_allclose(explained.average + sum(explained.clip.values()), tagged.clip, atol=1e-5)
    np.testing.assert_allclose(explained.average + sum(explained.seconds.values()), tagged.seconds, atol=1e-5)


def test_the_average_is_saved_and_taggers_without_one_do_not_explain(woven: Embedder, tmp_path: Path) -> None:
    save_pretrained(woven, tmp_path)
    explaining(woven).save(tmp_path)
    again = Tagger.load(tmp_path)
    np.testing.assert_array_equal(again.average(), explaining(woven).average())
    # As version 1 left them.
    tagger_of(woven).save(tmp_path)
    edited(tmp_path, format=1)
    old = Tagger.load(tmp_path)
    assert old.scores(some(woven)).shape == (5, 3)
    with pytest.raises(ModelError, match=r"scored by one part .* when the command that trained it is run again"):
        old.shares(some(woven))


def test_explained_tags_by_command(woven: Embedder, tmp_path: Path) -> None:
    import soundfile
    from pyarrow import parquet

    run, sound = tmp_path / "run", tmp_path / "x.wav"
    run.mkdir()
    save_pretrained(woven, run)
    explaining(woven).save(run)
    soundfile.write(sound, noise(2.5), 16000)
    command = ["tag", str(sound), "--model", str(run), "--explain", "--least", "0"]
    shown = CliRunner().invoke(main, command)
    assert shown.exit_code == 0, shown.output
    heading, *lines = shown.stdout.splitlines()
    assert heading.split() == ["score", "average", "logmel", "mfcc", "tag"]
    assert len(lines) == len(CLASSES)
    score, average, *moved = (float(number) for number in lines[0].split()[:4])
    assert average + sum(moved) == pytest.approx(score, abs=0.021), "rounded to two digits"
    for name, read in (("t.csv", read_csv), ("t.parquet", lambda path: parquet.read_table(path).to_pylist())):
        written = CliRunner().invoke(main, [*command, "--frames", "--out", str(tmp_path / name)])
        assert written.exit_code == 0, written.output
        rows = read(tmp_path / name)
        assert list(rows[0]) == ["path", "start", "end", "label", "score", "average", "from_logmel", "from_mfcc"]
        assert len(rows) == 3 * len(CLASSES)
        for row in rows:
            parts = float(row["average"]) + float(row["from_logmel"]) + float(row["from_mfcc"])
            assert parts == pytest.approx(float(row["score"]), abs=1e-5)
    plain = CliRunner().invoke(main, [*command[:-3], "--least", "0", "--out", str(tmp_path / "plain.csv")])
    assert plain.exit_code == 0, plain.output
    assert list(read_csv(tmp_path / "plain.csv")[0]) == ["path", "start", "end", "label", "score"]


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
