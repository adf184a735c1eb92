"""Models in folders and on the hub: what is loaded is what was saved, and what is damaged says so."""

from __future__ import annotations

import builtins
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import isabstract
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from torch import Tensor

import soundloom
from soundloom.cli import main
from soundloom.components import ModuleConfig, from_plain, presets
from soundloom.embedder import Embedder, Stream, Window, Woven
from soundloom.embedder.undeclared_state import undeclared_state
from soundloom.encoders import (
    ENCODERS,
    Encoder,
    Identity,
    Transformer,
    TransformerSettings,
    initialise,
)
from soundloom.errors import (
    ComponentError,
    LibraryError,
    MissingExtraError,
    ModelError,
    ModelMismatchError,
    UnknownModelError,
)
from soundloom.frontends import (
    FRONTENDS,
    Frontend,
    LogMel,
    LogMelSettings,
    NormalisedFrontend,
)
from soundloom.library import Library
from soundloom.models import MODELS, Card, absolute, from_pretrained, save_pretrained
from soundloom.models.saved_model import COMPANIONS, config_of, push_to_hub
from soundloom.models.weights.download import Announcement, sha256_of
from soundloom.tags import AlignedTags, Vocabulary
from soundloom.tags.class_head import TagHead
from soundloom.tags.lookup import aligned_tags


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def custom() -> Stream:
    """A stream that no table has: own settings everywhere, learned ranges, weights of its own."""
    settings = LogMelSettings(
        sample_rate=8000, n_fft=256, win_length=200, hop_length=80, bins=24, fmin=30, fmax=3999.5, logarithm="decibel"
    )
    frontend = NormalisedFrontend(LogMel(settings))
    frontend.scale.copy_(torch.linspace(0.5, 2, 24))
    encoder = Transformer(TransformerSettings(bins=24, width=12, depth=2, heads=2, hidden=16, pool_after=(2,)))
    initialise(encoder, seed=7)
    return Stream(
        "mine",
        frontend,
        encoder,
        layers=(2, 1),
        pooling="mean,deviation",
        window=Window(frames=50, fixed=True, fill=-1.25),
        min_samples=400,
    ).eval()


@pytest.fixture(scope="module")
def model() -> Stream:
    return custom()


@pytest.fixture
def saved(model: Stream, tmp_path: Path) -> Path:
    return save_pretrained(model, tmp_path / "mine")


def assert_same(loaded: Embedder, model: Embedder) -> None:
    assert loaded.fingerprint() == model.fingerprint()
    assert (loaded.name, loaded.dim, loaded.frame_dim, loaded.sample_rate, loaded.min_samples, dict(loaded.parts)) == (
        model.name,
        model.dim,
        model.frame_dim,
        model.sample_rate,
        model.min_samples,
        dict(model.parts),
    )
    assert not loaded.training


# There and back.


FULL_SIZE = ("ast", "ast-niizumi", "cnn14", "cnn14-32k", "cnn14-niizumi", "vggish", "vggish-niizumi")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in FULL_SIZE else n for n in MODELS])
def test_every_model_of_the_table(name: str, tmp_path: Path) -> None:
    model = soundloom.load(name, weights="random", seed=1)
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


# Damage.


