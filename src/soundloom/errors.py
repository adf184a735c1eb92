"""The errors soundloom raises, all under one root.

    SoundloomError
      AudioError            a file cannot be heard: missing, empty, corrupt, not audio, not finite
      ModelError            a model cannot be built or used
        UnknownModelError   no model of that name
      LibraryError          a library cannot be opened, written or searched
        ModelMismatchError  the library was filled by another model than the one asked for
      CorpusError           a labelled collection is not as it should be (soundloom.corpora)
      PreparedError         clips cannot be kept for training, or read again (soundloom.feature_cache)
      TrainingError         a run cannot begin, go on, or be kept (soundloom.training)
      ComponentError        a component cannot be registered, found or imported
      OptionError           an option has a value that is not allowed
      QueryError            a search asks for something the library does not have
      MissingExtraError     an optional dependency is not installed

Every message says what was received, what is allowed, and how to put it right.
"""

from __future__ import annotations

from os import PathLike, fspath

__all__ = [
    "AudioError",
    "ComponentError",
    "LibraryError",
    "MissingExtraError",
    "ModelError",
    "ModelMismatchError",
    "OptionError",
    "QueryError",
    "SoundloomError",
    "UnknownModelError",
]


class SoundloomError(Exception):
    """Root of every error that soundloom raises on purpose."""


class InvalidArgumentError(SoundloomError, ValueError):
    """An argument or a setting has a value, shape or type that is not allowed; a `ValueError`, too."""


class AudioError(SoundloomError):
    """A file cannot be turned into a waveform.

    Attributes:
        path: the file, as it was given.
        reason: what is wrong and what to do, without the path (for tables and reports).
    """

    def __init__(self, path: str | PathLike[str], reason: str) -> None:
        self.path = fspath(path)
        self.reason = reason
        super().__init__(f"{self.path!r}: {reason}")

    def __reduce__(self) -> tuple[type[AudioError], tuple[str, str]]:
        return type(self), (self.path, self.reason)


class ModelError(SoundloomError):
    """A model cannot be built, loaded or applied."""


class UnknownModelError(ModelError):
    """No model goes by that name."""


class ComponentError(SoundloomError):
    """A component cannot be registered, found, imported, saved or identified."""


class LibraryError(SoundloomError):
    """A library cannot be created, opened, written or read."""


class ModelMismatchError(LibraryError):
    """A library holds embeddings of another model than the one in hand."""


class OptionError(InvalidArgumentError):
    """An option of decoding has a value that is not allowed."""


class QueryError(SoundloomError):
    """A search asks for a part, column or region that does not exist."""


class MissingExtraError(SoundloomError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'soundloom[{extra}]'")
