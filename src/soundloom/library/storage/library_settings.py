"""Settings of a library: the model that filled it, and how files are decoded and cut.

Kept as ``library.json`` beside the store, written once, compared at every opening: embeddings of two
models in one table would make every similarity meaningless without anyone noticing.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from soundloom.atomic_file import write_atomically
from soundloom.audio import DEFAULT_OPTIONS, DecodeOptions
from soundloom.embedding_model import PLAIN, EmbeddingModel
from soundloom.errors import InvalidArgumentError, LibraryError, ModelMismatchError
from soundloom.library.library_files import SETTINGS_FILE
from soundloom.library.mirror import shown
from soundloom.library.storage.integrity.json_checksum import json_checksum
from soundloom.library.storage.store_folders import FIRST_STORE, is_store_name
from soundloom.part_weights import apply_balance, complete_weights

__all__ = ["COMPARED", "FORMAT", "UNFINISHED", "LibrarySettings"]

FORMAT = 1
"""Version of the folder's layout; a library of another version is refused."""

COMPARED = ("model", "fingerprint", "dim", "parts", "window", "hop", "balance", "centred", "decoding", "format")
"""What decides whether the embeddings of two libraries compare. Their last bits depend on the engine as well."""

UNFINISHED = f"{SETTINGS_FILE}.writing"
"""What a process leaves that is killed while it makes a library: nothing of value."""


