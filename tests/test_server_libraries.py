"""Several libraries of one server: each below its path, with one token for all."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from helpers.server import API, HOME, made_library, refused
from soundloom.library import Library
from soundloom.server import ServerSettings, create_app


def test_each_library_is_below_its_path(tmp_path: Path) -> None:
    library, other = made_library(tmp_path), Library.create(tmp_path / "field" / "sounds.loom", "logmel")
    app = create_app(library, ServerSettings(cache=tmp_path / "cache"), beside=[other])
    with TestClient(app, base_url=HOME, client=("127.0.0.1", 50000)) as client:
        first = client.get(f"{API}/library").json()
        second = client.get(f"/libraries/sounds-2{API}/library").json()
        expected = [{"name": "sounds", "address": "/"}, {"name": "sounds-2", "address": "/libraries/sounds-2/"}]
        assert first["libraries"] == second["libraries"] == expected
        assert (first["segments"], second["segments"]) == (len(library), 0)
        one = client.get(f"{API}/search").json()["hits"][0]["id"]
        assert client.get(f"{API}/segments/{one}/thumbnail.webp").status_code == 200
        refused(client.get(f"/libraries/sounds-2{API}/segments/{one}"), 404, "not_found")
        assert client.get("/libraries/sounds-2/").text == client.get("/").text
        assert client.get(f"/libraries/none{API}/library").status_code == 404
        # What a page of another origin may not do here it may not do there.
        stranger = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
        address = f"/libraries/sounds-2{API}/tags/apply"
        assert client.post(address, json={"tag": "x", "add": []}, headers=stranger).status_code == 403


def test_one_visit_with_the_token_opens_every_library(tmp_path: Path) -> None:
    library, other = (Library.create(tmp_path / name, "logmel") for name in ("a.loom", "b.loom"))
    settings = ServerSettings(cache=tmp_path / "cache", token="a-token-of-tests")
    with TestClient(create_app(library, settings, beside=[other]), base_url=HOME) as client:
        paths = [f"{API}/library", f"/libraries/b{API}/library"]
        assert [client.get(path).status_code for path in paths] == [401, 401]
        client.get("/", params={"token": "a-token-of-tests"})
        assert [client.get(path).status_code for path in paths] == [200, 200]
