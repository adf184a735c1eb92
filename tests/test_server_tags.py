"""Tags of a served library: given, learned from examples, taken back."""

from __future__ import annotations

import csv
import io
import shutil
import zipfile
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from helpers.server import API, by_name, refused, search
from soundloom.library import Library


@pytest.fixture
def client(served_library: tuple[Library, TestClient]) -> TestClient:
    return served_library[1]


def test_tags_are_given_found_exported_and_taken_back(own_library: tuple[Library, TestClient]) -> None:
    library, client = own_library
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


def test_copies_that_share_a_tag_are_counted_apart(own_library: tuple[Library, TestClient]) -> None:
    library, client = own_library
    (long,) = (Path(path) for path in library.files() if path.endswith("long.wav"))
    shutil.copy(long, long.with_name("twin.wav"))
    library.add()
    ids = [hit["id"] for hit in client.get(f"{API}/search").json()["hits"] if hit["name"] == "long.wav"][:2]
    edit = client.post(f"{API}/tags/apply", json={"tag": "bell", "add": ids}).json()
    assert (edit["changed"], edit["copies"]) == (4, 2)
    undone = client.post(f"{API}/tags/undo", json={"edit": edit["edit"]}).json()
    assert (undone["changed"], undone["copies"]) == (4, 2)


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
