"""Embedders: a front-end, an encoder, fused layers, a pooling, a reduction; and several of them woven into one.

    waveform -> front-end -> encoder -> layers -> (fusion) frames -> (pooling) embedding -> (reduction)

A `Stream` is one such chain. A `Woven` embedder holds several and remembers which columns came from
which part, so that a search can weigh the parts and an ablation can leave them out.

Three promises hold for both. The same sound gives the same embedding whatever the batch it came in,
because rows of unequal length are never padded to each other: equal lengths are computed together. A
sound of any length has an embedding: shorter than the model's minimum it is padded with silence, and
longer than the model's window it is cut into windows whose frames are pooled together, weighted by how
much of each is sound. And `Embedder.embed` is reproducible to the bit: it computes each sound alone, on
one thread, so that neither order nor company can change a rounding.
"""

from soundloom.embedder.base import Embedder, Frames
from soundloom.embedder.reduction import Reduction
from soundloom.embedder.stream import Stream
from soundloom.embedder.window import Window
from soundloom.embedder.woven import Woven
from soundloom.embedding_model import BLOCK, ShortAudioWarning, Source

__all__ = [
    "BLOCK",
    "Embedder",
    "Frames",
    "Reduction",
    "ShortAudioWarning",
    "Source",
    "Stream",
    "Window",
    "Woven",
]
