"""ONNX files as models: the graph's numbers, rates and windows from graph and sidecar, woven, saved and indexed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

import soundloom
from soundloom.cli import main
from soundloom.embedder import Stream
from soundloom.errors import ModelError, UnknownModelError
from soundloom.library import Library
from soundloom.onnx_export import export

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

RATE = 32000
SAMPLES = 5 * RATE


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(round(rate * seconds)).astype(np.float32)


def write_graph(
    path: Path, *, samples: int = SAMPLES, size: int = 1536, metadata: dict[str, str] | None = None
) -> Path:
    """A graph with the outputs of Perch v2: 16 x 4 vectors over the window, and an embedding of it all."""
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    constants = {
        "shape": np.array([1, 16, 4, -1], np.int64),
        "first": np.array([0], np.int64),
        "last": np.array([25], np.int64),
        "axis": np.array([3], np.int64),
        "weights": np.random.default_rng(1).standard_normal((25, size)).astype(np.float32),
    }
    nodes = [
        make.make_node("Reshape", ["inputs", "shape"], ["cut"]),
        make.make_node("Slice", ["cut", "first", "last", "axis"], ["begins"]),
        make.make_node("MatMul", ["begins", "weights"], ["products"]),
        make.make_node("Relu", ["products"], ["spatial"]),
        make.make_node("ReduceMean", ["spatial"], ["embedding"], axes=[1, 2], keepdims=0),
    ]
    graph = make.make_graph(
        nodes,
        "birds",
        [make.make_tensor_value_info("inputs", kind, ["batch", samples])],
        [
            make.make_tensor_value_info("spatial", kind, ["batch", 16, 4, size]),
            make.make_tensor_value_info("embedding", kind, ["batch", size]),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def slowly(samples: np.ndarray, size: int = 1536) -> tuple[np.ndarray, np.ndarray]:
    """The same by numpy."""
    weights = np.random.default_rng(1).standard_normal((25, size)).astype(np.float32)
    spatial = np.maximum(samples.reshape(16, 4, -1)[:, :, :25] @ weights, 0)
    return spatial, spatial.mean(axis=(0, 1))


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"onnx:{write_graph(tmp_path_factory.mktemp('graphs') / 'birds.onnx')}"


def test_rate_and_window_of_known_shapes_and_the_graphs_own_numbers(birds: str) -> None:
    model = soundloom.load(birds)
    assert isinstance(model, Stream)
    assert (model.name, model.sample_rate, model.dim) == ("birds", RATE, 1536)
    sound = noise(10)
    expected = [slowly(sound[first : first + SAMPLES])[1] for first in (0, SAMPLES)]
    np.testing.assert_allclose(model.embed(sound, RATE), np.mean(expected, axis=0), rtol=1e-4, atol=1e-6)
    frames, times = model.embed_frames(sound, RATE)
    assert frames.shape == (2, 1536)
    np.testing.assert_allclose(times, [2.5, 7.5], atol=0.001)


def test_outputs_are_layers_with_their_time_axis(birds: str) -> None:
    sound = noise(5)
    spatial, embedding = slowly(sound)
    frames, times = soundloom.load(f"{birds}#1").embed_frames(sound, RATE)
    # Frequency and numbers of a step lie beside each other, frequency last.
    np.testing.assert_allclose(frames, spatial.transpose(0, 2, 1).reshape(16, -1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.diff(times), 5 / 16)
    # An output of one vector a window is the same at every step of it.
    late = soundloom.load(f"{birds}#2").embed_frames(sound, RATE)[0]
    np.testing.assert_allclose(late, np.tile(embedding, (16, 1)), rtol=1e-4, atol=1e-6)
    with pytest.raises(ModelError, match="there is no layer 3: those of OnnxFile are 1, 2"):
        soundloom.load(f"{birds}#3")


def test_alone_in_a_batch_and_in_a_copy_the_same_bits(birds: str) -> None:
    model = soundloom.load(birds)
    sounds = torch.from_numpy(np.stack([noise(5), 0.5 * noise(5)]))
    with torch.inference_mode():
        both = model(sounds).numpy()
        for row, sound in zip(both, sounds, strict=True):
            np.testing.assert_array_equal(model(sound[None])[0].numpy(), row)
        np.testing.assert_array_equal(copy.deepcopy(model)(sounds).numpy(), both)


def test_composed_saved_and_indexed(birds: str, tmp_path: Path) -> None:
    woven = soundloom.load(f"{birds}#1#2+logmel")
    assert list(woven.parts) == ["birds#1#2", "logmel"]
    soundloom.save_pretrained(woven, tmp_path / "woven")
    again = soundloom.load(str(tmp_path / "woven"))
    assert again.fingerprint() == woven.fingerprint()
    np.testing.assert_array_equal(again.embed(noise(6), RATE), woven.embed(noise(6), RATE))
    (tmp_path / "sounds").mkdir()
    for number in range(3):
        soundfile.write(tmp_path / "sounds" / f"{number}.wav", np.roll(noise(5), 1000 * number), RATE)
    library = Library.create(tmp_path / "birds.loom", birds)
    library.add(tmp_path / "sounds", workers=2)
    stored = Library.open(tmp_path / "birds.loom")
    assert stored.settings.source == birds
    assert stored.search(tmp_path / "sounds" / "1.wav", include_query=True)[0].path.endswith("1.wav")
    assert stored.model.fingerprint() == soundloom.load(birds).fingerprint()


def test_another_graph_has_another_fingerprint(birds: str, tmp_path: Path) -> None:
    other = write_graph(tmp_path / "birds.onnx", metadata={"note": "of no use to the numbers"})
    assert soundloom.load(f"onnx:{other}").fingerprint() != soundloom.load(birds).fingerprint()


def test_an_export_of_our_own_gives_the_models_embeddings(tmp_path: Path) -> None:
    model = soundloom.load("logmel")
    export(model, tmp_path / "mine.onnx")
    exported = soundloom.load(f"onnx:{tmp_path / 'mine.onnx'}")
    assert (exported.sample_rate, exported.dim) == (model.sample_rate, model.dim)
    sound = noise(3, 16000)
    np.testing.assert_allclose(exported.embed(sound, 16000), model.embed(sound, 16000), rtol=1e-3, atol=1e-3)
    assert exported.min_samples <= model.sample_rate


def test_what_is_not_known_is_asked_for_and_told_beside_the_file(tmp_path: Path) -> None:
    place = write_graph(tmp_path / "own.onnx", samples=64000, size=8)
    with pytest.raises(
        ModelError, match=r"does not say its sample rate: write it beside the file, into own\.onnx\.json"
    ):
        soundloom.load(f"onnx:{place}")
    beside = tmp_path / "own.onnx.json"
    facts: dict[str, Any] = {"sample_rate": 16000, "embedding": "spatial", "licence": "CC-BY-4.0"}
    beside.write_text(json.dumps({**facts, "layouts": {"spatial": "bftd"}}))
    model = soundloom.load(f"onnx:{place}")
    assert (model.sample_rate, model.frame_dim) == (16000, 8)
    assert model.embed_frames(noise(4, 16000), 16000)[0].shape == (4, 8)  # 4 steps: the third axis is time
    shown = CliRunner().invoke(main, ["info", f"onnx:{place}"], catch_exceptions=False).stdout
    assert "CC-BY-4.0" in shown
    for wrong, message in (
        ({"layouts": {"spatial": "bxtd"}}, "layouts are the letters"),
        ({"embedding": "nothing"}, "no output 'nothing'"),
        ({"rate": 16000}, "rate"),
    ):
        beside.write_text(json.dumps({"sample_rate": 16000, **wrong}))
        with pytest.raises(ModelError, match=message):
            soundloom.load(f"onnx:{place}")
    beside.write_text("no JSON")
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        soundloom.load(f"onnx:{place}")


def test_what_is_no_graph_of_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the ONNX file"):
        soundloom.load(f"onnx:{tmp_path / 'none.onnx'}")
    (tmp_path / "noise.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="onnxruntime cannot open"):
        soundloom.load(f"onnx:{tmp_path / 'noise.onnx'}")
    with pytest.raises((ModelError, UnknownModelError)):
        soundloom.load("onnx:")
