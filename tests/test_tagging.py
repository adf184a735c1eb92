"""Free-form tags: words, vocabularies, where they come from, and what a model makes of them."""

from __future__ import annotations

import csv
import json
import math
import os
import struct
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import soundfile
import torch
from torch import nn

from soundloom import corpora, packaged
from soundloom.corpora import Corpus, CorpusError, clip_table
from soundloom.encoders import COALATagEncoder
from soundloom.errors import AudioError, MissingExtraError, ModelError, QueryError
from soundloom.models.saved_model import WEIGHTS
from soundloom.tags import (
    AlignedTags,
    TagFile,
    Vocabulary,
    VocabularySettings,
    embedded_texts,
    normalise,
    suggest_tags,
    vocabulary,
    words_of,
    words_of_path,
)
from soundloom.tags import tokenise as words_module
from soundloom.tags.class_head import TagHead
from soundloom.tags.riff_chunks import chunks
from soundloom.tags.tag_decoder import TagDecoder
from soundloom.tags.tokenise import STOP_WORDS, singular, split

# Words


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (["Dog", "dogs", "DOGS"], ("dog",)),
        (["dog_bark-2"], ("dog", "bark")),
        (["DogBark", "dogbark"], ("dog", "bark", "dogbark")),
        (["the sound of the sea"], ("sound", "sea")),
        (["808", "a", "x", "!", ""], ()),
        (["children", "wolves", "footsteps", "knives"], ("child", "wolf", "footstep", "knife")),
        (["bass", "hiss", "glass", "gas", "chorus", "tennis"], ("bass", "hiss", "glass", "gas", "chorus", "tennis")),
        (["cafe\u0301"], ("café",)),  # an accent as a character of its own, as some systems write file names
        ([], ()),
    ],
)
def test_tags_become_words(tags: list[str], words: tuple[str, ...]) -> None:
    assert normalise(tags) == words


def test_words_are_words_already() -> None:
    words = normalise(["Field-Recordings", "glass breaking", "dogs & cats", "rain on leaves"])
    assert normalise(words) == words
    assert not STOP_WORDS & set(words)


def test_what_only_looks_like_a_plural_stays() -> None:
    for word in ("bass", "bus", "this", "continuous", "synthesis", "news", "lens"):
        assert singular(word) == word


def test_only_plurals_are_asked_of_inflect(monkeypatch: pytest.MonkeyPatch) -> None:
    plurals = (
        "dogs boxes wolves children women feet teeth geese mice people cacti criteria larvae bureaux seraphim oxen"
    )
    assert all(map(vocabulary._PLURAL.search, plurals.split()))
    words = {word for name in Vocabulary.load(packaged.FOLDER / "vocabulary.json").names for word in split(name)}
    assert len(words) > 500
    assert {word for word in words if singular(word) != word and not vocabulary._PLURAL.search(word)} == set()
    monkeypatch.setattr(words_module, "_engine", None)  # asked, it would fail
    with pytest.raises(QueryError, match="'krähe' is none of the 2 words"):
        Vocabulary(tags=("dog", "bark")).query(["Krähe"])


def test_without_inflect_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "inflect", None)
    words_module._engine.cache_clear()
    words_module.singular.cache_clear()
    with pytest.raises(MissingExtraError, match=r"soundloom\[train\]"):
        normalise(["dogs"])


def test_names_of_files_and_folders() -> None:
    assert words_of_path("/a/dog_bark-2.wav") == ("dog", "bark")
    assert words_of_path("/lib/Weather/Rain/heavy rain 01.flac", "/lib") == ("heavy", "rain", "weather")
    assert words_of_path("/elsewhere/Rain/x1.wav", "/lib") == ()  # what is not below the root has no folders of it


# Vocabularies


