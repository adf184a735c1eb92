"""The default model as a graph: what the PyTorch model gives, at any length, where PyTorch is not installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

import soundloom
from soundloom import packaged
from soundloom.cli.tag_predictions import tag_files
from soundloom.embedder import Embedder
from soundloom.engine_choice import accelerating, load_on
from soundloom.errors import MissingExtraError, ModelError, UnknownModelError
from soundloom.library import Library
from soundloom.models import from_pretrained, save_pretrained, without_torch
from soundloom.packaged import PackagedModel
from soundloom.packaged_tagger import PackagedTagger
from soundloom.tagger import Tagger
from soundloom.tags import AlignedTags
from soundloom.tags.linear_tags import GUESS, LinearTags

onnx_runtime = pytest.importorskip("onnxruntime")

RATE = 16000


@pytest.fixture(scope="module")
def graph() -> PackagedModel:
    return PackagedModel()


@pytest.fixture(scope="module")
def module() -> Embedder:
    return soundloom.load()


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def loud_end(samples: int) -> np.ndarray:
    """Faint but for the last hundredth of each second, which the cut of the cepstrum depends on."""
    sound = noise(samples) * 1e-4
    for end in range(RATE, samples + 1, RATE):
        sound[end - 160 : end] = 0.9
    return sound


SOUNDS = {
    "shortest": lambda: noise(800),
    "a frame of a second more": lambda: noise(RATE + 400),
    "less than a hop more": lambda: noise(2 * RATE + 399),
    "a window to the sample": lambda: noise(95 * 160 + 400),
    "swelling": lambda: noise(10 * RATE) * np.linspace(0, 1, 10 * RATE, dtype=np.float32),
    "offset, then silence": lambda: np.concatenate([noise(30_000) + np.float32(0.2), np.zeros(20_000, np.float32)]),
    "silence": lambda: np.zeros(RATE, np.float32),
    "loud ends": lambda: loud_end(3 * RATE),
    "a tone": lambda: (0.5 * np.sin(2 * np.pi * 440 * np.arange(50_001) / RATE)).astype(np.float32),
    "a minute": lambda: noise(60 * RATE),
}


# Frames after a loud end hold the filters' own echo, and the bands beside a loud tone nothing but rounding.
TOLERANCES = {"offset, then silence": 1e-3, "a tone": 5e-3}


@pytest.mark.parametrize("kind", SOUNDS)
def test_the_graph_gives_what_the_module_gives(graph: PackagedModel, module: Embedder, kind: str) -> None:
    sound = SOUNDS[kind]()
    expected, got = module.embed_samples(sound), graph.embed_samples(sound)
    for part, columns in module.parts.items():
        scale = np.abs(expected).max()
        assert np.abs(expected[columns] - got[columns]).max() < TOLERANCES.get(kind, 1e-4) * scale, part


def test_it_is_the_same_model(graph: PackagedModel, module: Embedder) -> None:
    """Recorded from the weights beside it: another fingerprint says that it was not recorded again."""
    assert graph.fingerprints() == module.fingerprints()
    assert graph.settings() == json.loads(json.dumps(module.settings()))
    for name in ("name", "dim", "sample_rate", "min_samples", "frame_dim", "balance", "centred"):
        assert getattr(graph, name) == getattr(module, name)
    assert dict(graph.parts) == dict(module.parts)
    # The weights are in the package once.
    sizes = {file.name: file.stat().st_size for file in packaged.FOLDER.glob("*.onnx")}
    assert sizes.keys() == {packaged.GRAPH, "general.onnx"}
    assert sum(sizes.values()) < 4.5e6


def test_the_same_bits_in_any_company(graph: PackagedModel) -> None:
    sounds = [noise(20_000 + 777 * number, number) for number in range(6)]
    alone = [graph.embed_samples(sound) for sound in sounds]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(graph.embed_samples, sounds[::-1]))[::-1]
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_short_sounds_are_padded_and_frames_are_refused(graph: PackagedModel) -> None:
    with pytest.warns(UserWarning, match="shorter than"):
        padded = graph.embed(noise(100))
    assert np.array_equal(padded, graph.embed_samples(noise(100)))
    with pytest.raises(ModelError, match="--engine torch"):
        graph.embed_frames(noise(RATE))


def test_it_is_chosen_for_sounds_embedded_whole(module: Embedder) -> None:
    load = accelerating(soundloom.load)
    assert load("loom").engine == load().engine == packaged.ENGINE
    assert isinstance(accelerating(soundloom.load, whole=False)("loom"), Embedder)
    assert load("mfcc").engine == "torch"
    with pytest.raises(ModelError, match="is the graph of 'loom'"):
        accelerating(soundloom.load, packaged.ENGINE)("mfcc")
    with pytest.raises(ModelError, match="no engine 'openvino'"):
        accelerating(soundloom.load, "openvino")
    assert load_on(packaged.ENGINE, soundloom.load, "loom").fingerprints() == module.fingerprints()
    assert load_on("plain", soundloom.load, "loom").engine == "plain"


def test_without_the_runtime_torch_goes_on_with_a_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(RATE), RATE)
    library = Library.create(tmp_path / "a.loom")
    assert library.settings.engine == packaged.ENGINE
    library.add(tmp_path / "a.wav")
    monkeypatch.setattr("soundloom.packaged.packaged_model.find_spec", lambda _name: None)
    with pytest.warns(UserWarning, match="made by the engine 'packaged'"):
        hits = Library.open(tmp_path / "a.loom").search(noise(RATE), sample_rate=RATE)
    assert hits[0].similarity > 0.9999


def test_linear_tags_are_the_modules(module: Embedder) -> None:
    linear, aligned = LinearTags.load(packaged.FOLDER), AlignedTags.load(packaged.FOLDER)
    assert (linear.part, linear.dim, linear.fingerprints) == (aligned.part, aligned.dim, aligned.fingerprints)
    assert linear.vocabulary == aligned.vocabulary
    columns = module.parts[linear.part]
    rows = np.stack([module.embed_samples(noise(RATE, seed))[columns] for seed in range(4)])
    np.testing.assert_allclose(linear.probabilities(rows), aligned.probabilities(rows), atol=1e-5)
    for tags, not_ in ((["Dog"], []), (["Dog", "Rain"], ["Wind"]), ([], ["Speech"])):
        np.testing.assert_allclose(
            linear.query_direction(rows, tags, not_), aligned.query_direction(rows, tags, not_), atol=1e-5
        )


def test_the_words_of_a_sound_are_those_of_the_module() -> None:
    """Windows, and a rest that is longer or shorter than one."""
    with_torch, without = Tagger.load("loom"), PackagedTagger.load()
    assert (with_torch.length, with_torch.classes) == (pytest.approx(without.length), without.classes)
    assert with_torch.hop == pytest.approx(without.hop)
    for samples in (3 * RATE, 700, RATE + 9000):
        expected, got = (tagger.tag(noise(samples), RATE) for tagger in (with_torch, without))
        np.testing.assert_allclose(got.starts, expected.starts)
        np.testing.assert_allclose(got.ends, expected.ends)
        np.testing.assert_allclose(got.seconds, expected.seconds, atol=1e-5)


def test_other_models_need_torch() -> None:
    assert without_torch.load().engine == packaged.ENGINE
    for name in ("mfcc", "loom#2+mfcc", "hf:owner/name", "my_package:mine", "onnx:x.onnx"):
        with pytest.raises(MissingExtraError, match=rf"the model '{re.escape(name)}' needs .*soundloom\[torch\]"):
            without_torch.load(name)
    with pytest.raises(MissingExtraError):
        without_torch.load("loom", weights="random")


def test_a_mistake_in_a_name_is_known_without_torch() -> None:
    for name, message in (
        (None, "a model is named by text, such as 'loom'; got a NoneType"),
        ("lom", "did you mean 'loom'"),
        ("loom+mfc", "did you mean 'mfcc'"),
        ("a b", "should be a word"),
    ):
        for call in (without_torch.load, without_torch.absolute):
            with pytest.raises(UnknownModelError, match=message):
                call(name)
        with pytest.raises(UnknownModelError, match=message):
            without_torch.check_trusted_name(name, "settings")


def test_a_missing_torch_is_named() -> None:
    missing = MissingExtraError.of_torch(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert str(missing).endswith("""pip install -c "$(soundloom doctor --constraints)" 'soundloom[torch]'""")
    assert MissingExtraError.of_torch(ModuleNotFoundError("No module named 'x'", name="x")) is None
    assert MissingExtraError.of_torch(ValueError()) is None


WITHOUT_TORCH = """
import shlex
import sys
sys.modules["torch"] = None
try:
    import soundloom.server.run
