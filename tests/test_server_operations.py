"""Operations of a server: health, readiness, metrics, JSON log, graceful shutdown, and a reverse proxy before it."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers.command_line import run
from helpers.server import API, made_library, served
from soundloom.library import Library
from soundloom.server.http.json_log import JsonLines
from soundloom.server.http.metrics import RequestMetrics
from soundloom.server.settings import ServerSettings

TOKEN = "a-token-of-the-tests-alone"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return made_library(tmp_path_factory.mktemp("operations"))


def samples(text: str) -> dict[str, float]:
    """Name and labels of every sample of a scrape -> value; every line must be one that Prometheus reads."""
    found = {}
    for line in text.splitlines():
        if line.startswith("# "):
            assert re.fullmatch(r"# (HELP \w+ .+|TYPE \w+ (counter|gauge|histogram))", line), line
        else:
            match = re.fullmatch(r'(\w+(?:\{\w+="(?:[^"\\\n]|\\.)*"(?:,\w+="(?:[^"\\\n]|\\.)*")*\})?) (\S+)', line)
            assert match, line
            assert match[1] not in found, line
            found[match[1]] = float(match[2])
    return found


def test_requests_are_counted_by_route_and_status(library: Library, tmp_path: Path) -> None:
    with served(library, tmp_path, token=TOKEN) as client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        identity = client.get(f"{API}/search", headers=headers, params={"k": 1}).json()["hits"][0]["id"]
        client.head(f"{API}/library", headers=headers)
        client.get(f"{API}/search")
        for name in ("x", "y"):
            assert client.get(f"{API}/segments/{name}", headers=headers).status_code == 422
            client.get(f"/{name}", headers=headers)
        client.get(f"{API}/segments/{identity}", headers=headers)
        assert client.get("/metrics").status_code == 401
        answer = client.get("/metrics", headers=headers)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    counted = {key: value for key, value in found.items() if key.startswith("soundloom_http_requests_total")}
    assert counted == {
        f'soundloom_http_requests_total{{method="{method}",route="{route}",status="{status}"}}': count
        for method, route, status, count in (
            ("GET", f"{API}/search", 200, 1),
            ("HEAD", f"{API}/library", 200, 1),
            ("GET", f"{API}/segments/{{id}}", 200, 1),
            ("GET", f"{API}/segments/{{id}}", 422, 2),
            ("GET", "none", 401, 2),
            ("GET", "none", 404, 2),
        )
    }
    assert found["soundloom_library_segments"] == 16
    assert found["soundloom_http_requests_in_progress"] == 1
    assert found['soundloom_work_in_progress{pool="search"}'] == 0


def test_times_are_counted_in_every_bucket_that_holds_them() -> None:
    metrics = RequestMetrics()
    for seconds in (0.005, 0.02, 0.02, 60.0):
        metrics.add("BREW", "/", 200, seconds)
    found = samples("\n".join(metrics.lines()))
    name = "soundloom_http_request_seconds"
    bounds = ("0.005", "0.01", "0.025", "10.0", "+Inf")
    assert [found[f'{name}_bucket{{route="/",le="{bound}"}}'] for bound in bounds] == [1, 1, 3, 3, 4]
    assert found[f'{name}_count{{route="/"}}'] == 4
    assert found[f'{name}_sum{{route="/"}}'] == pytest.approx(60.045)
    assert found['soundloom_http_requests_total{method="other",route="/",status="200"}'] == 4


def test_probes_need_no_token_and_say_when_the_library_is_gone(tmp_path: Path) -> None:
    library = made_library(tmp_path)
    with served(library, tmp_path / "cache", token=TOKEN) as client:
        for path in ("/health", "/ready"):
            assert client.get(path).status_code == 200
            assert client.get(path, headers={"Host": "elsewhere.example"}).status_code == 421
        library.folder.rename(tmp_path / "away")
        assert client.get("/health").json() == {"status": "alive"}
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "library_absent")


def test_a_record_is_one_line_of_json_with_its_traceback() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("soundloom.x", logging.ERROR, "", 0, "%s failed", ("GET /\u2028",), sys.exc_info())
    record.fields = {"status": 500}
    line = JsonLines().format(record)
    assert len(line.splitlines()) == 1
    entry = json.loads(line)
    assert (entry["level"], entry["event"], entry["status"]) == ("error", "GET /\u2028 failed", 500)
    assert "two\nlines" in entry["traceback"]


@contextmanager
def running(library: Library, log: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``soundloom serve`` as a process, its port; standard error goes to the log."""
    arguments = ["serve", str(library.folder), "--port", "0", "--no-open", "--offline", "--token", TOKEN, *options]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "soundloom", *arguments], stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            assert process.stdout is not None
            match = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
            assert match, log.read_text()
            yield process, int(match[1])
        finally:
            process.kill()
            process.communicate()


