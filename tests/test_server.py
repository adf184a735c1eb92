"""The API over a library: searching, hearing, seeing, tagging, mapping, keeping it up to date."""

from __future__ import annotations

import csv
import io
import os
import re
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import soundfile
import torch
from starlette.testclient import TestClient

import soundloom.library.map.library_map
import soundloom.library.search.tag_query
import soundloom.server.media.reveal
import soundloom.server.search
import soundloom.server.service
from helpers.server import API, RATE, by_name, made_library, refused, served, write_sound
from soundloom.errors import QueryError
from soundloom.library import Library, segment_id
from soundloom.server.media.sound_files import SoundFiles
from soundloom.tags import AlignedTags, Vocabulary
from soundloom.tags.class_head import TagHead


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, TestClient]]:
    """A library that tests only read."""
    folder = tmp_path_factory.mktemp("served")
    library = made_library(folder)
    with served(library, folder / "cache") as client:
        yield library, client


@pytest.fixture
def client(shared: tuple[Library, TestClient]) -> TestClient:
    return shared[1]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Library, TestClient]]:
    """A library that a test may change."""
    library = made_library(tmp_path)
    with served(library, tmp_path / "cache") as client:
        yield library, client


def search(client: TestClient, **asked: Any) -> list[str]:
    answer = client.get(f"{API}/search", params=asked)
    assert answer.status_code == 200, answer.text
    return [hit["name"] for hit in answer.json()["hits"]]


def finished(client: TestClient, job: str) -> dict[str, Any]:
    """The job, once it is over."""
    for _ in range(300):
        about = client.get(f"{API}/jobs/{job}").json()
        if about["state"] != "running":
            return about
        time.sleep(0.1)
    raise AssertionError(f"the job goes on: {about}")


def test_the_library_says_what_it_holds(client: TestClient) -> None:
    about = client.get(f"{API}/library").json()
    assert (about["segments"], about["files"], about["failures"], about["model"]) == (16, 14, 1, "logmel+mfcc")
    assert about["seconds"] == pytest.approx(13 * 0.6 + 4.5)
    assert about["parts"] == [
        {"name": "logmel", "dim": 128, "balance": 1.0},
        {"name": "mfcc", "dim": 120, "balance": 1.0},
    ]
    assert about["folders"] == [
        {"name": ".", "files": 14},
        {"name": "high", "files": 7},
        {"name": "low", "files": 7},
    ]


def test_failures_are_told_with_their_reasons(client: TestClient) -> None:
    (failure,) = client.get(f"{API}/failures").json()["failures"]
    assert failure["path"].endswith("broken.wav")
    assert failure["reason"]


def test_without_a_query_every_segment_comes_in_order_of_its_path(shared: tuple[Library, TestClient]) -> None:
    library, client = shared
    whole = client.get(f"{API}/search", params={"k": 500}).json()
    assert whole["total"] == len(whole["hits"]) == 16
    assert [hit["path"] for hit in whole["hits"]] == sorted(library.rows(["path"])["path"].to_pylist())
    assert all("similarity" not in hit and "parts" not in hit for hit in whole["hits"])
    pages = [client.get(f"{API}/search", params={"k": 5, "offset": at}).json()["hits"] for at in range(0, 20, 5)]
    assert [hit for page in pages for hit in page] == whole["hits"]