@dataclass(frozen=True, kw_only=True)
class LibrarySettings:
    """The settings of one library.

    Attributes:
        model: the model's name.
        fingerprint: `EmbeddingModel.fingerprint` of the model that filled it.
        dim: size of an embedding.
        parts: part name -> (first column, one past the last).
        window: seconds of the segments that long files are cut into; None keeps every file whole.
            They are seconds of the sound as it is taken: at a speed of 0.1, of ten times those of the file.
        hop: seconds from one segment's start to the next.
        source: what `soundloom.load` makes the model of, paths of saved models absolute; None: its name.
        weights: what `soundloom.load` takes as weights, paths absolute.
        balance: `EmbeddingModel.balance` of that model.
        centred: `EmbeddingModel.centred` of that model.
        engine: what computed the embeddings, as `EmbeddingModel.engine` says it; another one rounds differently.
        decoding: how files become waveforms: channels, track, speed.
        store: name of the folder of the rows, which an upgrade changes (`soundloom.library.storage.store_folders`).
        checksums: whether the store has had checksums from its first commit on, which earlier versions did not write.
        format: version of the folder's layout.
    """

    model: str
    fingerprint: str
    dim: int
    parts: dict[str, tuple[int, int]]
    window: float | None
    hop: float | None
    source: str | None = None
    weights: str | dict[str, str] = "published"
    balance: dict[str, float] = field(default_factory=dict)
    centred: tuple[str, ...] = ()
    engine: str = PLAIN
    decoding: DecodeOptions = DEFAULT_OPTIONS
    store: str = FIRST_STORE
    checksums: bool = False
    format: int = FORMAT

    @property
    def cut_into(self) -> str:
        """How files are cut, in seconds of the files."""
        if self.window is None or self.hop is None:
            return "every file whole"
        window, hop = (seconds * self.decoding.speed for seconds in (self.window, self.hop))
        return f"segments of {window:g} s every {hop:g} s"

    def balanced_weights(self, weights: Mapping[str, float] | None = None) -> dict[str, float]:
        """How much every part counts in a search: a caller's weights, 1 if not named, times the model's own balance.

        Raises:
            QueryError: as for `soundloom.part_weights.complete_weights`.
        """
        return apply_balance(complete_weights(self.parts, weights), self.balance)

    @classmethod
    def of(
        cls,
        model: EmbeddingModel,
        window: float | None,
        hop: float | None,
        decoding: DecodeOptions = DEFAULT_OPTIONS,
    ) -> LibrarySettings:
        """Settings for a new library filled by this model.

        Raises:
            LibraryError: the window or hop is not a positive number of seconds, or the hop exceeds the window.
        """
        if window is None and hop is not None:
            raise LibraryError(f"a hop of {hop} s without a window means nothing: give a window as well")
        if window is not None:
            hop = window if hop is None else hop
            if not 0 < hop <= window < float("inf"):
                raise LibraryError(f"window and hop must satisfy 0 < hop <= window, got window {window} s, hop {hop} s")
        parts = {name: (columns.start, columns.stop) for name, columns in model.parts.items()}
        return cls(
            model=model.name,
            fingerprint=model.fingerprint(),
            dim=model.dim,
            parts=parts,
            window=window,
            hop=hop,
            balance=dict(model.balance),
            centred=tuple(model.centred),
            engine=model.engine,
            decoding=decoding,
            checksums=True,
        )

    @classmethod
    def read(cls, folder: Path) -> LibrarySettings:
        """The settings of the library in a folder.

        Raises:
            LibraryError: there is no library, its settings are damaged, or it is of another version.
        """
        file = folder / SETTINGS_FILE
        if not folder.exists() or (shown(folder) != str(folder) and not file.is_file()):
            name = shown(folder)
            raise LibraryError(f"no library at {name!r}: make one with: soundloom index SOUNDS -l {name}")
        if not file.is_file():
            raise LibraryError(
                f"{os.fspath(folder)!r} is not a library: it holds no {SETTINGS_FILE}; of a folder of sounds one is "
                f"made with: soundloom index {shlex.quote(shown(folder))} -l NAME.loom"
            )
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise LibraryError(
                    f"the library {os.fspath(folder)!r} has layout {data['format']}, this version reads {FORMAT}: "
                    "index the sounds again into a new library"
                )
            checksum = data.pop("checksum", None)  # earlier versions wrote none
            if checksum is not None and checksum != json_checksum(data):
                raise InvalidArgumentError("they differ from what was written")
            return cls.from_data(data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LibraryError(f"the settings {os.fspath(file)!r} are damaged ({error}): restore or re-index") from None

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> LibrarySettings:
        """Settings from plain data, the inverse of `dataclasses.asdict`.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: the data are no settings.
        """
        parts = {name: (int(first), int(last)) for name, (first, last) in data["parts"].items()}
        decoding = DecodeOptions.from_data(data.get("decoding", {}))
        centred = tuple(data.get("centred", ()))
        settings = cls(**{**data, "parts": parts, "centred": centred, "decoding": decoding})
        if not isinstance(settings.source, str | None) or not isinstance(settings.weights, str | dict):
            raise InvalidArgumentError(f"source {settings.source!r} and weights {settings.weights!r} are no names")
        if not set(centred) <= parts.keys():
            raise InvalidArgumentError(f"centred {centred!r} are not among the parts")
        settings.balance.update({name: float(share) for name, share in settings.balance.items()})
        if not is_store_name(settings.store):
            raise InvalidArgumentError(f"store {settings.store!r} is no name of a store")
        if not isinstance(settings.engine, str):
            raise InvalidArgumentError(f"engine {settings.engine!r} is no name")
        return settings

    def write(self, folder: Path) -> None:
        """Write the settings, whole or not at all."""
        data = json.loads(json.dumps(asdict(self)))
        write_atomically(folder / SETTINGS_FILE, _text({**data, "checksum": json_checksum(data)}))

    @staticmethod
    def are_as_written(folder: Path) -> bool:
        """Whether settings that `read` accepts are as they were written to the byte; True if they have no checksum."""
        text = (folder / SETTINGS_FILE).read_text(encoding="utf-8")
        data = json.loads(text)
        return "checksum" not in data or text == _text(data)

    def differing(self, other: LibrarySettings, names: Iterable[str] = COMPARED) -> list[str]:
        """Those of some settings that are not the same as another library's."""
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def check_model(self, model: EmbeddingModel) -> None:
        """Refuse a model other than the one that filled the library.

        Raises:
            ModelMismatchError: another name, or the same name with other settings or weights.
        """
        if model.name != self.model:
            raise ModelMismatchError(
                f"the library was filled by the model {self.model!r}, not {model.name!r}: "
                f"use {self.model!r}, index the sounds into a new library with {model.name!r}, or embed those of this "
                f"library with it: soundloom index --upgrade -m {model.name} -l LIBRARY"
            )
        if self.fingerprint not in model.fingerprints():
            raise ModelMismatchError(
                f"the library was filled by another version of {self.model!r} (fingerprint {self.fingerprint[:12]}, "
                f"now {model.fingerprint()[:12]}). Sounds that it holds can be searched by as before; for others "
                "use the weights it was filled with, or embed them all with the model of now; tags and folders stay: "
                "soundloom index --upgrade -l LIBRARY"
            )


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2) + "\n"