def edit(saved: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads((saved / "config.json").read_text())
    change(data)
    (saved / "config.json").write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(format=2), r"has format 2, soundloom .* reads 1"),
        (lambda data: data.pop("format"), "is not of a soundloom model: .* the key 'format'"),
        (lambda data: data.update(colour="red"), r"config.json: unknown colour\. The keys are format"),
        (lambda data: data.pop("dim"), "config.json: missing dim"),
        (lambda data: data.update(parts=[]), "parts is empty"),
        (lambda data: data.update(parts=[3]), r"parts\[0\] should be an object with the keys name, .*, got 3"),
        (lambda data: data.update(dim=7), "says 7 numbers at 8000 Hz, but its parts make 48 at 8000 Hz"),
        (lambda data: data["parts"][0].update(layers=[9]), "there is no layer 9: those of .* are 1, 2"),
        (lambda data: data["parts"][0].update(layers=["1"]), r"parts\[0\]\.layers\[0\] should be int, got '1'"),
        (lambda data: data["parts"][0].update(pooling="median"), "no pooling 'median'"),
        (lambda data: data["parts"][0].update(min_samples=True), "min_samples should be int, got True"),
        (lambda data: data["parts"][0]["window"].update(fixed=1), r"window\.fixed should be bool, got 1"),
        (
            lambda data: data["parts"][0]["encoder"].update(type="RNN"),
            r"encoder\.type: no encoder 'RNN': .*here are",
        ),
        (lambda data: data["parts"][0]["encoder"]["settings"].update(width=13), "width must be even, got 13"),
        (lambda data: data["parts"][0]["encoder"]["settings"].update(bins=25), r"of another shape: parts\.0\.encoder"),
        (lambda data: data["parts"][0]["frontend"].update(inner=None), "Scaled needs inner front-end"),
        (lambda data: data["parts"][0]["encoder"].update(type="VGGish"), "settings: VGGish has none, got channels"),
        (
            lambda data: data["parts"][0]["frontend"]["inner"]["settings"].update(window="box"),
            r"inner\.settings\.window should be 'hann' or .*, got 'box'",
        ),
        (
            lambda data: data["parts"][0]["frontend"]["inner"]["settings"].update(fmax=5000),
            "mel filter bank needs .*, got fmin 30 and fmax 5000",
        ),
    ],
)
def test_damaged_configurations_say_where(saved: Path, change: Callable[..., object], message: str) -> None:
    edit(saved, change)
    with pytest.raises(ModelError, match=message):
        from_pretrained(saved)


def test_configurations_that_are_no_json(saved: Path) -> None:
    for text in ("{", "", "\xff"):
        (saved / "config.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(ModelError, match=r"config\.json is damaged"):
            from_pretrained(saved)
    (saved / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="not of a soundloom model"):
        from_pretrained(saved)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_missing_files_are_named(saved: Path, file: str) -> None:
    (saved / file).unlink()
    with pytest.raises(ModelError, match=f"there is no {file}"):
        from_pretrained(saved)


def test_weights_that_are_not_those_saved(saved: Path) -> None:
    file = saved / "model.safetensors"
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        file.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"model\.safetensors is not the file that config\.json was saved with"):
            from_pretrained(saved)
    file.write_bytes(whole)
    state = load_file(file)
    state.pop("parts.0.encoder.projection.bias")
    state["parts.0.encoder.projection.weight"] = torch.zeros(3, 3)
    save_file(state, file)
    edit(saved, lambda data: data.update(weights_sha256=sha256_of(file)))
    with pytest.raises(ModelError, match=r"(?s)1 missing: parts\.0\.encoder\.projection\.bias.*got \(3, 3\)"):
        from_pretrained(saved)
    file.write_bytes(b"no safetensors")
    edit(saved, lambda data: data.update(weights_sha256=sha256_of(file)))
    with pytest.raises(ModelError, match="is not a safetensors file"):
        from_pretrained(saved)


def test_a_saving_that_fails_leaves_the_old_model(saved: Path, model: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ModelError, match=r"cannot save 'mine' to .*: no space left on device"):
        save_pretrained(custom(), saved)
    monkeypatch.undo()
    assert_same(from_pretrained(saved), model)
    assert len(list(saved.iterdir())) == 3


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
        ({"whole": 1.0}, "x.whole should be int, got 1.0"),
        ({"real": "1"}, "x.real should be float, got '1'"),
        ({"real": True}, "x.real should be float, got True"),
        ({"truth": 0}, "x.truth should be bool, got 0"),
        ({"choice": "c"}, "x.choice should be 'a' or 'b' or 2, got 'c'"),
        ({"choice": 2.0}, "x.choice should be .*, got 2.0"),
        ({"several": 3}, "x.several should be .*, got 3"),
        ({"maybe": 3}, "x.maybe should be str, got 3"),
    ]
    for fault, message in faults:
        with pytest.raises(ComponentError, match=message):
            from_plain(Everything, {**data, **fault}, "x")


