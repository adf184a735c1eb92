"""Search by sentences in libraries of CLAP models, against the cosines that transformers itself gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from helpers import tiny_transformers
from helpers.server import API, served
from soundloom.cli import main
from soundloom.errors import ModelMismatchError
from soundloom.library import Library, LibraryQuery, RowFilter
from soundloom.one_thread import one_thread

transformers = pytest.importorskip("transformers")

RATE = 48000
SENTENCE = "rain on a roof"


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_transformers.save_clap(tmp_path_factory.mktemp("models") / "clap")


@pytest.fixture(scope="module", params=["", "+logmel"])
def library(clap: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Library]:
    """Twenty-four sounds of 12 s, two segments each, in two folders."""
    folder = tmp_path_factory.mktemp("sentences")
    for number in range(24):
        random = np.random.default_rng(number)
        noise = np.cumsum(random.standard_normal(12 * RATE)) if number % 2 else random.standard_normal(12 * RATE)
        path = folder / "sounds" / ("near" if number < 12 else "far") / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, (0.1 + 0.01 * number) * noise / np.abs(noise).max(), RATE, subtype="FLOAT")
    with one_thread:
        library = Library.create(folder / "l.loom", f"{clap}{request.param}")
        library.add(folder / "sounds", workers=1)
        yield library


def expected(library: Library, clap: Path) -> dict[str, float]:
    """File -> the best cosine of its segments, by transformers' own arithmetic."""
    model = transformers.ClapModel.from_pretrained(clap).eval()
    rows = library.rows(["path", "embedding"])
    first, last = library.settings.parts["clap"]
    stored = torch.tensor(np.array(rows["embedding"].to_pylist(), np.float32)[:, first:last])
    with torch.inference_mode():
        text = model.text_projection(model.text_model(input_ids=torch.tensor([[2, 3, 4, 5]])).pooler_output)
        cosines = torch.nn.functional.cosine_similarity(model.audio_projection(stored), text).tolist()
    best: dict[str, float] = {}
    for path, cosine in zip(rows["path"].to_pylist(), cosines, strict=True):
        best[path] = max(cosine, best.get(path, -1.0))
    return dict(sorted(best.items(), key=lambda item: -item[1]))


def test_a_sentence_ranks_every_file_as_the_published_model_would(library: Library, clap: Path) -> None:
    best = expected(library, clap)
    found = library.find(SENTENCE, k=24)
    assert [match.path for match in found] == list(best)
    np.testing.assert_allclose([match.similarity or 0 for match in found], list(best.values()), atol=1e-5)
    assert {match.found_by for match in found} == {("sentence",)}
    assert found[0].percentile == 1
    assert found[0].parts == {"clap": found[0].similarity}
    assert len(library.find(LibraryQuery(text=SENTENCE, every_segment=True), k=40)) == 24  # segments that touch are one


def test_names_come_first_and_filters_hold(library: Library, clap: Path) -> None:
    best = [Path(path).stem for path in expected(library, clap)]
    found = library.find("near", k=20)
    assert [match.found_by for match in found] == [("folder",)] * 12 + [("sentence",)] * 8
    near = library.find(LibraryQuery(text=SENTENCE, filter=RowFilter(folder="near")), k=24)
    assert [Path(match.path).stem for match in near] == [stem for stem in best if int(stem) < 12]
    far = library.find(LibraryQuery(text=SENTENCE, where="path LIKE '%far%'"), k=24)
    assert [Path(match.path).stem for match in far] == [stem for stem in best if int(stem) >= 12]
    assert library.find(LibraryQuery(text=SENTENCE, names_only=True)) == []


def test_files_added_later_are_found(library: Library, clap: Path, tmp_path: Path) -> None:
    assert len(library.find(SENTENCE, k=50)) == 24
    soundfile.write(tmp_path / "new.wav", 0.1 * np.random.default_rng(99).standard_normal(RATE), RATE)
    library.add(tmp_path / "new.wav", workers=1)
    found = library.find(SENTENCE, k=50)
    assert len(found) == 25
    assert [match.path for match in found] == list(expected(library, clap))
    library.roots.forget(tmp_path / "new.wav")


def test_the_command_and_the_server_answer_sentences(library: Library, clap: Path, tmp_path: Path) -> None:
    best = list(expected(library, clap))
    command = ["search", "--text", SENTENCE, "-l", str(library.folder), "-k", "3", "--json"]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert [hit["path"] for hit in json.loads(done.stdout)] == best[:3]
    with served(library, tmp_path / "cache") as client:
        answer = client.get(f"{API}/find", params={"text": SENTENCE, "k": 3}).json()
    assert [(file["path"], file["found_by"]) for file in answer["files"]] == [(path, ["sentence"]) for path in best[:3]]


def test_another_version_of_the_model_is_refused(tmp_path: Path) -> None:
    folder = tiny_transformers.save_clap(tmp_path / "clap")
    soundfile.write(tmp_path / "x.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    Library.create(tmp_path / "l.loom", str(folder)).add(tmp_path / "x.wav", workers=1)
    tiny_transformers.save_clap(folder, seed=1)
    with pytest.raises(ModelMismatchError):
        Library.open(tmp_path / "l.loom").find(SENTENCE)