def test_a_vocabulary_by_counting() -> None:
    sounds = [["dog", "bark"], ["dog"], ["cat"], ["dog", "rain", "rain"], ["bark", "cat"], ["wind"]]
    counts = Counter(word for words in sounds for word in set(words))
    built = Vocabulary.build(sounds, VocabularySettings(common_share=0.4, most_tags=2))
    assert counts["dog"] / len(sounds) > 0.4
    assert built.tags == ("bark", "cat")  # the commonest is out, then by frequency, then by the alphabet
    assert built.counts == (2, 2)
    assert built.sounds == 6
    everything = Vocabulary.build(sounds, VocabularySettings(common_share=0.5))
    assert everything.tags == ("dog", "bark", "cat", "rain", "wind")  # a share that is reached is not exceeded


def test_words_of_one_group_alone_are_no_tags() -> None:
    sounds = [["dog", "rex", "rex"], ["dog", "rex"], ["dog", "waldi"], ["rain", "dog"], ["rain"]]
    groups = ["rex", "rex", "waldi", None, None]
    spread = {
        word: len({group for words, group in zip(sounds, groups, strict=True) if word in words})
        for word in ["dog", "rex", "rain"]
    }
    assert spread == {"dog": 3, "rex": 1, "rain": 1}
    settings = VocabularySettings(fewest_groups=2, common_share=1)
    assert Vocabulary.build(sounds, settings, groups=groups).tags == ("dog",)
    assert Vocabulary.build(sounds, settings).tags == ("dog", "rain", "rex")  # every sound its own group
    with pytest.raises(ModelError, match="2 sounds of 4 groups"):
        Vocabulary.build(sounds, VocabularySettings(fewest_sounds=2, fewest_groups=4), groups=groups)
    with pytest.raises(ValueError, match="fewest_groups must be at least 1, got 0"):
        VocabularySettings(fewest_groups=0)


def test_multi_hot_vectors() -> None:
    vocabulary = Vocabulary(tags=("dog", "bark", "rain"))
    vectors = vocabulary.encode([["rain", "dog", "dog"], [], ["unheard"]])
    assert vectors.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert vectors.dtype == np.float32
    assert vocabulary.encode([]).shape == (0, 3)


def test_a_question_in_peoples_words() -> None:
    vocabulary = Vocabulary(tags=("dog", "bark", "field", "recording", "bas", "his"))
    assert vocabulary.query(["Dogs", "field-recordings"]).tolist() == [1, 0, 1, 1, 0, 0]
    # COALA's published vocabulary was made with an inflect that cut every s.
    assert vocabulary.query(["bass", "hiss"]).tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(QueryError, match=r"'barck' is none of the 6 .* did you mean 'bark'"):
        vocabulary.query(["barck"])
    with pytest.raises(QueryError, match="nothing in it is written alike"):
        vocabulary.query(["zzzz"])
    with pytest.raises(QueryError, match="holds no word"):
        vocabulary.query(["12"])


def test_the_nearest_words() -> None:
    vocabulary = Vocabulary(tags=("thunder", "thunderstorm", "under", "hum", "bark"))
    assert vocabulary.nearest("thunders")[:2] == ["thunder", "under"]
    assert vocabulary.nearest("barc") == ["bark"]
    assert vocabulary.nearest("xylophone") == []


def test_a_vocabulary_is_kept(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build([["dog", "café"], ["dog"], ["rain"]])
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary
    assert [path.name for path in tmp_path.iterdir()] == ["vocabulary.json"]
    assert vocabulary.table(1) == "dog  2"
    (tmp_path / "broken.json").write_text('{"format": 1, "tags": "dog"')
    with pytest.raises(ModelError, match=r"broken.json is (not a vocabulary|damaged)"):
        Vocabulary.load(tmp_path / "broken.json")
    with pytest.raises(ModelError, match="no such file"):
        Vocabulary.load(tmp_path / "absent.json")


def test_a_vocabulary_of_nothing() -> None:
    with pytest.raises(ModelError, match="no tags are left of 1 words on 2 sounds"):
        Vocabulary.build([["dog"], ["dog"]])
    with pytest.raises(ValueError, match="one tag or more"):
        Vocabulary(tags=("dog", "dog"))
    with pytest.raises(ValueError, match=r"common_share .* got 0"):
        VocabularySettings(common_share=0)


# Sources


def corpus_of(root: Path, names: list[str], tags: list[list[str]] | None = None) -> Corpus:
    paths = []
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(1600, np.float32), 16000)
        paths.append(str(path))
    table = clip_table(paths, ["Sirens"] * len(paths), tags=tags)
    return Corpus(name="mine", root=root, task="single-label", classes=("Sirens",), table=table)


