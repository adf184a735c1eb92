"""Published models: from a checkpoint in its published form, by name, to an embedding as the papers define it.

The checkpoints are seeded stand-ins: published keys, shapes and containers, random numbers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

import soundloom
from checkpoints_server import Shelf, serving
from helpers.command_line import run
from soundloom.components import presets
from soundloom.embedder import Stream
from soundloom.encoders import ENCODERS, COALAAudioEncoder, Encoder, initialise
from soundloom.errors import ModelError, UnknownModelError
from soundloom.frontends import LogMel
from soundloom.hear import load_model
from soundloom.models.weights.published_checkpoints import CHECKPOINTS
from test_checkpoints_unpickle import panns_sampler, published_scaler, scaler_pickle

# Encoders of full size, and files of theirs as published.
pytestmark = pytest.mark.slow


def filled(word: str) -> Encoder:
    """An encoder with seeded weights, statistics of its batch normalisations among them."""
    encoder = presets(ENCODERS)[word]()
    initialise(encoder, seed=11)
    generator = torch.Generator().manual_seed(12)
    for name, buffer in encoder.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1, generator=generator)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=generator)
    return encoder.eval()


@dataclasses.dataclass
class Shop:
    """Checkpoints as published, in a folder, and the encoders they were written from."""

    folder: Path
    encoders: dict[str, Encoder]
    ranges: dict[str, np.ndarray]

    def file(self, checkpoint: str) -> Path:
        return self.folder / CHECKPOINTS[checkpoint].source.filename


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("published")
    arrays = published_scaler() | {"data_range_": np.ones(96, np.float32)}
    shop = Shop(folder, {word: filled(word) for word in ("cnn14", "vggish", "coala")}, arrays)
    front_end = {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(257, 1, 512),
        "spectrogram_extractor.stft.conv_imag.weight": torch.zeros(257, 1, 512),
        "logmel_extractor.melW": LogMel.panns(16000).bank.filters.T.contiguous(),
    }
    panns = {"iteration": 1, "model": front_end | shop.encoders["cnn14"].state_dict(), "sampler": panns_sampler()}
    torch.save(panns, shop.file("cnn14-16k"))
    torch.save(shop.encoders["vggish"].state_dict(), shop.file("vggish"))
    torch.save(shop.encoders["coala"].state_dict(), shop.file("coala-audio"))
    shop.file("coala-scaler").write_bytes(scaler_pickle(3, **arrays))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOUNDLOOM_HOME", str(folder / "home"))
        patch.setenv("no_proxy", "127.0.0.1")
        yield shop


@pytest.fixture(scope="module")
def cnn14(shop: Shop) -> Stream:
    return stream("cnn14#3#6", shop.file("cnn14-16k"))


@pytest.fixture(scope="module")
def vggish(shop: Shop) -> Stream:
    return stream("vggish#10#15", shop.file("vggish"))


@pytest.fixture(scope="module")
def coala(shop: Shop) -> Stream:
    return stream("coala#3#6", shop.file("coala-audio"))


@pytest.fixture(params=["cnn14", "vggish", "coala"])
def fused(request: pytest.FixtureRequest) -> Stream:
    model = request.getfixturevalue(request.param)
    assert isinstance(model, Stream)
    return model


def stream(name: str, file: Path) -> Stream:
    model = soundloom.load(name, weights=file)
    assert isinstance(model, Stream)
    return model


def noise(samples: int, seed: int = 0) -> Tensor:
    return torch.rand(1, samples, generator=torch.Generator().manual_seed(seed)) - 0.5


def test_a_published_file_fills_the_encoder(fused: Stream, shop: Shop) -> None:
    by_hand = shop.encoders[fused.name.partition("#")[0]]
    ranges = {
        f"frame_{kind}": torch.from_numpy(shop.ranges[key]) for kind, key in (("scale", "scale_"), ("shift", "min_"))
    }
    beside = ranges if isinstance(by_hand, COALAAudioEncoder) else {}
    torch.testing.assert_close(fused.encoder.state_dict(), {**by_hand.state_dict(), **beside}, rtol=0, atol=0)
    by_hand = type(by_hand)(fused.encoder.settings) if beside else by_hand
    by_hand.load_state_dict(fused.encoder.state_dict())
    again = Stream(
        fused.name,
        fused.frontend,
        by_hand,
        layers=fused.wanted,
        pooling="mean+max",
        window=fused.window,
        min_samples=fused.min_samples,
    ).eval()
    sound = noise(fused.sample_rate).numpy()[0]
    assert fused.embed(sound).tobytes() == again.embed(sound).tobytes()
    assert fused.fingerprint() == again.fingerprint()


def test_coala_scales_frames_by_the_published_ranges(coala: Stream, shop: Shop) -> None:
    scale, shift = (torch.from_numpy(shop.ranges[name]) for name in ("scale_", "min_"))
    patch = coala.frontend(noise(95 * 512))
    assert patch.shape == (1, 1, 96, 96)
    network = shop.encoders["coala"].audio_encoder
    torch.testing.assert_close(coala.encoder.baseline(patch)[..., 0], network(patch * scale + shift).flatten(1))


def test_cnn14_without_layers_is_the_embedding_that_its_users_take(cnn14: Stream, shop: Shop) -> None:
    sound = noise(32000)
    expected = shop.encoders["cnn14"].baseline(cnn14.frontend(sound))[..., 0]
    torch.testing.assert_close(stream("cnn14", shop.file("cnn14-16k"))(sound), expected)


def test_a_clip_in_a_ragged_batch_is_as_if_alone(fused: Stream) -> None:
    rate = fused.sample_rate
    lengths = torch.tensor([rate, 3 * rate, rate, 2 * rate + 77])
    batch = torch.zeros(4, 3 * rate)
    for row, length in enumerate(lengths.tolist()):
        batch[row, :length] = noise(length, row)
    with torch.no_grad():
        together = fused(batch, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = fused(batch[row : row + 1, :length])[0]
            assert (together[row] - alone).norm() < 1e-6 * alone.norm()


@torch.no_grad()
def test_fusion_is_equations_1_to_3_of_niizumi_on_cnn14(cnn14: Stream) -> None:
    sound = noise(32000)
    representation = cnn14.frontend(sound)
    layers = cnn14.encoder.layers(representation, (3, 6))
    frames = fused_slowly([layer[0].numpy() for layer in layers], representation.shape[-1] // 32)
    assert frames.shape == (256 * 8 + 2048 * 2, 6)
    assert_close(cnn14(sound)[0].numpy(), pooled_slowly(frames))


@torch.no_grad()
def test_fusion_is_equations_1_to_3_of_niizumi_on_vggish(vggish: Stream) -> None:
    """Two whole examples, their frames joined along time before equation 3."""
    sound = noise((192 - 1) * 160 + 400)
    representation = vggish.frontend(sound)
    joined = []
    for first in (0, 96):
        layers = vggish.encoder.layers(representation[..., first : first + 96], (10, 15))
        joined.append(fused_slowly([layer[0].numpy() for layer in layers], 96 // 16))
    frames = np.concatenate(joined, axis=1)
    assert frames.shape == (256 * 16 + 512 * 8, 12)
    assert_close(vggish(sound)[0].numpy(), pooled_slowly(frames))


def fused_slowly(layers: list[np.ndarray], frames: int) -> np.ndarray:
    """Equations 1 and 2 as they stand: max-pool each layer over time, flatten, put one below the other."""
    columns = []
    for t in range(frames):
        column = []
        for layer in layers:
            channels, bins, time = layer.shape
            stride = time // frames
            for c in range(channels):
                for f in range(bins):
                    column.append(max(layer[c, f, stride * t + offset] for offset in range(stride)))
        columns.append(column)
    return np.array(columns, np.float64).T


def pooled_slowly(frames: np.ndarray) -> np.ndarray:
    """Equation 3: the mean over time plus the maximum over time."""
    return np.array([sum(row) / len(row) + max(row) for row in frames.tolist()])


def assert_close(got: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


def test_nothing_past_the_last_wanted_layer_is_computed(cnn14: Stream, shop: Shop) -> None:
    called: list[str] = []
    third = stream("cnn14#3", shop.file("cnn14-16k"))
    for name, module in third.encoder.named_children():
        module.register_forward_hook(lambda *_, name=name: called.append(name))
    sound = noise(16000)
    embedding = third(sound)
    assert called == ["bn0", "conv_block1", "conv_block2", "conv_block3"]
    torch.testing.assert_close(embedding, cnn14(sound)[:, : 256 * 8])


def test_hear_knows_files_by_their_published_names(shop: Shop, vggish: Stream) -> None:
    """And VGGish without layers is the mean of its 128 numbers over the examples."""
    model = load_model(str(shop.file("vggish")))
    assert (model.embedder.name, model.scene_embedding_size) == ("vggish", 128)
    sound = noise(30960)
    examples = vggish.frontend(sound)[..., :192].unflatten(3, (2, 96)).squeeze(0).movedim(2, 0)
    expected = shop.encoders["vggish"].baseline(examples)[..., 0].mean(dim=0)
    torch.testing.assert_close(model.scenes(sound)[0], expected)


def test_wrong_weights_are_refused_by_name(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"(?s)not the weights of vggish.*missing: .*features\.0\.weight"):
        soundloom.load("vggish", weights=shop.file("coala-audio"))
    state = shop.encoders["coala"].state_dict()
    torch.save({**state, "fc_audio.0.weight": torch.zeros(3, 1152)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match=r"of another shape: fc_audio\.0\.weight \(expected \(1152, 1152\), got"):
        soundloom.load("coala", weights=tmp_path / "other.pt")
    torch.save(state, tmp_path / "lonely.pt")
    with pytest.raises(ModelError, match=r"holds neither scaler_top_1000\.pkl nor"):
        soundloom.load("coala", weights=tmp_path / "lonely.pt")
    (tmp_path / "text.pt").write_text("hello")
    for file, message in (("text.pt", "text.pt"), ("none.pt", "no file .*none.pt")):
        with pytest.raises(ModelError, match=message):
            soundloom.load("coala", weights=tmp_path / file)


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("loom", "random", "of 'loom' there are the learned weights alone: leave out 'random'"),
        ("coala+loom", "random", "of 'loom' there are the learned weights alone: leave out 'random'"),
        ("logmel", "file.pt", "'logmel' has no weights to load: leave out 'file.pt'"),
        ("coala+vggish", "file.pt", "several parts: give one for each of coala, vggish"),
        (
            "coala+logmel",
            {"logmel": "file.pt"},
            "weights of logmel are given, but .* takes weights of coala",
        ),
        ("logmel+coala", "none.pt", "no file none.pt, which should hold the weights of coala"),
        ("coala+vggish", {"vggish": "none.pt"}, "no file none.pt, which should hold the weights of vggish"),
        (None, "published", "a model is named by text, such as 'loom', or by its folder; got a NoneType"),
        ("coala#7", "random", "the layers of 'coala' are 1, 2, 3, 4, 5, 6"),
    ],
)
def test_weights_for_the_wrong_part_are_refused(name: str, weights: Any, message: str) -> None:
    with pytest.raises((ModelError, UnknownModelError), match=message):
        soundloom.load(name, weights=weights)


def test_every_part_has_weights_of_its_own(shop: Shop, coala: Stream) -> None:
    woven = soundloom.load("coala#3#6+logmel", weights={"coala": shop.folder})
    assert woven.parts == {"coala#3#6": slice(0, coala.dim), "logmel": slice(coala.dim, coala.dim + 128)}
    sound = noise(30000)
    torch.testing.assert_close(woven(sound)[:, : coala.dim], coala(sound))


# Commands.


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    (tmp_path / "sounds").mkdir()
    for number in range(3):
        soundfile.write(tmp_path / "sounds" / f"{number}.wav", noise(16000, number)[0].numpy(), 16000)
    return tmp_path / "sounds"


def test_a_library_is_indexed_and_searched_with_weights_of_ones_own(shop: Shop, sounds: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for checkpoint in ("coala-audio", "coala-scaler"):
        (files / shop.file(checkpoint).name).write_bytes(shop.file(checkpoint).read_bytes())
    weights = files / shop.file("coala-audio").name
    library = tmp_path / "l.loom"
    done = run("index", sounds, "-l", library, "-m", "coala", "--weights", weights, "--offline")
    assert done.exit_code == 0, done.output
    assert run("search", sounds / "1.wav", "-l", library, "--offline").exit_code == 0
    assert str(weights) in run("info", "-l", library).stdout

    moved = files.rename(tmp_path / "moved") / weights.name
    stored = run("search", sounds / "1.wav", "-l", library)
    assert stored.exit_code == 0
    assert "the model cannot be loaded" in stored.stderr
    assert f"no file {weights}" in stored.stderr
    other = tmp_path / "other.wav"
    other.write_bytes((sounds / "1.wav").read_bytes())
    lost = run("search", other, "-l", library)
    assert lost.exit_code == 1
    assert f"no file {weights}" in lost.stderr
    assert "--weights FILE" in lost.stderr
    assert "another version of 'coala'" in run("index", other, "-l", library, "--weights", "random").stderr
    assert "3 unchanged" in run("index", sounds, "-l", library, "--weights", f"coala={moved}").stdout
    assert run("search", sounds / "1.wav", "-l", library).exit_code == 0


def test_weights_on_the_command_line(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "e.npz"
    assert run("embed", sounds, "-o", out, "-m", "coala+logmel", "--weights", "coala=random").exit_code == 0
    with np.load(out) as arrays:
        expected = soundloom.load("coala+logmel", weights="random").embed(sounds / "0.wav")
        # The command may compute with another engine than one's own: the same weights, rounded otherwise.
        np.testing.assert_allclose(arrays["embedding"][0], expected, atol=1e-4, rtol=1e-4)
    wrong = run("embed", sounds, "-o", out, "-m", "coala", "--weights", "a.pt", "--weights", "b=c.pt")
    assert wrong.exit_code == 1
    assert "several --weights are written PART=FILE" in wrong.stderr
    assert "no file mAP=0.4.pth" in run("embed", sounds, "-o", out, "-m", "coala", "--weights", "mAP=0.4.pth").stderr


def test_downloads_are_announced(shop: Shop, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SOUNDLOOM_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    command = ("embed", sounds, "-o", tmp_path / "e.npz", "-m", "coala")
    refused = run(*command, "--offline")
    assert refused.exit_code == 1
    assert "offline, and" in refused.stderr
    assert not json.loads(run("models", "--json").stdout)["coala"]["weights"]["cached"]
    contents = {name: shop.file(name).read_bytes() for name in ("coala-audio", "coala-scaler")}
    with serving(Shelf(contents["coala-audio"])) as audio, serving(Shelf(contents["coala-scaler"])) as scaler:
        for name, shelf in (("coala-audio", audio), ("coala-scaler", scaler)):
            row = CHECKPOINTS[name]
            sha256 = hashlib.sha256(contents[name]).hexdigest()
            source = dataclasses.replace(row.source, address=shelf.address, bytes=len(contents[name]), sha256=sha256)
            monkeypatch.setitem(CHECKPOINTS._rows, name, dataclasses.replace(row, source=source))
        done = run(*command)
    assert done.exit_code == 0, done.output
    said = done.stderr.splitlines()
    assert said[0].startswith(f"fetching {audio.address} (9.5 MB, sha256 ")
    assert said[1].startswith(f"fetching {scaler.address}")
    assert "fetching" not in done.stdout
    assert run(*command, "--offline").exit_code == 0
    listed = json.loads(run("models", "--json").stdout)
    assert listed["coala"]["weights"]["cached"]
    assert listed["vggish"]["weights"]["licence"] == "Apache-2.0"
    assert listed["logmel"]["weights"] is None
    assert "zenodo.org/records/3987831/files/Cnn14_16k_mAP%3D0.438.pth" in listed["cnn14"]["weights"]["address"]
    told = " ".join(run("models").stdout.split())
    assert "licence CC-BY-4.0, 358.7 MB from zenodo.org, not in the cache" in told