except ModuleNotFoundError as error:
    assert error.name != "torch", error
from click.testing import CliRunner
from soundloom.cli import main
for line in sys.argv[1:]:
    result = CliRunner().invoke(main, shlex.split(line))
    print(line, "->", result.exit_code, result.output)
"""


def test_the_first_commands_need_no_torch(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    for number in range(3):
        soundfile.write(tmp_path / "sounds" / f"owl {number}.wav", noise(RATE, number), RATE)
    lines = [
        "index sounds -l s.loom",
        "search owl -l s.loom",
        "search rain -l s.loom --words",
        "search s.wav -l s.loom --json",
        "embed sounds -o vectors.npz",
        "info s.loom",
        "tag s.wav",
        "models",
        "info loom",
        "info lom",
        "tag examples --tag hoot -l s.loom --yes 'sounds/owl 0.wav' --no 'sounds/owl 1.wav'",
        "timeline s.wav",
        "export -o e.npz",
        "train triplet sounds --out run",
    ]
    shutil.copy(tmp_path / "sounds" / "owl 0.wav", tmp_path / "s.wav")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *lines], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert "3 new; 3 segments" in done.stdout, done.stdout + done.stderr
    assert "owl 2.wav" in done.stdout
    assert '"similarity": 1.0' in done.stdout or '"similarity": 0.99' in done.stdout
    assert "3 rows of 792" in done.stdout
    assert "engine  packaged" in done.stdout
    assert "tag s.wav -> 0" in done.stdout
    assert "The others need PyTorch" in done.stdout
    assert "general (384)" in done.stdout
    assert "did you mean 'loom'" in done.stdout
    assert "most probably hoot" in done.stdout
    assert "soundloom[torch]" in done.stdout.partition("train triplet")[2]
    assert "soundloom timeline needs the package 'torch'" in done.stdout
    assert "/sounds.loom': make one" in done.stdout.partition("export -o")[2]


def test_silence_beside_a_sound_says_nothing_of_it() -> None:
    tagger = PackagedTagger.load()
    samples = np.concatenate([noise(2 * RATE), np.zeros(6 * RATE, np.float32)])
    padded = tagger.tag(samples, RATE)
    silence = tagger.classes.index("Silence")
    assert padded.seconds[-1][silence] == padded.seconds[-1].max()
    assert (padded.span[0], padded.ends[-1]) == (0, 8)
    assert 2 <= padded.span[1] < 3
    stretches = padded.seconds[padded.starts < 2].mean(axis=0)
    whole = tagger.scores(tagger.model.embed_samples(samples)[None])[0]
    np.testing.assert_allclose(padded.clip, np.maximum(stretches, whole), atol=1e-6)
    longer = tagger.tag(np.concatenate([samples, np.zeros(3 * RATE, np.float32)]), RATE)
    np.testing.assert_allclose(longer.clip, stretches, atol=1e-6)
    assert "Silence" not in dict(tagger.describing(padded.clip, 10, 0.05))
    nothing = tagger.tag(np.zeros(3 * RATE, np.float32), RATE)
    assert tagger.describing(nothing.clip, 3, 0.1)[0][0] == "Silence"


def test_a_guess_a_long_recording_and_a_file_without_words_are_said_to_be(tmp_path: Path) -> None:
    for name, sound in (("hiss.wav", noise(RATE)), ("long.wav", noise(31 * RATE))):
        soundfile.write(tmp_path / name, sound, RATE)
    every = tag_files([tmp_path], "loom", least=0.0)
    best = {path: max(row.score for row in every.rows if row.path == path) for path in every.lengths}
    guesses = ", ".join(sorted(Path(path).name for path, score in best.items() if score < GUESS))
    told = [f"guesses, as none of these tags has a score of 0.2: {guesses}"] if guesses else []
    told.append("tags of a long recording as a whole say little; --frames tags every second: long.wav")
    assert every.remarks == told
    nothing = tag_files([tmp_path], "loom", least=1.0)
    assert nothing.remarks == [
        "no tag has a score of 1 (--least), Silence and noise aside: hiss.wav, long.wav",
        told[-1],
    ]
    assert not tag_files([tmp_path], "loom", frames=True, least=0.0).remarks[len(told) - 1 :]


def test_words_that_name_no_source_are_given_only_where_no_other_fits() -> None:
    tagger = PackagedTagger.load()
    scores = np.zeros(len(tagger.classes), np.float32)
    for name, score in (("Environmental noise", 0.9), ("Noise", 0.8), ("Silence", 0.7), ("Dog", 0.2), ("Bark", 0.15)):
        scores[tagger.classes.index(name)] = score
    assert [name for name, _ in tagger.describing(scores, 2, 0.1)] == ["Dog", "Bark"]
    assert tagger.describing(scores, 5, 0.3) == []  # what stands back at a lower threshold does so at a higher one
    scores[tagger.classes.index("Dog")] = scores[tagger.classes.index("Bark")] = 0.05
    assert [name for name, _ in tagger.describing(scores, 2, 0.04)] == ["Environmental noise", "Noise"]


@pytest.mark.slow
@pytest.mark.long
def test_recorded_again_it_is_the_same_file(tmp_path: Path, module: Embedder) -> None:
    pytest.importorskip("onnxscript")
    from soundloom.packaged_graph import record

    shutil.copy(packaged.FOLDER / "model.safetensors", tmp_path)
    assert record(module, tmp_path) < 1e-4
    # Nothing of the folders of its maker.
    assert str(Path.cwd()).encode() not in (tmp_path / "model.onnx").read_bytes()
    again = PackagedModel(tmp_path)
    sound = noise(3 * RATE)
    np.testing.assert_allclose(again.embed_samples(sound), PackagedModel().embed_samples(sound), atol=1e-5)


@pytest.mark.slow
@pytest.mark.long
def test_weights_stored_in_half_precision_are_recorded_by_reference(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    from soundloom.packaged_graph import record

    model = from_pretrained(packaged.FOLDER)
    for part in model.streams:
        assert part.reduction is not None
        part.reduction.matrix.copy_(part.reduction.matrix.half())
    save_pretrained(model, tmp_path)
    whole, halved = ((folder / "model.safetensors").stat().st_size for folder in (packaged.FOLDER, tmp_path))
    assert halved <= whole
    assert record(model, tmp_path) < 1e-4
    assert (tmp_path / "model.onnx").stat().st_size < 1.1 * (packaged.FOLDER / "model.onnx").stat().st_size
