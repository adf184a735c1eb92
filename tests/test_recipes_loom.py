"""The default model's recipe, its notes and its words; and the model that comes with the package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch
from safetensors.torch import load_file

import soundloom
from helpers.quick_map import without_umap
from soundloom.corpora import Corpus, CorpusError, clip_table
from soundloom.embedder import Woven
from soundloom.encoders import COALATagEncoder, PitchEncoder, PitchEncoderSettings, YAMNet, initialise
from soundloom.errors import ModelError, QueryError
from soundloom.library import Library
from soundloom.models.saved_model import PACKAGED, save_pretrained
from soundloom.objectives.distillation import DistillationSettings
from soundloom.objectives.pitch import note_targets
from soundloom.one_thread import one_thread
from soundloom.recipes import loom, pitch
from soundloom.recipes.architectures import LOWEST_NOTE, build_stream
from soundloom.recipes.recipe import RunOptions
from soundloom.recipes.tag_alignment import AligningSettings, align
from soundloom.tags import AlignedTags, Vocabulary
from soundloom.training import TrainingError
from soundloom.training.seeds import seeded

RATE = 16000
MIDI = (48, 50, 53, 57, 60, 62, 65, 69, 72, 76)


def note(midi: int, kind: str, seconds: float = 2.2) -> np.ndarray:
    """A note with all harmonics, or with the odd ones."""
    times = np.arange(round(RATE * seconds)) / RATE
    frequency = 440 * 2 ** ((midi - 69) / 12)
    numbers = range(1, 8) if kind == "string" else range(1, 12, 2)
    wave = sum(np.sin(2 * np.pi * frequency * k * times) / k for k in numbers if frequency * k < RATE / 2)
    return (0.2 * wave * np.exp(-2 * times)).astype(np.float32)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Ten notes of two instruments, and ten hisses."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    chance = np.random.default_rng(0)
    rows: list[tuple[str, str, int | None]] = []
    for number, midi in enumerate(MIDI):
        for kind in ("string", "reed", "hiss"):
            path = folder / f"{kind}-{midi}.wav"
            wave = note(midi, kind) if kind != "hiss" else chance.normal(0, 0.02 * (1 + number), RATE)
            soundfile.write(path, wave, RATE)
            rows.append((str(path), kind, None if kind == "hiss" else midi))
    table = clip_table([row[0] for row in rows], [row[1] for row in rows])
    table = table.append_column("midi", pa.array([row[2] for row in rows], pa.int64()))
    classes = ("hiss", "reed", "string")
    return Corpus(name="mine", root=folder, task="single-label", classes=classes, table=table, split_origin="listed")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
    with one_thread:
        yield


def test_a_transposed_frame_gives_transposed_notes() -> None:
    encoder = PitchEncoder().eval()
    initialise(encoder, 1)
    for name, parameter in encoder.named_parameters():  # beyond the ends of the scale there are none
        parameter.data *= 0 if name.endswith("bias") else 4
    frame = torch.zeros(1, 1, 84, 2)
    frame[0, 0, [30, 42, 49], :] = torch.tensor([1.0, 0.6, 0.4])[:, None]
    moved = torch.roll(frame, 5, dims=2)
    with torch.inference_mode():
        (told,), (later,) = encoder.layers(frame, [1]), encoder.layers(moved, [1])
    first, second = told[0, 0, :79, 0].log(), later[0, 0, 5:, 0].log()
    torch.testing.assert_close(first - first.mean(), second - second.mean(), atol=1e-5, rtol=1e-4)


def test_quiet_frames_count_as_little_as_they_are_heard() -> None:
    encoder = PitchEncoder().eval()
    frames = torch.rand(1, 1, 84, 3)
    frames[..., 1] *= 0.01
    frames[..., 2] = 0
    (told,) = encoder.layers(frames, [1])
    loudness = frames.norm(dim=2)[0, 0]
    torch.testing.assert_close(told.square().sum(dim=2)[0, 0], loudness / loudness.max())
    silence = encoder.layers(torch.zeros(1, 1, 84, 3), [1])[0].detach()
    torch.testing.assert_close(silence.square(), torch.full_like(silence, 1 / 84), atol=1e-3, rtol=0)


def test_shares_of_a_sound_add_up_to_one_and_fingerprints_tell_them_from_roots() -> None:
    encoder, roots = PitchEncoder(PitchEncoderSettings(roots=False)).eval(), PitchEncoder().eval()
    initialise(encoder, 1)
    roots.load_state_dict(encoder.state_dict())
    frames = torch.rand(1, 1, 84, 5)
    frames[..., 1] *= 0.01
    with torch.inference_mode():
        (shares,), (rooted,) = encoder.layers(frames, [1]), roots.layers(frames, [1])
        loudness = frames.norm(dim=2)[0, 0]
        torch.testing.assert_close(shares.sum(dim=2)[0, 0], loudness / loudness.mean())
        assert float(shares.mean(dim=3).sum()) == pytest.approx(1, abs=1e-5)
        torch.testing.assert_close(shares / shares.sum(dim=2, keepdim=True), rooted**2 / (rooted**2).sum(2, True))
        # Of a long sound, frames are made once and weighed by the window that they are in.
        (local,) = encoder.local.layers(torch.cat([frames, 9 * torch.rand(1, 1, 84, 2)], dim=3), [1])
        torch.testing.assert_close(encoder.local.finish(local[:, 0, :, :5]), shares[:, 0], atol=1e-6, rtol=1e-4)
        (silence,) = encoder.layers(torch.zeros(1, 1, 84, 3), [1])
    assert float(silence.mean(dim=3).sum()) == pytest.approx(1, abs=1e-5)
    assert encoder.extra_repr() == f"{roots.extra_repr()}, roots=False"


@pytest.mark.parametrize("given", [{"bins": 0}, {"reach": 4}, {"channels": 0}])
def test_impossible_encoders_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="reach odd"):
        PitchEncoderSettings(**given)


def test_notes_are_learned(corpus: Corpus, tmp_path: Path) -> None:
    recipe = pitch.PRESETS["small"]
    training = replace(recipe.training, steps=60, batch=16, warmup=2, device="cpu")
    run = replace(recipe, training=training).run(corpus, tmp_path / "run")
    model = run.model()
    heard = [int(model.embed(note(midi, "string", 0.6)).argmax()) + LOWEST_NOTE for midi in MIDI]
    assert np.mean([told == midi for told, midi in zip(heard, MIDI, strict=True)]) >= 0.8


def test_without_notes_nothing_is_learned(corpus: Corpus, tmp_path: Path) -> None:
    mute = replace(corpus, table=corpus.table.drop_columns("midi"))
    with pytest.raises(CorpusError, match="no column midi"):
        pitch.PRESETS["small"].run(mute, tmp_path / "run")
    high = corpus.table.set_column(
        corpus.table.column_names.index("midi"), "midi", pa.array([140] * len(corpus), pa.int64())
    )
    with pytest.raises(CorpusError, match="no clip has a MIDI number from 24 to 107"):
        pitch.PRESETS["small"].run(replace(corpus, table=high), tmp_path / "run")


def test_notes_out_of_reach_are_named(corpus: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = corpus.table.column_names.index("midi")
    values = corpus.column("midi")
    first = next(row for row, midi in enumerate(values) if midi is not None)
    far = corpus.table.set_column(place, "midi", pa.array([*values[:first], 440, *values[first + 1 :]], pa.int64()))
    training = replace(pitch.PRESETS["small"].training, steps=2, batch=8, warmup=1, device="cpu")
    replace(pitch.PRESETS["small"], training=training).run(replace(corpus, table=far), tmp_path / "run")
    named = corpus.column("path")[first]
    assert f"1 note left out, whose MIDI number is not from 24 to 107, such as {named}" in caplog.text


def test_a_pitch_part_goes_on_learning_and_what_gives_no_notes_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    training = replace(pitch.PRESETS["small"].training, steps=1, batch=8, warmup=0, rate=1e-30, device="cpu")
    recipe = replace(pitch.PRESETS["small"], training=training)
    model = replace(recipe, init="loom").run(corpus, tmp_path / "run").model()
    before = soundloom.load("loom").streams[0]
    assert model.dim == 84  # notes, not their characteristic function
    for name, weights in before.encoder.state_dict().items():
        torch.testing.assert_close(model.streams[0].encoder.state_dict()[name], weights)
    with pytest.raises(TrainingError, match="is a ResNet, which gives no notes: name another by --stream notes"):
        replace(recipe, stream="resnet-student").run(corpus, tmp_path / "other")


def test_notes_of_a_csv_are_text_and_what_is_no_number_is_named(corpus: Corpus, tmp_path: Path) -> None:
    def written(*midi: str | None) -> Corpus:
        values = pa.array([*midi, *[None] * (len(corpus) - len(midi))], pa.string())
        place = corpus.table.column_names.index("midi")
        return replace(corpus, table=corpus.table.set_column(place, "midi", values))

    targets = note_targets(written("60", "61.2", ""), 84)
    assert [np.flatnonzero(row).tolist() for row in targets[:4]] == [[36], [37], [], []]
    for wrong in ("C4", "nan"):
        with pytest.raises(CorpusError, match=f"midi is '{wrong}' for .*: write a number such as 60, or nothing"):
            note_targets(written("60", wrong), 84)


SMALL = loom.LoomRecipe(
    general_steps=2, timbre_steps=3, pitch_steps=3, general_dim=6, texture_dim=6, timbre_dim=4,
    copied=9, fewest_sounds=2, aligning=AligningSettings(tag_steps=4, tag_batch=8), validation=0.0,
    distillation=DistillationSettings(teachers=("mfcc",), mixtures=0.5),
)  # fmt: skip


@pytest.mark.parametrize("given", [{"copied": 0}, {"steadiness": -1.0}, {"steadiness": float("nan")}])
def test_copies_that_cannot_be_had_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="copied must be 1 or more and steadiness 0 or more"):
        replace(SMALL, **given)


@pytest.mark.parametrize("name", ["timbre_steps", "general_dim"])
def test_what_is_not_positive_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 1 or more, got 0"):
        replace(SMALL, **{name: 0})


def test_what_a_later_part_lacks_is_said_before_any_training(corpus: Corpus, tmp_path: Path) -> None:
    coded = replace(corpus, table=clip_table(corpus.column("path"), ["ab"] * len(corpus)), classes=("ab",))
    cases: list[tuple[loom.LoomRecipe, Corpus, str]] = [
        (SMALL, replace(corpus, table=corpus.table.drop_columns("midi")), "no column midi"),
        (SMALL, coded, "no words for timbre to learn: give its sounds labels that are words, as 'ab' is not"),
        (SMALL, corpus.filter(mask=np.arange(len(corpus)) < 2), "no tags are left|vary in fewer"),
        (replace(SMALL, general_dim=30), corpus, "30 sounds vary in fewer than 30 directions: lower --general-dim"),
    ]
    for recipe, given, message in cases:
        with pytest.raises((CorpusError, ModelError), match=message):
            recipe.run(given, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    # Parts that are kept need nothing of the corpus.
    replace(SMALL, keep="loom", texture_dim=500)._check(coded)


@pytest.mark.slow
@pytest.mark.long
def test_the_whole_recipe(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "loom"
    SMALL.run(corpus, out)
    model = soundloom.load(f"{out}")
    assert (model.name, list(model.parts), model.dim) == ("loom", list(loom.PARTS), 2 * 84 + 4 + 6 + 6)
    assert dict(model.balance) == loom.BALANCE
    assert model.centred == loom.CENTRED
    assert set(AlignedTags.load(out).vocabulary.tags) == {"hiss", "reed", "string"}
    weights = [load_file(out / name) for name in ("model.safetensors", "tags.safetensors")]
    SMALL.run(corpus, out)
    for name, before in zip(("model.safetensors", "tags.safetensors"), weights, strict=True):
        after = load_file(out / name)
        assert all(torch.equal(after[key], tensor) for key, tensor in before.items())
    with pytest.raises(TrainingError, match="other settings: general_dim is 6 there and 5 here"):
        replace(SMALL, general_dim=5).run(corpus, out)
    replace(SMALL, general_dim=5).run(corpus, out, RunOptions(resume=False))
    assert soundloom.load(f"{out}").dim == 2 * 84 + 4 + 6 + 5


@pytest.mark.slow
@pytest.mark.long
def test_it_starts_from_a_model(corpus: Corpus, tmp_path: Path) -> None:
    replace(SMALL, init="loom").run(corpus, tmp_path / "loom")
    assert soundloom.load(f"{tmp_path / 'loom'}").dim == 2 * 84 + 4 + 6 + 6


@pytest.mark.slow
@pytest.mark.long
def test_parts_are_kept_and_the_words_are_the_classes_of_the_teacher(corpus: Corpus, tmp_path: Path) -> None:
    teacher = DistillationSettings(teachers=("yamnet",), weights=("random",), mixtures=0.0)
    replace(SMALL, keep="loom", distillation=teacher).run(corpus, tmp_path / "loom")
    model, before = soundloom.load(f"{tmp_path / 'loom'}"), soundloom.load("loom")
    sound = note(60, "reed")
    for part in loom.PARTS[:-1]:
        kept, given = (each.embed(sound)[each.parts[part]] for each in (model, before))
        np.testing.assert_allclose(kept, given, atol=1e-3)  # but for the sound's offset
    words = AlignedTags.load(tmp_path / "loom")
    assert (words.part, words.vocabulary.tags) == ("general", YAMNet.classes)
    with pytest.raises(TrainingError, match="keep names a model with the parts"):
        replace(SMALL, keep="mfcc").run(corpus, tmp_path / "other")


def test_a_folder_of_something_else_is_left_alone(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "pitch.txt").write_text("mine")
    with pytest.raises(TrainingError, match="is not empty and holds no run"):
        SMALL.run(corpus, tmp_path)


def test_tags_align_with_frozen_embeddings() -> None:
    chance = np.random.default_rng(0)
    kinds = np.arange(120) % 4
    embeddings = (np.eye(8)[kinds] + 0.1 * chance.normal(size=(120, 8))).astype(np.float32)
    tags = np.eye(4, dtype=bool)[kinds]
    losses: list[float] = []
    aligned = align(
        "part", embeddings, tags, Vocabulary(tags=("a", "b", "c", "d")),
        AligningSettings(tag_steps=80, tag_batch=64), 0, lambda reached: losses.append(reached.loss or 0),
    )  # fmt: skip
    assert len(losses) == 80
    assert losses[-1] < losses[0]
    told = aligned.scores(torch.from_numpy(embeddings)).argmax(dim=1).numpy()
    assert (told == kinds).mean() > 0.95


def test_half_the_bytes_keep_the_order(tmp_path: Path) -> None:
    save_pretrained(soundloom.load("mfcc"), tmp_path)
    with seeded(3):
        whole = AlignedTags(
            "mfcc", 120, Vocabulary(tags=("a", "b", "c")), encoder=COALATagEncoder(3),
            audio_map=torch.nn.Linear(120, 1152, bias=False),
        )  # fmt: skip
    sizes = []
    for half in (False, True):
        whole.save(tmp_path, half=half)
        sizes.append((tmp_path / "tags.safetensors").stat().st_size)
        again = AlignedTags.load(tmp_path)
        sounds = torch.randn(20, 120, generator=torch.Generator().manual_seed(0))
        assert again.scores(sounds).dtype == torch.float32
        torch.testing.assert_close(again.scores(sounds), whole.scores(sounds), atol=2e-3 if half else 0, rtol=0)
    assert sizes[1] < 0.51 * sizes[0]


def test_a_balance_steers_searches_and_maps_as_weights_do(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_umap(monkeypatch)
    parts = [soundloom.load("logmel"), soundloom.load("mfcc")]
    plain = Library.create(tmp_path / "plain.loom", Woven(parts))
    biased = Library.create(tmp_path / "biased.loom", Woven(parts, balance={"mfcc": 0.25}))
    for library in (plain, biased):
        library.add(corpus.root)
    query = corpus.root / "string-60.wav"
    expected = plain.search(query, 5, weights={"mfcc": 0.25})
    assert biased.search(query, 5) == expected != plain.search(query, 5)
    steered, usual = plain.maps.get({"mfcc": 0.25}).coordinates, biased.maps.get().coordinates
    np.testing.assert_allclose(np.abs(steered), np.abs(usual), atol=1e-5)
    assert not np.allclose(np.abs(plain.maps.get().coordinates), np.abs(usual), atol=1e-3)


def test_a_centred_part_is_compared_without_scaling_its_columns(corpus: Corpus, tmp_path: Path) -> None:
    model = Woven([soundloom.load("logmel"), soundloom.load("mfcc")], centred=["mfcc"])
    library = Library.create(tmp_path / "l.loom", model)
    library.add(corpus.root)
    assert Library.open(library.folder).settings.centred == ("mfcc",)
    stored = library.rows(["path", "embedding"])
    rows = np.array(stored["embedding"].to_pylist(), np.float64)
    rows -= rows.mean(axis=0)
    rows[:, model.parts["logmel"]] /= rows[:, model.parts["logmel"]].std(axis=0)
    query = stored["path"].to_pylist().index(str(corpus.root / "string-60.wav"))
    for hit in library.search(corpus.root / "string-60.wav", 29):
        other = stored["path"].to_pylist().index(hit.path)
        for name, columns in model.parts.items():
            one, two = rows[query, columns], rows[other, columns]
            cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
            assert hit.parts[name] == pytest.approx(cosine, abs=1e-4)


class TestPackaged:
    """What comes with the package."""

    def test_is_the_default(self) -> None:
        model = soundloom.load()
        assert (model.name, tuple(model.parts)) == ("loom", loom.PARTS)
        assert sum(file.stat().st_size for file in (PACKAGED / "loom").glob("*.safetensors")) <= 20 * 1024**2

    def test_hears_notes_alike_on_whatever_they_are_played(self) -> None:
        model = soundloom.load("loom")
        strings, reeds = (
            np.stack([model.embed(note(midi, kind))[model.parts["pitch"]] for midi in MIDI])
            for kind in ("string", "reed")
        )
        units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (strings, reeds)]
        assert np.mean((units[0] @ units[1].T).argmax(axis=1) == np.arange(len(MIDI))) >= 0.8

    def test_is_found_steered_explained_and_asked_by_words(self, corpus: Corpus, tmp_path: Path) -> None:
        library = Library.create(tmp_path / "l.loom")
        library.add(corpus.root)
        assert library.settings.model == "loom"
        assert library.settings.balance == loom.BALANCE
        assert library.settings.centred == loom.CENTRED
        query = corpus.root / "string-60.wav"
        by_pitch = library.search(query, 1, weights={"timbre": 0, "texture": 0, "general": 0})
        assert Path(by_pitch[0].path).name == "reed-60.wav"
        hits = library.search(query, 29)
        shares = {name: library.settings.balance.get(name, 1.0) for name in loom.PARTS}
        for hit in hits:
            expected = sum(shares[name] * cosine for name, cosine in hit.parts.items()) / sum(shares.values())
            assert hit.similarity == pytest.approx(expected, abs=1e-5)
        why = library.explain(query, by_pitch + hits[-1:])
        assert why[0].percentiles["pitch"] > 0.9
        assert "pitch" in why[0].reasons
        for name in loom.PARTS:  # the share of sounds that are less alike, counted
            cosines = [hit.parts[name] for hit in library.search(query, 30, include_query=True)]
            below = np.sum(np.array(cosines) < by_pitch[0].parts[name] - 1e-6) / 29
            assert why[0].percentiles[name] == pytest.approx(below, abs=1.01 / 29)
        assert len(library.search_tags(["bell"], 3)) == 3
        with pytest.raises(QueryError, match="bell"):
            library.search_tags(["bel"])


def test_a_stream_of_notes_has_no_window() -> None:
    stream = build_stream("notes", 0, "mine").eval()
    assert stream.window is None
    assert stream.embed(note(60, "reed", 3.0)).shape == (84,)
