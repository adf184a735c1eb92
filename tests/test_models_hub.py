"""Models on the Hugging Face hub: fetched once, pushed, and errors that say what to do."""

from __future__ import annotations

import builtins
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import soundloom
from helpers.custom_stream import assert_same, custom
from soundloom.embedder import Stream
from soundloom.errors import (
    MissingExtraError,
    ModelError,
)
from soundloom.models import Card, from_pretrained, save_pretrained
from soundloom.models.saved_model import COMPANIONS, config_of, push_to_hub
from soundloom.models.weights.download import Announcement
from soundloom.tags import AlignedTags, Vocabulary
from soundloom.tags.class_head import TagHead
from soundloom.tags.lookup import aligned_tags


@pytest.fixture(scope="module")
def model() -> Stream:
    return custom()


@pytest.fixture
def saved(model: Stream, tmp_path: Path) -> Path:
    return save_pretrained(model, tmp_path / "mine")


# The hub, without one.


@pytest.fixture
def shelf(saved: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A hub that holds one model, and a cache that does not until it was fetched; records what it is asked."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    asked: list[dict[str, Any]] = []

    def snapshot_download(**wanted: Any) -> str:
        asked.append(wanted)
        fetched = any(not earlier.get("local_files_only") for earlier in asked)
        if wanted.get("local_files_only") and not fetched:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not here")
        if wanted["repo_id"] != "someone/mine":
            raise OSError("404: no such repository")
        return str(saved)

    def model_info(repository: str, *, revision: str | None, files_metadata: bool) -> SimpleNamespace:
        if repository == "someone/else":
            raise OSError("404: no such repository")
        names = ["config.json", "pytorch_model.bin" if repository == "someone/old" else "model.safetensors", "x.py"]
        files = [SimpleNamespace(rfilename=name, size=1_000_000) for name in names]
        return SimpleNamespace(siblings=files, card_data=SimpleNamespace(license="cc-by-4.0"))

    monkeypatch.setattr(huggingface_hub, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.delenv("SOUNDLOOM_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return asked


def test_models_come_from_the_hub_once(shelf: list[dict[str, Any]], model: Stream) -> None:
    told: list[Announcement] = []
    assert_same(soundloom.load("hf:someone/mine@v2", announce=told.append), model)
    assert [announcement.address for announcement in told] == ["https://huggingface.co/someone/mine/tree/v2"]
    assert shelf[-1] == {
        "repo_id": "someone/mine",
        "revision": "v2",
        "allow_patterns": ["config.json", "model.safetensors"],
    }
    assert "(2.0 MB, no published hash, licence cc-by-4.0)" in str(told[0])
    assert_same(from_pretrained("hf:someone/mine", announce=told.append, offline=True), model)
    assert len(told) == 1
    assert list(soundloom.load("logmel+hf:someone/mine").parts) == ["logmel", "mine"]


def test_tags_come_from_the_hub_with_their_model(shelf: list[dict[str, Any]], saved: Path, model: Stream) -> None:
    assert aligned_tags("hf:someone/mine") is None
    head = TagHead(torch.nn.Linear(model.dim, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    AlignedTags(model.name, model.dim, Vocabulary(tags=("dog", "rain")), head=head).save(saved)
    found = aligned_tags("logmel+hf:someone/mine", offline=True)
    assert found is not None
    assert (found.part, found.vocabulary.tags) == (model.name, ("dog", "rain"))


def test_hub_errors(shelf: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="offline, and hf:someone/mine is not in the cache"):
        soundloom.load("hf:someone/mine", offline=True)
    with pytest.raises(ModelError, match="cannot fetch hf:someone/else: 404"):
        soundloom.load("hf:someone/else")
    with pytest.raises(ModelError, match=r"has no model.safetensors; pytorch_model.bin is a pickle"):
        soundloom.load("hf:someone/old")
    for wrong in ("hf:mine", "hf:a/b/c", "hf:"):
        with pytest.raises(ModelError, match="should be owner/name"):
            soundloom.load(wrong)
    errors = pytest.importorskip("huggingface_hub.errors")
    # Of whichever HTTP library the hub's is.
    failure = next(one for one in errors.HfHubHTTPError.__mro__ if one.__name__ == "HTTPError")

    def unreachable(*_: Any, **__: Any) -> None:
        raise failure("[Errno -2] Name or service not known")

    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.model_info", unreachable)
        with pytest.raises(ModelError, match=r"cannot fetch hf:someone/mine: \[Errno -2\]"):
            soundloom.load("hf:someone/mine")
        patch.setattr("huggingface_hub.snapshot_download", unreachable)
        with pytest.raises(ModelError, match=r"cannot fetch config.json of hf:someone/mine: \[Errno -2\]"):
            config_of("hf:someone/mine")
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"loading hf:someone/mine needs .* pip install 'soundloom\[hub\]'"):
        soundloom.load("hf:someone/mine")


def test_push_to_hub(model: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.delenv("SOUNDLOOM_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    class Api:
        def __init__(self, token: str | None) -> None:
            assert token == "secret"

        def create_repo(self, repository: str, *, private: bool | None, exist_ok: bool) -> str:
            assert (repository, private, exist_ok) == ("someone/mine", True, True)
            return "https://huggingface.co/someone/mine"

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> None:
            assert repo_id == "someone/mine"
            assert "soundloom" in commit_message
            if (tmp_path / "there").exists():
                raise OSError("403: forbidden")
            shutil.copytree(folder_path, tmp_path / "there")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    card = Card(repository="someone/mine")
    page = push_to_hub(model, "someone/mine", card=card, private=True, token="secret")
    assert page == "https://huggingface.co/someone/mine"
    assert_same(from_pretrained(tmp_path / "there"), model)
    assert 'soundloom.load("hf:someone/mine")' in (tmp_path / "there" / "README.md").read_text()
    shutil.move(tmp_path / "there", tmp_path / "saved")
    for name in (*COMPANIONS, "metrics.csv"):
        (tmp_path / "saved" / name).write_text(name)
    push_to_hub(tmp_path / "saved", "someone/mine", private=True, token="secret")
    pushed = {file.name: file.read_bytes() for file in (tmp_path / "there").iterdir()}
    assert pushed == {
        name: (tmp_path / "saved" / name).read_bytes()
        for name in ("config.json", "model.safetensors", "README.md", *COMPANIONS)
    }
    with pytest.raises(ValueError, match="a card of its own"):
        push_to_hub(tmp_path / "saved", "someone/mine", card=card)
    with pytest.raises(ModelError, match="no saved model"):
        push_to_hub(tmp_path, "someone/mine", token="secret")
    with pytest.raises(ModelError, match="cannot publish someone/mine: 403"):
        push_to_hub(model, "someone/mine", private=True, token="secret")
    monkeypatch.setenv("SOUNDLOOM_OFFLINE", "1")
    with pytest.raises(ModelError, match="offline: someone/mine cannot be published"):
        push_to_hub(model, "someone/mine")
