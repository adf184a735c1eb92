"""The API of annotations and detectors: marks are kept, detectors are trained, run, reviewed and exported."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from helpers.server import API, by_name, refused, served
from soundloom.detectors import LibraryDetectors
from soundloom.library import Library

RATE = 16_000
CALLS = {
    "POND_20240501_043000.wav": (2.0, 9.0, 17.0),
    "POND_20240501_223000.wav": (4.0, 12.0),
    "HILL_20240502_053000.wav": (6.0, 20.0),
    "HILL_20240503_120000.wav": (3.0, 14.0),
}


def recording(path: Path, calls: tuple[float, ...], seed: int) -> None:
    """Noise of 24 s with rising calls of half a second."""
    sound = 0.02 * np.random.default_rng(seed).normal(size=24 * RATE)
    time = np.arange(RATE // 2) / RATE
    call = 0.3 * np.sin(2 * np.pi * (1500 * time + 2000 * time**2)) * np.hanning(len(time))
    for start in calls:
        sound[round(start * RATE) :][: len(call)] += call
    soundfile.write(path, sound, RATE)


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, TestClient]]:
    """Four recordings at two sites, the calls of three of them marked, and a detector of these."""
    folder = tmp_path_factory.mktemp("field")
    (folder / "sounds").mkdir()
    for seed, (name, calls) in enumerate(CALLS.items()):
        recording(folder / "sounds" / name, calls, seed)
    library = Library.create(folder / "field.loom", "mfcc", window=2.0)
    library.add(folder / "sounds", workers=1)
    with pytest.MonkeyPatch.context() as patch, served(library, folder / "cache") as client:
        patch.setenv("SOUNDLOOM_HOME", str(folder / "journal"))
        for name in list(CALLS)[:3]:
            marks = [
                {"start": start, "end": start + 0.5, "label": "chirp", "annotator": "ada"} for start in CALLS[name]
            ]
            answer = client.post(f"{API}/segments/{of(client, name)}/annotations", json={"annotations": marks})
            assert answer.json()["added"] == len(marks), answer.text
        done(client, client.post(f"{API}/detectors", json={"name": "chirp", "labels": ["chirp"], "window": 1}))
        yield library, client


@pytest.fixture
def client(field: tuple[Library, TestClient]) -> TestClient:
    return field[1]


def of(client: TestClient, name: str) -> str:
    """The id of a segment of a file."""
    return str(by_name(client, name)["id"])


def done(client: TestClient, answer: Any) -> str:
    """The id of a job that was started, once it is done."""
    assert answer.status_code == 202, answer.text
    job = answer.json()["job"]
    for _ in range(600):
        about = client.get(f"{API}/jobs/{job}").json()
        if about["state"] != "running":
            assert about["state"] == "done", about
            return str(job)
        time.sleep(0.05)
    raise AssertionError(f"the job goes on: {about}")


def test_annotations_are_listed_with_site_and_time_and_filtered(client: TestClient) -> None:
    whole = client.get(f"{API}/annotations").json()
    assert whole["total"] == len(whole["annotations"]) == 7
    first = next(one for one in whole["annotations"] if one["name"].startswith("POND_20240501_22"))
    assert (first["label"], first["annotator"], first["site"]) == ("chirp", "ada", "POND")
    assert first["recorded"] == "2024-05-01T22:30:04"
    segment = client.get(f"{API}/segments/{first['segment']}").json()
    assert segment["path"] == first["path"]
    assert segment["start"] <= first["start"] < segment["end"]
    filtered = {
        "site=HILL": 2, "hours=22-5": 5, "after=2024-05-02": 2, "before=2024-05-02": 5, "label=owl": 0,
        "annotator=ada&hours=4-6&site=POND": 3,
    }  # fmt: skip
    for query, count in filtered.items():
        assert client.get(f"{API}/annotations?{query}").json()["total"] == count, query
    page = client.get(f"{API}/annotations?limit=3&offset=5").json()
    assert page["annotations"] == whole["annotations"][5:]
    assert client.get(f"{API}/annotations/labels").json()["labels"] == [{"name": "chirp", "count": 7}]
    counts = client.get(f"{API}/annotations/counts").json()
    assert (counts["sites"]["POND"][4], counts["sites"]["POND"][22], counts["time_unknown"]) == (3, 2, 0)
    message = refused(client.get(f"{API}/annotations?hours=25-3"), 422, "bad_query")
    assert "from 0 to 24" in message


def test_annotations_of_a_file_are_added_once_and_removed(client: TestClient) -> None:
    address = f"{API}/segments/{of(client, 'HILL_20240503_120000.wav')}/annotations"
    mark = {"start": 1.5, "end": 2.5, "label": "wind", "low": 100.0, "high": 900.0, "score": 0.5}
    added = client.post(address, json={"annotations": [mark, mark]}).json()
    assert (added["added"], len(added["annotations"])) == (1, 1)
    assert {name: added["annotations"][0][name] for name in mark} == mark
    listed = client.get(address).json()["annotations"]
    assert listed == added["annotations"]
    exported = client.get(f"{API}/annotations/export?format=raven&label=wind")
    assert exported.status_code == 200, exported.text
    assert exported.headers["content-disposition"].endswith('.selections.txt"')
    assert "wind" in exported.text
    assert client.post(f"{API}/annotations/remove", json={"ids": [listed[0]["id"]]}).json() == {"removed": 1}
    assert client.post(f"{API}/annotations/remove", json={"ids": [listed[0]["id"]]}).json() == {"removed": 0}
    assert client.get(address).json() == {"annotations": [], "total": 0}


def test_tables_of_programs_are_imported(client: TestClient) -> None:
    """Names stand for files of the library, whatever the server's folders hold."""
    table = "Begin File\tBegin Time (s)\tEnd Time (s)\tAnnotation\n" + "".join(
        f"{name}\t{start}\t{start + 1}\towl\n"
        for name, start in (("HILL_20240503_120000.wav", 1), ("HILL_20240503_120000.wav", 5), ("../../etc/hosts", 1))
    )

    def imported(content: str, name: str, **params: str) -> Any:
        return client.post(f"{API}/annotations/import", params=params, files={"file": (name, content.encode())})

    first = imported(table, "june.selections.txt").json()
    assert (first["added"], first["known"], first["elsewhere"]) == (2, 0, ["../../etc/hosts"])
    assert first["said"].startswith("june.selections.txt: ")
    assert imported(table, "june.selections.txt").json()["known"] == 2
    # Labels of Audacity name no file: their own name does, or a segment.
    assert imported("7.0\t8.0\towl\n", "HILL_20240503_120000.txt").json()["added"] == 1
    segment = of(client, "HILL_20240503_120000.wav")
    assert imported("9.0\t9.5\towl\n", "labels.txt", segment=segment).json()["added"] == 1
    assert imported("1.0\t2.0\towl\n", "/etc/hosts.txt").json()["elsewhere"] == ["hosts"]
    listed = client.get(f"{API}/annotations?label=owl").json()["annotations"]
    assert [one["start"] for one in listed] == [1, 5, 7, 9]
    beyond = imported("23.0\t30.0\towl\n26.0\t27.0\towl\n", "HILL_20240503_120000.txt").json()
    assert beyond["added"] == 1
    regions = "'owl' at 23 to 30 s cut, 'owl' at 26 to 27 s left out"
    assert f"HILL_20240503_120000.wav: 2 regions beyond its end at 24 s ({regions})" in beyond["said"]
    listed = client.get(f"{API}/annotations?label=owl").json()["annotations"]
    assert [one["end"] for one in listed] == [2, 6, 8, 9.5, 24]
    assert "line 2" in refused(imported("path,start,end\na.wav,x,2\n", "a.csv"), 422, "bad_query")
    assert "raven" in refused(imported(table, "a.txt", format="ravenna"), 422, "bad_query")
    refused(imported(table, "a.txt", segment="0" * 16), 404, "not_found")
    client.post(f"{API}/annotations/remove", json={"ids": [one["id"] for one in listed]})


