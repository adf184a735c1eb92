"""Tags from names, tables and what files say of themselves."""

from __future__ import annotations

import csv
import json
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import soundfile

from soundloom.corpora import Corpus, CorpusError, clip_table
from soundloom.errors import AudioError
from soundloom.tags import (
    TagFile,
    embedded_texts,
    normalise,
    words_of,
)
from soundloom.tags.riff_chunks import chunks

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
