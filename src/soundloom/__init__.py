"""soundloom learns, composes, measures and searches audio embeddings.

    model = soundloom.load()  # the default model, an embedder: a torch module
    clip = model.embed("dog.wav")  # one vector
    frames, times = model.embed_frames("dog.wav")  # vectors over time

    library = soundloom.Library.create("sounds.loom")
    library.add("~/sounds")  # embed what is new or changed
    hits = library.search("dog.wav", k=10, weights={"pitch": 2})

    corpus = soundloom.corpora.load("/data/my-sounds")  # a folder of folders; or load("esc50", "/data/ESC-50-master")
    result = soundloom.evaluate(model, corpus, "linear")  # accuracy of a linear classifier over the embeddings

    soundloom.save_pretrained(model, "runs/mine")  # a folder that soundloom.load("./runs/mine") opens

The names below are loaded when they are first used, so that importing soundloom stays quick. For scikit-learn, torch's
data loaders, Hugging Face datasets and tables of pandas, Polars or DuckDB see `soundloom.integrations`; for annotations
and detectors `soundloom.annotations` and `soundloom.detectors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundloom.lazy_names import lazy_names

if TYPE_CHECKING:
    from soundloom import corpora
    from soundloom.detectors import Detector
    from soundloom.embedder import Embedder
    from soundloom.errors import SoundloomError
    from soundloom.evaluation.runner import evaluate
    from soundloom.library import Hit, Library, LibraryQuery, QuerySound
    from soundloom.models import Card, from_pretrained, load, push_to_hub, save_pretrained

__all__ = [
    "Card",
    "Detector",
    "Embedder",
    "Hit",
    "Library",
    "LibraryQuery",
    "QuerySound",
    "SoundloomError",
    "corpora",
    "evaluate",
    "from_pretrained",
    "load",
    "push_to_hub",
    "save_pretrained",
]

__version__ = "0.1.0"

_HOMES = {
    "Card": "models",
    "Detector": "detectors",
    "Embedder": "embedder",
    "Hit": "library",
    "Library": "library",
    "LibraryQuery": "library",
    "QuerySound": "library",
    "SoundloomError": "errors",
    "corpora": "corpora",
    "evaluate": "evaluation.runner",
    "from_pretrained": "models",
    "load": "models",
    "push_to_hub": "models",
    "save_pretrained": "models",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
