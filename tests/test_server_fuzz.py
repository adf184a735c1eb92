"""Requests that nobody would think of: none may end in a defect, and every answer is as the API describes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from helpers.quick_map import without_umap
from helpers.server import API, by_name, made_library, served
from test_server import OPERATIONS

pytestmark = [
    pytest.mark.slow,
    # Jobs use the random module beside the requests, which Hypothesis takes for its own strategies' doing.
    pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning"),
]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 12


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, str]]]:
    """The description of a served library, and names that exist in it."""
    folder = tmp_path_factory.mktemp("fuzzed")
    library = made_library(folder)
    patch = pytest.MonkeyPatch()
    without_umap(patch)
    with served(library, folder / "cache", allowed_hosts=("testserver",), upload_seconds=5) as client:
        one = by_name(client, "low-0.wav")
        with open(one["path"], "rb") as file:
            upload = client.post(f"{API}/uploads", files={"file": file}).json()["upload"]
        library.maps.get()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            # Schemathesis starts and ends the application for every request: only the requests are passed on.
            if scope["type"] == "lifespan":
                for kind in ("startup", "shutdown"):
                    await receive()
                    await send({"type": f"lifespan.{kind}.complete"})
            else:
                await client.app(scope, receive, send)

        yield schemathesis.openapi.from_asgi(f"{API}/openapi.json", app), {"like": one["id"], "upload": upload}
    patch.undo()


def fuzz(operation: Any, mode: GenerationMode, **fixed: Any) -> None:
    """Send generated requests, some of their parts fixed, and check the answers."""

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(mode, **fixed))
    def one(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    one()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_request_finds_a_defect(fuzzed: tuple[Any, dict[str, str]], name: str, mode: GenerationMode) -> None:
    operation = fuzzed[0].find_operation_by_id(name)
    if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body or operation.path_parameters):
        pytest.skip("the operation takes nothing that could be wrong")
    fuzz(operation, mode)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("getSegment", "like"),
        ("getSegmentAudio", "like"),
        ("getSegmentThumbnail", "like"),
        ("getSegmentPeaks", "like"),
        ("revealSegment", "like"),
        ("getUploadAudio", "upload"),
    ],
)
def test_no_request_about_what_exists_finds_a_defect(fuzzed: tuple[Any, dict[str, str]], name: str, known: str) -> None:
    schema, names = fuzzed
    fuzz(schema.find_operation_by_id(name), GenerationMode.POSITIVE, path_parameters={"id": names[known]})


@pytest.mark.parametrize("known", ["like", "upload"])
def test_no_search_by_what_exists_finds_a_defect(fuzzed: tuple[Any, dict[str, str]], known: str) -> None:
    schema, names = fuzzed
    for weights in ("", "logmel:2,mfcc:-1"):
        fuzz(
            schema.find_operation_by_id("search"),
            GenerationMode.POSITIVE,
            query={known: names[known], "weights": weights},
        )


@pytest.mark.parametrize(
    ("name", "body"),
    [("rankByExamples", {"tag": "a", "k": 3}), ("applyTag", {"tag": "b"}), ("findOnMap", {}), ("computeMap", {})],
)
def test_no_request_with_what_exists_in_it_finds_a_defect(
    fuzzed: tuple[Any, dict[str, str]], name: str, body: dict[str, Any]
) -> None:
    schema, names = fuzzed
    lists = {"rankByExamples": "yes", "applyTag": "add", "findOnMap": "ids"}
    told = {**body, lists[name]: [names["like"]]} if name in lists else {"weights": {"mfcc": 1e300, "logmel": 1e-300}}
    fuzz(schema.find_operation_by_id(name), GenerationMode.POSITIVE, body=told, media_type="application/json")
