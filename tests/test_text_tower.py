"""Sentences and sounds in CLAP's common space: as transformers computes them, and as classes of a tagger."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

import soundloom
from helpers import tiny_transformers
from soundloom.cli import main
from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.models import save_pretrained
from soundloom.tagger import Tagger
from soundloom.tags import text_tower
from soundloom.zero_shot import zero_shot_tagger

transformers = pytest.importorskip("transformers")

RATE = 48000
SENTENCES = ("rain on a roof", "dog")


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_transformers.save_clap(tmp_path_factory.mktemp("models") / "clap")


def noise(seed: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(10 * RATE).astype(np.float32)


def test_both_sides_are_those_of_the_library(clap: Path) -> None:
    tower, model = text_tower(clap), soundloom.load(str(clap))
    library = transformers.ClapModel.from_pretrained(clap).eval()
    stored = torch.from_numpy(np.stack([model.embed(noise(seed), RATE) for seed in range(2)]))
    tokens = torch.tensor([[2, 3, 4, 5]])
    with torch.inference_mode():
        text = library.text_model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).pooler_output
        text = torch.nn.functional.normalize(library.text_projection(text), dim=1)
        sounds = torch.nn.functional.normalize(library.audio_projection(stored), dim=1)
    torch.testing.assert_close(tower.embed_text(SENTENCES)[:1], text, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(tower.similarities(stored, SENTENCES)[:, :1], sounds @ text.T, rtol=1e-5, atol=1e-6)
    # Whatever stands beside a sentence, and however often it is asked for.
    assert torch.equal(text_tower(clap).embed_text(["dog", SENTENCES[0]])[1], tower.embed_text(SENTENCES)[0])
    # As long as the model takes, and no longer.
    assert tower.embed_text(["rain " * 500]).isfinite().all()


def test_zero_shot_scores_are_the_softmax_of_scaled_cosines(clap: Path, tmp_path: Path) -> None:
    tagger, tower, model = zero_shot_tagger(clap, SENTENCES), text_tower(clap), soundloom.load(str(clap))
    cosines = tower.similarities(torch.from_numpy(model.embed(noise(0), RATE))[None], SENTENCES)
    expected = (tower.scale * cosines).softmax(dim=1)[0].numpy()
    np.testing.assert_allclose(tagger.tag(noise(0), RATE).clip, expected, rtol=1e-4, atol=1e-5)
    soundfile.write(tmp_path / "x.wav", noise(0), RATE, subtype="FLOAT")
    words = [part for sentence in SENTENCES for part in ("--words", sentence)]
    command = ["tag", str(tmp_path / "x.wav"), "-m", str(clap), *words, "--least", "0", "--json"]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    scores = {row["tag"]: row["score"] for row in json.loads(done.stdout)["tags"]}
    assert scores == pytest.approx(dict(zip(SENTENCES, expected.tolist(), strict=True)), abs=1e-4)


def test_what_takes_no_sentences_says_so(clap: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_pretrained(soundloom.load("logmel"), tmp_path / "mine")
    for name in ("loom", str(tmp_path / "mine"), f"{clap}#2"):
        with pytest.raises(ModelError, match="takes no sentences: choose a CLAP model"):
            text_tower(name)
    for name in (str(tmp_path / "none"), f"{clap}+{tmp_path}/none#2"):
        with pytest.raises(ModelError, match="none': there is no such folder"):
            text_tower(name)
        with pytest.raises(ModelError, match="none': there is no such folder"):
            Tagger.load(name)
    with pytest.raises(ModelError, match="say which sentences to score"):
        Tagger.load(clap)
    tower = text_tower(clap)
    assert "Loading" not in capfd.readouterr().err
    with pytest.raises(InvalidArgumentError, match="not empty"):
        tower.embed_text([" "])
    with pytest.raises(InvalidArgumentError, match=r"embeddings of 128, got 3"):
        tower.embed_sounds(torch.zeros(1, 3))
    with pytest.raises(ModelError, match="two or more different sentences"):
        zero_shot_tagger(clap, ["dog", "dog"])
