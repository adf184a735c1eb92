"""Models as ONNX files: what a file says is what the model says, and a file that does not is not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

import soundloom
from helpers.tiny_encoder import Tiny, unsettle
from soundloom import onnx_export, onnx_graph
from soundloom.cli import main
from soundloom.embedder import Embedder, Stream, Window, Woven
from soundloom.encoders import AST, ASTSettings, Identity, YAMNet, initialise
from soundloom.errors import MissingExtraError, ModelError
from soundloom.frontends import ConstantQ, Fbank, LogMel, Texture
from soundloom.onnx_export import check_exportable, export

pytestmark = pytest.mark.skipif(not onnx_graph.available(), reason="needs soundloom[onnx]")


def noise(batch: int, samples: int) -> Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(5)) / 10


def small(window: Window | None, layers: tuple[int, ...] | None = None) -> Stream:
    encoder = Tiny()
    initialise(encoder, 0)
    unsettle(encoder)
    return Stream(
        "small", LogMel.jansen(), encoder, layers=layers, pooling="mean", window=window, min_samples=1680
    ).eval()


def run(path: Path, waveforms: Tensor) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (embeddings,) = session.run(["embeddings"], {"waveforms": waveforms.numpy()})
    return embeddings


def facts(path: Path) -> dict[str, str]:
    import onnx

    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")] == [onnx_graph.OPSET]
    return {entry.key: entry.value for entry in model.metadata_props}


def agree(path: Path, model: Embedder, waveforms: Tensor) -> None:
    with torch.no_grad():
        expected = model(waveforms).numpy()
    got = run(path, waveforms)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-4 * float(np.abs(expected).max()), rtol=0)


@pytest.mark.slow
@pytest.mark.long
def test_front_ends_take_any_length(tmp_path: Path) -> None:
    model = soundloom.load("logmel+mfcc")
    exported = export(model, tmp_path / "model.onnx")
    assert exported.max_samples is None
    assert exported.min_samples == 4096  # nine frames: below, differences repeat the ends, which is another graph
    assert exported.difference < 1e-4
    for batch, samples in ((1, 4096), (2, 30000), (5, 100_001)):
        agree(exported.path, model, noise(batch, samples))
    agree(exported.path, model, torch.zeros(2, 20000))
    told = facts(exported.path)
    assert told["model"] == "logmel+mfcc"
    assert told["fingerprint"] == model.fingerprint()
    assert (told["sample_rate"], told["dim"], told["opset"]) == ("16000", "248", "18")
    assert json.loads(told["parts"]) == {"logmel": [0, 128], "mfcc": [128, 248]}
    assert json.loads(told["window"]) == {"logmel": "None", "mfcc": "None"}
    assert (told["min_samples"], told["max_samples"]) == ("4096", "")


def test_a_fixed_window_is_the_length(tmp_path: Path) -> None:
    model = soundloom.load("coala", weights="random")
    exported = export(model, tmp_path / "model.onnx")
    assert exported.min_samples == exported.max_samples == 95 * 512
    assert model.frontend.frames(95 * 512) == 96 > model.frontend.frames(95 * 512 - 1)
    agree(exported.path, model, noise(3, 95 * 512))


@pytest.mark.slow
@pytest.mark.long
def test_a_given_length_is_cut_and_filled_as_the_library_does(tmp_path: Path) -> None:
    model = soundloom.load("coala#2#5", weights="random")
    exported = export(model, tmp_path / "model.onnx", seconds=5)
    assert exported.min_samples == exported.max_samples == 110_000
    agree(exported.path, model, noise(2, 110_000))


@pytest.mark.slow
@pytest.mark.long
def test_fused_layers_of_cnn14(tmp_path: Path) -> None:
    model = soundloom.load("cnn14#1#2", weights="random")
    exported = export(model, tmp_path / "model.onnx", seconds=0.6)
    agree(exported.path, model, noise(2, 9600))


@pytest.mark.slow
def test_a_window_that_is_not_fixed_bounds_the_length(tmp_path: Path) -> None:
    model = small(Window(frames=100, fixed=False))
    exported = export(model, tmp_path / "model.onnx")
    assert (exported.min_samples, exported.max_samples) == (1680, 16000)  # a second
    assert str(Path(soundloom.__file__).parent).encode() not in exported.path.read_bytes()
    for samples in (1680, 9000, 16000):
        agree(exported.path, model, noise(2, samples))


@pytest.mark.slow
def test_fused_layers_without_a_window_need_a_length(tmp_path: Path) -> None:
    model = small(None, layers=(1, 3))
    with pytest.raises(ModelError, match=r"'small' can be exported for one length .*--seconds"):
        export(model, tmp_path / "model.onnx")
    exported = export(model, tmp_path / "model.onnx", seconds=1)
    agree(exported.path, model, noise(2, 16000))


@pytest.mark.slow
@pytest.mark.long
def test_a_transformer_and_resampled_parts(tmp_path: Path) -> None:
    encoder = AST(ASTSettings(depth=2, width=32, hidden=64, heads=2, frames=64))
    initialise(encoder, 0)
    ast = Stream("ast", Fbank(), encoder, layers=(1, 2), pooling="mean", window=Window(frames=64, fixed=True, fill=0.5))
    woven = Woven([ast, soundloom.load("coala#3", weights="random")]).eval()
    exported = export(woven, tmp_path / "model.onnx", seconds=1)
    assert exported.min_samples == woven.sample_rate == 22000
    agree(exported.path, woven, noise(2, 22000))


def test_the_longest_window_counts() -> None:
    lengths = onnx_export._lengths(
        woven := Woven([soundloom.load("vggish", weights="random"), soundloom.load("logmel")]), woven.streams
    )
    assert (lengths.least, lengths.most) == (15600, 15600)  # 95 hops of 160 and a frame of 400


def test_peak_maps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'peaks' cannot be exported: it contains a PeakMap, whose ones"):
        export(soundloom.load("peaks"), tmp_path / "model.onnx", seconds=1)
    assert list(tmp_path.iterdir()) == []


def test_the_part_that_cannot_be_exported_is_named_before_anything_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(onnx_graph, "record")  # recording takes a minute
    with pytest.raises(ModelError, match="its part 'peaks' contains a PeakMap, whose ones and zeros") as refused:
        export(soundloom.load("logmel+peaks"), tmp_path / "model.onnx")
    assert "without that part" in str(refused.value)


def test_what_cannot_be_exported_is_refused_before_weights_are_fetched_or_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundloom.save_pretrained(soundloom.load("logmel+peaks"), tmp_path / "saved")
    (tmp_path / "saved" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=f"its part '{tmp_path}/saved' contains a PeakMap, whose ones"):
        check_exportable(f"{tmp_path}/saved+mfcc")
    (tmp_path / "wav2vec").mkdir()
    (tmp_path / "wav2vec" / "config.json").write_text('{"model_type": "wav2vec2"}')
    with pytest.raises(ModelError, match="contains a TransformersAudio, whose feature extractor"):
        check_exportable(f"{tmp_path}/wav2vec")
    with pytest.raises(ModelError, match="contains an OnnxFile, which is an ONNX file already"):
        check_exportable("onnx:missing.onnx")
    monkeypatch.setattr(YAMNet, "export_obstacle", "which rounds", raising=False)
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="'yamnet#7' cannot be exported: it contains a YAMNet, which rounds"):
        check_exportable("yamnet#7", offline=True)
    check_exportable("coala#3+logmel+loom", offline=True)


@pytest.mark.slow
@pytest.mark.long
def test_constant_q_and_texture(tmp_path: Path) -> None:
    streams = [
        Stream("pitch", ConstantQ.verma(), Identity(), layers=(1,), pooling="mean"),
        Stream("texture", Texture(), Identity(), layers=(1,), pooling="mean,deviation"),
    ]
    model = Woven(streams).eval()
    exported = export(model, tmp_path / "model.onnx", seconds=1.3)
    assert exported.min_samples == exported.max_samples == 20800
    agree(exported.path, model, noise(3, 20800))
    agree(exported.path, model, torch.zeros(1, 20800))


def test_the_default_model_needs_a_length_which_is_said_before_anything_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(onnx_graph, "record")
    with pytest.raises(ModelError, match=r"'loom' can be .* one length .* as its part 'pitch' can: .*--seconds"):
        export(soundloom.load("loom"), tmp_path / "loom.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.torchscript", "model.pt", "model"])
def test_a_file_of_another_format_is_refused_before_the_model_is_loaded(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soundloom.models.load", None)
    result = CliRunner().invoke(main, ["export", "logmel", str(tmp_path / name)])
    assert result.exit_code == 1
    assert f"names end in .onnx: got '{name}'" in result.output


def test_the_file_is_an_argument_or_an_option(tmp_path: Path) -> None:
    for words in ([], [str(tmp_path / "a.onnx"), "-o", str(tmp_path / "b.onnx")]):
        result = CliRunner().invoke(main, ["export", "logmel", *words])
        assert result.exit_code == 2
        assert "name one file to write" in result.output
    result = CliRunner().invoke(main, ["export", "peaks", "-o", str(tmp_path / "a.onnx")])
    assert "cannot be exported" in result.output


@pytest.mark.slow
def test_a_file_that_disagrees_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")
    with pytest.raises(ModelError, match=r"'logmel' in ONNX is .* off, .* was not written"):
        export(soundloom.load("logmel"), path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_sound_that_memory_does_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_memory(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 64000000000000 bytes")

    monkeypatch.setattr(onnx_export, "_export", without_memory)
    with pytest.raises(
        ModelError, match=r"a sound of 1e\+09 s does not fit into memory in one piece: give fewer seconds"
    ):
        export(soundloom.load("mfcc"), tmp_path / "long.onnx", seconds=1e9)


def test_impossible_wishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = soundloom.load("logmel")
    with pytest.raises(ModelError, match=r"takes sounds from 0\.025 s on, got 0\.010 s"):
        export(model, tmp_path / "model.onnx", seconds=0.01)
    with pytest.raises(ModelError, match="there is no folder"):
        export(model, tmp_path / "nowhere" / "model.onnx")
    monkeypatch.setattr(onnx_graph, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"exporting a model needs .* 'soundloom\[onnx\]'"):
        export(model, tmp_path / "model.onnx")


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "mfcc.onnx"
    result = CliRunner().invoke(main, ["export", "mfcc", str(path), "--seconds", "1", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert (told["min_samples"], told["max_samples"], told["dim"]) == (16000, 16000, 120)
    agree(path, soundloom.load("mfcc"), noise(1, 16000))
    result = CliRunner().invoke(main, ["export", "mfcc", str(tmp_path / "no" / "mfcc.onnx")])
    assert result.exit_code == 2
    assert "there is no folder" in result.output
