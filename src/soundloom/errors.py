"""The errors soundloom raises, all under one root.

    SoundloomError
      InvalidArgumentError  an argument or a setting has a value, shape or type that is not allowed; also a ValueError
        OptionError         an option of decoding has a value that is not allowed
        FileTableError      a table that names files cannot be read
      AudioError            a file cannot be decoded: missing, empty, corrupt, not audio, not finite
      ModelError            a model cannot be built or used
        UnknownModelError   no model of that name
      ComponentError        a component cannot be registered, found or imported
      CorpusError           a labelled collection is not as it should be
      FeatureCacheError     features for training cannot be cached, or read again
      TrainingError         a run cannot begin, go on, or be saved
      EvaluationError       a model cannot be measured on a corpus, or results cannot be read
      EmbeddingCacheError   embeddings for evaluation cannot be cached, or read again
      LibraryError          a library cannot be opened, written or searched
        ModelMismatchError  the library was filled by another model than the one asked for
        LibraryAbsentError  an open library's folder was moved away, deleted or unmounted
        LibraryDamagedError files of the library's store are not as they were written
      DetectorError         a detector cannot be found or read
      QueryError            a search asks for something that the library does not have
        NothingFoundError   no sound can answer it: no file has the text, or nobody has given the tag
      CacheDamagedError     a file of a cache is not as it was written; the cache is rebuilt
      ResourceError         the operating system refuses: disk full, read-only, no permission, out of memory
        RemoteFileError     a file at an address cannot be reached or read; also an OSError
      MissingExtraError     an optional dependency is not installed

`except SoundloomError` catches all of them. They are defined here, and also exported by the packages that raise them.
Every message says what was received, what is allowed, and how to put it right.
"""

from __future__ import annotations

from os import PathLike, fspath

__all__ = [
    "AudioError",
    "CacheDamagedError",
    "ComponentError",
    "CorpusError",
    "DetectorError",
    "EmbeddingCacheError",
    "EvaluationError",
    "FeatureCacheError",
    "FileTableError",
    "InvalidArgumentError",
    "LibraryAbsentError",
    "LibraryDamagedError",
    "LibraryError",
    "MissingExtraError",
    "ModelError",
    "ModelMismatchError",
    "NothingFoundError",
    "OptionError",
    "QueryError",
    "RemoteFileError",
    "ResourceError",
    "SoundloomError",
    "TrainingError",
    "UnknownModelError",
]


class SoundloomError(Exception):
    """Root of every error that soundloom raises on purpose."""


class InvalidArgumentError(SoundloomError, ValueError):
    """An argument or a setting has a value, shape or type that is not allowed; a `ValueError`, too."""


class FileTableError(InvalidArgumentError):
    """A table that names files cannot be read; the message begins with what is wrong and says what to do."""


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


class CorpusError(SoundloomError):
    """A labelled collection cannot be read, or does not have what is asked of it."""


class FeatureCacheError(SoundloomError):
    """Features for training cannot be cached, or read again."""


class TrainingError(SoundloomError):
    """A run cannot begin, go on, or be saved."""


class EvaluationError(SoundloomError):
    """A model cannot be measured on a corpus by a protocol, or results cannot be read."""


class EmbeddingCacheError(SoundloomError):
    """Embeddings for evaluation cannot be cached, or read again."""


class LibraryError(SoundloomError):
    """A library cannot be created, opened, written or read."""


class ModelMismatchError(LibraryError):
    """A library holds embeddings of another model than the one in hand."""


class LibraryAbsentError(LibraryError):
    """The folder of an open library is not there any more."""


class OptionError(InvalidArgumentError):
    """An option of decoding has a value that is not allowed."""


class LibraryDamagedError(LibraryError):
    """The store of a library is damaged: its rows can only be restored or computed again."""


class CacheDamagedError(SoundloomError):
    """A file of a cache differs from what was written. Whoever owns the cache rebuilds it."""


class ResourceError(SoundloomError):
    """The operating system refuses: no space, no permission, a read-only or failing disk, no memory, too many files."""


class RemoteFileError(ResourceError, OSError):
    """A file at an address cannot be reached or read.

    Args:
        reason: what happened, and what can be done.
        missing: whether the server answers that there is no such file.
    """

    def __init__(self, reason: str, *, missing: bool = False) -> None:
        super().__init__(None, reason)
        self.missing = missing

    def __str__(self) -> str:
        return str(self.strerror)


class DetectorError(SoundloomError):
    """There is no such detector, or its folder cannot be read."""


class QueryError(SoundloomError):
    """A search asks for a part, column or region that does not exist."""


class NothingFoundError(QueryError):
    """A search that no sound can answer: no file has the text, or nobody has given the tag.

    Args:
        reason: what is not there, and what is near to it.
        remedy: what to do about it, in Python or on the command line.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}{remedy}")
        self.reason = reason


class MissingExtraError(SoundloomError):
    """An optional dependency is needed and not installed.

    Attributes:
        with_torch: the extras that bring PyTorch.
    """

    with_torch = frozenset(("torch", "eval", "train", "onnx", "hf"))

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: {self.remedy(extra)}")

    @classmethod
    def remedy(cls, extra: str) -> str:
        """The command that adds an extra to an installation.

        One that brings PyTorch takes the versions that soundloom is tested with: without them pip may choose a build of
        it with gigabytes of packages for graphics cards.

        >>> MissingExtraError.remedy("serve")
        "pip install 'soundloom[serve]'"
        """
        versions = '-c "$(soundloom doctor --constraints)" ' if extra in cls.with_torch else ""
        return f"pip install {versions}'soundloom[{extra}]'"

    @classmethod
    def of_torch(cls, error: BaseException, purpose: str = "what is asked for") -> MissingExtraError | None:
        """What is said where PyTorch is needed for a purpose and not installed; None of other errors."""
        if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "julius"):
            return cls("torch", "torch", purpose)
        return None
