"""Models in folders: what is loaded is what was saved."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import isabstract
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

import soundloom
from helpers.custom_stream import assert_same, custom, noise
from soundloom.components import ModuleConfig, from_plain, presets
from soundloom.embedder import Reduction, Stream, Woven
from soundloom.embedder.undeclared_state import undeclared_state
from soundloom.encoders import (
    ENCODERS,
    Encoder,
    Identity,
)
from soundloom.errors import (
    ComponentError,
    ModelError,
    UnknownModelError,
)
from soundloom.frontends import (
    FRONTENDS,
    Frontend,
    LogMel,
    Texture,
)
from soundloom.models import MODELS, Card, absolute, from_pretrained, save_pretrained
from soundloom.training.seeds import seeded


@pytest.fixture(scope="module")
def model() -> Stream:
    return custom()


@pytest.fixture
def saved(model: Stream, tmp_path: Path) -> Path:
    return save_pretrained(model, tmp_path / "mine")


# There and back.


FULL_SIZE = ("ast", "ast-niizumi", "cnn14", "cnn14-32k", "cnn14-niizumi", "vggish", "vggish-niizumi")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow, pytest.mark.long]) if n in FULL_SIZE else n for n in MODELS],
)
def test_every_model_of_the_table(name: str, tmp_path: Path) -> None:
    model = soundloom.load(name, weights="published" if name == "loom" else "random", seed=1)
    save_pretrained(model, tmp_path / "saved")
    loaded = from_pretrained(tmp_path / "saved")
    assert_same(loaded, model)
    if name != "ast":  # alone on a thread it takes ten seconds to say what its fingerprint says
        sound = noise(model.sample_rate)
        assert loaded.embed(sound).tobytes() == model.embed(sound).tobytes()
    shutil.rmtree(tmp_path / "saved")


def test_fused_layers_and_weavings(model: Stream, tmp_path: Path) -> None:
    woven = Woven([soundloom.load("logmel"), model, soundloom.load("coala#3#6", weights="random")])
    assert woven.sample_rate == 22000
    loaded = from_pretrained(save_pretrained(woven, tmp_path / "woven"))
    assert_same(loaded, woven)
    sound = noise(30000)
    assert loaded.embed(sound).tobytes() == woven.embed(sound).tobytes()


@pytest.mark.parametrize("name", ["mine", "coala+logmel+peaks"])
def test_a_fresh_process_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    model = custom() if name == "mine" else soundloom.load(name, weights="random")
    save_pretrained(model, tmp_path / "saved")
    np.save(tmp_path / "sound.npy", noise(12345))
    script = """
