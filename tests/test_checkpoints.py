"""The way from a published checkpoint to tensors: fetched once, kept, followed, refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import pickle
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from checkpoints_server import Shelf, serving
from helpers.small_checkpoints import SMALL, assert_same, seeded
from soundloom.errors import ModelError
from soundloom.models.weights.download import Announcement, PublishedFile, cached_weights
from soundloom.models.weights.http_transfer import Patience
from soundloom.models.weights.published_checkpoints import (
    CHECKPOINTS,
    Checkpoint,
)
from soundloom.models.weights.weight_store import fetch, fetch_vocabulary
from test_checkpoints_unpickle import panns_sampler, published_scaler, scaler_pickle

QUICK = Patience(timeout=5.0, attempts=2, pause=0.0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("SOUNDLOOM_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "home"


def publish(name: str, path: Path, state: dict[str, torch.Tensor]) -> None:
    """Write a state dict the way its authors did."""
    legacy = {"_use_new_zipfile_serialization": False}
    if name == "cnn14-16k":
        torch.save({"iteration": 600_000, "model": state, "sampler": panns_sampler()}, path, **legacy)
    elif name == "vggish-pca":
        arrays = {key: tensor.numpy().astype(np.float64) for key, tensor in state.items()}
        torch.save({**arrays, "pca_means": arrays["pca_means"].reshape(-1, 1)}, path, **legacy)
    elif name == "ast":
        save_file(state, path)
    elif name == "coala-scaler":
        arrays = {key: tensor.numpy() for key, tensor in state.items()}
        path.write_bytes(scaler_pickle(3, **{**published_scaler(), **arrays}))
    else:
        torch.save(state, path, **legacy)


def row_for(name: str, path: Path, address: str = "http://127.0.0.1:9/none") -> Checkpoint:
    content = path.read_bytes()
    source = PublishedFile(
        address=address, filename=path.name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    return dataclasses.replace(CHECKPOINTS[name], source=source, shapes=SMALL[name])


@dataclasses.dataclass
class Published:
    row: Checkpoint
    state: dict[str, torch.Tensor]
    path: Path
    shelf: Shelf


@pytest.fixture
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Published]:
    name = getattr(request, "param", "cnn14-16k")
    state, path = seeded(SMALL[name]), tmp_path / f"{name}.file"
    publish(name, path, state)
    with serving(Shelf(path.read_bytes())) as shelf:
        yield Published(row_for(name, path, shelf.address), state, path, shelf)


@pytest.mark.parametrize("published", list(SMALL), indirect=True)
def test_every_published_format_is_fetched_once_and_read_the_same_ever_after(published: Published) -> None:
    said: list[Announcement] = []
    first = fetch(published.row, announce=said.append, patience=QUICK)
    assert_same(first, published.state)
    assert_same(fetch(published.row, announce=said.append, offline=True), published.state)
    assert len(said) == len(published.shelf.requests) == 1
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in first.values())


@pytest.mark.parametrize("published", list(SMALL), indirect=True)
def test_every_published_format_is_read_from_a_file_or_folder_of_ones_own(published: Published) -> None:
    assert_same(fetch(published.row, published.path, offline=True), published.state)
    assert_same(fetch(published.row, str(published.path.parent), offline=True), published.state)
    assert not published.shelf.requests


def test_after_the_first_time_the_pickle_is_not_needed(published: Published, home: Path) -> None:
    fetch(published.row, patience=QUICK)
    (home / "checkpoints" / "cnn14-16k" / published.path.name).unlink()
    assert_same(fetch(published.row, offline=True), published.state)


def test_weights_of_ones_own_are_not_taken_for_the_published_ones(published: Published, home: Path) -> None:
    own = published.path.with_name("own.file")
    publish("cnn14-16k", own, {key: tensor + 1 for key, tensor in published.state.items()})
    kept = partial(cached_weights, published.row.source, home / "checkpoints" / "cnn14-16k")
    assert kept() == "none"
    fetch(published.row, own, offline=True)
    assert kept() == "own"
    fetch(published.row, patience=QUICK)
    assert kept() == "published"
    (home / "checkpoints" / "cnn14-16k" / published.path.name).unlink()
    assert kept() == "published", "its conversion is enough"


def test_the_converted_file_says_where_it_comes_from(published: Published, home: Path) -> None:
    fetch(published.row, patience=QUICK)
    (converted,) = (home / "checkpoints" / "cnn14-16k").glob("*.safetensors")
    assert published.row.source.sha256 is not None
    assert converted.stem == published.row.source.sha256[:16]
    with safe_open(converted, framework="pt") as file:
        header = file.metadata()
    assert header["source"] == published.shelf.address
    assert header["source_sha256"] == published.row.source.sha256
    assert header["licence"] == "CC-BY-4.0"
    assert header["citation"] == published.row.citation
    assert header["checkpoint"] == "cnn14-16k"


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def test_a_damaged_converted_file_is_made_again(
    published: Published, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fetch(published.row, patience=QUICK)
    (converted,) = (home / "checkpoints" / "cnn14-16k").glob("*.safetensors")
    whole = converted.read_bytes()
    foreign = home / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    for damaged in (b"", whole[:5], whole[:-7], flipped(whole), b"\x00" * len(whole), foreign.read_bytes()):
        converted.write_bytes(damaged)
        caplog.clear()
        assert_same(fetch(published.row, offline=True), published.state)
        assert "damaged or out of date" in caplog.text
        caplog.clear()
        assert_same(fetch(published.row, offline=True), published.state)
        assert not caplog.text


def test_a_damaged_converted_file_without_its_pickle_asks_for_it(published: Published, home: Path) -> None:
    fetch(published.row, patience=QUICK)
    folder = home / "checkpoints" / "cnn14-16k"
    (converted,) = folder.glob("*.safetensors")
    converted.write_bytes(flipped(converted.read_bytes()))
    (folder / published.path.name).unlink()
    with pytest.raises(ModelError, match="offline, and"):
        fetch(published.row, offline=True)
    assert_same(fetch(published.row, patience=QUICK), published.state)


def test_the_converted_file_follows_the_content_of_ones_own_file(published: Published) -> None:
    fetch(published.row, published.path)
    changed = {key: tensor + 1 for key, tensor in published.state.items()}
    publish("cnn14-16k", published.path, changed)
    assert_same(fetch(published.row, published.path), changed)


def test_a_later_table_with_other_keys_makes_it_again(published: Published) -> None:
    fetch(published.row, patience=QUICK)
    renamed = dataclasses.replace(
        published.row,
        renames=(("bn0.", "norm."),),
        shapes={key.replace("bn0.", "norm."): shape for key, shape in published.row.shapes.items()},
    )
    assert "norm.weight" in fetch(renamed, offline=True)


def test_threads_may_fetch_at_once(published: Published) -> None:
    results: list[dict[str, torch.Tensor]] = []
    workers = [threading.Thread(target=lambda: results.append(fetch(published.row, patience=QUICK))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 4
    for result in results:
        assert_same(result, published.state)
    assert len(published.shelf.requests) == 1


def test_ones_own_file_loads_though_the_cache_cannot_be_written(
    published: Published, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert_same(fetch(published.row, published.path), published.state)
    assert "cannot keep the converted weights" in caplog.text


@pytest.mark.parametrize("published", ["coala-audio"], indirect=True)
def test_weights_of_another_model_are_refused_by_name(published: Published) -> None:
    with pytest.raises(
        ModelError, match=r"(?s)coala-audio\.file: these are not the weights of vggish.*18 missing: features\.0\.weight"
    ):
        fetch("vggish", published.path)


def test_a_hostile_file_of_ones_own_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return eval, (f"open({str(tmp_path / 'trace')!r}, 'w').close()",)

    torch.save({"model": {"a": Hostile()}}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"builtins\.eval"):
        fetch("cnn14-16k", tmp_path / "a.pth")
    (tmp_path / "scaler.pkl").write_bytes(pickle.dumps(Hostile(), protocol=4))
    with pytest.raises(ModelError, match=r"builtins\.eval"):
        fetch("coala-scaler", tmp_path / "scaler.pkl")
    assert not (tmp_path / "trace").exists()


def test_files_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"no file .*none\.pth: expected the weights of vggish, such as vggish-10086976"
    ):
        fetch("vggish", tmp_path / "none.pth")
    with pytest.raises(ModelError, match=r"holds neither vggish-10086976\.pth nor model\.safetensors"):
        fetch("vggish", tmp_path)
    with pytest.raises(ModelError, match=r"offline, and .*vggish-10086976\.pth is not there.*288\.6 MB"):
        fetch("vggish", offline=True)


def test_a_cut_safetensors_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(seeded(SMALL["ast"]), path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ModelError, match="is not a whole safetensors file"):
        fetch("ast", tmp_path)


def test_the_vocabulary_comes_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    content = json.dumps(
        {"1": "closing", "0": "close", "10": "k", **{str(n): f"tag{n}" for n in range(2, 10)}}
    ).encode()
    with serving(Shelf(content)) as shelf:
        source = PublishedFile(
            address=shelf.address, filename="id2token.json", sha256=hashlib.sha256(content).hexdigest()
        )
        row = dataclasses.replace(CHECKPOINTS["coala-vocabulary"], source=source)
        tags = fetch_vocabulary(row, patience=QUICK)
    assert tags == ("close", "closing", *(f"tag{n}" for n in range(2, 10)), "k")
    (tmp_path / "own.json").write_bytes(content)
    assert fetch_vocabulary(path=tmp_path / "own.json") == tags
    assert fetch_vocabulary(row, offline=True) == tags


@pytest.mark.parametrize("content", ["", "[]x", "3", '{"a": "b"}', '{"1": "b"}'])
def test_what_is_not_a_vocabulary_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "own.json").write_text(content)
    with pytest.raises(ModelError, match="is not a vocabulary: expected JSON"):
        fetch_vocabulary(path=tmp_path / "own.json")


def test_a_vocabulary_is_not_weights() -> None:
    with pytest.raises(ModelError, match="read it with fetch_vocabulary"):
        fetch("coala-vocabulary")
