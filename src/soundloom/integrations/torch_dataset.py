"""PyTorch data set of the clips of a corpus or the segments of a library, decoded when they are asked for.

    from torch.utils.data import DataLoader
    from soundloom.integrations.torch_dataset import SoundDataset

    clips = SoundDataset(soundloom.corpora.load("/data/my-sounds"), 16000, seconds=2.0)
    for batch in DataLoader(clips, batch_size=8, shuffle=True):
        batch["waveform"], batch["target"]  # [8, 32000] and [8]

It holds a table and no open file, so worker processes may have copies of it. When not: for soundloom's own trainings,
which decode a corpus once (`soundloom.feature_cache`).
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from soundloom import audio
from soundloom.corpora import Corpus
from soundloom.errors import InvalidArgumentError
from soundloom.file_names import os_path
from soundloom.integrations.table_source import check_source
from soundloom.library import Library

__all__ = ["SoundDataset"]


class SoundDataset(Dataset[dict[str, Any]]):
    """Waveforms with what is known of them.

    An item is a mapping of ``waveform``, a tensor ``[samples]`` of full scale 1; ``index``, its row in `rows`; and
    ``target``: of a corpus the class number, or the classes as a tensor ``[classes]`` of 0 and 1 where a clip may have
    several; of a library the stored embedding ``[dim]``.

    Args:
        source: the clips or segments; of a library as it is now.
        sample_rate: of the waveforms, in hertz.
        seconds: length of every waveform: longer ones are cut, shorter ones are followed by silence; None keeps them
            as they are, which batches of more than one need a ``collate_fn`` for.
        decoding: how files are decoded; as the library's are, or by default, if None.

    Attributes:
        rows: the table of clips or segments, a row for each item; its columns are those of `Corpus.table` or of
            `Library.to_arrow`.
    """

    def __init__(
        self,
        source: Corpus | Library,
        sample_rate: int,
        *,
        seconds: float | None = None,
        decoding: audio.DecodeOptions | None = None,
    ) -> None:
        check_source(source)
        numbers_given = isinstance(sample_rate, Integral) and isinstance(seconds, Real | None)
        if not numbers_given or sample_rate < 1 or (seconds is not None and not seconds > 0):
            raise InvalidArgumentError(
                "sample_rate must be a whole number of hertz and seconds a number, both above 0, "
                f"got {sample_rate!r} and {seconds!r}"
            )
        self.sample_rate, self.seconds = sample_rate, seconds
        self._targets: Tensor
        if isinstance(source, Corpus):
            self.rows = source.table
            self.decoding = decoding or audio.DEFAULT_OPTIONS
            numbers = source.label_ids() if source.task == "single-label" else source.label_matrix().astype(np.float32)
            self._targets = torch.from_numpy(numbers)
            paths = self.rows["path"].to_pylist()
        else:
            table = source.to_arrow(embeddings=True)
            self.rows = table.drop_columns(["embedding"])
            self.decoding = decoding or source.settings.decoding
            embeddings = np.asarray(table["embedding"].combine_chunks().flatten(), np.float32)
            self._targets = torch.from_numpy(embeddings.reshape(table.num_rows, -1).copy())
            paths = [os_path(path) for path in self.rows["path"].to_pylist()]
        self._regions = list(zip(paths, *(self.rows[name].to_pylist() for name in ("start", "end")), strict=True))

    def __len__(self) -> int:
        return len(self._regions)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> Subset[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | Subset[dict[str, Any]]:
        """Decode one item; of a slice, a data set of its items, which are decoded when they are asked for.

        Raises:
            AudioError: its file cannot be read.
        """
        if isinstance(index, slice):
            return Subset(self, range(len(self))[index])
        path, start, end = self._regions[index]
        start = start or 0.0
        if self.seconds is not None:
            length = start + self.seconds * self.decoding.speed
            end = length if end is None else min(end, length)
        waveform = torch.from_numpy(
            np.ascontiguousarray(audio.read(path, self.sample_rate, start=start, end=end, options=self.decoding))
        )
        if self.seconds is not None:
            wanted = round(self.seconds * self.sample_rate)
            waveform = torch.nn.functional.pad(waveform, (0, max(0, wanted - len(waveform))))[:wanted]
        return {"waveform": waveform, "target": self._targets[index], "index": index % len(self)}