@pytest.mark.parametrize(
    ("mark", "word"),
    [
        ({"start": 2.0, "end": 1.0}, "ends after its start"),
        ({"start": 2.0, "end": 60.0, "label": "owl"}, "lasts 24 s, and the region 'owl' at 2 to 60 s reaches"),
        ({"start": 1.0, "end": 2.0, "low": 900.0, "high": 100.0}, "upper limit"),
    ],
)
def test_regions_that_cannot_be_are_refused(client: TestClient, mark: dict[str, Any], word: str) -> None:
    address = f"{API}/segments/{of(client, 'HILL_20240503_120000.wav')}/annotations"
    assert word in refused(client.post(address, json={"annotations": [mark]}), 422, "bad_query")


def test_a_detector_finds_calls_where_nothing_was_marked(field: tuple[Library, TestClient]) -> None:
    library, client = field
    (entry,) = client.get(f"{API}/detectors").json()["detectors"]
    assert client.get(f"{API}/detectors/chirp").json() == entry
    (label,) = entry["labels"]
    assert (label["label"], label["positive"], label["held_out"], label["window"]) == ("chirp", 7, "recordings", 1.0)
    name = "HILL_20240503_120000.wav"
    asked = {"ids": [of(client, name)], "recall": 0.9}
    job = done(client, client.post(f"{API}/detectors/chirp/detect", json=asked))
    found = client.get(f"{API}/jobs/{job}/detections").json()
    assert (found["files"], found["failed"], found["detector"]) == (1, [], "chirp")
    assert found["seconds"] == pytest.approx(24)
    for start in CALLS[name]:
        assert any(one["start"] < start + 0.5 and start < one["end"] for one in found["events"]), found["events"]
    assert all(one["site"] == "HILL" and one["id"] is None and 0 < one["score"] <= 1 for one in found["events"])
    (point,) = found["points"]
    assert point["recall"]["low"] <= point["recall"]["value"] <= point["recall"]["high"]
    table = client.get(f"{API}/jobs/{job}/detections/export?format=csv").text
    assert table.count("chirp") == len(found["events"])
    refused(client.get(f"{API}/jobs/{job}/windows"), 404, "no_result")
    assert LibraryDetectors(library).names() == ["chirp"]
    # Whoever did not see it end finds it again, and the training before it.
    (last, *before) = client.get(f"{API}/jobs").json()["jobs"]
    assert (last["id"], last["kind"], last["state"]) == (job, "detect", "done")
    assert [one["kind"] for one in before] == ["train"]


