"""Models on the Hugging Face hub, by way of huggingface_hub (the extra ``hub``).

An address is ``hf:owner/name`` or ``hf:owner/name@revision``; the prefix keeps it apart from a folder ``owner/name``.
What was fetched once is used from then on without asking again, so that a library finds the model it was filled
with; name a revision to have another.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from soundloom.errors import MissingExtraError, ModelError
from soundloom.models.weights.download import Announcement, PublishedFile, is_offline
from soundloom.system_errors import first_line

__all__ = ["is_address", "is_repository", "name_of", "push", "snapshot"]

_PREFIX = "hf:"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json")
_PATTERNS = (_WHOLE, _INDEX, "model-*-of-*.safetensors")


def is_address(text: str | os.PathLike[str]) -> bool:
    """Whether a text is meant for the hub."""
    return isinstance(text, str) and text.startswith(_PREFIX)


def snapshot(
    address: str,
    files: tuple[str, ...],
    *,
    besides: tuple[str, ...] = (),
    offline: bool,
    announce: Callable[[Announcement], None] | None,
) -> Path:
    """The folder of a model, from the hub's cache or else the hub.

    Args:
        address: ``hf:owner/name`` or ``hf:owner/name@revision``.
        files: what is needed of it, besides weights in safetensors, whole or in pieces.
        besides: what is taken along where it is there.
        offline: never touch the network (the environment may say so as well).
        announce: called with what is about to be downloaded, its size and its licence.

    Raises:
        ModelError: it is not to be had, or has no weights in safetensors.
        MissingExtraError: huggingface_hub is not installed.
    """
    repository, _, revision = address.removeprefix(_PREFIX).partition("@")
    _check(repository)
    client = _client(f"loading {address}")
    wanted = {"repo_id": repository, "revision": revision or None}
    with contextlib.suppress(client.errors.LocalEntryNotFoundError):
        # Nothing but what is given is taken from the cache, whatever else another program fetched into it.
        patterns = [*files, *besides, *_PATTERNS]
        folder = Path(client.snapshot_download(**wanted, allow_patterns=patterns, local_files_only=True))
        if all((folder / name).is_file() for name in files) and _has_weights(folder):
            return folder
    if offline or is_offline():
        raise ModelError(f"offline, and {address} is not in the cache of the Hugging Face hub: load it once online")
    try:
        about = client.model_info(repository, revision=revision or None, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in about.siblings}
        chosen = [name for name in sizes if name in (*files, *besides) or _WEIGHTS.fullmatch(name)]
        _check_complete(address, chosen, files, sizes)
        if announce is not None:
            page = f"{client.constants.ENDPOINT}/{repository}/tree/{revision or 'main'}"
            source = PublishedFile(
                address=page, filename=" and ".join(chosen), bytes=sum(map(sizes.__getitem__, chosen))
            )
            licence = str(getattr(about.card_data, "license", None) or "not stated")
            place = Path(client.constants.HF_HUB_CACHE)
            announce(Announcement(source=source, address=page, path=place, held=0, licence=licence))
        return Path(client.snapshot_download(**wanted, allow_patterns=chosen))
    except _failures(client) as error:
        raise ModelError(f"cannot fetch {address}: {first_line(error)}") from error


def single_file(address: str, file: str, *, offline: bool) -> Path:
    """One small file of a model, from the hub's cache or else the hub.

    Raises:
        ModelError: it is not to be had.
        MissingExtraError: huggingface_hub is not installed.
    """
    repository, _, revision = address.removeprefix(_PREFIX).partition("@")
    _check(repository)
    client = _client(f"loading {address}")
    cached = offline or is_offline()
    try:
        folder = client.snapshot_download(
            repo_id=repository, revision=revision or None, allow_patterns=[file], local_files_only=cached
        )
    except _failures(client) as error:
        raise ModelError(f"cannot fetch {file} of {address}: {first_line(error)}") from error
    return Path(folder) / file


def name_of(address: str) -> str:
    """What a model on the hub is called: its repository without owner and revision.

    >>> name_of("hf:owner/name@v2")
    'name'
    """
    return address.removeprefix(_PREFIX).partition("@")[0].rpartition("/")[2]


def _has_weights(folder: Path) -> bool:
    """Whether the weights are there, every piece of them."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        return all((folder / name).is_file() for name in set(index["weight_map"].values()))
    except FileNotFoundError:
        return (folder / _WHOLE).is_file()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _check_complete(address: str, chosen: list[str], files: tuple[str, ...], there: Mapping[str, int]) -> None:
    """Refuse, before anything is fetched, a repository that holds no model that can be read."""
    missing = [name for name in files if name not in chosen]
    if not any(name.endswith(".safetensors") and _WEIGHTS.fullmatch(name) for name in chosen):
        missing.append(_WHOLE)
    if missing:
        pickled = sorted(name for name in there if name.endswith((".bin", ".pt", ".pth", ".ckpt")))
        hint = (
            f"; {pickled[0]} is a pickle, which is not read: a converted copy often is a revision, " if pickled else ""
        )
        more = f"{hint}{address.partition('@')[0]}@refs/pr/NUMBER" if pickled else ""
        raise ModelError(f"cannot fetch {address}: it has no {' and no '.join(missing)}{more}")


def push(repository: str, save: Callable[[Path], object], *, private: bool | None, token: str | None) -> str:
    """Save into a folder and upload it as one commit; returns the address of its page.

    Args:
        repository: ``owner/name``.
        save: called with the folder.
        private: whether a new repository is hidden.
        token: what to log in with.

    Raises:
        ModelError: offline, or the hub refuses.
        MissingExtraError: huggingface_hub is not installed.
    """
    _check(repository)
    client = _client(f"publishing {repository}")
    if is_offline():
        raise ModelError(f"offline: {repository} cannot be published")
    api = client.HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder))
        try:
            page = api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload a soundloom model")
        except _failures(client) as error:
            raise ModelError(f"cannot publish {repository}: {first_line(error)}") from error
    return str(page)


def is_repository(text: str) -> bool:
    """Whether a text is written as the hub's repositories are, ``owner/name``."""
    return _REPOSITORY.fullmatch(text) is not None


def _check(repository: str) -> None:
    if not is_repository(repository):
        hint = "it should be owner/name; a folder is written without hf:"
        raise ModelError(f"{repository!r} is no place on the Hugging Face hub: {hint}")


def _failures(client: ModuleType) -> tuple[type[Exception], ...]:
    """What huggingface_hub raises: OSError, errors of its own, and those of its HTTP library, such as no route."""
    own = client.errors.HfHubHTTPError
    return OSError, ValueError, *(one for one in own.__mro__ if one.__name__ in (own.__name__, "HTTPError"))


def _client(purpose: str) -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise MissingExtraError("huggingface_hub", "hub", purpose) from None
    return huggingface_hub
