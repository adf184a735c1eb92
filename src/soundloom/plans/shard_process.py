"""Child process that embeds the files of shards, one file at a time, and reports each to its parent.

A file whose codec or model ends the process costs the parent this one file: what was finished has been reported.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from soundloom.audio import AvProcess
from soundloom.embedding_model import EmbeddingModel
from soundloom.engine_choice import check_trusted, load_default, load_on
from soundloom.errors import ModelMismatchError, SoundloomError
from soundloom.file_pool import Failed, process
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.library.indexing.file_facts import read_facts
from soundloom.library.indexing.file_rows import segment_embedder
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.plans.fragment import FileResult
from soundloom.workers.child import Channel

__all__ = ["BEGUN", "DONE", "READY", "REFUSED", "RESULT", "SHARD", "ModelSource", "serve"]

# Of the parent: the files of a shard. Of the child: it is ready; a file is begun; its result; all are done; an error.
SHARD, READY, BEGUN, RESULT, DONE, REFUSED = b"s", b"m", b"b", b"r", b"d", b"x"


@dataclass(frozen=True)
class ModelSource:
    """The model of a plan, and where its weights are on this machine.

    Attributes:
        settings: of the library, which name the model.
        weights: where the weights are, if not where the settings say.
        offline: never fetch weights.
    """

    settings: LibrarySettings
    weights: str | Mapping[str, str] | None = None
    offline: bool = field(default=False, kw_only=True)

    def load(self) -> EmbeddingModel:
        """The model, on the engine of the plan.

        Raises:
            ModelError: it cannot be loaded.
            ModelMismatchError: it is another one than the plan's, or its engine does not run here.
        """
        settings = self.settings
        name = settings.source or settings.model
        check_trusted(name, "the plan")
        loader = partial(load_default, offline=self.offline)
        model = load_on(settings.engine, loader, name, self.weights or settings.weights)
        settings.check_model(model)
        if model.engine != settings.engine:
            raise ModelMismatchError(
                f"the plan's rows are computed by the engine {settings.engine!r}, and here it is {model.engine!r}, "
                "which rounds differently: install the engine on this machine, or make a plan for a new library with "
                "--engine torch"
            )
        return model


def serve(channel: Channel) -> None:
    """The child: load the model, then embed the files of every shard that is sent."""
    source: ModelSource = pickle.loads(channel.receive()[1])
    try:
        model = source.load()
    except SoundloomError as error:
        channel.send(REFUSED, pickle.dumps((type(error).__name__, str(error))))
        return
    channel.send(READY)
    settings = source.settings
    embed = segment_embedder(model, settings.window, settings.hop, decoding=settings.decoding)
    reporting = Lock()

    def send(kind: bytes, content: object) -> None:
        with reporting:
            channel.send(kind, pickle.dumps(content))

    def work(file: FileOnDisk, av: AvProcess) -> FileResult:
        send(BEGUN, file.path)
        embedded = embed(FileOnDisk.of(file.path), av)
        return FileResult(file.path, embedded, read_facts(file.path))

    while True:
        files: Sequence[FileOnDisk] = pickle.loads(channel.receive()[1])
        for file, result in zip(files, process(files, work, workers=1), strict=True):
            send(RESULT, FileResult(file.path, failure=result.reason) if isinstance(result, Failed) else result)
        send(DONE, None)