def test_tags_from_everywhere_at_once(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, ["Dogs/bark_1.wav", "rain.wav"], tags=[["Loud"], ["wet", "Loud"]])
    assert words_of(corpus) == [("loud",), ("wet", "loud")]
    assert words_of(corpus, ["names", "labels", "tags"]) == [
        ("bark", "dog", "siren", "loud"),
        ("rain", "siren", "wet", "loud"),
    ]
    with pytest.raises(CorpusError, match=r"from tags, labels, names, embedded, published, or a file; got titles"):
        words_of(corpus, ["titles"])


def test_published_tags_are_read_as_the_published_code_reads_them(tmp_path: Path) -> None:
    tags = [["Dogs", "field-recording", "glass", "the", "X", "48k"], ["dog bark", "don", "could"]]
    corpus = corpus_of(tmp_path, ["a.wav", "b.wav"], tags=tags)
    assert words_of(corpus, ["published"]) == [("dog", "glass"), ("dog", "bark", "could")]


def test_fsd50k_tags_are_those_of_the_uploaders(tmp_path: Path) -> None:
    about = {"1001": {"title": "A dog", "tags": ["dogs", "field-recording"]}, "1002": {"tags": []}}
    (tmp_path / "dev_clips_info_FSD50K.json").write_text(json.dumps(about))
    found = TagFile(tmp_path / "dev_clips_info_FSD50K.json").match(["/x/dev/1001.wav", "/x/dev/1002.wav", "/x/9.wav"])
    assert found == [("dog", "field", "recording"), (), ()]


def write_table(path: Path, rows: list[dict[str, object]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_a_table_of_tags(tmp_path: Path, suffix: str) -> None:
    rows: list[dict[str, object]] = [
        {"Path": "a/one.wav", "tags": "dogs; barking"},
        {"Path": "b/one.wav", "tags": "cats"},
        {"Path": "two", "tags": ""},
    ]
    table = TagFile(write_table(tmp_path / f"tags{suffix}", rows))
    assert table.match(["/x/a/one.flac", "/x/b/one.wav", "/y/two.mp3", "/z/three.wav"]) == [
        ("dog", "barking"),
        ("cat",),
        (),
        (),
    ]
    with pytest.raises(CorpusError, match=r"a row for 'two', which fits '/x/two.mp3' and '/y/two.wav'"):
        table.match(["/x/two.mp3", "/y/two.wav"])
    with pytest.raises(CorpusError, match=r"names none of the files; its first row is for 'a/one.wav'"):
        table.match(["/c/one.wav"])


def test_a_table_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError,
        match=r"must be a CSV with a column 'path' .* found columns \['colour', 'path'\]: name a column 'tags'",
    ):
        TagFile(write_table(tmp_path / "colours.csv", [{"colour": "red", "path": "a"}]))
    with pytest.raises(CorpusError, match="cannot be read"):
        TagFile(tmp_path / "absent.csv")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(CorpusError, match="is not a json file"):
        TagFile(tmp_path / "broken.json")
    (tmp_path / "broken.parquet").write_bytes(b"PAR?")
    with pytest.raises(CorpusError, match="is not a parquet file"):
        TagFile(tmp_path / "broken.parquet")
    own = TagFile(write_table(tmp_path / "own.csv", [{"file": "a.wav", "What": "Dogs"}]), column="What")
    assert own.match(["/a.wav"]) == [("dog",)]


# What a file says of itself


def wav(path: Path, extra: list[tuple[bytes, bytes]], *, before: bool = True) -> Path:
    """A WAV of 16-bit silence with more chunks."""
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    data = b"data" + struct.pack("<I", 640) + bytes(640)
    more = b"".join(name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) for name, body in extra)
    body = b"WAVE" + form + (more + data if before else data + more)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