# Libraries.


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    import soundfile

    (tmp_path / "sounds").mkdir()
    for number in range(3):
        soundfile.write(tmp_path / "sounds" / f"{number}.wav", noise(8000, number), 8000)
    return tmp_path / "sounds"


def test_a_library_finds_its_saved_model_again(saved: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    library = Library.create("l.loom", "logmel+./mine")
    library.add(sounds)
    assert library.settings.source == f"logmel+{saved}"
    monkeypatch.chdir("/")
    again = Library.open(library.folder)
    hits = again.search(sounds / "0.wav", weights={"mine": 1, "logmel": 0}, include_query=True)
    assert hits[0].path == str(sounds / "0.wav")
    assert hits[0].similarity == pytest.approx(1, abs=1e-5)

    moved = saved.rename(saved.with_name("moved"))
    with pytest.raises(ModelError, match=r"(?s)no saved model in .*mine'.*have moved, say where to: Library.open"):
        _ = Library.open(library.folder).model
    assert Library.open(library.folder, f"logmel+{moved}").settings.source == f"logmel+{moved}"
    assert Library.open(library.folder).model.fingerprint() == library.settings.fingerprint
    save_pretrained(soundloom.load("mfcc"), moved)
    with pytest.raises(ModelMismatchError, match=r"filled by the model 'logmel\+mine', not 'logmel\+mfcc'"):
        _ = Library.open(library.folder).model


def test_a_library_of_a_model_in_hand_takes_it_again(model: Stream, sounds: Path, tmp_path: Path) -> None:
    Library.create(tmp_path / "l.loom", model).add(sounds)
    with pytest.raises(ModelError, match=r"cannot be loaded: no model 'mine'"):
        _ = Library.open(tmp_path / "l.loom").model
    assert Library.open(tmp_path / "l.loom", model).search(sounds / "1.wav")


def test_a_library_remembers_its_weights(sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = Library.create("l.loom", "coala+logmel", weights={"coala": "random"})
    assert made.settings.weights == {"coala": "random"}
    made.add(sounds)
    assert Library.open("l.loom").search(sounds / "1.wav")
    assert Library.open("l.loom", weights="random").settings.weights == "random"
    with pytest.raises(ModelError, match=r"no file .*other\.pt"):
        Library.open("l.loom", weights={"coala": "other.pt"})


def test_libraries_from_before_weights_were_written_down(sounds: Path, tmp_path: Path) -> None:
    Library.create(tmp_path / "l.loom", "logmel").add(sounds)
    file = tmp_path / "l.loom" / "library.json"
    data = json.loads(file.read_text())
    assert (data.pop("source"), data.pop("weights")) == ("logmel", "published")
    del data["checksum"]
    file.write_text(json.dumps(data))
    assert Library.open(tmp_path / "l.loom").search(sounds / "1.wav")
    file.write_text(json.dumps({**data, "weights": 3}))
    with pytest.raises(LibraryError, match="damaged"):
        Library.open(tmp_path / "l.loom")


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


# Commands.


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_commands_take_saved_models(saved: Path, sounds: Path, tmp_path: Path) -> None:
    assert run("index", sounds, "-l", tmp_path / "l.loom", "--model", f"{saved}+peaks").exit_code == 0
    found = run("search", sounds / "2.wav", "-l", tmp_path / "l.loom", "--offline", "--weights", "mine=1,peaks=0")
    assert found.exit_code == 0, found.output
    assert "2.wav" in found.stdout
    assert f"{saved}+peaks" in run("info", "-l", tmp_path / "l.loom").stdout
    assert "48" in run("embed", sounds, "-o", tmp_path / "e.npz", "--model", saved).stdout
    wrong = run("index", sounds, "-l", tmp_path / "l.loom", "--model", tmp_path / "nowhere")
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("Error: no saved model in")


def test_saved_weights_may_be_read_by_whom_the_mask_allows(model: Stream, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    saved = save_pretrained(model, tmp_path / "m")
    modes = {file.stat().st_mode & 0o777 for file in saved.iterdir()}
    assert modes == {(tmp_path / "other").stat().st_mode & 0o777}
