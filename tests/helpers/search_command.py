"""The search command on a small library, and its folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from click.testing import CliRunner, Result

from soundloom.cli import main
from soundloom.library import Library


def make_place(place: Path) -> Path:
    """Sounds in folders below a folder, and a library of them, filled by a model without words."""
    chance = np.random.default_rng(0)
    for name in ("dogs/dog_bark_1", "dogs/rec7", "birds/owl", "birds/robin", "city/hot dog stand", "city/bus"):
        path = place / "sounds" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * chance.normal(size=(16000, 2)), 16000, subtype="PCM_24")
    library = Library.create(place / "l.loom", "mfcc", window=0.5)
    library.add(place / "sounds", workers=1)
    library.tags.add("Night", [(str(place / "sounds/birds/owl.wav"), 0.0, 0.5)])
    library.index()
    return place


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["search", *map(str, arguments), "-l", "l.loom"])


def found(*arguments: object) -> list[str]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return [Path(hit["path"]).stem for hit in json.loads(result.stdout)]