def test_a_region_of_many_segments_is_searched_by_their_stored_embeddings(
    shared: tuple[Library, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, client = shared
    long = by_name(client, "long.wav")
    monkeypatch.setattr(soundloom.server.search, "_STORED_ROWS", 3)
    monkeypatch.setattr(SoundFiles, "samples", lambda *_: pytest.fail("the file is decoded again"))
    asked = {"like": long["id"], "start": 0, "end": 4.45, "k": 5}
    hits = client.get(f"{API}/search", params=asked).json()["hits"]
    own = library.rows(["path", "embedding"]).to_pylist()
    pieces = np.array([row["embedding"] for row in own if row["path"] == long["path"]])
    expected = [hit.path for hit in library.search_embedding(pieces, 10) if hit.path != long["path"]][:5]
    assert [hit["path"] for hit in hits] == expected


def test_more_like_this_gives_what_the_library_gives(shared: tuple[Library, TestClient]) -> None:
    library, client = shared
    one = by_name(client, "low-3.wav")
    hits = client.get(f"{API}/search", params={"like": one["id"], "k": 4, "weights": "logmel:2,mfcc:0.5"}).json()[
        "hits"
    ]
    expected = library.search(one["path"], 4, weights={"logmel": 2, "mfcc": 0.5})
    assert [hit["path"] for hit in hits] == [hit.path for hit in expected]
    assert [hit["similarity"] for hit in hits] == pytest.approx([hit.similarity for hit in expected], abs=1e-5)
    assert hits[0]["parts"] == pytest.approx(expected[0].parts, abs=1e-5)
    assert {hit["name"] for hit in hits[:2]} == {"low-2.wav", "low-4.wav"}


def test_words_are_searched_by_where_the_model_knows_them(
    shared: tuple[Library, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, client = shared
    low, high = by_name(client, "low-0.wav"), by_name(client, "high-5.flac")
    meant = np.array(library.rows(["embedding"], f"path = '{low['path']}'")["embedding"][0].as_py())
    asked: list[tuple[Any, ...]] = []

    def tag_embedding(
        aligned: Any, settings: Any, index: Any, tags: Any, not_: Any, *, sound: Any, share: float
    ) -> np.ndarray:
        """What words mean is the library's own affair; here they mean what low-0 is."""
        if "cat" in tags:
            raise QueryError("no word 'cat'")
        asked.append((aligned.part, tags, not_, sound is not None, share))
        return meant

    monkeypatch.setattr(soundloom.library.search.tag_query, "tag_embedding", tag_embedding)
    words = Vocabulary(tags=("drone", "Dripping", "wind"))
    aligned = AlignedTags("logmel", 128, words, head=TagHead(torch.nn.Linear(128, 3)))
    monkeypatch.setattr(library._tag_queries, "_aligned", aligned)
    monkeypatch.setattr(client.app.state.service, "vocabulary", words.tags, raising=False)
    assert client.get(f"{API}/library").json()["tags_searchable"] is True
    assert client.get(f"{API}/tags", params={"prefix": "dr"}).json()["vocabulary"] == ["drone", "Dripping"]

    best = client.get(f"{API}/search", params={"tag": ["drone", "wind"], "not": "rain", "k": 3}).json()["hits"][0]
    # Without a sound the parts that know no words do not count.
    assert (best["id"], best["similarity"]) == (low["id"], pytest.approx(best["parts"]["logmel"], abs=1e-5))
    search(client, tag="drone", like=high["id"], share=0.25)
    assert asked == [("logmel", ["drone", "wind"], ["rain"], False, 0.5), ("logmel", ["drone"], [], True, 0.25)]
    refused(client.get(f"{API}/search", params={"tag": "cat"}), 422, "bad_query")


def test_offset_goes_on_where_the_last_page_ended(client: TestClient) -> None:
    like = by_name(client, "low-0.wav")["id"]
    assert search(client, like=like, k=3) + search(client, like=like, k=3, offset=3) == search(client, like=like, k=6)


def test_a_region_of_a_sound_is_searched_by(shared: tuple[Library, TestClient]) -> None:
    library, client = shared
    long = by_name(client, "long.wav")
    answer = client.get(f"{API}/search", params={"like": long["id"], "start": 0.25, "end": 1.0, "k": 5}).json()
    expected = library.search(long["path"], 5, start=0.25, end=1.0)
    assert [(hit["path"], hit["start"]) for hit in answer["hits"]] == [(hit.path, hit.start) for hit in expected]
    # A region that is longer than a segment is searched by its pieces, as the library and /find do.
    longer = client.get(f"{API}/search", params={"like": long["id"], "start": 0.25, "end": 2.5, "k": 5}).json()["hits"]
    by_pieces = library.search(long["path"], 5, start=0.25, end=2.5)
    assert [hit["similarity"] for hit in longer] == pytest.approx([hit.similarity for hit in by_pieces], abs=1e-4)
    # The query's own segment is not found; the rest of its file may be.
    assert (long["path"], 0.0) not in [(hit["path"], hit["start"]) for hit in answer["hits"]]


def test_filters_narrow_what_is_found_and_counted(client: TestClient) -> None:
    like = by_name(client, "low-0.wav")["id"]
    assert set(search(client, like=like, folder="high")) == {*(f"high-{n}.flac" for n in range(6)), "odd.aiff"}
    assert set(search(client, min_duration=4)) == {"long.wav"}
    assert "long.wav" not in search(client, max_duration=1, k=100)
    assert search(client, after="2999-01-01") == []
    assert len(search(client, before="2999-01-01")) == 16
    # What is not there is named, with what is.
    untagged = client.get(f"{API}/search", params={"has_tag": "nothing"}).json()
    assert (untagged["hits"], untagged["total"]) == ([], 0)
    assert "nobody has given the tag 'nothing'" in untagged["remarks"][0]
    refused_folder = refused(client.get(f"{API}/search", params={"like": like, "folder": "hihg"}), 422, "bad_query")
    assert "did you mean 'high'" in refused_folder
    total = client.get(f"{API}/search", params={"like": like, "folder": "high", "k": 2}).json()["total"]
    assert total == 7
    # Nothing that a person types becomes part of the condition.
    refused(client.get(f"{API}/search", params={"like": like, "folder": "high' OR '1'='1"}), 422, "bad_query")


def test_files_are_found_by_text(client: TestClient) -> None:
    answer = client.get(f"{API}/find", params={"text": "low 0", "k": 5}).json()
    assert [one["name"] for one in answer["files"]][:1] == ["low-0.wav"]
    assert answer["files"][0]["found_by"] == ["name"]
    assert answer["files"][0]["similarity"] is None
    among = client.get(f"{API}/find", params={"text": "0", "folder": "high", "names_only": True}).json()["files"]
    assert {one["folder"] for one in among} == {"high"}
    assert client.get(f"{API}/find", params={"text": "zebra", "names_only": True}).json()["files"] == []
    # Nothing found is an answer, which says why, in no words of the command line.
    for wanted, why in (
        ({"text": "zebra"}, "in this library has 'zebra'"),
        ({"text": "zebra", "folder": "high"}, "among the files that the filters admit has 'zebra'"),
        ({"text": "low", "has_tag": "zebra"}, "nobody has given the tag 'zebra'"),
        ({"text": "zebra", "like": by_name(client, "low-0.wav")["id"]}, "among which files"),
    ):
        nothing = client.get(f"{API}/find", params=wanted).json()
        assert nothing["files"] == []
        assert why in nothing["remarks"][0]
        assert not re.search("soundloom|--", nothing["remarks"][0])
    assert client.get(f"{API}/facets", params={"has_tag": "zebra"}).json()["files"] == 0
    assert "nothing to search for" in refused(client.get(f"{API}/find"), 422, "bad_query")
    assert "rate" in refused(client.get(f"{API}/find", params={"text": "low", "rate": 0}), 422, "invalid")


def test_queries_name_sounds_of_the_library_and_no_file_of_the_machine(
    shared: tuple[Library, TestClient], tmp_path: Path
) -> None:
    library, client = shared
    answer = client.get(f"{API}/find", params={"query": ["low-0", "low"], "k": 5}).json()
    found = [one["name"] for one in answer["files"]]
    assert "low-0.wav; as text: text='low-0'" in answer["remarks"][0]
    assert found == [Path(match.path).name for match in library.find(library.read_query("low-0", "low"), k=5)]
    assert "low-0.wav" not in found
    assert (
        client.get(f"{API}/find", params={"query": "low-0.wav", "text": "low", "k": 5}).json()["files"]
        == answer["files"]
    )
    write_sound(tmp_path / "other.wav", 440)
    assert library.find(str(tmp_path / "other.wav"))
    message = refused(client.get(f"{API}/find", params={"query": str(tmp_path / "other.wav")}), 422, "bad_query")
    assert message.startswith("no sound ")
    assert message.split(" in ", 1)[1].count("other.wav'") == 1  # as text, and no such file
    near = refused(client.get(f"{API}/find", params={"query": str(tmp_path / "othar.wav")}), 422, "bad_query")
    assert "20 times" in refused(client.get(f"{API}/find", params={"query": ["low"] * 21}), 422, "bad_query")
    assert "other.wav" not in near  # what else lies there is nobody's business


def test_files_are_found_by_sounds_filters_and_pages(client: TestClient) -> None:
    def names(**query: object) -> list[str]:
        return [file["name"] for file in client.get(f"{API}/find", params=query).json()["files"]]  # type: ignore[arg-type]

    every = names(longer=0, k=500)
    assert len(every) == len(set(every)) > 4
    assert names(longer=0, k=2, offset=1) == every[1:3]
    assert names(shorter=0) == names(before="1990-01-01") == []
    assert "sample rate 1 Hz" in refused(client.get(f"{API}/find", params={"rate": 1}), 422, "bad_query")
    assert names(after="1990-01-01", k=500) == every
    segment = client.get(f"{API}/search", params={"k": 1}).json()["hits"][0]
    near = names(like=segment["id"], k=500)
    assert segment["name"] not in near
    assert sorted([*near, segment["name"]]) == sorted(every)
    assert names(like=segment["id"], k=2, offset=2) == near[2:4]
    assert names(unlike=segment["id"], k=1) != near[:1]
    assert names(like=segment["id"], text="odd", k=500) == ["odd.aiff"]
    assert names(sort="-duration", k=1) == ["long.wav"]
    assert names(sort="name", where="duration > 4 OR name LIKE 'odd%'") == ["long.wav", "odd.aiff"]
    refused(client.get(f"{API}/find", params={"like": "0" * 16}), 404, "not_found")


def test_files_are_found_by_several_uploads(client: TestClient) -> None:
    one, other = (by_name(client, name) for name in ("low-0.wav", "high-0.flac"))
    uploads = [
        client.post(f"{API}/uploads", files={"file": (sound["name"], Path(sound["path"]).read_bytes())}).json()[
            "upload"
        ]
        for sound in (one, other)
    ]

    def found(**query: object) -> list[dict[str, Any]]:
        return client.get(f"{API}/find", params={"k": 500, **query}).json()["files"]  # type: ignore[dict-item]

    alone = found(upload=uploads[0])
    assert (alone[0]["name"], alone[0]["similarity"]) == ("low-0.wav", pytest.approx(1, abs=1e-3))
    both = {file["name"]: file["similarity"] for file in found(upload=uploads)}
    by_segments = {file["name"]: file["similarity"] for file in found(like=[one["id"], other["id"]])}
    assert {name: both[name] for name in by_segments} == pytest.approx(by_segments, abs=1e-3)
    refused(client.get(f"{API}/find", params={"upload": "u_none"}), 404, "no_upload")


def test_files_are_counted_by_fields(client: TestClient) -> None:
    def counts(**query: object) -> dict[str, Any]:
        return client.get(f"{API}/facets", params=query).json()  # type: ignore[arg-type]

    every = counts()
    assert {"folder", "tags", "sample_rate", "codec", "duration"} <= every["facets"].keys()
    folders = {one["value"]: one["files"] for one in counts(field="folder")["facets"]["folder"]}
    assert (folders["high"], sum(folders.values())) == (7, every["files"])
    one = counts(field="codec", folder="high", text="odd")
    assert (one["files"], [value["files"] for value in one["facets"]["codec"]]) == (1, [1])
    assert "did you mean codec" in refused(client.get(f"{API}/facets", params={"field": "codecs"}), 422, "bad_query")


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"like": "0" * 16}, 404, "not_found"),
        ({"like": "../../etc/passwd"}, 422, "invalid"),
        ({"upload": "u_none"}, 404, "no_upload"),
        ({"like": "0" * 16, "upload": "u_none"}, 422, "bad_query"),
        ({"start": 1}, 422, "bad_query"),
        ({"weights": "pitch"}, 422, "bad_query"),
        ({"tag": "dog"}, 409, "tags_not_searchable"),
        ({"k": 0}, 422, "invalid"),
        ({"k": 2001}, 422, "invalid"),
        ({"offset": -1}, 422, "invalid"),
        ({"min_duration": "nan"}, 422, "invalid"),
        ({"after": "yesterday"}, 422, "invalid"),
        ({"unheard": "of"}, 422, "invalid"),
    ],
)
def test_what_cannot_be_searched_by_is_refused(
    client: TestClient, asked: dict[str, Any], status: int, code: str
) -> None:
    refused(client.get(f"{API}/search", params=asked), status, code)


