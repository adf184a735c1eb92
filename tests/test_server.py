"""The API over a library: what it holds, its map, jobs, and answers to wrong requests."""

from __future__ import annotations

import struct
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from helpers.quick_map import without_umap
from helpers.server import API, by_name, refused, search, served, write_sound
from soundloom.library import Library
from soundloom.server.http.error_responses import ApiError
from soundloom.server.jobs import Jobs


@pytest.fixture
def client(served_library: tuple[Library, TestClient]) -> TestClient:
    return served_library[1]


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


@pytest.fixture
def quick_map(monkeypatch: pytest.MonkeyPatch) -> None:
    without_umap(monkeypatch)


@pytest.mark.usefixtures("quick_map")
def test_a_map_is_computed_sent_and_coloured(own_library: tuple[Library, TestClient]) -> None:
    library, client = own_library
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


def test_the_library_is_brought_up_to_date_in_the_background(own_library: tuple[Library, TestClient]) -> None:
    library, client = own_library
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


def test_only_this_machine_brings_in_new_folders(own_library: tuple[Library, TestClient], tmp_path: Path) -> None:
    library, client = own_library
    refused(client.post(f"{API}/index", json={"folders": ["sounds"]}), 422, "bad_folder")
    with served(library, tmp_path / "other", host="0.0.0.0", token="t" * 20) as other:
        other.headers["Authorization"] = f"Bearer {'t' * 20}"
        for folder in ("/etc", str(tmp_path), str(tmp_path / "sounds" / "low" / ".." / "..")):
            refused(other.post(f"{API}/index", json={"folders": [folder]}), 403, "not_here")
        job = other.post(f"{API}/index", json={"folders": [str(tmp_path / "sounds" / "low")]}).json()["job"]
        assert finished(other, job)["state"] == "done"


def test_a_job_that_fails_says_why(own_library: tuple[Library, TestClient]) -> None:
    _, client = own_library
    about = finished(client, client.post(f"{API}/index", json={"folders": ["/no/such/folder"]}).json()["job"])
    assert about["state"] == "failed"
    assert "no folder or file '/no/such/folder'" in about["message"]
    refused(client.get(f"{API}/jobs/j_none"), 404, "no_job")
    refused(client.delete(f"{API}/jobs/j_none"), 404, "no_job")


def test_a_job_is_cancelled_and_runs_alone(
    own_library: tuple[Library, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, client = own_library

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
    (ended,) = client.get(f"{API}/jobs").json()["jobs"]
    assert (ended["id"], ended["state"]) == (job, "failed")


OPERATIONS = {
    "getLibrary", "getFailures", "getNotices", "search", "find", "getFacets", "getSegment", "getSegmentAudio",
    "complete", "listSearches", "saveSearch", "removeSearch", "getSegmentThumbnail", "getSegmentFile", "getSpectrogram",
    "getOutline", "getSegmentPeaks", "revealSegment", "upload", "forgetUpload", "getUploadAudio", "listTags",
    "applyTag", "undoTag", "listJobs",
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
    own_library: tuple[Library, TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    library, client = own_library
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


def test_jobs_are_forgotten_but_never_a_running_one() -> None:
    jobs, go = Jobs(), threading.Event()
    first = jobs.start("index", lambda _: "done")
    while first.state == "running":
        time.sleep(0.01)
    second = jobs.start("map", lambda _: "went" if go.wait(10) else "stuck")
    with pytest.raises(ApiError, match="409"):
        jobs.start("index", lambda _: "")
    assert second.seconds_left is None
    go.set()
    jobs.close()
    assert (first.message, second.state, second.message, second.cancelled) == ("done", "done", "went", True)


def test_a_defect_in_a_job_is_told(caplog: pytest.LogCaptureFixture) -> None:
    jobs = Jobs()
    job = jobs.start("index", lambda _: str(1 // 0))
    jobs.close()
    assert (job.state, "ZeroDivisionError" in job.message) == ("failed", True)
    assert "division" in caplog.text
