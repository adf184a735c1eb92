"""Fingerprints cover all state of a model, or refuse; those stored before are recognised."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import soundloom
from helpers.installed_package import run_python
from soundloom import corpora
from soundloom.components import ModuleConfig, digest_of
from soundloom.embedder import Embedder, Stream, Woven
from soundloom.embedder.undeclared_state import build_encoder, undeclared_state
from soundloom.encoders import AST, ENCODERS, ASTSettings, Encoder, Identity, PitchEncoder, PitchEncoderSettings
from soundloom.errors import ComponentError, ModelError, ModelMismatchError
from soundloom.feature_cache import MelEnergies, Represented
from soundloom.frontends import MFCC, FramedWaveform, LogMel, NormalisedFrontend, PatchSettings, PerSecond
from soundloom.library import Library

RATE = 16000


class Gain(FramedWaveform):
    """A front-end whose output an ordinary attribute decides."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__(PatchSettings(length=800))
        self.gain = gain

    def forward(self, waveforms: Tensor) -> Tensor:
        representation = super().forward(waveforms)
        return torch.where(representation > 0.02, representation * self.gain, representation.flip(2))


class Layers(Encoder):
    available = (1,)
    stride = 1

    def layers(self, representation: Tensor, wanted: Sequence[int]) -> list[Tensor]:
        return [representation for _ in wanted]


def stream(frontend: Any = None, encoder: Any = None, **options: Any) -> Stream:
    return Stream(
        "x", frontend or LogMel.jansen(), encoder or Identity(), layers=(1,), pooling="mean", **options
    ).eval()


def changed(change: Callable[[Stream], object]) -> Stream:
    model = stream()
    change(model)
    return model


CHANGES: dict[str, Callable[[Stream], object]] = {
    "a buffer that is not saved": lambda model: model.frontend.get_buffer("bank.filters").mul_(2),
    "an attribute": lambda model: setattr(model.frontend, "hop", 0.02),
    "an attribute within": lambda model: setattr(model.frontend.get_submodule("bank"), "spans", []),
    "a class within": lambda model: setattr(model.frontend, "bank", nn.Identity()),
    "a hook": lambda model: model.encoder.register_forward_hook(json.dumps),
    "the shortest sound": lambda model: setattr(model, "min_samples", 8000),
    "the pooling": lambda model: setattr(model, "pooling", "max"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_any_state_changes_the_fingerprint(change: str) -> None:
    plain, other = stream(), changed(CHANGES[change])
    assert other.fingerprint() != plain.fingerprint()
    assert other.fingerprint() == changed(CHANGES[change]).fingerprint()
    assert Woven([other, soundloom.load("mfcc")]).fingerprint() != Woven([plain, soundloom.load("mfcc")]).fingerprint()


def test_foreign_parts_are_told_apart_by_attribute_class_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Gain): ...

    models = [stream(Gain()), stream(Gain(2.0)), stream(Other()), stream(FramedWaveform(PatchSettings(length=800)))]
    models.append(stream(encoder=Layers()))
    assert len({model.fingerprint() for model in [*models, stream()]}) == len(models) + 1
    assert stream(Gain(2.0)).fingerprint() == models[1].fingerprint()
    before = models[0].fingerprint()
    monkeypatch.setattr(Gain, "output_version", 2)
    assert models[0].fingerprint() != before


def test_a_version_raised_changes_a_fingerprint_of_soundlooms_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model = stream()
    (before,) = model.fingerprints()
    monkeypatch.setattr(LogMel, "output_version", 2)
    assert before not in model.fingerprints()


def test_what_has_no_identity_is_refused_by_name() -> None:
    frontend = Gain()
    frontend.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(ComponentError, match=r"^Gain\.lock is a lock, whose state cannot be read"):
        stream(frontend).fingerprint()
    with pytest.raises(ModelError, match=r"cannot save 'x': Gain\.lock is a lock"):
        soundloom.save_pretrained(stream(frontend), "never")
    made = Gain()
    made.rule = [lambda x: x]  # type: ignore[assignment]
    with pytest.raises(ComponentError, match=r"Gain\.rule\[0\] is the function .*lambda.*top level"):
        stream(made).fingerprint()


def test_transient_attributes_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gain, "transient", ("cache",))
    used = Gain()
    used.cache = {1: object(), 2: threading.Lock()}  # type: ignore[assignment]
    assert stream(used).fingerprint() == stream(Gain()).fingerprint()


