"""The wheel and the source archive, built twice from the same commit and compared: ``python .ci/wheel.py OUT``.

Fails unless both builds have the same bytes, the wheel holds the licences, the model and the page, and a build of the
source archive gives the same wheel. Prints sizes, hashes and the largest folders of the wheel.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
NEEDED = (
    "soundloom/models/loom/model.safetensors",
    "soundloom/server/page/index.html",
    "soundloom/py.typed",
    "soundloom/constraints.txt",
    "licenses/LICENSE",
    "licenses/NOTICE",
)


def build(source: Path, out: Path, *kinds: str) -> dict[str, Path]:
    """Build some kinds of distribution; ending -> file."""
    subprocess.run([sys.executable, "-m", "build", "--outdir", out, *kinds, source], check=True, stdout=sys.stderr)
    return {"".join(path.suffixes[-1:]): path for path in out.iterdir() if path.suffix in (".whl", ".gz")}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Build, compare and report."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist").resolve()
    out.mkdir(parents=True, exist_ok=True)
    for old in [*out.glob("soundloom-*.whl"), *out.glob("soundloom-*.tar.gz")]:
        old.unlink()
    first = build(ROOT, out, "--sdist", "--wheel")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(first[".gz"]) as archive:
            archive.extractall(folder, filter="data")
        (unpacked,) = Path(folder).iterdir()
        second = build(unpacked, Path(folder) / "again", "--wheel")
        if digest(first[".whl"]) != digest(second[".whl"]):
            raise SystemExit("two builds of the wheel differ")
    with zipfile.ZipFile(first[".whl"]) as wheel:
        entries = wheel.infolist()
    missing = [name for name in NEEDED if not any(entry.filename.endswith(name) for entry in entries)]
    if missing:
        raise SystemExit(f"the wheel lacks {missing}")
    for path in first.values():
        print(f"{path.stat().st_size / 1e6:6.1f} MB  {digest(path)}  {path.name}")
    folders: Counter[str] = Counter()
    for entry in entries:
        folders["/".join(PurePosixPath(entry.filename).parts[:3])] += entry.compress_size
    for name, count in folders.most_common(6):
        print(f"{count / 1e6:6.1f} MB  {name}")


if __name__ == "__main__":
    main()