IXML = (
    b'<?xml version="1.0" encoding="UTF-8"?><BWFXML><IXML_VERSION>2.0</IXML_VERSION><TAPE>7</TAPE>'
    b"<NOTE>Rain on a tin roof</NOTE><USER><CATEGORY>Weather</CATEGORY></USER></BWFXML>"
)


@pytest.mark.parametrize("before", [True, False])
def test_broadcast_waves(tmp_path: Path, before: bool) -> None:
    bext = b"Dogs barking".ljust(256, b"\0") + b"Somebody".ljust(346, b"\0")
    info = b"INFO" + b"IKEY" + struct.pack("<I", 5) + b"loud\0" + b"\0" + b"IART" + struct.pack("<I", 4) + b"Jim\0"
    path = wav(tmp_path / "a.wav", [(b"bext", bext), (b"LIST", info), (b"iXML", IXML)], before=before)
    texts = embedded_texts(path)
    assert {"Dogs barking", "loud", "Rain on a tin roof", "Weather"} <= set(texts)
    assert not {"Jim", "Somebody", "7"} & set(texts)
    words = normalise(texts)
    assert {"dog", "barking", "loud", "rain", "tin", "roof", "weather"} <= set(words)


def test_chunks_by_hand(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", [(b"abc ", b"odd"), (b"bext", b"first"), (b"bext", b"second")])
    assert chunks(path, {b"bext", b"abc "}) == {b"abc ": b"odd", b"bext": b"first"}
    cut = tmp_path / "cut.wav"
    cut.write_bytes(path.read_bytes()[:60])
    assert set(chunks(cut, {b"bext", b"abc "})) <= {b"abc ", b"bext"}
    (tmp_path / "text.wav").write_text("no sound")
    assert chunks(tmp_path / "text.wav", {b"bext"}) == {}
    # RF64: the length of the samples stands in ds64, and what follows them is found.
    samples = bytes(640)
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, 0, len(samples), 320, 0)
    body = b"WAVE" + ds64 + b"data" + struct.pack("<I", 0xFFFFFFFF) + samples + b"iXML" + struct.pack("<I", 2) + b"<>"
    (tmp_path / "large.wav").write_bytes(b"RF64" + struct.pack("<I", 0xFFFFFFFF) + body)
    assert chunks(tmp_path / "large.wav", {b"iXML"}) == {b"iXML": b"<>"}