def test_an_embedder_of_ones_own_is_known_by_its_attributes() -> None:
    class Mean(Embedder):
        name, sample_rate, dim, frame_dim, min_samples = "mean", RATE, 1, 1, 1

        def __init__(self, power: int) -> None:
            super().__init__()
            self.power = power

        def frames(self, waveforms: Tensor) -> Any: ...

        def settings(self) -> dict[str, Any]:
            return {}

        def embed_equal(self, waveforms: Tensor) -> Tensor:
            return waveforms.pow(self.power).mean(1, keepdim=True)

    assert Mean(2).fingerprint() == Mean(2).fingerprint() != Mean(3).fingerprint()


def test_other_random_numbers_and_threads_change_nothing() -> None:
    torch.manual_seed(1)
    model = soundloom.load("logmel+mfcc")
    state, before = torch.get_rng_state(), model.fingerprint()
    assert torch.equal(torch.get_rng_state(), state)
    assert "2:" not in before
    script = "import soundloom, torch\ntorch.set_num_threads(1)\nprint(soundloom.load('logmel+mfcc').fingerprint())"
    assert run_python(script).stdout.strip() == before


# As computed by soundloom before fingerprints covered more than settings and weights.
STORED = {
    "logmel": "64b8be2d7c0cd63492cdc9ae91a987a67492779572a0e1d5da01bcf5e4b7f424",
    "mfcc": "6bf3802825553a460787145399c97803cf306d3833454338e3654382b8e2de7a",
    "peaks": "03fe8402dddf1bff867c83621ca31035ed2eb3222a71f4bfcd141e73f5bc8958",
    "logmel+mfcc": "396880531d0aeab32c9b08a6dcfec66e101e9772ccae0e19450eb282377fbf25",
    "classes renamed since": "ca22c6ab6ec95d7af75369eedfd841cb8c7b247e06366dac9edf455e87010c38",
    "another class renamed since": "6d848bf6e0e237119128d827c371eececdef7a176459898c12cf6d4ba0d2f6f9",
}


@pytest.mark.parametrize("name", STORED)
def test_fingerprints_stored_before_are_recognised(name: str) -> None:
    if name == "classes renamed since":
        encoder = PitchEncoder(PitchEncoderSettings(bins=12))
        for parameter in encoder.parameters():
            nn.init.zeros_(parameter)
        model: Embedder = stream(NormalisedFrontend(PerSecond(MFCC.verma())), encoder)
    else:
        model = stream(FramedWaveform()) if "renamed" in name else soundloom.load(name)
    assert STORED[name] in model.fingerprints()


def test_a_shortest_sound_of_its_own_is_recognised_by_the_fingerprint_stored_before() -> None:
    plain, longer = stream(), stream(min_samples=8000)
    current, before = longer.fingerprints()
    assert current.startswith("2:")
    assert before == plain.fingerprint()
    assert len(stream(Gain()).fingerprints()) == 1


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    seconds = np.arange(RATE) / RATE
    for label, low in (("a", 200), ("b", 900)):
        (tmp_path / "tones" / label).mkdir(parents=True)
        for number in range(8):
            wave = 0.4 * np.sin(2 * np.pi * (low + 90 * number) * seconds) * np.exp(-number * seconds)
            soundfile.write(tmp_path / "tones" / label / f"{number}.wav", wave, RATE)
    return tmp_path / "tones"


