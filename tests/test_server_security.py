"""Who may ask the server, what it never gives away, and how it is started."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner
from starlette.testclient import TestClient

import soundloom.server
from helpers.server import API, HOME, by_name, made_library, refused, served
from soundloom.cli.serve import command
from soundloom.errors import MissingExtraError
from soundloom.library import Library
from soundloom.server import ServerSettings
from soundloom.server.http.security import HEADERS, cookie_name
from soundloom.server.routes.page import page_routes
from soundloom.server.settings import is_loopback

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return made_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built page, and a secret beside it."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "secret.js").write_text("secret")
    (folder / "page" / "assets").mkdir(parents=True)
    (folder / "page" / "index.html").write_text("<!doctype html><title>soundloom</title>")
    (folder / "page" / "assets" / "app-1a2b.js").write_text("console.log(1)")
    (folder / "page" / "assets" / "app-1a2b.css").write_text("body {}")
    (folder / "page" / "assets" / "notes.txt").write_text("not for the page")
    (folder / "page" / "assets" / "link.js").symlink_to(folder / "secret.js")
    return folder / "page"


@pytest.fixture(scope="module")
def client(library: Library, page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(library, tmp_path_factory.mktemp("cache"), page=page) as client:
        yield client


@pytest.fixture
def open_to_others(library: Library, page: Path, tmp_path: Path) -> Iterator[TestClient]:
    with served(library, tmp_path, page=page, host="0.0.0.0", token=TOKEN, allowed_hosts=("sounds.lan",)) as client:
        yield client


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:8765", "127.9.9.9"])
def test_the_names_of_this_machine_are_answered_to(client: TestClient, host: str) -> None:
    assert client.get(f"{API}/library", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.5",
        "",
        "[::1",
        "a@127.0.0.1:b",
        "x y",
    ],
)
def test_a_strange_host_is_refused_everywhere(client: TestClient, host: str) -> None:
    for address in (f"{API}/library", "/", "/assets/app-1a2b.js", f"{API}/openapi.json"):
        refused(client.get(address, headers={"Host": host}), 421, "wrong_host")


def test_pages_of_other_origins_may_not_write(client: TestClient) -> None:
    body = {"tag": "x", "add": []}
    for origin in (
        "http://evil.example",
        "null",
        "http://127.0.0.1:9999",
        "https://127.0.0.1:8765.evil.example",
        "https://127.0.0.1:8765",
        "http://127.0.0.1",
        "http://127.0.0.1:8765/",
        "http://x@127.0.0.1:8765",
        "[",
        "",
    ):
        refused(client.post(f"{API}/tags/apply", json=body, headers={"Origin": origin}), 403, "wrong_origin")
        refused(client.delete(f"{API}/uploads/u_x", headers={"Origin": origin}), 403, "wrong_origin")
    assert client.post(f"{API}/tags/apply", json=body, headers={"Origin": HOME}).status_code == 200
    assert client.post(f"{API}/tags/apply", json=body).status_code == 200  # curl


def test_pages_of_other_sites_may_not_ask_but_links_work(client: TestClient) -> None:
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
        refused(client.get(f"{API}/search", headers=headers), 403, "wrong_origin")
        headers["Sec-Fetch-Mode"] = "navigate"
        assert client.get("/", headers=headers).status_code == 200
        refused(client.post(f"{API}/index", json={}, headers=headers), 403, "wrong_origin")
    assert client.get(f"{API}/search", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_every_answer_carries_the_headers(client: TestClient) -> None:
    one = by_name(client, "low-0.wav")["id"]
    answers = [
        client.get("/"),
        client.get("/assets/app-1a2b.js"),
        client.get("/none"),
        client.get(f"{API}/library"),
        client.get(f"{API}/segments/{one}/audio"),
        client.get(f"{API}/segments/{one}/thumbnail.webp"),
        client.get(f"{API}/search", params={"k": 0}),
        client.get("/", headers={"Host": "evil.example"}),
        client.post(f"{API}/uploads", content=b"x", headers={"Content-Length": "9" * 12}),
    ]
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, answer.url
        assert "cache-control" in answer.headers
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert not re.search(r"unsafe|https?:|\*", policy)


def test_a_defect_is_told_without_its_details(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "failures", lambda: 1 / 0)
    with served(library, tmp_path) as client:
        answer = client.get(f"{API}/failures")
    assert "division" not in refused(answer, 500, "defect")


def test_wrong_ways_to_ask_look_like_every_error(client: TestClient) -> None:
    refused(client.get("/none"), 404, "not_found")
    refused(client.put(f"{API}/library"), 405, "method_not_allowed")
    refused(
        client.post(f"{API}/tags/apply", content=b"{", headers={"Content-Type": "application/json"}), 422, "invalid"
    )
    refused(client.post(f"{API}/tags/apply", content=b"\xff" * 10), 422, "invalid")
    refused(client.post(f"{API}/uploads", json={}), 422, "invalid")


def test_the_page_is_served_with_its_types_and_kept_by_its_names(client: TestClient) -> None:
    index = client.get("/")
    assert (index.headers["content-type"], index.headers["cache-control"]) == ("text/html; charset=utf-8", "no-cache")
    script = client.get("/assets/app-1a2b.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in script.headers["cache-control"]
    assert client.get("/assets/app-1a2b.css").headers["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    "address",
    [
        "/assets/../../secret.js",
        "/assets/%2e%2e/%2e%2e/secret.js",
        "/assets/..%2f..%2fsecret.js",
        "/assets/..%5c..%5csecret.js",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/link.js",
        "/assets/notes.txt",
        "/assets/%00.js",
        "/assets/" + "a" * 5000 + ".js",
        "/assets/",
        "/secret.js",
        "/index.html/../secret.js",
        f"{API}/segments/..%2f..%2f..%2fetc%2fpasswd/audio",
        f"{API}/segments/%2fetc%2fpasswd",
        f"{API}/uploads/..%2f..%2fetc/audio",
        f"{API}/uploads/u_..%2f..%2fetc/audio",
        f"{API}/jobs/..%2f",
    ],
)
def test_nothing_beside_the_page_and_the_rows_is_served(client: TestClient, address: str) -> None:
    answer = client.send(client.build_request("GET", HOME + address))
    assert answer.status_code in (404, 422), answer.text
    assert answer.json()["error"]["message"]
    assert "secret" not in answer.text.replace("secret.js", "")
    assert "root:" not in answer.text


def test_without_a_page_the_way_to_build_it_is_told(library: Library, tmp_path: Path) -> None:
    with served(library, tmp_path, page=tmp_path / "none") as client:
        answer = client.get("/")
    assert answer.headers["content-type"].startswith("text/plain")
    assert f"{API}/openapi.json" in answer.text
    paths = {getattr(route, "path", "") for route in page_routes(tmp_path).routes}
    assert paths == {"/", "/assets/{name:path}", "/search", "/map", "/tag", "/detect"}


def test_with_a_token_nothing_is_told_without_it(open_to_others: TestClient) -> None:
    client = open_to_others
    for address in ("/", "/assets/app-1a2b.js", f"{API}/library", f"{API}/openapi.json", "/none"):
        answer = client.get(address)
        refused(answer, 401, "unauthorised")
        assert answer.headers["www-authenticate"] == "Bearer"
    for wrong in ("Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer", f"Bearer {TOKEN}x", "Bearer \xe4"):
        answer = client.get(f"{API}/library", headers={"Authorization": wrong.encode("latin-1")})
        refused(answer, 401, "unauthorised")
    assert client.get(f"{API}/library", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    refused(client.get(f"{API}/library", params={"token": "wrong"}), 401, "unauthorised")
    refused(client.post(f"{API}/tags/apply", params={"token": TOKEN}, json={"tag": "x"}), 401, "unauthorised")


def test_a_visit_with_the_token_leaves_a_cookie_and_a_clean_address(open_to_others: TestClient) -> None:
    client = open_to_others
    answer = client.get("/", params={"token": TOKEN, "view": "map", "tag": "a&b"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?view=map&tag=a%26b")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/").status_code == 200
    assert client.get(f"{API}/library").status_code == 200
    name = cookie.partition("=")[0]
    refused(TestClient(client.app, base_url=HOME, cookies={name: TOKEN}).get("/"), 401, "unauthorised")
    # A path that begins with two slashes must not become another host.
    away = TestClient(client.app, base_url=HOME).get(f"{HOME}//evil.example/?token={TOKEN}", follow_redirects=False)
    assert away.headers["location"] == "/evil.example/"


def test_servers_beside_each_other_keep_their_own_cookies(library: Library, page: Path, tmp_path: Path) -> None:
    names = set()
    for port, folder in ((8765, "a"), (8766, "a"), (8765, "b")):
        scope = {"server": ("127.0.0.1", port)}
        names.add(cookie_name(scope, folder))
        assert cookie_name(scope, folder) == cookie_name(scope, folder)
    assert len(names) == 3
    # A browser sends both cookies to both ports, as it does not tell ports apart.
    others: dict[str, Any] = {"page": page, "host": "0.0.0.0"}
    with (
        served(library, tmp_path, token=TOKEN, **others) as first,
        served(library, tmp_path, token=TOKEN[::-1], **others) as second,
    ):
        second.base_url = HOME.replace("8765", "8766")
        for client, token in ((first, TOKEN), (second, TOKEN[::-1])):
            assert client.get("/", params={"token": token}).status_code == 200
        both = "; ".join(f"{name}={value}" for client in (first, second) for name, value in client.cookies.items())
        for client in (first, second):
            client.cookies.clear()
            assert client.get(f"{API}/library", headers={"Cookie": both}).status_code == 200
            assert client.get(f"{API}/library").status_code == 401


def test_a_browser_without_the_token_gets_a_form_to_type_it(open_to_others: TestClient) -> None:
    html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = open_to_others.get("/", params={"like": '"><script>', "token": "wrong"}, headers=html)
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert "That is not the token" in answer.text
    assert 'name="like" value="&quot;&gt;&lt;script&gt;"' in answer.text
    assert "<script" not in answer.text
    assert "wrong" not in answer.text
    assert "That is not the token" not in open_to_others.get("/?%ff=%ed%a0%80", headers=html).text
    # Sending the form is a visit with the token.
    sent = open_to_others.get("/", params={"like": "a", "token": TOKEN}, headers=html, follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, "/?like=a")


def test_a_proxy_that_speaks_https_is_named_so(library: Library, page: Path, tmp_path: Path) -> None:
    body = {"tag": "x", "add": []}
    with served(library, tmp_path, page=page, allowed_hosts=("https://sounds.lan", "plain.lan")) as client:

        def write(host: str, origin: str) -> int:
            headers = {"Host": host, "Origin": origin}
            return client.post(f"{API}/tags/apply", json=body, headers=headers).status_code

        assert write("sounds.lan", "https://sounds.lan") == 200
        assert write("sounds.lan", "https://sounds.lan:443") == 200
        assert write("sounds.lan", "http://sounds.lan") == 403
        assert write("plain.lan", "http://plain.lan") == 200
        assert write("plain.lan", "https://plain.lan") == 403
        assert write("127.0.0.1:8765", "https://127.0.0.1:8765") == 403
    with pytest.raises(ValueError, match="allowed hosts are names or addresses"):
        ServerSettings(allowed_hosts=("ftp://sounds.lan",))


def test_a_server_for_others_answers_to_addresses_and_to_names_it_was_told(open_to_others: TestClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for host in ("192.168.1.5:8765", "[2001:db8::1]", "sounds.lan", "localhost"):
        assert open_to_others.get(f"{API}/library", headers={"Host": host, **headers}).status_code == 200
    refused(open_to_others.get(f"{API}/library", headers={"Host": "evil.example", **headers}), 421, "wrong_host")


def test_settings_that_are_not_safe_or_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="can be reached by others, so a token is needed"):
        ServerSettings(host="0.0.0.0")
    with pytest.raises(ValueError, match="16 ASCII characters or more, got 5"):
        ServerSettings(token="short")
    with pytest.raises(ValueError, match="port must lie between"):
        ServerSettings(port=70000)
    with pytest.raises(ValueError, match="connections must be at least 2, got 1"):
        ServerSettings(connections=1)
    with pytest.raises(ValueError, match="upload_bytes must be positive, got 0"):
        ServerSettings(upload_bytes=0)
    assert TOKEN not in repr(ServerSettings(token=TOKEN))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("[::1]", True), ("::", False), ("10.0.0.1", False), ("x", False)],
)
def test_loopback_is_told_from_the_rest(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_multipart", None)
    with pytest.raises(
        MissingExtraError, match=r"needs the package 'python-multipart': pip install 'soundloom\[serve\]'"
    ):
        _ = soundloom.server.create_app
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = soundloom.server.nothing


def test_the_command_refuses_what_cannot_be_served(tmp_path: Path) -> None:
    told = CliRunner().invoke(command, [str(tmp_path / "none.loom")])
    assert told.exit_code == 1
    assert "no library at" in str(told.exception)
    told = CliRunner().invoke(command, [str(tmp_path), "--token", "short"])
    assert "16 ASCII characters" in str(told.exception)


def test_answers_are_sent_at_once(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    delayed: list[bool] = []

    async def answer(listening: socket.socket) -> None:
        def asked(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            delayed.append(not connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(asked, sock=listening):
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            await reader.read()
            writer.close()

    monkeypatch.setattr(uvicorn.Server, "run", lambda _, sockets: asyncio.run(answer(sockets[0])))
    soundloom.server.serve(library, ServerSettings(port=0))
    assert delayed == [False]


@pytest.mark.slow
def test_the_command_serves_until_it_is_interrupted(library: Library) -> None:
    program = "import sys; from soundloom.cli.serve import command; command(sys.argv[1:])"
    arguments = [str(library.folder), "--host", "0.0.0.0", "--port", "0", "--no-open", "--offline"]
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        address = re.search(r"(http://127\.0\.0\.1:\d+)/\?token=([\w-]{32})", told)
        assert address is not None, told
        request = urllib.request.Request(
            f"{address[1]}{API}/library", headers={"Authorization": f"Bearer {address[2]}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["segments"] == 16
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            urllib.request.urlopen(f"{address[1]}{API}/library", timeout=30)
        refused.value.close()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.communicate()