def test_hostile_xml_is_not_parsed(tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><BWFXML><NOTE>&b;</NOTE></BWFXML>'
    assert not any("aaaa" in text for text in embedded_texts(wav(tmp_path / "a.wav", [(b"iXML", bomb)])))
    assert embedded_texts(wav(tmp_path / "b.wav", [(b"iXML", b"<BWFXML><NOTE>cut")])) == ()
    with pytest.raises(AudioError, match="cannot be read"):
        embedded_texts(tmp_path / "absent.wav")


@pytest.mark.parametrize("suffix", [".ogg", ".flac", ".mp3"])
def test_comments_of_encoders(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with soundfile.SoundFile(path, "w", 16000, 1) as file:
        file.title = "Barking dogs"
        file.genre = "Ambient"
        file.artist = "Somebody"
        file.write(np.zeros(8000, np.float32))
    texts = embedded_texts(path)
    assert "Barking dogs" in texts
    assert "Somebody" not in texts
    if sys.platform == "linux":
        os.rename(path, os.fsencode(tmp_path) + b"/caf\xe9" + suffix.encode())
        assert embedded_texts(f"{tmp_path}/caf\\xe9{suffix}") == texts


def test_no_text_is_taken_from_a_file_that_another_names(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "a.mp3", "w", 16000, 1) as file:
        file.title = "Secret"
        file.write(np.zeros(8000, np.float32))
    playlist = tmp_path / "list.wav"
    playlist.write_text("ffconcat version 1.0\nfile a.mp3\n")
    assert embedded_texts(playlist) == ()
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.5,\na.mp3\n#EXT-X-ENDLIST\n")
    assert embedded_texts(playlist) == ()


def test_embedded_tags_of_a_corpus(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", [(b"iXML", IXML)])
    table = clip_table([str(path), str(path)], [["x"], ["x"]], starts=[0.0, 0.01])
    corpus = Corpus(name="mine", root=tmp_path, task="multi-label", classes=("x",), table=table)
    assert words_of(corpus, ["embedded"]) == [("rain", "tin", "roof", "weather")] * 2


# What a model makes of tags


def aligned(dim: int = 6, tags: tuple[str, ...] = ("dog", "bark", "rain")) -> AlignedTags:
    torch.manual_seed(5)
    encoder = COALATagEncoder(len(tags))
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return AlignedTags("mine", dim, Vocabulary(tags=tags), encoder=encoder, audio_map=nn.Linear(dim, 1152, bias=False))


def test_a_direction_scores_as_the_space_does() -> None:
    known = aligned()
    z = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    assert known.audio_map is not None
    assert known.encoder is not None
    with torch.inference_mode():
        phi_a = known.audio_map(z)
        phi_t = known.encoder.align(known.encoder(torch.eye(3)))
        cosines = nn.functional.cosine_similarity(phi_a[:, None], phi_t[None], dim=2)
        torch.testing.assert_close(known.scores(z), cosines)
        for number, tag in enumerate(known.vocabulary.tags):
            pulled = z @ known.direction([tag]) / phi_a.norm(dim=1)
            torch.testing.assert_close(pulled, cosines[:, number])
    # About a sound, the direction is the gradient of the cosine, up to the length of the sound's map.
    around = z[0].clone().requires_grad_()
    with torch.no_grad():
        target = known.encoder.align(known.encoder(torch.eye(3)))[1]
    nn.functional.cosine_similarity(known.audio_map(around), target, dim=0).backward()
    assert around.grad is not None
    gradient = around.grad * known.audio_map(z[0]).norm().detach()
    torch.testing.assert_close(known.direction(["bark"], around=known.common(z[:1])), gradient)
    torch.testing.assert_close(known.direction(["dog"], ["rain"]), known.direction(["dog"]) - known.direction(["rain"]))
    with pytest.raises(QueryError, match="no tags to search by"):
        known.direction([])


def test_tags_are_decoded_from_those_that_are_near(tmp_path: Path) -> None:
    known = aligned()
    assert known.predict(torch.zeros(1, 6)) is None
    known.decoder = TagDecoder(3).eval()
    known.centre.copy_(known.common(torch.randn(9, 6, generator=torch.Generator().manual_seed(2))))
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    found = known.predict(z)
    assert found is not None
    assert known.encoder is not None
    with torch.inference_mode():
        near = (known.scores(z) - known.usual()).tolist()
        each = [known.encoder(torch.eye(3)[[tag]])[0] for tag in range(3)]
        for row, scores in zip(found, near, strict=True):
            powers = [math.exp(score / 0.1) for score in scores]
            mean = sum(power / sum(powers) * side for power, side in zip(powers, each, strict=True))
            assert isinstance(mean, torch.Tensor)
            torch.testing.assert_close(row, 1 / (1 + (-known.decoder(mean[None])[0]).exp()))
    (tmp_path / WEIGHTS).write_bytes(b"of the stream")
    known.save(tmp_path)
    again = AlignedTags.load(tmp_path).predict(z)
    assert again is not None
    torch.testing.assert_close(again, found)
    head = TagHead(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    telling = AlignedTags("mine", 6, Vocabulary(tags=("dog", "rain")), head=head)
    torch.testing.assert_close(telling.predict(z), telling.scores(z))
    with pytest.raises(ValueError, match="needs the tag encoder"):
        AlignedTags("mine", 6, Vocabulary(tags=("dog", "rain")), head=head, decoder=TagDecoder(2))


@pytest.mark.parametrize("counts", [(), (40, 2, 40)])
def test_suggestions_are_by_nearness_and_frequency(counts: tuple[int, ...]) -> None:
    known = aligned()
    known.vocabulary = Vocabulary(tags=known.vocabulary.tags, counts=counts, sounds=80 if counts else 0)
    learned = torch.randn(9, 6, generator=torch.Generator().manual_seed(2))
    known.centre.copy_(known.common(learned))
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    nearer = (known.scores(z) - known.scores(learned).mean(dim=0)).tolist()
    shares = [(count + 0.5) / 81 for count in counts] or [1 / 4] * 3
    for row, found in zip(nearer, suggest_tags(known, z.numpy(), k=2), strict=True):
        odds = [share / (1 - share) * math.exp(near / 0.1) for share, near in zip(shares, row, strict=True)]
        probable = [each / (1 + each) for each in odds]
        best = sorted(range(3), key=lambda tag: -probable[tag])[:2]
        assert [suggestion.tag for suggestion in found] == [known.vocabulary.tags[tag] for tag in best]
        assert [suggestion.score for suggestion in found] == pytest.approx([probable[tag] for tag in best], abs=1e-5)


def test_suggestions_of_other_things() -> None:
    known = aligned()
    assert suggest_tags(known, np.zeros((0, 6), np.float32)) == []
    assert len(suggest_tags(known, np.ones((1, 6), np.float32), k=9)[0]) == 3
    with pytest.raises(ValueError, match="embeddings of 6, got 5"):
        suggest_tags(known, np.ones((1, 5), np.float32))


def test_a_head_tells_probabilities_and_no_direction() -> None:
    head = TagHead(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    known = AlignedTags("mine", 6, Vocabulary(tags=("dog", "rain")), head=head)
    z = torch.randn(3, 6)
    torch.testing.assert_close(known.scores(z), head(z).sigmoid())
    with pytest.raises(QueryError, match="trained without a tag encoder"):
        known.direction(["dog"])
    with pytest.raises(ValueError, match="need a tag encoder and the audio's map to it, or a head"):
        AlignedTags("mine", 6, Vocabulary(tags=("dog",)))


@pytest.mark.parametrize("headed", [True, False])
def test_kept_beside_a_model(tmp_path: Path, headed: bool) -> None:
    if headed:
        head = TagHead(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        known = AlignedTags("mine", 6, Vocabulary(tags=("dog", "bark", "rain")), head=head)
    else:
        known = aligned()
    with pytest.raises(ModelError, match="cannot read"):
        known.save(tmp_path)  # there is no model yet
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    known.centre.fill_(0.5)
    known.save(tmp_path)
    again = AlignedTags.load(tmp_path)
    z = torch.randn(3, 6)
    assert torch.equal(again.scores(z), known.scores(z))
    assert torch.equal(again.centre, known.centre)
    assert (again.part, again.vocabulary) == ("mine", known.vocabulary)
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ModelError, match="of another saving"):
        AlignedTags.load(tmp_path)
    with pytest.raises(ModelError, match="knows no tags"):
        AlignedTags.load(tmp_path / "absent")


def test_real_tags(shared_audio: Path) -> None:
    pool = corpora.load("pool", shared_audio)
    words = words_of(pool)
    vocabulary = Vocabulary.build(words, VocabularySettings(fewest_sounds=5))
    assert {"dog", "piano", "rain", "glass", "bass"} <= set(vocabulary.tags)
    assert not STOP_WORDS & set(vocabulary.tags)
    counts = vocabulary.encode(words).sum(axis=0)
    assert counts.tolist() == list(vocabulary.counts)
