"""What a model is without fetching it: licences, layers and classes, of registered and saved models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import soundloom
from soundloom.cli import main
from soundloom.models import MODELS, Card, model_parts, save_pretrained
from soundloom.models.model_card import stated_licence


def run(*words: str) -> str:
    done = CliRunner().invoke(main, [*words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_of_the_package_states_its_licence(name: str) -> None:
    assert MODELS[name].stated_licence
    assert json.loads(run("models", "--json"))[name]["licence"] == MODELS[name].stated_licence


def test_a_published_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path))
    monkeypatch.setenv("SOUNDLOOM_OFFLINE", "1")
    lines = run("info", "yamnet")
    assert "Apache-2.0" in lines
    assert "yamnet.h5, 15.3 MB, sha256 13c33089" in lines
    assert "layers 1, 2, 3" in lines
    assert "521: Speech" in lines
    assert not any(tmp_path.rglob("*.h5"))
    facts = json.loads(run("info", "yamnet#7#14+logmel", "--json"))
    assert [part["licence"] for part in facts["parts"]] == ["Apache-2.0", "MIT"]
    assert [stream["encoder"] for stream in facts["streams"]] == ["YAMNet", "Identity"]


def test_saved_models_have_the_licence_of_their_card(tmp_path: Path) -> None:
    save_pretrained(soundloom.load("mfcc"), tmp_path / "stated", card=Card(licence="cc-by-4.0"))
    save_pretrained(soundloom.load("mfcc"), tmp_path / "none")
    (part,) = model_parts(str(tmp_path / "stated"))
    assert (part.row, part.licence, part.folder) == (None, "cc-by-4.0", tmp_path / "stated")
    assert "cc-by-4.0" in run("info", str(tmp_path / "stated"))
    assert stated_licence(tmp_path / "none") is None
    assert "not stated" in run("info", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("front_matter", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n", "apache-2.0"),
        ("---\ntags:\n- audio\nlicense: 'mit'\nx: 1\n---\n", "mit"),
        ("no front matter\nlicense: mit\n---\n", None),
        ("---\ntags: [a]\n---\nlicense: mit\n", None),
    ],
)
def test_front_matter(tmp_path: Path, front_matter: str, licence: str | None) -> None:
    (tmp_path / "README.md").write_text(front_matter)
    assert stated_licence(tmp_path) == licence
