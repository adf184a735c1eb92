"""Search by sentences: cosines of text and stored embeddings in CLAP's common space (Wu et al. 2023).

A library of a CLAP model holds z, the pooled output of the audio model, for every row. A sentence t ranks the rows by

    cos(P_audio z, P_text t),

which the index's own inner products cannot give, as P_audio is a network of two layers. So the rows are projected once
for each version of the library, and kept in memory: 4 bytes a number, 2 kB a row of CLAP's 512. Every row is compared.
Sentences are remembered by the tower.

Of a woven model the first part that has a text tower answers; the other parts do not count.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32

from soundloom.errors import MissingExtraError, ModelError
from soundloom.library.search.matches import NearestRows
from soundloom.library.search.search_index import SearchIndex
from soundloom.library.search.vector_index.cells import top_rows
from soundloom.packaged import is_packaged

if TYPE_CHECKING:
    from soundloom.library.storage.library_settings import LibrarySettings
    from soundloom.tags.text_towers import TextTower

__all__ = ["SentenceQueries"]

Projected = Float32[np.ndarray, "rows projected"]


class SentenceQueries:
    """Queries of one library by sentences. Safe to share between threads.

    Args:
        settings: the library's.
    """

    def __init__(self, settings: LibrarySettings) -> None:
        self._settings = settings
        self._tower: tuple[str, TextTower] | None = None
        self._rows: tuple[int, Projected] | None = None
        self._lock = Lock()

    def available(self, *, offline: bool = False) -> bool:
        """Whether a part of the library's model takes sentences; loads its text tower.

        Args:
            offline: never fetch it; without it no sentences are taken.
        """
        source = self._settings.source or self._settings.model
        if is_packaged(source):
            return False
        with self._lock:
            if self._tower is None:
                from soundloom.tags.text_towers import tower_of_model

                try:
                    self._tower = tower_of_model(source, offline=offline)
                except (ModelError, MissingExtraError):
                    return False
            return self._tower is not None

    def nearest(
        self, index: SearchIndex, sentence: str, k: int, mask: Bool[np.ndarray, " rows"] | None = None
    ) -> NearestRows:
        """The rows that agree best with a sentence, of those that may be found.

        Raises:
            ModelError: the library's model takes no sentences (`available`).
        """
        part, tower = self._chosen()
        similarity = self._projected(index) @ tower.embed_text([sentence])[0].numpy()
        candidates = np.arange(len(similarity)) if mask is None else np.flatnonzero(mask)
        rows = candidates[top_rows(similarity[candidates], min(k, len(candidates)))]
        return NearestRows(rows, similarity[rows], {part: similarity[rows]})

    def sample_similarity(self, index: SearchIndex, sentence: str) -> Float32[np.ndarray, " sampled"]:
        """The cosines of the sampled rows of the index and a sentence, ascending."""
        import torch

        part, tower = self._chosen()
        sample = torch.from_numpy(index.sample[:, index.parts[part]].astype(np.float32))
        return np.sort(tower.similarities(sample, [sentence])[:, 0].numpy())

    def _chosen(self) -> tuple[str, TextTower]:
        if self._tower is None:
            raise ModelError(f"the library's model {self._settings.model!r} takes no sentences")
        return self._tower

    def _projected(self, index: SearchIndex) -> Projected:
        """Every row of the index in the common space, at unit length."""
        import torch

        part, tower = self._chosen()
        with self._lock:
            if self._rows is None or self._rows[0] != index.version:
                rows = np.zeros((len(index), tower.projected_dim), np.float32)
                for positions, embeddings in index.stored_embeddings():
                    own = torch.from_numpy(embeddings[:, index.parts[part]].copy())
                    rows[positions] = tower.embed_sounds(own).numpy()
                self._rows = (index.version, rows)
            return self._rows[1]