def test_a_library_of_one_is_not_opened_with_the_other(tones: Path, tmp_path: Path) -> None:
    Library.create(tmp_path / "x.loom", stream(Gain())).add(tones)
    assert len(Library.open(tmp_path / "x.loom", stream(Gain()))) == 16
    with pytest.raises(ModelMismatchError, match="another version"):
        Library.open(tmp_path / "x.loom", stream(Gain(-3.0)))


def test_an_evaluation_does_not_serve_the_other_ones_cached_embeddings(tones: Path, tmp_path: Path) -> None:
    corpus = corpora.load(tones)

    def score(gain: float, cache: str) -> float:
        result = soundloom.evaluate(stream(Gain(gain)), corpus, "leave-one-out", cache=tmp_path / cache)
        return result.measurements["leave-one-out"].score.mean

    first, second = score(1.0, "shared"), score(-3.0, "shared")
    assert first != second
    assert (first, second) == (score(1.0, "its own"), score(-3.0, "its own too"))


def test_training_does_not_serve_the_other_ones_cached_clips() -> None:
    assert Represented(Gain(), seconds=1.0).settings() != Represented(Gain(2.0), seconds=1.0).settings()
    mel, odd = LogMel.jansen(), LogMel.jansen()
    odd.bank.filters *= 2
    assert MelEnergies(mel).settings() != MelEnergies(odd).settings()
    assert "undeclared" not in MelEnergies(mel).settings()
    assert "undeclared" not in Represented(MFCC.verma(), seconds=1.0).settings()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", b"1"),
        ([1, [2]], [[1], 2]),
        ((1, 2), [1, 2]),
        ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, np.float32)),
        (torch.zeros(2), torch.ones(2)),
        (torch.float32, torch.float16),
        (json.dumps, json.loads),
        (PatchSettings(), PatchSettings(length=3)),
        (slice(1), slice(2)),
    ],
)
def test_digests_tell_values_apart(one: object, other: object) -> None:
    assert digest_of(one, "x") != digest_of(other, "x")


def test_digests_do_not_depend_on_order_or_process() -> None:
    assert digest_of({"a": 1, "b": 2}, "x") == digest_of({"b": 2, "a": 1}, "x")
    script = """
from soundloom.components import digest_of
from soundloom.frontends import PatchSettings
print(digest_of([set("abcdefghij"), PatchSettings(), {"x": (1, 2.5, None)}, digest_of], "x"))
"""
    # Ten elements have another order for any other seed of hashes.
    digest = run_python(script, PYTHONHASHSEED="1").stdout
    assert digest == digest_of([set("abcdefghij"), PatchSettings(), {"x": (1, 2.5, None)}, digest_of], "x") + "\n"


def test_a_value_within_itself_has_a_digest() -> None:
    around: list[object] = [1]
    around.append(around)
    assert digest_of(around, "x") != digest_of([1, [1]], "x")


def test_undeclared_state_names_what_it_is() -> None:
    assert set(undeclared_state(Gain(2.0))) >= {"gain", "class"}


def test_equal_scalars_of_different_types_have_different_digests() -> None:
    values = (1, 1.0, True, "1", (1,), (1.0,), (True,), [1], 0.0, -0.0, None, "None")
    assert len({digest_of(value, "x") for value in values}) == len(values)
    assert [digest_of(value, "x") for value in values] == [digest_of(value, "y") for value in values]


class Operations(TorchDispatchMode):
    """The names of all operations while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("encoder", [AST(ASTSettings(depth=1, width=8, hidden=8, heads=2)), PitchEncoder()])
def test_a_twin_without_numbers_is_built_without_drawing_them(encoder: Encoder) -> None:
    config = ModuleConfig.of(encoder, ENCODERS)
    with Operations() as operations:
        twin = build_encoder(config, "twin")
    assert all(parameter.is_meta for parameter in twin.parameters())
    assert operations.names
    assert not [name for name in operations.names if "normal" in name or "uniform" in name]