import sys, numpy, soundloom
model = soundloom.load(sys.argv[1])
print(model.embed(numpy.load(sys.argv[2])).tobytes().hex(), model.fingerprint())
"""
    command = [sys.executable, "-c", script, tmp_path / "saved", tmp_path / "sound.npy"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said == [model.embed(noise(12345)).tobytes().hex(), model.fingerprint()]


@pytest.mark.parametrize("name", presets(ENCODERS))
def test_every_encoder_is_built_again_from_its_description(name: str) -> None:
    encoder = presets(ENCODERS)[name]()
    data = json.loads(json.dumps(ModuleConfig.of(encoder, ENCODERS).to_plain()))
    assert data["settings"] or not hasattr(encoder, "settings")
    with torch.device("meta"):
        again = from_plain(ModuleConfig, data, "x").build(ENCODERS, "x")
    assert again.extra_repr() == encoder.extra_repr()
    shapes = {key: tensor.shape for key, tensor in encoder.state_dict().items()}
    assert {key: tensor.shape for key, tensor in again.state_dict().items()} == shapes
    # Saved models are built without memory and then given their weights: nothing else may be left without.
    assert set(shapes) == {key for key, _ in [*again.named_parameters(), *again.named_buffers()]}


@pytest.mark.parametrize("name", presets(FRONTENDS))
def test_every_front_end_is_built_again_from_its_description(name: str) -> None:
    frontend = presets(FRONTENDS)[name]()
    data = json.loads(json.dumps(ModuleConfig.of(frontend, FRONTENDS).to_plain()))
    again = from_plain(ModuleConfig, data, "x").build(FRONTENDS, "x")
    assert type(again) is type(frontend)
    assert repr(again) == repr(frontend)
    assert undeclared_state(frontend) == {}


def test_every_front_end_and_encoder_is_registered() -> None:
    for registry, base in ((FRONTENDS, Frontend), (ENCODERS, Encoder)):
        kinds = {kind for kind in _below(base) if kind.__module__.startswith("soundloom.")}
        # Recording of graphs leaves classes of the same names behind.
        kinds = {kind for kind in kinds if getattr(sys.modules[kind.__module__], kind.__name__) is kind}
        assert {row.kind for row in registry.values()} == {
            kind for kind in kinds if not isabstract(kind) and kind.__name__[0] != "_"
        }
        assert all(row.presets for row in registry.values())


def _below(kind: type) -> set[type]:
    return {kind}.union(*(_below(each) for each in kind.__subclasses__()))


@pytest.mark.parametrize(
    ("old", "kind"), [("Scaled", "NormalisedFrontend"), ("BySecond", "PerSecond"), ("Chunks", "FramedWaveform")]
)
def test_names_in_models_saved_before_a_class_was_renamed(old: str, kind: str) -> None:
    assert FRONTENDS[old].kind.__name__ == kind
    assert FRONTENDS[kind] is FRONTENDS[old]
    assert ENCODERS["Notes"] is ENCODERS["PitchEncoder"]


def test_loading_leaves_the_callers_random_numbers_alone(saved: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    from_pretrained(saved)
    assert torch.rand(1) == expected


def test_a_loaded_model_learns_and_is_saved_again(saved: Path) -> None:
    loaded = from_pretrained(saved).train()
    before = loaded.fingerprint()
    loaded(torch.from_numpy(noise(8000))[None]).square().sum().backward()
    with torch.no_grad():
        for parameter in loaded.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad
    save_pretrained(loaded, saved)
    assert from_pretrained(saved).fingerprint() == loaded.fingerprint() != before
    assert sorted(file.name for file in saved.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_the_card(model: Stream, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    card = Card(
        licence="cc-by-4.0", tags=("birds: and more", "audio"), summary="Hears birds.", provenance="Field work."
    )
    text = (save_pretrained(model, tmp_path / "mine", card=card) / "README.md").read_text()
    front, body = text.removeprefix("---\n").split("\n---\n")
    assert yaml.safe_load(front) == {
        "license": "cc-by-4.0",
        "library_name": "soundloom",
        "pipeline_tag": "feature-extraction",
        "tags": ["audio", "birds: and more"],
    }
    for said in (
        "Hears birds.",
        "Field work.",
        f"{model.dim} numbers",
        "| mine | 0-47 | Scaled LogMel | Transformer |",
    ):
        assert said in body


# Names.


def test_saved_models_are_named_by_path_and_woven(saved: Path, model: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    for name in ("./mine", "mine", str(saved), f"{saved}/"):
        assert_same(soundloom.load(name), model)
    woven = soundloom.load("logmel+./mine")
    assert list(woven.parts) == ["logmel", "mine"]
    assert_same(soundloom.load("./mine + logmel"), Woven([model, soundloom.load("logmel")]))
    saved.rename("mine+more")
    assert_same(soundloom.load("./mine+more"), model)
    assert absolute("logmel") == "logmel"
    assert absolute("./mine+more") == str(saved.with_name("mine+more"))
    assert absolute("cnn14#3+./x+hf:a/b") == f"cnn14#3+{saved.parent / 'x'}+hf:a/b"


def test_the_table_goes_before_a_folder_of_its_name(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    saved.rename("logmel")
    assert soundloom.load("logmel").dim == 128
    assert soundloom.load("./logmel").name == "mine"
    Path("empty").mkdir()
    with pytest.raises(UnknownModelError, match="no model 'empty'"):
        soundloom.load("empty")
    with pytest.raises(ModelError, match=r"'\./empty'|'empty': there is no config.json"):
        soundloom.load("./empty")
    with pytest.raises(ModelError, match=r"no saved model in 'runs/none': .* hub is written hf:runs/none"):
        soundloom.load("runs/none")
    with pytest.raises(ModelError, match="has no weights to load"):
        soundloom.load("./logmel", weights="file.pth")


class Own(Encoder):
    available = (1,)
    stride = 1

    def layers(self, representation: Tensor, wanted: Sequence[int]) -> list[Tensor]:
        return [representation for _ in wanted]


class Scaling(Own):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor


class Quiet(LogMel):
    """A subclass may compute anything: it is saved under its own name."""

    def compress(self, energies: Tensor) -> Tensor:
        return super().compress(energies) - 1


def test_parts_of_a_module_of_ones_own_are_found_where_they_are_defined(tmp_path: Path) -> None:
    model = Stream("x", Quiet(LogMel.vggish().settings), Own(), layers=(1,), pooling="mean").eval()
    save_pretrained(model, tmp_path / "x")
    config = json.loads((tmp_path / "x" / "config.json").read_text())
    assert config["parts"][0]["frontend"]["type"] == "test_saving:Quiet"
    assert config["parts"][0]["encoder"] == {"type": "test_saving:Own", "settings": {}, "inner": None}
    loaded = from_pretrained(tmp_path / "x")
    assert isinstance(loaded, Stream)
    assert type(loaded.frontend) is Quiet
    assert_same(loaded, model)
    assert model.fingerprint() != Stream("x", LogMel.vggish(), Own(), layers=(1,), pooling="mean").fingerprint()


@pytest.mark.parametrize(("rounded", "bytes_each"), [(True, 2), (False, 4)])
def test_numbers_of_half_precision_are_stored_in_half_the_bytes(rounded: bool, bytes_each: int, tmp_path: Path) -> None:
    texture = Stream("texture", Texture(), Identity(), layers=(1,), pooling="mean,deviation")
    reduction = Reduction(texture.dim, 48)
    with seeded(1):
        reduction.matrix.copy_(torch.randn(48, texture.dim) / 100)
    if rounded:
        reduction.matrix.copy_(reduction.matrix.half())
    model = texture.with_reduction(reduction).eval()
    save_pretrained(model, tmp_path)
    size = (tmp_path / "model.safetensors").stat().st_size
    assert size == pytest.approx(bytes_each * reduction.matrix.numel(), rel=0.15)
    again = from_pretrained(tmp_path)
    assert all(tensor.dtype == torch.float32 for tensor in again.state_dict().values())
    assert_same(model, again)


def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    changed = Own()
    changed.gain = 3.0
    odd = LogMel.vggish()
    odd.bank.filters *= 2
    parts: list[tuple[Frontend, Encoder, str]] = [
        (LogMel.vggish(), Scaling(2.0), "the encoder Scaling takes factor, so it cannot be built again from settings"),
        (LogMel.vggish(), changed, "the encoder Own has state .* nor its weights hold: gain. Make it a setting"),
        (odd, Identity(), r"the front-end LogMel has state .*: bank\.filters\."),
    ]
    for frontend, encoder, fault in parts:
        stream = Stream("x", frontend, encoder, layers=(1,), pooling="mean")
        with pytest.raises(ModelError, match=f"cannot save 'x': {fault}"):
            save_pretrained(stream, tmp_path / "x")
    with pytest.raises(ModelError, match=r"saved in float32, but parts\.0\..* is torch\.float16"):
        save_pretrained(custom().half(), tmp_path / "x")
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot save 'mine' to"):
        save_pretrained(custom(), tmp_path / "file")


@dataclass(frozen=True, kw_only=True)
class Everything:
    whole: int
    real: float
    truth: bool
    choice: Literal["a", "b", 2]
    several: tuple[float, ...] = ()
    maybe: str | None = None


def test_the_name_of_a_model_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"got a str, and a model is saved: load it with soundloom\.load"):
        soundloom.save_pretrained("loom", tmp_path)  # type: ignore[arg-type]


def test_plain_data_keep_their_types() -> None:
    data = {"whole": 1, "real": 2, "truth": False, "choice": 2, "several": [1, 2.5], "maybe": None}
    made = from_plain(Everything, data, "x")
    assert repr(made) == repr(Everything(whole=1, real=2, truth=False, choice=2, several=(1, 2.5)))
    faults: list[tuple[dict[str, object], str]] = [
        ({"whole": 1.0}, "x.whole should be a whole number, got 1.0"),
        ({"real": "1"}, "x.real should be a number, got '1'"),
        ({"real": True}, "x.real should be a number, got True"),
        ({"truth": 0}, "x.truth should be true or false, got 0"),
        ({"choice": "c"}, "x.choice should be 'a' or 'b' or 2, got 'c'"),
        ({"choice": 2.0}, "x.choice should be .*, got 2.0"),
        ({"several": 3}, "x.several should be .*, got 3"),
        ({"maybe": 3}, "x.maybe should be text, got 3"),
    ]
    for fault, message in faults:
        with pytest.raises(ComponentError, match=message):
            from_plain(Everything, {**data, **fault}, "x")


def test_saved_weights_may_be_read_by_whom_the_mask_allows(model: Stream, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    saved = save_pretrained(model, tmp_path / "m")
    modes = {file.stat().st_mode & 0o777 for file in saved.iterdir()}
    assert modes == {(tmp_path / "other").stat().st_mode & 0o777}
