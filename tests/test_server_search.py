"""Search of a served library: by sounds, regions, words, filters and pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

import soundloom.library.search.tag_query
import soundloom.server.search
from helpers.server import API, by_name, refused, search, write_sound
from soundloom.errors import QueryError
from soundloom.library import Library
from soundloom.server.media.sound_files import SoundFiles
from soundloom.tags import AlignedTags, Vocabulary
from soundloom.tags.class_head import TagHead


@pytest.fixture
def client(served_library: tuple[Library, TestClient]) -> TestClient:
    return served_library[1]


def test_without_a_query_every_segment_comes_in_order_of_its_path(served_library: tuple[Library, TestClient]) -> None:
    library, client = served_library
    whole = client.get(f"{API}/search", params={"k": 500}).json()
    assert whole["total"] == len(whole["hits"]) == 16
    assert [hit["path"] for hit in whole["hits"]] == sorted(library.rows(["path"])["path"].to_pylist())
    assert all("similarity" not in hit and "parts" not in hit for hit in whole["hits"])
    pages = [client.get(f"{API}/search", params={"k": 5, "offset": at}).json()["hits"] for at in range(0, 20, 5)]
    assert [hit for page in pages for hit in page] == whole["hits"]


def test_a_region_of_many_segments_is_searched_by_their_stored_embeddings(
    served_library: tuple[Library, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, client = served_library
    long = by_name(client, "long.wav")
    monkeypatch.setattr(soundloom.server.search, "_STORED_ROWS", 3)
    monkeypatch.setattr(SoundFiles, "samples", lambda *_: pytest.fail("the file is decoded again"))
    asked = {"like": long["id"], "start": 0, "end": 4.45, "k": 5}
    hits = client.get(f"{API}/search", params=asked).json()["hits"]
    own = library.rows(["path", "embedding"]).to_pylist()
    pieces = np.array([row["embedding"] for row in own if row["path"] == long["path"]])
    expected = [hit.path for hit in library.search_embedding(pieces, 10) if hit.path != long["path"]][:5]
    assert [hit["path"] for hit in hits] == expected


def test_more_like_this_gives_what_the_library_gives(served_library: tuple[Library, TestClient]) -> None:
    library, client = served_library
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
    served_library: tuple[Library, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, client = served_library
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
    weighed = client.get(f"{API}/search", params={"tag": ["drone", "wind"], "not": "rain", "weights": "mfcc:5"}).json()
    assert weighed["remarks"] == ["words are known to the part 'logmel' alone: the weight of mfcc changes nothing"]
    assert (weighed["hits"][0]["id"], weighed["hits"][0]["similarity"]) == (low["id"], best["similarity"])
    asked.pop()
    search(client, tag="drone", like=high["id"], share=0.25)
    assert asked == [("logmel", ["drone", "wind"], ["rain"], False, 0.5), ("logmel", ["drone"], [], True, 0.25)]
    refused(client.get(f"{API}/search", params={"tag": "cat"}), 422, "bad_query")


def test_all_results_are_ordered_by_fields_and_show_them(client: TestClient) -> None:
    assert search(client, sort="-duration", k=4)[:3] == ["long.wav"] * 3
    assert search(client, sort=["codec", "-name"], k=2) == ["odd.aiff", "high-5.flac"]
    assert search(client, sort="-name", folder="low", k=2, offset=1)[0] == "low-4.wav"
    # Of what is compared the best are found, then ordered.
    like = by_name(client, "low-0.wav")["id"]
    assert search(client, like=like, k=4, sort="-name") == sorted(search(client, like=like, k=4), reverse=True)
    (hit,) = client.get(f"{API}/search", params={"k": 1, "sort": "-name", "column": ["codec", "recorded"]}).json()[
        "hits"
    ]
    assert hit["name"] == "odd.aiff"
    assert hit["fields"]["codec"].startswith("AIFF")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", hit["fields"]["recorded"])
    (found,) = client.get(f"{API}/find", params={"text": "long", "column": "segments"}).json()["files"]
    assert found["fields"] == {"segments": 3}
    assert {"codec", "month", "duration"} <= set(client.get(f"{API}/library").json()["fields"])
    for wrong in ({"sort": "colour"}, {"column": "colour"}):
        assert "no field 'colour'" in refused(client.get(f"{API}/search", params=wrong), 422, "bad_query")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("low OR high", "OR is no operator: search for each alone"),
        ("low*", "without wildcards: for a pattern write where=\"name LIKE 'low%'\""),
        ("low -long", "'-long' leaves out nothing in a text: write not='long'"),
        ("low", ""),
    ],
)
def test_a_text_that_is_written_as_for_another_search_is_remarked(client: TestClient, text: str, said: str) -> None:
    remarks = client.get(f"{API}/find", params={"text": text, "names_only": True}).json()["remarks"]
    assert len(remarks) == bool(said), remarks
    assert said in "".join(remarks)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"text": "-low"}, "'-low' leaves out nothing in a text: write not='low'"),
        ({"text": "high, -low"}, "write not='low'"),
        ({"query": "high -low"}, "write not='low'; as words: text='high low'"),
        ({"query": "nowhere/high.wav"}, "no sound 'nowhere/high.wav'"),
        ({"query": "/nowhere/low-0.wav"}, "did you mean"),
    ],
)
def test_what_would_find_something_else_is_refused(client: TestClient, asked: dict[str, str], said: str) -> None:
    assert said in refused(client.get(f"{API}/find", params=asked), 422, "bad_query")


def test_offset_goes_on_where_the_last_page_ended(client: TestClient) -> None:
    like = by_name(client, "low-0.wav")["id"]
    assert search(client, like=like, k=3) + search(client, like=like, k=3, offset=3) == search(client, like=like, k=6)


def test_a_region_of_a_sound_is_searched_by(served_library: tuple[Library, TestClient]) -> None:
    library, client = served_library
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
    served_library: tuple[Library, TestClient], tmp_path: Path
) -> None:
    library, client = served_library
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


def test_a_search_by_a_sound_is_explained_when_asked_for(served_library: tuple[Library, TestClient]) -> None:
    library, client = served_library
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
