"""soundloom learns, composes, measures and searches audio embeddings.

    model = soundloom.load("logmel+mfcc")              an embedder, a torch module
    clip = model.embed("dog.wav")                      one vector
    frames, times = model.embed_frames("dog.wav")      vectors over time

    library = soundloom.Library.create("sounds.loom")
    library.add("~/sounds")                            embed what is new or changed
    hits = library.search("dog.wav", k=10, weights={"mfcc": 2})

The names below are loaded when they are first used, so that importing soundloom stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundloom.embedder import Embedder
    from soundloom.errors import SoundloomError
    from soundloom.library import Hit, Library
    from soundloom.pretrained import load

__all__ = ["Embedder", "Hit", "Library", "SoundloomError", "load"]

__version__ = "0.1.0"

_HOMES = {
    "Embedder": "soundloom.embedder",
    "Hit": "soundloom.library",
    "Library": "soundloom.library",
    "SoundloomError": "soundloom.errors",
    "load": "soundloom.pretrained",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