def test_a_file_that_is_not_there_stops_no_training(field: tuple[Library, TestClient], tmp_path: Path) -> None:
    library, client = field
    (path,) = [Path(one) for one in library.files() if "HILL_20240503_120000" in one]
    away = path.rename(tmp_path / path.name)  # as on a drive that is not connected
    try:
        done(client, client.post(f"{API}/detectors", json={"name": "without", "labels": ["chirp"], "window": 1}))
    finally:
        away.rename(path)
    assert client.delete(f"{API}/detectors/without").is_success


def test_detection_and_search_are_of_a_site_and_of_hours(client: TestClient) -> None:
    asked = {"site": "pond", "hours": "22-4", "recall": 0.9}
    job = done(client, client.post(f"{API}/detectors/chirp/detect", json=asked))
    found = client.get(f"{API}/jobs/{job}/detections").json()
    assert (found["files"], {one["name"] for one in found["events"]}) == (1, {"POND_20240501_223000.wav"})
    names = [
        one["name"] for one in client.get(f"{API}/find", params={"site": "HILL", "after": "2024-05-03"}).json()["files"]
    ]
    assert names == ["HILL_20240503_120000.wav"]
    assert "HILL" in refused(client.get(f"{API}/find", params={"site": "HIL"}), 422, "bad_query")
    like = of(client, "POND_20240501_043000.wav")
    for asked, expected in (
        ({"hours": "22-4"}, {"POND_20240501_223000.wav"}),
        ({"site": "hill", "like": like}, {"HILL_20240502_053000.wav", "HILL_20240503_120000.wav"}),
        ({"like": like, "after": "2024-05-02", "before": "2024-05-03"}, {"HILL_20240502_053000.wav"}),
    ):
        answer = client.get(f"{API}/search", params={"k": 200, **asked}).json()
        assert {hit["name"] for hit in answer["hits"]} == expected, asked
        assert answer["total"] == len(answer["hits"])
    assert "HILL" in refused(client.get(f"{API}/search", params={"site": "HIL"}), 422, "bad_query")
    refused(client.get(f"{API}/search", params={"hours": "8-25"}), 422, "bad_query")