def fetched(address: str, **headers: str) -> bytes:
    """The body of the answer to a request with the token."""
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {TOKEN}", **headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        body: bytes = answer.read()
        return body


def asked(address: str, **headers: str) -> Any:
    """The same as JSON."""
    return json.loads(fetched(address, **headers))


def _wait(until: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait until something holds, which a process that runs is to bring about."""
    for _ in range(300):
        assert process.poll() is None
        if until():
            return
        time.sleep(0.1)
    raise AssertionError("waited for half a minute")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _in_progress(port: int) -> float:
    return samples(fetched(f"http://127.0.0.1:{port}/metrics").decode())["soundloom_http_requests_in_progress"]


@pytest.mark.slow
def test_it_logs_lines_of_json_and_ends_by_sigterm_after_its_answers(library: Library, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        running(library, log, "--log-json") as (process, port),
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection,
    ):
        asked(f"http://127.0.0.1:{port}/health?token={TOKEN}", **{"X-Request-Id": "r1"})
        # A request of which half has arrived when the signal comes is answered.
        body = json.dumps({"ids": ["0" * 16] * 50}).encode()
        connection.putrequest("POST", f"{API}/map/where")
        connection.putheader("Authorization", f"Bearer {TOKEN}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:100])
        _wait(lambda: _in_progress(port) == 2, process)  # it, and the question itself
        os.kill(process.pid, signal.SIGTERM)
        _wait(lambda: not _listens(port), process)
        connection.send(body[100:])
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)) == (200, {"indices": [-1] * 50})
        assert process.wait(timeout=60) == 0
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    first = next(entry for entry in entries if entry["event"] == "request")
    assert (first["path"], first["status"], first["x_request_id"]) == ("/health", 200, "r1")
    assert TOKEN not in log.read_text()


NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@pytest.mark.parametrize(("host", "said"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_who_listens_everywhere_is_given_the_address_for_others(
    host: str, said: bool, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(library: Library, settings: ServerSettings, *, ready: Callable[[str], None], **_: Any) -> None:
        ready(f"http://127.0.0.1:{settings.port}/")

    monkeypatch.setattr("soundloom.server.serve", serve)
    output = run("serve", library.folder, "--host", host, "--no-open", "--offline").output
    assert "http://127.0.0.1:8765/" in output
    assert ("From other machines: the same, with this machine's address" in output) == said


@pytest.mark.slow
@pytest.mark.skipif(NGINX is None, reason="no nginx here")
def test_behind_nginx_as_documented(library: Library, tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "serve.md").read_text("utf-8")
    block = re.search(r"```nginx\n(.*?)```", page, re.DOTALL)
    assert block is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        front = free.getsockname()[1]
    with running(library, tmp_path / "log", "--allow-host", "sounds.example.org", "--log-json") as (_, port):
        # The documented block, without TLS: for that the test would need a certificate.
        server = block[1].replace("listen 443 ssl", f"listen 127.0.0.1:{front}").replace(":8765", f":{port}")
        assert f"127.0.0.1:{front};" in server
        assert f"127.0.0.1:{port};" in server
        scratch = "".join(
            f"{kind}_temp_path {tmp_path / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(
            f"daemon off; pid {tmp_path / 'pid'}; error_log {tmp_path / 'error'};\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{scratch}{server}}}\n",
            "utf-8",
        )
        assert NGINX is not None
        proxy = subprocess.Popen([NGINX, "-c", str(configuration), "-e", str(tmp_path / "error")])
        try:
            _wait(lambda: _listens(front), proxy)
            through_proxy(front)
        finally:
            proxy.terminate()
            proxy.wait(timeout=30)
    requests = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {entry["x_forwarded_for"] for entry in requests if entry["path"] == f"{API}/library"} == {"127.0.0.1"}


def through_proxy(port: int) -> None:
    """What a browser and a probe do: find, play a part, upload, and be refused by another name."""
    address, host = f"http://127.0.0.1:{port}", {"Host": "sounds.example.org"}
    assert asked(f"{address}{API}/library", **host)["segments"] == 16
    assert asked(f"{address}/ready", **host) == {"status": "ready"}
    hit = asked(f"{address}{API}/search?k=1", **host)["hits"][0]
    request = urllib.request.Request(
        f"{address}{API}/segments/{hit['id']}/audio",
        headers={**host, "Authorization": f"Bearer {TOKEN}", "Range": "bytes=0-99"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert (answer.status, len(answer.read())) == (206, 100)
    with pytest.raises(urllib.error.HTTPError, match="421") as refused:
        asked(f"{address}{API}/library", Host="elsewhere.example")
    refused.value.close()
    # Many at once through the proxy's own connections.
    failed = []

    def ask() -> None:
        try:
            asked(f"{address}{API}/search?k=5", **host)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failed