def test_weights_that_make_no_sense_are_refused(client: TestClient) -> None:
    like = by_name(client, "low-0.wav")["id"]
    assert "logmel, mfcc" in refused(
        client.get(f"{API}/search", params={"like": like, "weights": "pitch:1"}), 422, "bad_query"
    )
    for weights in ("logmel:0,mfcc:0", "logmel:nan", "logmel:1:2", "logmel"):
        refused(client.get(f"{API}/search", params={"like": like, "weights": weights}), 422, "bad_query")
    refused(client.get(f"{API}/search", params={"like": like, "start": 2, "end": 1}), 422, "bad_query")
    refused(client.get(f"{API}/search", params={"like": like, "start": 900}), 422, "unreadable")


def test_a_segment_is_found_by_its_id(client: TestClient) -> None:
    one = by_name(client, "low-1.wav")
    assert client.get(f"{API}/segments/{one['id']}").json() == one
    assert one["folder"] == "low"
    refused(client.get(f"{API}/segments/{'0' * 16}"), 404, "not_found")


def test_a_file_that_browsers_play_comes_as_it_is(client: TestClient) -> None:
    one = by_name(client, "high-0.flac")
    answer = client.get(f"{API}/segments/{one['id']}/audio")
    assert (answer.headers["content-type"], answer.content) == ("audio/flac", Path(one["path"]).read_bytes())