def test_windows_are_chosen_marked_and_the_detector_learns_again(client: TestClient) -> None:
    asked = {"count": 10, "by": "density", "seed": 3}
    job = done(client, client.post(f"{API}/detectors/chirp/sample", json=asked))
    windows = client.get(f"{API}/jobs/{job}/windows").json()["windows"]
    assert len(windows) == 10
    checked = [
        {**{key: one[key] for key in ("bin", "share", "expected")},
         "present": any(one["start"] < start + 0.5 and start < one["end"] for start in CALLS[one["name"]])}
        for one in windows
    ]  # fmt: skip
    density = client.post(f"{API}/density", json={"windows": checked}).json()
    assert density["checked"] == 10
    assert density["density"]["low"] <= density["density"]["value"] <= density["density"]["high"]
    job = done(client, client.post(f"{API}/detectors/chirp/sample", json={"count": 3}))
    windows = client.get(f"{API}/jobs/{job}/windows").json()["windows"]
    assert len(windows) == 3
    for one in windows:
        marks = {"annotations": [{"start": one["start"], "end": one["end"], "annotator": "review"}]}
        assert client.post(f"{API}/segments/{one['segment']}/annotations", json=marks).json()["added"] == 1
    done(client, client.post(f"{API}/detectors", json={"name": "chirp", "labels": ["chirp"], "window": 1}))
    entry = client.get(f"{API}/detectors/chirp").json()
    assert (entry["rounds"], entry["labels"][0]["negative"], entry["examples"]) == (2, 3, 10)


def test_a_detector_learns_from_tags_and_can_be_removed(field: tuple[Library, TestClient]) -> None:
    library, client = field
    rows = library.rows(["path", "start", "end"]).to_pylist()
    calling = [
        any(row["start"] < start + 0.5 and start < row["end"] for start in CALLS[Path(row["path"]).name])
        for row in rows
    ]
    ids = [hit["id"] for hit in client.get(f"{API}/search", params={"k": 200}).json()["hits"]]
    tagged = [one for one, yes in zip(ids, calling, strict=True) if yes]
    other = [one for one, yes in zip(ids, calling, strict=True) if not yes][:3]
    client.post(f"{API}/tags/apply", json={"tag": "calling", "add": tagged})
    client.post(f"{API}/tags/apply", json={"tag": "quiet", "add": other})
    asked = {"name": "by-tags", "labels": ["calling"], "source": "tags", "other": ["quiet"], "window": 2}
    done(client, client.post(f"{API}/detectors", json=asked))
    (label,) = client.get(f"{API}/detectors/by-tags").json()["labels"]
    assert (label["positive"], label["negative"]) == (len(tagged), 3)
    assert client.delete(f"{API}/detectors/by-tags").status_code == 204
    refused(client.delete(f"{API}/detectors/by-tags"), 404, "no_detector")
    assert LibraryDetectors(library).names() == ["chirp"]


def test_requests_that_cannot_be_answered_say_what_there_is(client: TestClient) -> None:
    message = refused(client.post(f"{API}/detectors", json={"name": "x", "labels": ["owl"]}), 422, "bad_query")
    assert "'chirp'" in message
    assert "chirp" in refused(client.post(f"{API}/detectors/none/detect", json={}), 404, "no_detector")
    two = {"precision": 0.9, "recall": 0.9}
    assert "one aim" in refused(client.post(f"{API}/detectors/chirp/detect", json=two), 422, "bad_query")
    unknown = client.post(f"{API}/detectors/chirp/sample", json={"label": "owl"})
    assert "chirp" in refused(unknown, 422, "bad_query")
    refused(client.post(f"{API}/detectors/chirp/detect", json={"longer": 9999}), 422, "bad_query")
    message = refused(client.post(f"{API}/detectors", json={"name": "../x", "labels": ["chirp"]}), 422, "invalid")
    assert message.startswith("name must be up to 60 letters, digits, - and _")
    refused(client.post(f"{API}/density", json={"windows": [{"bin": 0, "share": 1, "expected": 0}]}), 422, "bad_query")
