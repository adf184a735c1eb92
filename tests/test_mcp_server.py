"""The MCP server, asked by the protocol's own client: in this process, and as a child on standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
from mcp import Client, StdioServerParameters

from soundloom.annotations import Annotation
from soundloom.detectors import Detector
from soundloom.integrations.mcp_server import library_server
from soundloom.library import Library, LibraryQuery, QuerySound
from soundloom.models import load, save_pretrained
from soundloom.synth import render
from soundloom.tagger import Tagger


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Sounds of three families in a library of the default model, one of them tagged, and a detector beside it."""
    folder = tmp_path_factory.mktemp("mcp")
    for family in ("bell", "rain", "siren"):
        for number in range(3):
            path = folder / "sounds" / family / f"{family}{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = render(family, number)
            soundfile.write(path, sound.samples, sound.sample_rate)
    library = Library.create(folder / "sounds.loom")
    library.add(folder / "sounds")
    library.tags.add("loud", [str(folder / "sounds" / "siren" / "siren0.wav")])
    siren = folder / "sounds" / "siren"
    marks = [Annotation(str(siren / f"siren{number}.wav"), 0.0, 1.0, "siren") for number in range(3)]
    Detector.train(["siren"], marks, model="mfcc").save(folder / "siren.detector")
    return library


def ask(library: Library, tool: str, **arguments: Any) -> Any:
    """What a tool answers, as the client sees it: its structured content, or the text of an error."""

    async def call() -> Any:
        async with Client(library_server(library, library.folder.parent)) as client:
            result = await client.call_tool(tool, arguments)
            if result.is_error:
                return result.content[0].text
            answer = result.structured_content
            return answer.get("result", answer)

    return asyncio.run(call())


def test_the_library_describes_itself(library: Library) -> None:
    facts = ask(library, "library_info")
    assert facts["files"] == facts["segments"] == 9
    assert facts["parts"] == ["pitch", "timbre", "texture", "general"]
    assert facts["tags"] == {"loud": 1}
    assert facts["detectors"] == ["siren"]
    assert facts["unfinished"] == ""
    note = [{"roots": [str(library.folder.parent / "sounds")], "since": "2026-05-01T17:05:00+00:00", "files": 2}]
    (library.folder / "indexing.json").write_text(json.dumps(note))
    try:
        assert "interrupted at 2026-05-01 17:05 UTC, 2 files left" in ask(library, "library_info")["unfinished"]
    finally:
        (library.folder / "indexing.json").unlink()


def test_search_by_text_sound_tag_and_id(library: Library) -> None:
    siren = str(library.folder.parent / "sounds" / "siren" / "siren1.wav")
    hits = ask(library, "search", like=[siren], k=2)
    assert [hit["path"] for hit in hits] == [hit.path for hit in library.search(siren, 2)]
    assert all(hit["found_by"] == ["sound"] and 0 < hit["similarity"] < 1 for hit in hits)
    bells = ask(library, "search", text="bell", k=3)
    assert {Path(hit["path"]).parent.name for hit in bells} == {"bell"}
    assert all("bell" not in hit["path"] for hit in ask(library, "search", words=["siren"], without=["bell"], k=3))
    (loud,) = ask(library, "search", tags=["loud"])
    assert loud["tags"] == ["loud"]
    again = ask(library, "search", like=[loud["id"]], weights={"pitch": 0}, k=1)
    assert again[0]["path"] == library.search(loud["path"], 1, weights={"pitch": 0})[0].path


def test_explanations_are_those_of_the_library(library: Library) -> None:
    path = library.files()[0]
    (found,) = ask(library, "explain", like=path, k=1)
    (wanted,) = library.explain(path, library.find(LibraryQuery(like=(QuerySound(path),)), 1))
    assert found["percentiles"] == pytest.approx(wanted.percentiles)
    assert found["reasons"] == list(wanted.reasons)


def test_tags_and_detections(library: Library) -> None:
    siren = str(library.folder.parent / "sounds" / "siren" / "siren2.wav")
    words = ask(library, "tag", sound=siren, k=3)
    assert len(words) == 3
    assert words[0]["score"] >= words[1]["score"] >= words[2]["score"] > 0
    events = ask(library, "detect", sounds=[siren], detector="siren", probability=0.01)
    assert events
    assert {event["label"] for event in events} == {"siren"}