def test_a_file_that_browsers_do_not_play_is_transcoded(client: TestClient) -> None:
    one = by_name(client, "odd.aiff")
    answer = client.get(f"{API}/segments/{one['id']}/audio")
    assert answer.headers["content-type"] == "audio/flac"
    heard, rate = soundfile.read(io.BytesIO(answer.content))
    kept, _ = soundfile.read(one["path"])
    assert rate == RATE
    np.testing.assert_array_equal(heard, kept)


def test_a_segment_alone_is_a_wav_of_its_stretch(client: TestClient) -> None:
    hits = client.get(f"{API}/search", params={"k": 100}).json()["hits"]
    second = [hit for hit in hits if hit["name"] == "long.wav"][1]
    answer = client.get(f"{API}/segments/{second['id']}/audio", params={"part": "segment"})
    assert answer.headers["content-type"] == "audio/wav"
    heard, _ = soundfile.read(io.BytesIO(answer.content))
    kept, _ = soundfile.read(second["path"], start=2 * RATE, stop=round(second["end"] * RATE))
    np.testing.assert_allclose(heard, kept, atol=1e-4)


def test_ranges_are_slices_of_the_file(client: TestClient) -> None:
    one = by_name(client, "low-0.wav")
    address, whole = f"{API}/segments/{one['id']}/audio", Path(one["path"]).read_bytes()
    size = len(whole)
    for asked, first, last in (
        ("bytes=0-0", 0, 1),
        ("bytes=5-99", 5, 100),
        ("bytes=100-", 100, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=-{10 * size}", 0, size),
        (f"bytes=10-{10 * size}", 10, size),
        ("Bytes = 3 - 4", 3, 5),
    ):
        answer = client.get(address, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, whole[first:last]), asked
        assert answer.headers["content-range"] == f"bytes {first}-{last - 1}/{size}"
        assert answer.headers["content-length"] == str(last - first)
    for ignored in ("bytes=9-3", "bytes=a-b", "bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=" + "9" * 400 + "-"):
        answer = client.get(address, headers={"Range": ignored})
        assert (answer.status_code, answer.content) == (200, whole), ignored
    for beyond in (f"bytes={size}-", "bytes=-0"):
        answer = client.get(address, headers={"Range": beyond})
        refused(answer, 416, "no_such_range")
        assert answer.headers["content-range"] == f"bytes */{size}"


def test_a_copy_is_not_sent_again_and_a_stale_range_not_mixed(client: TestClient) -> None:
    one = by_name(client, "low-0.wav")
    address = f"{API}/segments/{one['id']}/audio"
    etag = client.get(address).headers["etag"]
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert client.get(address, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert client.get(address, headers={"Range": "bytes=0-1", "If-Range": '"another"'}).status_code == 200


def test_a_thumbnail_shows_where_the_tone_is(client: TestClient) -> None:
    low, high = by_name(client, "low-0.wav")["id"], by_name(client, "high-0.flac")["id"]
    pictures = {}
    for name, one in (("low", low), ("high", high)):
        answer = client.get(f"{API}/segments/{one}/thumbnail.webp", params={"width": 120, "height": 48})
        assert answer.headers["content-type"] == "image/webp"
        picture = matplotlib.image.imread(io.BytesIO(answer.content), format="webp")
        assert picture.shape[:2] == (48, 120)
        pictures[name] = picture[:, :60, :3].sum(axis=(1, 2))  # brightness of each line while the tone is loud
    assert pictures["low"].argmax() > pictures["high"].argmax()
    light, dark = (
        client.get(f"{API}/segments/{low}/thumbnail.webp", params={"theme": theme}).content
        for theme in ("light", "dark")
    )
    brightness = [matplotlib.image.imread(io.BytesIO(one), format="webp").mean() for one in (light, dark)]
    assert brightness[0] > brightness[1]
    assert len(dark) < 4000
    for bad in ({"width": 5}, {"height": 5000}, {"theme": "pink"}):
        refused(client.get(f"{API}/segments/{low}/thumbnail.webp", params=bad), 422, "invalid")


def test_peaks_are_the_loudest_samples_around(client: TestClient) -> None:
    one = by_name(client, "long.wav")
    told = client.get(f"{API}/segments/{one['id']}/peaks", params={"points": 4}).json()
    samples = np.abs(soundfile.read(one["path"])[0])
    assert told["duration"] == pytest.approx(4.5)
    bins = [chunk.max() for chunk in np.split(samples, range(256, len(samples), 256))]
    starts = np.linspace(0, len(bins), 4, endpoint=False).astype(int)
    expected = [max(bins[a:b]) for a, b in zip(starts, [*starts[1:], len(bins)], strict=True)]
    assert told["peaks"] == pytest.approx(expected, abs=1e-4)


def test_a_search_by_a_sound_is_explained_when_asked_for(shared: tuple[Library, TestClient]) -> None:
    library, client = shared
    one = by_name(client, "low-0.wav")
    asked = {"like": one["id"], "k": 5}
    plain = client.get(f"{API}/search", params=asked).json()["hits"]
    hits = client.get(f"{API}/search", params={**asked, "explain": "true"}).json()["hits"]
    embedding = library.index().embedding(one["id"])
    exclude = (one["path"], one["start"], one["end"])
    expected = library.index().explain(embedding, library.search_embedding(embedding, 5, exclude=exclude))
    assert [hit.pop("percentiles") for hit in hits] == [why.percentiles for why in expected]
    assert hits == plain
    assert all(0 <= standing <= 1 for why in expected for standing in why.percentiles.values())
    # Where there is no sound there is nothing to be alike.
    assert "percentiles" not in client.get(f"{API}/search", params={"explain": "true"}).json()["hits"][0]


def test_pictures_after_a_search_do_not_look_whether_the_library_has_changed(
    own: tuple[Library, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, client = own
    ids = [hit["id"] for hit in client.get(f"{API}/search").json()["hits"]]
    looked: list[int] = []
    index = library.index
    monkeypatch.setattr(library, "index", lambda: (looked.append(1), index())[1])
    monkeypatch.setattr(soundloom.server.service, "_CATALOGUE_AGE", 1000.0)
    for one in ids:
        assert client.get(f"{API}/segments/{one}/thumbnail.webp").status_code == 200
    assert not looked
    # What is not known may be new.
    new = write_sound(Path(client.get(f"{API}/segments/{ids[0]}").json()["path"]).parent / "new.wav", 500)
    library.add(new)
    one = segment_id(str(new), 0.0, 0.6)
    assert client.get(f"{API}/segments/{one}/thumbnail.webp").status_code == 200
    monkeypatch.setattr(soundloom.server.service, "_CATALOGUE_AGE", 0.0)
    library._store.remove([str(new)])
    refused(client.get(f"{API}/segments/{one}/thumbnail.webp"), 404, "not_found")


def test_a_file_that_is_gone_or_changed_is_told_so(own: tuple[Library, TestClient]) -> None:
    _, client = own
    gone, changed, pipe = (by_name(client, f"low-{n}.wav") for n in range(3))
    Path(gone["path"]).unlink()
    Path(changed["path"]).write_text("not a sound any more")
    for address in ("audio", "audio?part=segment", "thumbnail.webp", "peaks"):
        refused(client.get(f"{API}/segments/{gone['id']}/{address}"), 404, "gone")
        refused(client.get(f"{API}/segments/{changed['id']}/{address}"), 422, "unreadable")
    Path(pipe["path"]).unlink()
    os.mkfifo(pipe["path"])
    refused(client.get(f"{API}/segments/{pipe['id']}/audio"), 422, "unreadable")
    # What it sounded like is in the library still.
    assert client.get(f"{API}/search", params={"like": gone["id"]}).status_code == 200


def test_the_folder_of_a_file_is_opened_here_and_only_for_this_machine(
    shared: tuple[Library, TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, client = shared
    one = by_name(client, "low-0.wav")
    started: list[list[str]] = []
    monkeypatch.setattr(soundloom.server.media.reveal.sys, "platform", "linux")
    monkeypatch.setattr(soundloom.server.media.reveal.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("DISPLAY", ":0")

    class Opener:
        status = 0

        def __init__(self, command: list[str], **_: object) -> None:
            started.append(command)

        def wait(self, _: float) -> int:
            return self.status

    monkeypatch.setattr(soundloom.server.media.reveal.subprocess, "Popen", Opener)
    address = f"{API}/segments/{one['id']}/reveal"
    assert client.get(f"{API}/library").json()["can_reveal"]
    assert client.post(address).status_code == 204
    assert started == [["xdg-open", str(Path(one["path"]).parent)]]
    monkeypatch.setattr(Opener, "status", 3)
    assert "could not open" in refused(client.post(address), 501, "not_opened")
    # A proxy on the same machine passes on requests from anywhere.
    with served(library, tmp_path, allowed_hosts=("sounds.lan",)) as other:
        for headers in ({"Host": "sounds.lan"}, {"X-Forwarded-For": "192.0.2.1"}):
            refused(other.post(address, headers=headers), 403, "not_here")
            assert not other.get(f"{API}/library", headers=headers).json()["can_reveal"]
    with served(library, tmp_path, host="0.0.0.0", token="t" * 20) as other:
        headers = {"Authorization": f"Bearer {'t' * 20}"}
        refused(other.post(address, headers=headers), 403, "not_here")
        assert not other.get(f"{API}/library", headers=headers).json()["can_reveal"]
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    refused(client.post(address), 501, "no_desktop")
    assert not client.get(f"{API}/library").json()["can_reveal"]


def test_tags_are_given_found_exported_and_taken_back(own: tuple[Library, TestClient]) -> None:
    library, client = own
    low = [by_name(client, f"low-{n}.wav")["id"] for n in range(3)]
    high = by_name(client, "high-0.flac")["id"]
    first = client.post(f"{API}/tags/apply", json={"tag": "drone", "add": low}).json()
    assert first["changed"] == 3
    client.post(f"{API}/tags/apply", json={"tag": "Drizzle", "add": [high]})
    assert client.get(f"{API}/tags", params={"prefix": "DR"}).json()["tags"] == [
        {"name": "drone", "count": 3},
        {"name": "Drizzle", "count": 1},
    ]
    assert client.get(f"{API}/tags", params={"prefix": "x"}).json()["tags"] == []
    assert len(client.get(f"{API}/tags", params={"limit": 1}).json()["tags"]) == 1
    assert search(client, has_tag="drone") == ["low-0.wav", "low-1.wav", "low-2.wav"]
    assert client.get(f"{API}/segments/{low[0]}").json()["tags"] == ["drone"]

    table = list(csv.reader(io.StringIO(client.get(f"{API}/tags/export").text)))
    assert sum("drone" in row for row in table) == 3
    labels = client.get(f"{API}/tags/export", params={"format": "audacity"})
    with zipfile.ZipFile(io.BytesIO(labels.content)) as archive:
        assert len(archive.namelist()) == 4
        assert any("drone" in archive.read(name).decode() for name in archive.namelist())

    undone = client.post(f"{API}/tags/undo", json={"edit": first["edit"]}).json()
    assert undone["changed"] == 3
    assert search(client, has_tag="drone") == []
    client.post(f"{API}/tags/undo", json={"edit": undone["edit"]})
    assert library.tags.counts() == {"drone": 3, "Drizzle": 1}


def test_an_edit_of_tags_that_cannot_be_is_refused(client: TestClient) -> None:
    refused(client.post(f"{API}/tags/undo", json={"edit": "none"}), 404, "no_edit")
    refused(client.post(f"{API}/tags/apply", json={"tag": "a", "add": ["0" * 16]}), 422, "bad_query")
    refused(client.post(f"{API}/tags/apply", json={"tag": "", "add": []}), 422, "invalid")
    refused(client.post(f"{API}/tags/apply", json={"tag": "a", "adds": []}), 422, "invalid")
    one = by_name(client, "low-0.wav")["id"]
    refused(client.post(f"{API}/tags/apply", json={"tag": "a,b", "add": [one]}), 409, "library")
    refused(client.post(f"{API}/tags/apply", json={"tag": "a", "add": [one], "remove": [one]}), 409, "library")


def test_a_tag_is_learned_from_examples(client: TestClient) -> None:
    yes = [by_name(client, f"low-{n}.wav")["id"] for n in range(4)]
    no = [by_name(client, f"high-{n}.flac")["id"] for n in range(4)]
    learned = client.post(f"{API}/examples", json={"tag": "low", "yes": yes, "no": no, "k": 2}).json()
    assert {hit["name"] for hit in learned["ranked"]} <= {"low-4.wav", "low-5.wav", "long.wav"}
    assert learned["ranked"][0]["probability"] > 0.5
    assert len(learned["doubtful"]) == 2
    # Of all it is counted how many are how probable, however few are sent.
    assert len(learned["at_least"]) == 50
    assert learned["at_least"] == sorted(learned["at_least"], reverse=True)
    every = client.post(f"{API}/examples", json={"tag": "low", "yes": yes, "no": no, "k": 100}).json()["ranked"]
    assert learned["at_least"][30] == sum(hit["probability"] >= 0.8 for hit in every)
    assert learned["quality"]["message"]
    refused(client.post(f"{API}/examples", json={"tag": "low", "yes": []}), 422, "bad_query")


@pytest.fixture
def quick_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """UMAP takes seconds to start; how it arranges is tested with the library."""

    def arrange(reduced: np.ndarray, report: Any) -> np.ndarray:
        report("arranging", 1.0)
        return np.ascontiguousarray(reduced[:, :2], dtype=np.float32)

    monkeypatch.setattr(soundloom.library.map.library_map, "umap_points", arrange)


@pytest.mark.usefixtures("quick_map")
def test_a_map_is_computed_sent_and_coloured(own: tuple[Library, TestClient]) -> None:
    library, client = own
    refused(client.get(f"{API}/map"), 404, "no_map")
    assert client.get(f"{API}/map/about").json()["computed"] is False
    job = client.post(f"{API}/map/compute", json={}).json()["job"]
    about = finished(client, job)
    assert (about["kind"], about["state"], about["message"]) == ("map", "done", "on the map: 16 segments")

    answer = client.get(f"{API}/map")
    content, count = answer.content, 16
    assert (content[:4], struct.unpack_from("<I", content, 4)[0]) == (b"SLM1", count)
    x, y = np.frombuffer(content, "<f4", 2 * count, 8).reshape(2, count)
    folders, clusters = np.frombuffer(content, "<u2", 2 * count, 8 + 8 * count).reshape(2, count)
    assert len(content) == 8 + 12 * count
    kept = library.maps.kept()
    assert kept is not None
    np.testing.assert_array_equal(clusters, kept.clusters)
    span = np.ptp(kept.coordinates, axis=0)
    assert [np.ptp(x), np.ptp(y)] == pytest.approx(2 * span / span.max(), rel=1e-4)
    assert max(np.abs(x).max(), np.abs(y).max()) == pytest.approx(1)

    told = client.get(f"{API}/map/about").json()
    assert (told["computed"], told["stale"], told["n"]) == (True, False, count)
    ids = client.get(f"{API}/map/ids").json()["ids"]
    segments = client.post(f"{API}/map/at", json={"indices": list(range(count))}).json()["segments"]
    assert [one["id"] for one in segments] == ids
    assert [told["folders"][number] for number in folders] == [one["folder"] for one in segments]
    assert client.post(f"{API}/map/where", json={"ids": [ids[3], "0" * 16, ids[0]]}).json()["indices"] == [3, -1, 0]
    assert client.get(f"{API}/map/ids", params={"from": 3, "count": 2}).json()["ids"] == ids[3:5]
    refused(client.post(f"{API}/map/at", json={"indices": [count]}), 422, "no_such_point")

    client.post(f"{API}/tags/apply", json={"tag": "drone", "add": ids[:2]})
    tagged = client.get(f"{API}/map/colour", params={"by": "tag", "value": "drone"}).content
    assert list(tagged) == [255, 255] + [0] * 14
    alike = client.get(f"{API}/map/colour", params={"by": "part", "value": "mfcc", "like": ids[5]}).content
    assert alike[5] == 255
    hits = client.get(f"{API}/search", params={"like": ids[5], "k": 100}).json()["hits"]
    cosine = next(hit["parts"]["mfcc"] for hit in hits if hit["id"] == ids[0])
    assert alike[0] == round(255 * max(0.0, cosine))
    refused(client.get(f"{API}/map/colour", params={"by": "part", "value": "pitch", "like": ids[5]}), 422, "bad_query")
    again = client.get(f"{API}/map")
    assert client.get(f"{API}/map", headers={"If-None-Match": again.headers["etag"]}).status_code == 304
    refused(client.get(f"{API}/map", params={"weights": "mfcc:2"}), 404, "no_map")
    refused(client.get(f"{API}/map", params={"weights": "mfcc:-2"}), 422, "bad_query")


def test_the_library_is_brought_up_to_date_in_the_background(own: tuple[Library, TestClient]) -> None:
    library, client = own
    folder = Path(by_name(client, "low-0.wav")["path"]).parent
    write_sound(folder / "new.wav", 130)
    (folder / "low-1.wav").unlink()
    version = client.get(f"{API}/library").json()["version"]
    about = finished(client, client.post(f"{API}/index", json={}).json()["job"])
    assert about["state"] == "done"
    assert about["message"].startswith("1 new, 0 changed, 0 moved, 1 deleted")
    assert "seconds_left" not in about
    now = client.get(f"{API}/library").json()
    assert (now["files"], now["version"] != version) == (14, True)
    assert "new.wav" in search(client, k=100)
    elsewhere = write_sound(library.folder.parent / "elsewhere" / "more.wav", 700).parent
    finished(client, client.post(f"{API}/index", json={"folders": [str(elsewhere)]}).json()["job"])
    assert "more.wav" in search(client, k=100)


def test_only_this_machine_brings_in_new_folders(own: tuple[Library, TestClient], tmp_path: Path) -> None:
    library, client = own
    refused(client.post(f"{API}/index", json={"folders": ["sounds"]}), 422, "bad_folder")
    with served(library, tmp_path / "other", host="0.0.0.0", token="t" * 20) as other:
        other.headers["Authorization"] = f"Bearer {'t' * 20}"
        for folder in ("/etc", str(tmp_path), str(tmp_path / "sounds" / "low" / ".." / "..")):
            refused(other.post(f"{API}/index", json={"folders": [folder]}), 403, "not_here")
        job = other.post(f"{API}/index", json={"folders": [str(tmp_path / "sounds" / "low")]}).json()["job"]
        assert finished(other, job)["state"] == "done"


def test_a_job_that_fails_says_why(own: tuple[Library, TestClient]) -> None:
    _, client = own
    about = finished(client, client.post(f"{API}/index", json={"folders": ["/no/such/folder"]}).json()["job"])
    assert about["state"] == "failed"
    assert "no folder or file '/no/such/folder'" in about["message"]
    refused(client.get(f"{API}/jobs/j_none"), 404, "no_job")
    refused(client.delete(f"{API}/jobs/j_none"), 404, "no_job")


def test_a_job_is_cancelled_and_runs_alone(own: tuple[Library, TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    library, client = own

    def endless(*_: Any, progress: Any, **__: Any) -> None:
        from soundloom.library import FileProgress

        for done in range(10_000):
            progress(FileProgress(done, 10_000, 0.0, "/sounds/a.wav"))
            time.sleep(0.01)

    monkeypatch.setattr(library, "add", endless)
    job = client.post(f"{API}/index", json={}).json()["job"]
    time.sleep(0.2)
    about = client.get(f"{API}/jobs/{job}").json()
    assert (about["state"], about["total"], about["message"]) == ("running", 10_000, "embedded a.wav")
    assert about["seconds_left"] > 0
    assert "indexing goes on" in refused(client.post(f"{API}/map/compute", json={}), 409, "job_running")
    assert [(one["id"], one["kind"]) for one in client.get(f"{API}/jobs").json()["jobs"]] == [(job, "index")]
    assert client.delete(f"{API}/jobs/{job}").status_code == 202
    assert finished(client, job)["message"].startswith("cancelled")
    assert client.get(f"{API}/jobs").json() == {"jobs": []}


OPERATIONS = {
    "getLibrary", "getFailures", "getNotices", "search", "find", "getFacets", "getSegment", "getSegmentAudio",
    "complete", "listSearches", "saveSearch", "removeSearch", "getSegmentThumbnail", "getSegmentFile", "getSpectrogram",
    "getOutline", "getSegmentPeaks", "revealSegment", "upload", "forgetUpload", "getUploadAudio", "listTags",
    "applyTag", "undoTag", "listRunningJobs",
    "exportTags", "listExportFormats", "exportSegments",
    "rankByExamples", "getMap", "getMapAbout", "getMapIds", "getMapColour", "getMapSegments", "findOnMap",
    "computeMap", "updateLibrary", "getJob", "cancelJob",
    "listAnnotations", "listLabels", "countAnnotations", "exportAnnotations", "removeAnnotations",
    "importAnnotations",
    "getFileAnnotations", "addFileAnnotations", "listDetectors", "trainDetector", "getDetector", "removeDetector",
    "detect", "sampleWindows", "getDetections", "exportDetections", "getSampledWindows", "estimateDensity",
    "findDuplicates", "getDuplicates",
}  # fmt: skip


def test_the_api_is_described_under_names_that_stay(client: TestClient) -> None:
    described = client.get(f"{API}/openapi.json").json()
    operations = [one for path in described["paths"].values() for one in path.values()]
    assert {one["operationId"] for one in operations} == OPERATIONS
    assert len(operations) == len(OPERATIONS)
    assert all(path.startswith(API) for path in described["paths"])
    assert all(one.get("description") for one in operations)
    # FastAPI's pages of documentation would load scripts from another host.
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_an_empty_library_is_served_too(tmp_path: Path) -> None:
    with served(Library.create(tmp_path / "empty.loom", "logmel"), tmp_path / "cache") as client:
        assert client.get(f"{API}/library").json()["segments"] == 0
        assert client.get(f"{API}/search").json()["hits"] == []
        assert client.get(f"{API}/tags").json() == {"tags": [], "vocabulary": []}
        assert client.get(f"{API}/map/about").json()["n"] == 0
        refused(client.post(f"{API}/index", json={}), 409, "no_folders")


BODIES = {
    "/tags/apply": {"tag": "x"},
    "/tags/undo": {"edit": "x"},
    "/examples": {"tag": "x", "yes": []},
    "/map/at": {"indices": []},
    "/map/where": {"ids": []},
    "/map/compute": {},
    "/index": {},
    "/export": {"ids": ["0" * 16], "format": "csv"},
    "/searches": {"name": "x", "query": "text=x"},
    "/annotations/remove": {"ids": ["0" * 16]},
    "/segments/{id}/annotations": {"annotations": [{"start": 0, "end": 1}]},
    "/detectors": {"name": "x", "labels": ["x"]},
    "/detectors/{id}/detect": {},
    "/detectors/{id}/sample": {},
    "/density": {"windows": [{"bin": 0, "share": 1, "expected": 0}]},
}
IDS = {"/segments": "0" * 16, "/uploads": "u_x", "/jobs": "j_x", "/detectors": "x"}


def test_a_library_that_is_moved_away_is_named_on_every_route_and_served_again_when_it_is_back(
    own: tuple[Library, TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    library, client = own
    described = client.get(f"{API}/openapi.json").json()["paths"]
    expected = search(client, k=50)
    away = library.folder.with_name("away.loom")
    library.folder.rename(away)
    for address, operations in described.items():
        path = address.removeprefix(API)
        identity = next((one for start, one in IDS.items() if path.startswith(start)), "")
        for method in operations:
            if (method, path) == ("get", "/export"):
                continue  # the formats are those of any library
            answer = client.request(
                method,
                address.format(id=identity),
                params={"by": "tag", "value": "x", "name": "x"} if path.endswith(("colour", "searches")) else None,
                json=BODIES.get(path),
                files={"file": ("a.wav", b"x")} if path in ("/uploads", "/annotations/import") else None,
            )
            message = refused(answer, 503, "library_absent")
            assert "sounds.loom" in message
            assert "put it back" in message
            assert answer.headers["retry-after"]
    assert not caplog.records
    away.rename(library.folder)
    assert search(client, k=50) == expected
    assert client.post(f"{API}/tags/apply", json={"tag": "back", "add": [by_name(client, "low-0.wav")["id"]]}).json()[
        "changed"
    ]


def test_the_headers_of_every_answer_can_be_asked_for_alone(client: TestClient) -> None:
    one = by_name(client, "low-0.wav")["id"]
    for address in (
        f"{API}/library",
        f"{API}/segments/{one}/audio",
        f"{API}/segments/{one}/audio?part=segment",
        f"{API}/segments/{one}/thumbnail.webp",
        f"{API}/segments/{one}/peaks",
    ):
        whole, head = client.get(address), client.head(address)
        assert (head.status_code, head.content) == (200, b""), address
        for name in ("content-length", "content-type", "etag", "accept-ranges", "content-encoding"):
            assert head.headers.get(name) == whole.headers.get(name), (address, name)
    part = client.head(f"{API}/segments/{one}/audio", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.headers["content-length"], part.content) == (206, "10", b"")
    assert client.head(f"{API}/tags/apply").status_code == 405
    assert client.head(f"{API}/segments/{'0' * 16}/audio").status_code == 404


def test_text_is_compressed_and_sound_is_not(client: TestClient) -> None:
    one = by_name(client, "low-0.wav")["id"]

    def encoding(address: str, accepted: str = "gzip") -> tuple[str | None, bytes]:
        answer = client.get(address, headers={"Accept-Encoding": accepted})
        return answer.headers.get("content-encoding"), answer.content

    found = f"{API}/search?k=16"
    assert encoding(found)[0] == "gzip"
    assert encoding(found, "identity")[0] is encoding(found, "gzip;q=0")[0] is None
    document = encoding(f"{API}/openapi.json")
    assert document == ("gzip", encoding(f"{API}/openapi.json", "br")[1])
    assert encoding(f"{API}/segments/{one}")[0] is None  # too short to be worth it
    assert encoding(f"{API}/segments/{one}/audio")[0] is None
    assert encoding(f"{API}/segments/{one}/thumbnail.webp")[0] is None


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("/search?like=zzz", "like is not an id that this server gives: take ids from its answers, got 'zzz'"),
        ("/search?after=2024-13-40", "after must be a day, written YYYY-MM-DD, got '2024-13-40'"),
        ("/search?k=2001", "k may be at most 2000, got '2001'"),
        ("/search?k=many", "k must be a whole number, got 'many'"),
        ("/search?share=nan", "share must be a finite number, got 'nan'"),
        ("/search?colour=red", "colour is not known here: check its spelling"),
        ("/map/colour?by=ear", "by must be one of 'tag' or 'part', got 'ear'; value is missing"),
        ("/segments/0000000000000000/peaks?points=0", "points must be at least 1, got '0'"),
    ],
)
def test_wrong_requests_are_explained_in_plain_sentences(client: TestClient, address: str, sentence: str) -> None:
    message = refused(client.get(API + address), 422, "invalid")
    assert message.startswith(sentence)
    assert "pattern" not in message
    assert "Input" not in message


def test_wrong_bodies_are_explained_in_plain_sentences(client: TestClient) -> None:
    def message(body: bytes) -> str:
        headers = {"Content-Type": "application/json"}
        return refused(client.post(f"{API}/tags/apply", content=body, headers=headers), 422, "invalid")

    assert message(b"{") == "the body of the request is not valid JSON"
    assert message(b"[]") == "the body of the request must be a JSON object"
    assert message(b'{"add": 3}') == "tag is missing; add must be a list, got 3"
    assert message(b'{"tag": "x", "add": ["y", 4]}').startswith("add is not an id that this server gives")
