"""Fixtures shared by the whole suite."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import shape_checking

if TYPE_CHECKING:
    import numpy as np
    from playwright.sync_api import BrowserContext, Page
    from starlette.testclient import TestClient

    from soundloom.library import Library
    from soundloom.plans import Plan

# Several processes test at a time: one thread each, before numpy and torch start theirs.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

if os.environ.get("SOUNDLOOM_CHECK_ARRAYS"):  # a third of the time of a run: `make test-arrays`
    shape_checking.install()

# Seconds: for a slow test, in place of `timeout` in pyproject.toml; for the interpreter to end after the last test.
SLOW_TIMEOUT = 300.0
EXIT_TIMEOUT = 300.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests a longer time-out."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Draw the same numbers in every run of a test, and of the fixtures it is the first to use."""
    import random

    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_unconfigure() -> None:
    """End this process, with the stacks of its threads, if one that a test left behind keeps it alive."""
    faulthandler.dump_traceback_later(EXIT_TIMEOUT, exit=True, file=sys.__stderr__)


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of this process alone: no test reads or fills the user's."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOUNDLOOM_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def one_thread_each() -> None:
    """Torch on one thread, whatever the environment says: processes of tests share the cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """A folder of real recordings; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("SOUNDLOOM_AUDIO", Path(__file__).parents[2] / "shared" / "audio"))
    if not folder.is_dir():
        pytest.skip("no real audio here: set SOUNDLOOM_AUDIO to a folder with esc50/, formats/, pitch/ ...")
    return folder.resolve()


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    """A folder of six tones."""
    from helpers.tones import write_tones

    return write_tones(tmp_path / "sounds")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library, for searches by command."""
    from helpers.search_command import make_place

    return make_place(tmp_path_factory.mktemp("cli-search"))


@pytest.fixture
def inside(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is that folder."""
    monkeypatch.chdir(place)


@pytest.fixture(scope="module")
def embedding_in_threads() -> Iterator[None]:
    """Workers of plans embed files in threads, not in processes."""
    from helpers.plan_targets import threads_for_processes

    with threads_for_processes():
        yield


@pytest.fixture(scope="module")
def planned_sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sounds to plan."""
    from helpers.small_plans import make_sounds

    return make_sounds(tmp_path_factory.mktemp("plans") / "sounds")


@pytest.fixture(scope="module")
def indexed_sounds(planned_sounds: Path) -> Library:
    """What a plain index makes of them."""
    from helpers.small_plans import indexed_library

    return indexed_library(planned_sounds)


@pytest.fixture(scope="module")
def finished(embedding_in_threads: None, planned_sounds: Path) -> Plan:
    """A plan of them that is done and not committed."""
    from helpers.small_plans import finished_plan

    return finished_plan(planned_sounds)


@pytest.fixture
def plan(finished: Plan, tmp_path: Path) -> Plan:
    """A copy of it, of which a test may do what it likes."""
    from helpers.small_plans import copied_plan

    return copied_plan(finished, tmp_path)


@pytest.fixture(scope="module")
def served_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, TestClient]]:
    """A library that tests only read, and a client of its server."""
    from helpers.server import made_library, served

    folder = tmp_path_factory.mktemp("served")
    library = made_library(folder)
    with served(library, folder / "cache") as client:
        yield library, client


@pytest.fixture
def own_library(tmp_path: Path) -> Iterator[tuple[Library, TestClient]]:
    """A library that a test may change, and a client of its server."""
    from helpers.server import made_library, served

    library = made_library(tmp_path)
    with served(library, tmp_path / "cache") as client:
        yield library, client


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a page over a small library is served."""
    from helpers.browser import serving

    with serving(tmp_path_factory.mktemp("page")) as address:
        yield address


@pytest.fixture(scope="module")
def context(address: str) -> Iterator[BrowserContext]:
    """A browser that knows the address."""
    from helpers.browser import browsing

    with browsing(address) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    """A page of that browser, which must ask no other host and break no rule."""
    from helpers.browser import watched

    with watched(context, address) as page:
        yield page


@pytest.fixture
def extracted_lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of every waveform that an embedder embeds."""
    from soundloom.embedder import Embedder

    lengths: list[int] = []
    embed = Embedder.embed_samples

    def counted(self: Embedder, samples: np.ndarray) -> np.ndarray:
        lengths.append(len(samples))
        return embed(self, samples)

    monkeypatch.setattr(Embedder, "embed_samples", counted)
    return lengths