def test_the_tagger_is_that_of_a_saved_model_with_its_library(tmp_path: Path) -> None:
    save_pretrained(load("yamnet", weights="random", seed=5), tmp_path / "mine")
    sound = render("rain", 0)
    soundfile.write(tmp_path / "rain.wav", sound.samples, sound.sample_rate)
    library = Library.create(tmp_path / "mine.loom", str(tmp_path / "mine"))
    library.add(tmp_path / "rain.wav")
    words = ask(library, "tag", sound=str(tmp_path / "rain.wav"), k=2)
    expected = Tagger.load(tmp_path / "mine").tag(tmp_path / "rain.wav").clip
    assert [word["score"] for word in words] == pytest.approx(sorted(expected, reverse=True)[:2])


WITHOUT_TORCH = """
import asyncio
import sys
sys.modules["torch"] = None
from mcp import Client
from soundloom.integrations.mcp_server import library_server
from soundloom.library import Library

async def ask(folder, sound):
    async with Client(library_server(Library.open(folder), folder.parent)) as client:
        for tool, arguments in (
            ("library_info", {}),
            ("search", {"text": "bell", "like": [str(sound)]}),
            ("explain", {"like": str(sound)}),
            ("tag", {"sound": str(sound)}),
            ("detect", {"sounds": [str(sound)], "detector": "siren"}),
        ):
            result = await client.call_tool(tool, arguments)
            print(tool, result.content[0].text if result.is_error else "answered")

from pathlib import Path
asyncio.run(ask(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_only_detections_need_torch(library: Library) -> None:
    asked = [sys.executable, "-c", WITHOUT_TORCH, str(library.folder), library.files()[0]]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    *answered, detect = done.stdout.splitlines()
    assert answered == [f"{tool} answered" for tool in ("library_info", "search", "explain", "tag")]
    assert "soundloom[torch]" in detect


def test_errors_are_answers_in_one_line(library: Library) -> None:
    assert "no detector 'owl'; there are ['siren']" in ask(library, "detect", sounds=["a.wav"], detector="owl")
    assert "nowhere.wav" in ask(library, "search", like=["nowhere.wav"])
    assert "by what the model takes for it: words='rain'" in ask(library, "search", tags=["rain"])
    assert "color" in ask(library, "search", text="bell", weights={"color": 1}, like=[library.files()[0]])
    assert "color" in ask(library, "search", text="bell", weights={"color": 1})


def test_arguments_that_a_tool_does_not_take_are_told_in_one_line(library: Library) -> None:
    told = ask(library, "search", txt="bell")
    assert told == "search has no argument txt: it takes text, like, unlike, words, without, tags, folder, weights, k"
    assert ask(library, "library_info", text="bell") == "library_info has no argument text: it takes none"
    told = ask(library, "search", text="bell", k=0)
    assert told.startswith("search: k: ")
    assert "\n" not in told


def test_every_tool_only_reads_and_describes_its_arguments(library: Library) -> None:
    async def tools() -> list[Any]:
        async with Client(library_server(library)) as client:
            return (await client.list_tools()).tools

    found = asyncio.run(tools())
    assert {tool.name for tool in found} == {"library_info", "search", "explain", "tag", "detect"}
    for tool in found:
        assert tool.description, tool.name
        assert tool.annotations.read_only_hint, tool.name
        for name, schema in tool.input_schema["properties"].items():
            assert "description" in schema or "items" in schema, (tool.name, name)


@pytest.mark.slow
def test_a_client_starts_the_command(library: Library) -> None:
    async def call() -> Any:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "soundloom", "mcp", str(library.folder)], env=dict(os.environ)
        )
        async with Client(server, read_timeout_seconds=120) as client:
            return (await client.call_tool("search", {"text": "rain", "k": 2})).structured_content

    answer = asyncio.run(call())
    assert {Path(hit["path"]).parent.name for hit in answer["result"]} == {"rain"}
