"""Downloads: once, whole, verified, resumed; and what is said when they fail."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from checkpoints_server import Shelf, serving
from soundloom.errors import ModelError
from soundloom.models.weights.download import Announcement, PublishedFile, is_offline, known, obtain
from soundloom.models.weights.http_transfer import Patience, TransferProgress

CONTENT = random.Random(0).randbytes(50_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(timeout=5.0, attempts=3, pause=0.0)


@pytest.fixture(autouse=True)
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("SOUNDLOOM_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with serving(Shelf(CONTENT)) as served:
        yield served


def source(address: str, **changes: object) -> PublishedFile:
    settings: dict[str, object] = {"filename": "weights.pth", "bytes": len(CONTENT), "sha256": SHA256, **changes}
    return PublishedFile(address=address, **settings)  # type: ignore[arg-type]


def leave_part(folder: Path, content: bytes, **notes: object) -> None:
    (folder / "weights.pth.part").write_bytes(content)
    (folder / "weights.pth.part.json").write_text(json.dumps(notes))


def test_announced_before_anything_is_asked_then_fetched_once(shelf: Shelf, tmp_path: Path) -> None:
    said: list[Announcement] = []

    def announce(announcement: Announcement) -> None:
        assert not shelf.requests
        said.append(announcement)

    first = obtain(source(shelf.address), tmp_path / "new" / "folder", announce=announce, patience=QUICK)
    second = obtain(source(shelf.address), tmp_path / "new" / "folder", announce=announce, patience=QUICK)
    assert first == second
    assert first.path.read_bytes() == CONTENT
    assert first.sha256 == SHA256
    assert first.address == shelf.address
    assert len(shelf.requests) == len(said) == 1
    for part in (shelf.address, SHA256, "0.1 MB", str(first.path)):
        assert part in str(said[0])
    assert sorted(file.name for file in first.path.parent.iterdir()) == [
        "weights.pth",
        "weights.pth.lock",
        "weights.pth.receipt.json",
    ]


def test_progress_counts_to_the_end(shelf: Shelf, tmp_path: Path) -> None:
    shelf.pause = 0.01
    seen: list[TransferProgress] = []
    obtain(source(shelf.address), tmp_path, progress=seen.append, patience=QUICK)
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert (seen[-1].done, seen[-1].total) == (len(CONTENT), len(CONTENT))
    # 1000 bytes every 10 ms at most: the rate can be lower on a busy machine, never much higher.
    assert 0 < seen[-1].rate < 150_000


def test_an_unknown_length_is_no_obstacle(shelf: Shelf, tmp_path: Path) -> None:
    shelf.length = False
    seen: list[TransferProgress] = []
    assert obtain(source(shelf.address, bytes=None), tmp_path, progress=seen.append).path.read_bytes() == CONTENT
    assert seen[-1].total is None


def test_a_cut_connection_goes_on_at_the_byte(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cuts = [12_345, 1_000, 20_000]
    assert obtain(source(shelf.address), tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert [request.get("Range") for request in shelf.requests] == [
        None,
        "bytes=12345-",
        "bytes=13345-",
        "bytes=33345-",
    ]
    assert {request.get("If-Range") for request in shelf.requests[1:]} == {'"one"'}
    assert shelf.sent == len(CONTENT)


def test_a_server_without_ranges_starts_over(shelf: Shelf, tmp_path: Path) -> None:
    shelf.ranges, shelf.cuts = False, [30_000]
    assert obtain(source(shelf.address), tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert shelf.sent == 30_000 + len(CONTENT)


def test_breaks_that_bring_nothing_new_end_the_try_and_keep_the_bytes(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cuts = [7_000, 0, 0, 0]
    with pytest.raises(ModelError, match=r"(?s)broke after 7,000 of 50,000 bytes.*7,000 bytes are kept in .*\.part"):
        obtain(source(shelf.address), tmp_path, patience=QUICK)
    assert obtain(source(shelf.address), tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert shelf.requests[-1]["Range"] == "bytes=7000-"


@pytest.mark.parametrize(
    ("changes", "notes", "resumes"),
    [
        pytest.param({}, {"address": "HERE", "validator": '"one"'}, True, id="same file"),
        pytest.param({}, {"address": "HERE", "validator": '"old"'}, False, id="the file there has changed"),
        pytest.param(
            {}, {"address": "http://mirror/", "validator": '"other"'}, True, id="begun at a mirror, hash known"
        ),
        pytest.param({}, {}, True, id="notes lost, hash known"),
        pytest.param({"sha256": None, "md5": None}, {}, False, id="notes lost, no hash"),
        pytest.param({"sha256": None}, {"address": "HERE", "validator": '"one"'}, True, id="no hash, validator"),
    ],
)
def test_what_an_earlier_run_left_is_used_where_it_fits(
    shelf: Shelf, tmp_path: Path, changes: dict[str, object], notes: dict[str, str], resumes: bool
) -> None:
    notes = {key: value.replace("HERE", shelf.address) for key, value in notes.items()}
    leave_part(tmp_path, CONTENT[:20_000], **notes)
    assert obtain(source(shelf.address, **changes), tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert shelf.sent == len(CONTENT) - (20_000 if resumes else 0)


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(b"x" * 20_000, id="other bytes"),
        pytest.param(b"x" * len(CONTENT), id="other bytes of the full length"),
        pytest.param(CONTENT + b"tail", id="too long"),
    ],
)
def test_a_part_that_does_not_fit_is_fetched_afresh_once(shelf: Shelf, tmp_path: Path, left: bytes) -> None:
    leave_part(tmp_path, left, address=shelf.address, validator=None)
    assert obtain(source(shelf.address), tmp_path, patience=QUICK).path.read_bytes() == CONTENT


def test_a_whole_part_needs_no_request(shelf: Shelf, tmp_path: Path) -> None:
    leave_part(tmp_path, CONTENT, address=shelf.address, validator='"one"', total=len(CONTENT))
    assert obtain(source(shelf.address, bytes=None), tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert not shelf.requests


def test_a_wrong_range_is_not_joined(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cuts, shelf.shift = [10_000], 5
    assert obtain(source(shelf.address), tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert len(shelf.requests) == 3


def test_another_content_is_refused_and_deleted(shelf: Shelf, tmp_path: Path) -> None:
    shelf.content = CONTENT[::-1]
    got = hashlib.sha256(shelf.content).hexdigest()
    with pytest.raises(ModelError, match=f"expected sha256 {SHA256}, got sha256 {got}, 50,000 bytes"):
        obtain(source(shelf.address), tmp_path, patience=QUICK)
    assert len(shelf.requests) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pth.lock"]


def test_a_web_page_in_place_of_the_file_is_called_one(shelf: Shelf, tmp_path: Path) -> None:
    shelf.content = b"\n<!DOCTYPE html><title>Sign in</title>"
    with pytest.raises(ModelError, match="the server sent a web page"):
        obtain(source(shelf.address, bytes=None), tmp_path, patience=QUICK)


def test_another_size_is_refused_before_it_is_read(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has 50,000 bytes where 7 are published"):
        obtain(source(shelf.address, bytes=7), tmp_path, patience=QUICK)


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"sha256": SHA256[:8]}, True),
        ({"sha256": SHA256.upper()}, True),
        ({"sha256": "0" * 8}, False),
        ({"sha256": None, "md5": hashlib.md5(CONTENT).hexdigest()}, True),
        ({"sha256": None, "md5": "0" * 32}, False),
        ({"sha256": None}, True),
    ],
)
def test_every_kind_of_published_hash_is_checked(
    shelf: Shelf, tmp_path: Path, changes: dict[str, object], accepted: bool
) -> None:
    wanted = source(shelf.address, **changes)
    if accepted:
        assert obtain(wanted, tmp_path, patience=QUICK).sha256 == SHA256
    else:
        with pytest.raises(ModelError, match=r"expected (sha256|md5) 0{8}"):
            obtain(wanted, tmp_path, patience=QUICK)


def test_a_missing_page_is_not_asked_for_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.failures = -1
    with pytest.raises(ModelError, match=r"(?s)weights\.pth: HTTP 404 Not Found.*--weights FILE"):
        obtain(source(shelf.address), tmp_path, patience=QUICK)
    assert len(shelf.requests) == 1


def test_a_busy_server_is_asked_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.status, shelf.failures = 503, 2
    assert obtain(source(shelf.address), tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert len(shelf.requests) == 3


def test_the_mirror_is_asked_when_the_address_fails(shelf: Shelf, tmp_path: Path) -> None:
    said: list[Announcement] = []
    with serving(Shelf(b"", failures=-1)) as gone:
        mirrored = source(gone.address, mirrors=(shelf.address,))
        assert obtain(mirrored, tmp_path, announce=said.append, patience=QUICK).address == shelf.address
    assert [announcement.address for announcement in said] == [gone.address, shelf.address]


def test_a_silent_server_is_given_up(shelf: Shelf, tmp_path: Path) -> None:
    shelf.silence = 1.0
    with pytest.raises(ModelError, match=r"the server is silent \(2 tries in a row brought nothing new\)"):
        obtain(source(shelf.address), tmp_path, patience=Patience(timeout=0.1, attempts=2, pause=0.0))


def test_a_server_that_stalls_after_every_piece_is_borne_with(shelf: Shelf, tmp_path: Path) -> None:
    shelf.content, shelf.pause = CONTENT[:4000], 0.5
    wanted = source(shelf.address, bytes=4000, sha256=hashlib.sha256(CONTENT[:4000]).hexdigest())
    path = obtain(wanted, tmp_path, patience=Patience(timeout=0.1, attempts=1, pause=0.0)).path
    assert path.read_bytes() == CONTENT[:4000]
    assert [request.get("Range") for request in shelf.requests[1:]] == ["bytes=1000-", "bytes=2000-", "bytes=3000-"]


def test_nobody_listening_is_said(tmp_path: Path) -> None:
    with serving(Shelf(CONTENT)) as shelf:
        address = shelf.address
    with pytest.raises(ModelError, match=r"Connection refused \(3 tries in a row brought nothing new\)"):
        obtain(source(address), tmp_path, patience=QUICK)


@pytest.mark.parametrize("switch", ["argument", "SOUNDLOOM_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_says_where_it_looked_and_asks_nobody(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    if switch != "argument":
        monkeypatch.setenv(switch, "1")
    with pytest.raises(ModelError, match=r"offline, and .*weights\.pth is not there.*--weights FILE") as caught:
        obtain(source(shelf.address), tmp_path, offline=switch == "argument")
    for part in (str(tmp_path / "weights.pth"), shelf.address, SHA256, "0.1 MB"):
        assert part in str(caught.value)
    assert not shelf.requests
    assert not list(tmp_path.iterdir())


def test_a_file_put_there_by_hand_is_verified_once(tmp_path: Path) -> None:
    wanted = source("http://127.0.0.1:9/weights.pth")
    (tmp_path / "weights.pth").write_bytes(CONTENT)
    assert known(wanted, tmp_path) is None
    assert obtain(wanted, tmp_path, offline=True).sha256 == SHA256
    assert known(wanted, tmp_path) is not None
    (tmp_path / "weights.pth").write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match=r"is not the published file: expected .* 49,999 bytes\. Delete it"):
        obtain(wanted, tmp_path, offline=True)


@pytest.mark.parametrize("receipt", ["", "[]", "{}", '{"stamp": 1}'])
def test_a_damaged_receipt_counts_for_nothing(tmp_path: Path, receipt: str) -> None:
    (tmp_path / "weights.pth.receipt.json").write_text(receipt)
    assert known(source("https://here/"), tmp_path) is None


def test_two_at_once_fetch_it_once(shelf: Shelf, tmp_path: Path) -> None:
    shelf.pause = 0.002
    results: list[bytes] = []

    def work() -> None:
        results.append(obtain(source(shelf.address), tmp_path, patience=QUICK).path.read_bytes())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [CONTENT] * 4
    assert len(shelf.requests) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_in_the_middle_then_resumed(shelf: Shelf, tmp_path: Path) -> None:
    shelf.pause = 0.05
    program = (
        "import sys, pathlib; from soundloom.models.weights.download import PublishedFile, obtain;"
        "obtain(PublishedFile(address=sys.argv[1], filename='weights.pth'), pathlib.Path(sys.argv[2]))"
    )
    child = subprocess.Popen([sys.executable, "-c", program, shelf.address, str(tmp_path)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    part = tmp_path / "weights.pth.part"
    while not (part.exists() and part.stat().st_size >= 3_000) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    _, complaint = child.communicate()
    assert child.returncode == -signal.SIGKILL, complaint.decode()
    assert not (tmp_path / "weights.pth").exists()
    kept = part.stat().st_size
    assert 3_000 <= kept < len(CONTENT)
    shelf.pause = 0.0
    assert obtain(source(shelf.address), tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert [request.get("Range") for request in shelf.requests] == [None, f"bytes={kept}-"]


def test_interrupted_by_the_user_then_resumed(shelf: Shelf, tmp_path: Path) -> None:
    shelf.pause = 0.001

    def interrupt(step: TransferProgress) -> None:
        if step.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(source(shelf.address), tmp_path, progress=interrupt, patience=QUICK)
    kept = (tmp_path / "weights.pth.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    shelf.pause = 0.0
    obtain(source(shelf.address), tmp_path, patience=QUICK)
    assert shelf.requests[-1]["Range"] == f"bytes={kept}-"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_said(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "weights.pth.part").symlink_to("/dev/full")
    with pytest.raises(ModelError, match=r"No space left on device.*SOUNDLOOM_HOME"):
        obtain(source(shelf.address), tmp_path, patience=QUICK)


def test_too_little_space_is_said_before_reading(tmp_path: Path) -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 62

        def __getitem__(self, key: object) -> bytes:
            return self

    with serving(Shelf(Huge())) as shelf, pytest.raises(ModelError, match=r"bytes free where 4,611,686,018"):
        obtain(source(shelf.address, bytes=None), tmp_path, patience=QUICK)


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot write to the cache .*file.*SOUNDLOOM_HOME"):
        obtain(source("https://here/"), tmp_path / "file")


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("YES", True), ("0", False), ("", False)])
def test_offline_switches_read_as_hugging_face_reads_them(
    monkeypatch: pytest.MonkeyPatch, value: str, offline: bool
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert is_offline() is offline


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: PublishedFile(address="file:///etc/passwd", filename="a"), "not a web address"),
        (
            lambda: PublishedFile(address="https://a/", mirrors=("ftp://b/",), filename="a"),
            "'ftp://b/' is not a web address",
        ),
        (lambda: PublishedFile(address="https://a/", filename="a", sha256="abc"), "has 3 digits"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(make: Callable[[], PublishedFile], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_read_only_cache_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(CONTENT)
    tmp_path.chmod(0o500)
    try:
        assert obtain(source("https://here/"), tmp_path, offline=True).sha256 == SHA256
    finally:
        tmp_path.chmod(0o700)
