"""Engines: the same numbers from other machinery, and which machinery it was is not forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import soundloom
from helpers.tiny_encoder import Tiny, unsettle
from soundloom import engines, onnx_graph
from soundloom.cli import main
from soundloom.components import presets
from soundloom.embedder import Embedder, Stream, Window, Woven
from soundloom.encoders import AST, ENCODERS, ASTSettings, Encoder, initialise
from soundloom.engine_choice import accelerating
from soundloom.engines import Accelerated, EngineWarning, accelerate, resumed
from soundloom.errors import LibraryError, MissingExtraError, ModelError
from soundloom.fold_batchnorm import folded
from soundloom.frontends import Fbank, LogMel
from soundloom.library import Library

onnx_installed = pytest.mark.skipif(not onnx_graph.available(), reason="needs soundloom[onnx]")
every_engine = pytest.mark.parametrize("engine", ["torch", pytest.param("onnxruntime", marks=onnx_installed)])


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for the module, so that an encoder is recorded once."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOUNDLOOM_HOME", str(folder))
        yield folder / "engines"


def drawn(name: str) -> Encoder:
    """An encoder with random weights, and normalisations that do something."""
    encoder = presets(ENCODERS)[name]().eval().requires_grad_(False)
    initialise(encoder, 0)
    unsettle(encoder)
    return encoder


def small(layers: tuple[int, ...] | None = None) -> Stream:
    """A convolutional stream that cuts sounds after a second."""
    encoder = Tiny().requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for convolution in encoder.convolutions:
            convolution.reset_parameters()
    unsettle(encoder)
    window = Window(frames=100, fixed=False)
    return Stream(
        "small", LogMel.jansen(), encoder, layers=layers, pooling="mean", window=window, min_samples=1680
    ).eval()


def small_ast() -> Stream:
    encoder = AST(ASTSettings(depth=2, width=32, hidden=64, heads=2, frames=64))
    initialise(encoder.requires_grad_(False), 0)
    return Stream("ast", Fbank(), encoder, layers=(1, 2), pooling="mean", window=Window(frames=64, fixed=True)).eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)) / 10


def difference(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(
    "name", [pytest.param("cnn14", marks=pytest.mark.slow), "coala", "resnet18", "mobilenet", "vggish"]
)
def test_folding_keeps_every_layer(name: str) -> None:
    encoder = drawn(name)
    shape = {"cnn14": (2, 1, 64, 40), "vggish": (2, 1, 64, 96)}.get(name, (2, 1, 96, 96))
    example = noise(*shape)
    before = [layer.clone() for layer in encoder.layers(example, encoder.available)]
    lean = folded(encoder, example, encoder.available[-1])
    for got, expected, original in zip(
        lean.layers(example, encoder.available), before, encoder.layers(example, encoder.available), strict=True
    ):
        assert difference(got, expected) < 1e-5
        assert torch.equal(original, expected), "folding changed the encoder it was given"
    left = [key for key, module in lean.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert left == (["bn0"] if name == "cnn14" else [])  # bn0 acts on mel bins, before any convolution


@every_engine
@pytest.mark.parametrize("layers", [None, (1, 3)])
def test_an_engine_changes_no_promise(engine: str, layers: tuple[int, ...] | None) -> None:
    model = small(layers)
    fast = accelerate(model, engine)
    assert fast.engine == engine
    assert model.engine == "plain"
    for fact in ("name", "sample_rate", "dim", "parts", "frame_dim", "min_samples"):
        assert getattr(fast, fact) == getattr(model, fact)
    assert fast.fingerprint() == model.fingerprint()
    assert fast.settings() == model.settings()
    # Below the minimum, one piece, a whole window and a rest, several windows of which the last is short.
    for samples in (8000, 16240, 40000):
        waveforms = noise(3, samples)
        assert difference(fast(waveforms), model(waveforms)) < 1e-4
        ours, theirs = fast.frames(waveforms), model.frames(waveforms)
        assert difference(ours.values, theirs.values) < 1e-4
        assert torch.equal(ours.times, theirs.times)
    lengths = torch.tensor([8000, 40000, 40000])
    assert difference(fast(waveforms, lengths), model(waveforms, lengths)) < 1e-4


@every_engine
def test_an_engine_gives_the_same_bits_in_any_company(engine: str) -> None:
    fast = accelerate(small(), engine)
    sounds = [row.numpy() for row in noise(8, 30000)]
    alone = [fast.embed_samples(sound) for sound in sounds]
    with ThreadPoolExecutor(4) as executor:
        together = list(executor.map(fast.embed_samples, sounds))
    again = accelerate(small(), engine)
    for sound, first, second in zip(sounds, alone, together, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(again.embed_samples(sound), first)


@every_engine
def test_woven_parts_are_accelerated_one_by_one(engine: str) -> None:
    woven = Woven([small(), small_ast(), soundloom.load("logmel")]).eval()
    fast = accelerate(woven, engine)
    assert (fast.parts, fast.fingerprint()) == (woven.parts, woven.fingerprint())
    assert fast.engine == engine
    waveforms = noise(2, 20000)
    got, expected = fast(waveforms), woven(waveforms)
    for columns in woven.parts.values():
        assert difference(got[:, columns], expected[:, columns]) < 1e-4
    assert torch.equal(got[:, woven.parts["logmel"]], expected[:, woven.parts["logmel"]])


@onnx_installed
def test_transformers_stay_with_torch() -> None:
    assert accelerate(small_ast(), "onnxruntime").engine == "torch"


def test_the_model_is_left_as_it_was() -> None:
    model = small().train()
    before = model.fingerprint()
    fast = accelerate(model, "torch")
    assert model.training
    assert model.fingerprint() == before
    assert not fast.train().training
    with torch.no_grad():
        model.encoder.convolutions[0].weight.add_(1)
    assert difference(fast(noise(1, 16000)), small()(noise(1, 16000))) < 1e-5, "the weights are shared"
    assert not fast(noise(1, 16000).requires_grad_()).requires_grad


@onnx_installed
@pytest.mark.slow
def test_an_encoder_is_recorded_once(cache: Path) -> None:
    model = small((2,))
    before = set(cache.glob("*.onnx")) if cache.exists() else set()
    accelerate(model, "onnxruntime")
    (recorded,) = set(cache.glob("*.onnx")) - before
    stamp = recorded.stat().st_mtime_ns
    accelerate(small((2,)), "onnxruntime")
    assert set(cache.glob("*.onnx")) - before == {recorded}
    assert recorded.stat().st_mtime_ns == stamp
    with torch.no_grad():
        model.encoder.convolutions[0].weight.mul_(2)
    accelerate(model, "onnxruntime")
    assert len(set(cache.glob("*.onnx")) - before) == 2, "other weights were taken for the same"


@onnx_installed
def test_a_recorded_encoder_is_checked_until_it_agreed_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small((1,))
    path = cache / f"{engines._key(model)}.onnx"
    expected = accelerate(model, "onnxruntime")(noise(1, 16000))
    with monkeypatch.context() as unchecked:
        unchecked.setattr(engines, "_check", None)
        assert torch.equal(accelerate(model, "onnxruntime")(noise(1, 16000)), expected)
    other = small((1,))
    with torch.no_grad():
        other.encoder.convolutions[0].weight.mul_(1.1)
    engines._record(other, engines._example(other), path)
    with pytest.raises(ModelError, match=r"its encoder is .* off"):
        accelerate(model, "onnxruntime")
    path.unlink()
    accelerate(model, "onnxruntime")


def test_what_disagrees_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(encoder: Encoder, example: Tensor, last: int) -> Encoder:
        other = folded(encoder, example, last)
        other.convolutions[0].weight.mul_(1.01)
        return other

    monkeypatch.setattr(engines, "folded", broken)
    with pytest.raises(ModelError, match=r"its encoder is 0\.0\d+ off"):
        accelerate(small(), "torch")


def test_half_precision_rounds_and_gives_float32() -> None:
    """On the processor, as far as it can be seen there: a GPU takes the same way."""
    encoder = drawn("coala")
    rough = engines._Half(encoder)
    example = noise(2, 1, 96, 96)
    for got, expected in (
        (rough.baseline(example), encoder.baseline(example)),
        (rough.layers(example, [2])[0], encoder.layers(example, [2])[0]),
    ):
        assert got.dtype == torch.float32
        assert 1e-5 < difference(got, expected) < 1e-2


def test_impossible_wishes() -> None:
    model = soundloom.load("logmel")
    with pytest.raises(ModelError, match="no engine 'openvino': choose from auto, torch, onnxruntime"):
        accelerate(model, "openvino")
    with pytest.raises(ModelError, match="half precision is for GPUs"):
        accelerate(model, half=True)
    with pytest.raises(ModelError, match="runs on the engine torch already"):
        accelerate(accelerate(model), "torch")
    with pytest.raises(ModelError, match="cannot be moved to the device 'abacus'"):
        accelerating(soundloom.load, device="abacus")("logmel")


class Stranger(Embedder):
    def __init__(self) -> None:
        super().__init__()
        self.name = "stranger"

    def frames(self, waveforms: Tensor) -> soundloom.embedder.Frames:  # type: ignore[name-defined]
        raise NotImplementedError

    def settings(self) -> dict[str, object]:
        return {}

    def embed_equal(self, waveforms: Tensor) -> Tensor:
        raise NotImplementedError


def test_only_known_kinds_of_embedders() -> None:
    with pytest.raises(ModelError, match="'stranger' is a Stranger, and engines are for streams"):
        accelerate(Stranger(), "torch")


def test_without_onnx_runtime_torch_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    found = onnx_graph.find_spec
    monkeypatch.setattr(onnx_graph, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    model = soundloom.load("coala", weights="random")
    assert accelerate(model).engine == "torch"
    with pytest.raises(MissingExtraError, match=r"'onnxruntime': pip install .*'soundloom\[onnx\]'"):
        accelerate(model, "onnxruntime")
    with pytest.warns(EngineWarning, match=r"made by the engine 'onnxruntime'.* agree to 0.0001 but not to the bit"):
        assert resumed(model, "onnxruntime").engine == "torch"


def test_a_lost_gpu_is_told() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    model = soundloom.load("coala", weights="random")
    with pytest.warns(EngineWarning, match="made by the engine 'torch on cuda in half precision'"):
        fast = resumed(model, "torch on cuda in half precision")
    assert fast.engine == "torch"
    assert resumed(model, "plain") is model


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number, row in enumerate(noise(3, 30000).numpy()):
        soundfile.write(folder / f"noise-{number}.wav", row, 16000)
    return folder


@onnx_installed
@pytest.mark.slow
def test_a_library_goes_on_with_the_engine_it_was_begun_with(tmp_path: Path, sounds: Path) -> None:
    fast = accelerating(soundloom.load, "onnxruntime")
    library = Library.create(tmp_path / "a.loom", "coala", weights="random", loader=fast)
    assert library.settings.engine == "onnxruntime"
    library.add(sounds)
    reopened = Library.open(tmp_path / "a.loom")
    assert isinstance(reopened.model, Accelerated)
    assert reopened.model.engine == "onnxruntime"
    path = str(sounds / "noise-0.wav")
    row = reopened.rows(["embedding"], where=f"path = '{path}'")["embedding"].to_pylist()[0]
    np.testing.assert_array_equal(np.array(row, np.float32), reopened.model.embed(path))
    # Made by hand, without an engine: the plain model, as ever.
    plain = Library.create(tmp_path / "b.loom", "logmel")
    assert plain.settings.engine == "plain"
    assert not isinstance(Library.open(tmp_path / "b.loom").model, Accelerated)


def test_the_commands_choose_an_engine(tmp_path: Path, sounds: Path) -> None:
    folder = tmp_path / "c.loom"
    arguments = ["index", str(sounds), "-l", str(folder), "-m", "coala", "--weights", "random"]
    result = CliRunner().invoke(main, [*arguments, "--engine", "torch"])
    assert result.exit_code == 0, result.output
    assert Library.open(folder).settings.engine == "torch"
    result = CliRunner().invoke(main, [*arguments, "--engine", "auto"])
    assert result.exit_code == 1
    assert "goes on with the engine it was begun with, 'torch'" in result.output
    assert CliRunner().invoke(main, arguments).exit_code == 0
    out = tmp_path / "out.npz"
    embed = ["embed", str(sounds), "-o", str(out), "-m", "coala", "--weights", "random"]
    result = CliRunner().invoke(main, [*embed, "--engine", "torch"])
    assert result.exit_code == 0, result.output
    expected = soundloom.load("coala", weights="random").embed(sounds / "noise-0.wav")
    got = np.load(out)["embedding"][0]
    np.testing.assert_allclose(got, expected, atol=1e-4 * float(np.abs(expected).max()))
    assert CliRunner().invoke(main, [*embed, "--half"]).exit_code == 1


def test_damaged_engine(tmp_path: Path) -> None:
    Library.create(tmp_path / "d.loom", "logmel")
    file = tmp_path / "d.loom" / "library.json"
    file.write_text(file.read_text().replace('"engine": "plain"', '"engine": 3'))
    with pytest.raises(LibraryError, match="damaged"):
        Library.open(tmp_path / "d.loom")
